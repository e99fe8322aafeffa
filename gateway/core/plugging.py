"""What is presented at an outlet: it starts a session, or stops one's own (RULES A5, C1, C5)."""

from gateway.core import calendar, charging, ending, grounds, guessing, outlets, quotas
from gateway.core.draft import Draft, zone_of
from gateway.core.grounds import Ground, Refusal
from gateway.domain.charging import ChargerState, ChargingSession, StopReason, Wish
from gateway.domain.events import Actor, CredentialPresented, SessionStopAsked
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Fact
from gateway.domain.site import Facility
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Presented
from gateway.domain.uses import Use, uses

_OUT_OF_SERVICE = (ChargerState.FAULTED, ChargerState.UNAVAILABLE)


def outlets_at(draft: Draft, event: CredentialPresented) -> tuple[Facility, ...]:
    """The outlets at a reader, or the one that is named; none where a door is meant."""
    site = draft.site
    if event.reader is None:
        named = site.facilities.get(event.facility)
        return (named,) if named and named.outlet and not event.door else ()
    used = uses(site).get(event.reader, ())
    return tuple(site.facilities[u.owner] for u in used if u.use is Use.OUTLET_READER)


def present(draft: Draft, event: CredentialPresented, here: tuple[Facility, ...]) -> Reply:
    """Decide on a credential at outlets: whose session runs here stops it, else starts one."""
    meant = _meant(here, event.facility)
    mine = _own_session(draft, event.presented, meant)
    if mine is not None:
        charging.stop(draft, mine, StopReason.LOCAL)
        return _accepted("charging_stopped", mine)
    return start(draft, event, meant) if meant else _which(here)


def start(draft: Draft, event: CredentialPresented, here: tuple[Facility, ...]) -> Reply:
    """Begin a session for who has a right to; a refusal says what would help."""
    reader = str(event.reader) if event.reader else f"terminal:{here[0].id}"
    slows = guessing.slows(draft, event.presented, reader)
    found = grounds.judge(draft, event.presented, grounds.at_outlets(draft.site, here))
    wait_ms = guessing.wait_left_ms(draft, slows)
    if isinstance(found, Refusal) and found.result is Result.INVALID:
        guessing.failed(draft, slows, reader, here[0].place)
    if wait_ms and not (found.subject is not None and found.subject.staff):
        return guessing.slow_down(wait_ms, facility=here[0].id)
    if isinstance(found, Refusal):
        return _refuse(draft, event.presented, here, found)
    guessing.forgive(draft, slows)
    chosen = _named(here, found) or _choose(draft, here)
    if chosen is None:
        return _which(here)
    refusal = _hindrance(draft, chosen) or _shortage(draft, chosen, found, event.wish)
    if refusal is not None:
        return _refuse(draft, event.presented, (chosen,), refusal)
    session = charging.authorise(draft, chosen, found, event.presented.type.value, event.wish)
    there = outlets.plugged(draft, outlets.outlet_of(chosen))
    return _accepted("charging_authorised" if there is False else "charging_started", session)


def stop_asked(draft: Draft, event: SessionStopAsked) -> Reply:
    """Somebody stops a session: the safe direction needs no more than a name."""
    session = draft.get(ChargingSession, event.session)
    if session is None or not session.running:
        return Reply(Result.UNKNOWN, reason("no_session"))
    charging.stop(draft, session, StopReason.REMOTE if _is_remote(event.by) else StopReason.LOCAL)
    return _accepted("charging_stopped", session)


def _is_remote(by: Actor) -> bool:
    return not by.on_site


def _own_session(
    draft: Draft, presented: Presented, here: tuple[Facility, ...]
) -> ChargingSession | None:
    """The running session here of whom this credential belongs to: presenting it again stops."""
    subjects = grounds.subjects_of(draft, presented)
    running = (outlets.session_at(draft, facility.id) for facility in here)
    return next((s for s in running if s is not None and s.subject in subjects), None)


def _meant(here: tuple[Facility, ...], name: str) -> tuple[Facility, ...]:
    """The outlets that are called so, by id or by the number it ends in; all where none is said."""
    if not name:
        return here
    return tuple(one for one in here if name in (one.id, one.id.rpartition("_")[2]))


def _which(here: tuple[Facility, ...]) -> Reply:
    """Nobody can tell which outlet is meant."""
    names = ", ".join(facility.name.en for facility in here)
    return Reply(Result.REJECTED, reason("choose_outlet", outlets=names))


def _named(here: tuple[Facility, ...], ground: Ground) -> Facility | None:
    """The outlet that a booking or right names; who walks in may mean any."""
    if ground.basis == ending.OPEN_TO_ALL:
        return None
    return next((facility for facility in here if facility.id == ground.facility), None)


def _choose(draft: Draft, here: tuple[Facility, ...]) -> Facility | None:
    """The one outlet that is meant: where a vehicle waits, else the only one there is."""
    waiting = [
        facility
        for facility in here
        if outlets.session_at(draft, facility.id) is None
        and outlets.plugged(draft, outlets.outlet_of(facility))
    ]
    found = waiting or here
    return found[0] if len(found) == 1 else None


def _hindrance(draft: Draft, facility: Facility) -> Refusal | None:
    """Why nothing can start here whoever asks (C1, C2, C5)."""
    if outlets.session_at(draft, facility.id) is not None:
        return Refusal(Result.CONCURRENT, reason("outlet_in_use"))
    if outlets.hazard(draft, facility):
        return Refusal(Result.REJECTED, reason("hazard", outlet=facility.name.en))
    if not outlets.is_fresh(draft, outlets.outlet_of(facility)):
        return Refusal(Result.REJECTED, reason("outlet_unseen"))
    if outlets.charger_state(draft, outlets.outlet_of(facility)) in _OUT_OF_SERVICE:
        return Refusal(Result.REJECTED, reason("outlet_faulted", outlet=facility.name.en))
    if not outlets.is_open(draft, facility):
        return Refusal(Result.NOT_AT_THIS_TIME, _opens(draft, facility))
    return None


def _opens(draft: Draft, facility: Facility) -> Reason:
    """When nothing charges here, and when it may again (C8)."""
    hours = outlets.outlet_of(facility).rules.hours
    wall = draft.now.wall_ms
    assert hours is not None, "an outlet without hours is always open"
    opens = calendar.next_change_ms(hours, wall, zone_of(draft.site.zone))
    return reason("outlet_closed", start=draft.local_time(opens or wall))


def _shortage(draft: Draft, facility: Facility, ground: Ground, wish: Wish) -> Refusal | None:
    """Why the quotas of who asks do not reach."""
    wanted = charging.wants(draft, facility, ground, wish)
    why = quotas.refusal(draft, ground.subject.id, facility, wanted)
    return Refusal(Result.NO_CREDIT, why, ground.subject) if why is not None else None


def _refuse(
    draft: Draft, presented: Presented, here: tuple[Facility, ...], refusal: Refusal
) -> Reply:
    draft.record(
        Fact.REFUSED,
        personal={"subject": refusal.subject.id} if refusal.subject else None,
        why=refusal.reason,
        facility=here[0].id,
        place=here[0].place,
        how=presented.type.value,
        result=refusal.result.value,
    )
    return Reply(refusal.result, refusal.reason, {"facility": here[0].id})


def _accepted(code: str, session: ChargingSession) -> Reply:
    told = {"session": session.id, "facility": session.facility}
    return Reply(Result.ACCEPTED, reason(code), told)
