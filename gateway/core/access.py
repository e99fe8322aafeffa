"""What is presented at a door, and the one release that a grant is (RULES A1, A4, A5, A8)."""

from dataclasses import dataclass, replace

from gateway.core import answering, grounds, guessing, passage, quotas
from gateway.core.draft import Draft
from gateway.core.grounds import Ground, Refusal
from gateway.core.layout import layout
from gateway.core.quotas import Most
from gateway.domain.bookings import Booking
from gateway.domain.events import CredentialPresented, DoorOverridden
from gateway.domain.quotas import Counted
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Fact
from gateway.domain.site import Door
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Presented, Role
from gateway.domain.uses import Use, uses
from gateway.domain.visits import DoorStatus, Grant, Visit

GRANTS_MAX = 7  # people at one door at a time, beside the newest
_OVERRIDING = frozenset({Role.STAFF, Role.RESPONDER, Role.TECHNICIAN, Role.DESK, Role.PLATFORM})


@dataclass(frozen=True, slots=True)
class _Try:
    """A credential at a door. `slows`: what a wrong one slows, by id; "" for nothing."""

    door: Door
    presented: Presented
    reader: str
    slows: str


def present(draft: Draft, event: CredentialPresented) -> Reply:
    """Decide on a credential at a door; a refusal says what would help (A1)."""
    door = _door_of(draft, event)
    if door is None:
        named = event.door or event.facility or str(event.reader)
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="door", id=named))
    reader = str(event.reader) if event.reader else f"terminal:{door.id}"
    slows = guessing.slows(draft, event.presented, reader)
    tried = _Try(door, event.presented, reader, slows)
    found = grounds.judge(
        draft, event.presented, grounds.at_door(draft.site, door.id, event.facility)
    )
    wait_ms = guessing.wait_left_ms(draft, slows)
    if wait_ms and not (found.subject is not None and found.subject.staff):
        return _slow_down(draft, tried, found, wait_ms)
    if found.subject is not None and Role.RESPONDER in found.subject.roles:
        answering.responder_seen(draft, door, found.subject.id)
    if isinstance(found, Ground):
        found = _shortage(draft, door, found) or found
    if isinstance(found, Ground):
        return _grant(draft, tried, found)
    if passage.is_open_to_all(draft, door):
        return _admit(draft, tried)
    return _refuse(draft, tried, found)


def override(draft: Draft, event: DoorOverridden) -> Reply:
    """Release a door on a named person's word and reason (A1)."""
    door = draft.site.doors.get(event.door)
    if door is None:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="door", id=event.door))
    if not event.by.name.strip() or not event.why.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    if event.by.role not in _OVERRIDING:
        return Reply(Result.REJECTED, reason("role_needed", role=Role.DESK.value))
    given = replace(_given(draft, door, "override"), person=event.by.name)
    _release(draft, door, given)
    draft.record(
        Fact.GRANTED,
        personal={"person": event.by.name, "why": event.why},
        why=reason("override", person="–", why="–"),  # the person and their words lie apart
        door=door.id,
        place=door.place,
        basis="override",
        grant=given.token,
        how=event.by.role.value,
    )
    why = reason("override", person=event.by.name, why=event.why)
    return Reply(Result.ACCEPTED, why, {"door": door.id, "grant": given.token})


# --- granted ------------------------------------------------------------------------------------


def _shortage(draft: Draft, door: Door, ground: Ground) -> Refusal | None:
    """Whose time is used up begins no use without a booking; who is in may come and go (B3)."""
    subject = ground.subject
    own = (one for one in layout(draft.site).own[door.id] if one.id == ground.facility)
    facility = next(own, None)
    if facility is None or draft.get(Booking, ground.basis) is not None:
        return None
    if any(one.subject == subject.id for one in draft.where(Visit, "facility", facility.id)):
        return None
    why = quotas.refusal(draft, subject.id, facility, (Most(Counted.TIME),))
    return Refusal(Result.NO_CREDIT, why, subject) if why is not None else None


def _grant(draft: Draft, tried: _Try, ground: Ground) -> Reply:
    guessing.forgive(draft, tried.slows)
    given = _given(draft, tried.door, ground.basis, ground.subject.id, ground.facility)
    reply = _granted(draft, tried, given, ground.reason, uncertain=ground.uncertain)
    if ground.uncertain:
        reply.data["clock_uncertain"] = True
    return reply


def _admit(draft: Draft, tried: _Try) -> Reply:
    """The door is open to all: whoever presents something, known or not, may pass (A8)."""
    given = _given(draft, tried.door, "open_mode")
    return _granted(draft, tried, given, reason("open_mode"))


def _granted(
    draft: Draft, tried: _Try, given: Grant, why: Reason, *, uncertain: bool = False
) -> Reply:
    _release(draft, tried.door, given)
    draft.record(
        Fact.GRANTED,
        personal={"subject": given.subject} if given.subject else None,
        why=why,
        door=tried.door.id,
        place=tried.door.place,
        facility=given.facility,
        basis=given.basis,
        grant=given.token,
        how=tried.presented.type.value,
        clock_uncertain=uncertain or None,
    )
    told = {"door": tried.door.id, "grant": given.token}
    return Reply(
        Result.ACCEPTED,
        reason("granted"),
        {**told, "facility": given.facility, "basis": given.basis},
    )


def _given(
    draft: Draft, door: Door, basis: str, subject: str | None = None, facility: str | None = None
) -> Grant:
    """One decision, one token, one release (A4)."""
    now = draft.now
    return Grant(
        token=draft.new_id("grant"),
        subject=subject,
        basis=basis,
        facility=facility,
        given_wall_ms=now.wall_ms,
        until_mono_ms=now.mono_ms + door.rules.release_ms,
        boot=now.boot,
    )


def _release(draft: Draft, door: Door, given: Grant) -> None:
    """The grant is given. A person's newer one replaces their older."""
    status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
    others = tuple(g for g in status.grants if g.subject != given.subject)[-GRANTS_MAX:]
    draft.put(replace(status, grants=(*others, given)))


# --- refused ------------------------------------------------------------------------------------


def _slow_down(draft: Draft, tried: _Try, found: Ground | Refusal, wait_ms: int) -> Reply:
    """Too soon: right or wrong, the answer is the same."""
    if isinstance(found, Refusal) and found.result is Result.INVALID:
        guessing.failed(draft, tried.slows, tried.reader, tried.door.place)
    return guessing.slow_down(wait_ms, door=tried.door.id)


def _refuse(draft: Draft, tried: _Try, refusal: Refusal) -> Reply:
    draft.record(
        Fact.REFUSED,
        personal={"subject": refusal.subject.id} if refusal.subject else None,
        why=refusal.reason,
        door=tried.door.id,
        place=tried.door.place,
        reader=tried.reader,
        how=tried.presented.type.value,
        result=refusal.result.value,
    )
    if refusal.result is Result.INVALID:
        guessing.failed(draft, tried.slows, tried.reader, tried.door.place)
    return Reply(refusal.result, refusal.reason, {"door": tried.door.id})


def _door_of(draft: Draft, event: CredentialPresented) -> Door | None:
    site = draft.site
    if event.reader is not None:
        at = (used.owner for used in uses(site).get(event.reader, ()) if used.use is Use.READER)
        return site.doors.get(next(at, ""))
    if event.door:
        return site.doors.get(event.door)
    facility = site.facilities.get(event.facility)
    return site.doors[facility.doors[0]] if facility and facility.doors else None
