"""The life of a charging session (RULES C1, C3, C7).

    authorised ─ plugged in ─▶ starting ─ power is set ─▶ opening ─ register read ─▶ active
        │                         └───────────────────┬────────────────────────────────┘
        └─ nobody plugged in ─▶ over                  ▼  asked, a limit, unplugged, a hazard
                                                  stopping ─ power is off ─▶ closing ─▶ ended
                                                                                └─▶ provisional

`look` is asked whenever something of an outlet was read, or its time has come; it goes as far as
what is known allows, so that it does not matter what came first.
"""

from dataclasses import replace
from typing import Any
from zlib import crc32

from gateway.core import (
    arrival,
    drawing,
    ending,
    grace,
    hazards,
    loads,
    metering,
    outlets,
    quotas,
    straying,
    tariffs,
    tripping,
)
from gateway.core.draft import Draft
from gateway.core.faults import set_fault
from gateway.core.grounds import Ground
from gateway.core.quotas import Most
from gateway.domain.bookings import Booking
from gateway.domain.charging import (
    Authorisation,
    ChargingSession,
    OutletStatus,
    Progress,
    Segment,
    SessionState,
    StopReason,
    Wish,
)
from gateway.domain.now import SECOND_MS, Elapsed
from gateway.domain.power import LoadKind
from gateway.domain.quotas import Counted
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Facility

OPENS_WITHIN_MS = 15 * SECOND_MS
OFF_WITHIN_MS = 60 * SECOND_MS
CLOSES_WITHIN_MS = 30 * SECOND_MS
STAGGER_MS = (2 * SECOND_MS, 10 * SECOND_MS)


def authorise(
    draft: Draft, facility: Facility, ground: Ground, how: str, wish: Wish
) -> ChargingSession:
    """Somebody may charge: before or after they plug in."""
    session = ChargingSession(
        id=draft.new_id("session"),
        facility=facility.id,
        by=Authorisation(
            ground.subject.id,
            ground.basis,
            how,
            draft.now.wall_ms,
            wish.needed_wh,
            wish.leaves_ms,
        ),
        progress=Progress(SessionState.AUTHORISED, Elapsed.started(draft.now)),
        limits=outlets.outlet_of(facility).rules.limits.within(wish.limits),
    )
    draft.put(session)
    wanted = wants(draft, facility, ground, wish)
    held = quotas.hold(draft, session.id, ground.subject.id, facility, wanted)
    draft.record(
        Fact.SESSION_AUTHORISED,
        personal={"subject": ground.subject.id},
        why=ground.reason,
        session=session.id,
        facility=facility.id,
        basis=ground.basis,
        how=how,
        needed_wh=wish.needed_wh or None,
        held=held,
        clock_uncertain=ground.uncertain or None,
    )
    booking = draft.get(Booking, ground.basis)
    if booking is not None:
        arrival.came(draft, booking)
    look(draft, facility)
    return session


def wants(draft: Draft, facility: Facility, ground: Ground, wish: Wish) -> tuple[Most, ...]:
    """How much of its quotas a session takes: its time only where no booking grants that."""
    limits = outlets.outlet_of(facility).rules.limits
    most = limits.within(wish.limits)
    asked_wh = quotas.capped(wish.limits.most_wh or wish.needed_wh, limits.most_wh)
    energy = Most(Counted.ENERGY, asked_wh, most.most_wh)
    if draft.get(Booking, ground.basis) is not None:
        return (energy,)
    asked_ms = quotas.capped(wish.limits.longest_ms, limits.longest_ms)
    return (energy, Most(Counted.TIME, asked_ms, most.longest_ms))


def stop(draft: Draft, session: ChargingSession, why: StopReason) -> None:
    """Power goes off; the session ends once that is read, and its register too."""
    _stop(draft, session, why)
    look_at(draft, session.facility)


def look(draft: Draft, *facilities: Facility) -> None:
    """What is read, and what time it is: each outlet's session goes as far as it can."""
    for facility in facilities:
        _advance(draft, facility)
        straying.look(draft, facility)
    loads.settle(draft, {outlets.outlet_of(one).load.circuit for one in facilities})
    for facility in facilities:
        tripping.look(draft, facility)
        _note_status(draft, facility)


def counted(draft: Draft, facility: Facility) -> None:
    """Its register moved, and nothing else was read: as a rule that is only counted."""
    if not _is_steady(draft, facility):
        look(draft, facility)
        return
    _meter(draft, facility)
    session = outlets.session_at(draft, facility.id)
    if session is not None and ending.by_energy(draft, session) is not None:
        look(draft, facility)


def _is_steady(draft: Draft, facility: Facility) -> bool:
    """It is read, as it was when it was last looked at, and what goes on there is only counted."""
    status = draft.get(OutletStatus, facility.id)
    if status is None or status.amiss.unread is not None:
        return False
    sessions = outlets.sessions_at(draft, facility.id)
    active = all(one.progress.state is SessionState.ACTIVE for one in sessions)
    return active and outlets.is_fresh(draft, outlets.outlet_of(facility))


def due(draft: Draft, session: ChargingSession) -> None:
    """Time passed for a session."""
    look_at(draft, session.facility)


def due_in_ms(draft: Draft, session: ChargingSession) -> int | None:
    """How long until `due` is worth asking."""
    facility = draft.site.facilities.get(session.facility)
    if facility is None or facility.outlet is None:
        return 0
    spent = session.progress.since.at(draft.now)
    match session.progress.state:
        case SessionState.AUTHORISED:
            return max(0, facility.outlet.rules.plug_within_ms - spent)
        case SessionState.ACTIVE:
            return ending.due_in_ms(draft, session)
        case SessionState.STARTING:
            return None  # what it waits for is read
        case SessionState.RESUMING:
            return max(0, _stagger_ms(draft, facility) - spent)
        case _:
            # a register that has not moved is read without a word
            return max(0, outlets.ASKED_AFTER_MS - spent)


def look_at(draft: Draft, facility: str) -> None:
    """The same by id; nothing happens where the facility is no outlet."""
    found = outlets.facility_of(draft, facility)
    if found is not None:
        look(draft, found)


def rights_changed(draft: Draft) -> None:
    """What anybody's session rests on may be no more."""
    for session in draft.all(ChargingSession):
        if session.powered:
            look_at(draft, session.facility)


def supervise(draft: Draft) -> None:
    """The slow round: a net under all deadlines. One facility each time, by lot: no rhythm of the
    rounds leaves another out for ever.
    """
    facilities = tuple(draft.site.facilities)
    if facilities:
        lot = crc32(draft.now.serial.to_bytes(8))
        look_at(draft, facilities[lot % len(facilities)])


def restarted(draft: Draft, away_ms: int | None) -> None:
    """A restart moves nothing (DESIGN §5). Whether power was lost too, the outlet will show (C8).

    A switched outlet that is off after a long outage, or one of unknown length, stays off.
    """
    straying.restarted(draft)
    for session in draft.all(ChargingSession):
        facility = draft.site.facilities.get(session.facility)
        if facility is None or facility.outlet is None or not session.running:
            continue
        state = session.progress.state
        if state is SessionState.ACTIVE:
            rules, load = facility.outlet.rules, facility.outlet.load
            short = away_ms is not None and away_ms <= rules.resumes_within_ms
            resumes = short or load.kind is LoadKind.MODULATED
            cause = None if resumes else StopReason.POWER_LOSS
            _go(draft, replace(session, stop=cause), SessionState.RESUMING)
        elif state is not SessionState.AUTHORISED:
            _go(draft, session, state)  # its wait begins anew, for a reading of this boot


def _advance(draft: Draft, facility: Facility) -> None:
    outlet = outlets.outlet_of(facility)
    if not outlets.is_fresh(draft, outlet):
        grace.not_seen(draft, facility.id)  # whoever came, nobody saw (B6)
    _meter(draft, facility)
    hazards.look(draft, facility)
    _complete(draft, facility)
    while (session := outlets.session_at(draft, facility.id)) is not None:
        _STATES[session.progress.state](draft, facility, session)
        if draft.get(ChargingSession, session.id) == session:
            break


def _meter(draft: Draft, facility: Facility) -> None:
    """What its register shows is counted, at the price of now."""
    outlet, session = outlets.outlet_of(facility), outlets.session_at(draft, facility.id)
    if session is not None and session.powered:
        tariffs.turn(draft, facility, session)
    metering.read(draft, facility, outlet)
    metering.check_stuck(draft, facility, outlet)


# --- its states -----------------------------------------------------------------------------------


def _authorised(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    outlet = outlets.outlet_of(facility)
    if outlets.plugged(draft, outlet) or outlet.points.state is None:
        _go(draft, session, SessionState.STARTING)
    elif session.progress.since.at(draft.now) >= outlet.rules.plug_within_ms:
        _end(draft, replace(session, stop=StopReason.TIMEOUT))


def _starting(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    if not _must_stop(draft, facility, session) and loads.is_set(draft, facility):
        _go(draft, session, SessionState.OPENING)


def _opening(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    if _must_stop(draft, facility, session):
        return
    if metering.seen_since(draft, facility, session.progress.since):
        _open(draft, facility, session)
    else:
        late = session.progress.since.at(draft.now) >= OPENS_WITHIN_MS
        why = reason("meter_unread", outlet=facility.name.en)
        set_fault(draft, facility.id, why, late, (facility.place,))
        if late:
            _stop(draft, session, StopReason.OTHER)


def _open(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    segments = metering.opened(draft, facility)
    now = draft.now
    begun = Progress(SessionState.ACTIVE, Elapsed.started(now), Elapsed.started(now), now.wall_ms)
    draft.put(replace(session, progress=begun, segments=segments))
    draft.record(
        Fact.SESSION_STARTED,
        session=session.id,
        facility=facility.id,
        register_wh=segments[0].opened_wh if segments else None,
        meter=segments[0].meter if segments else None,
    )


def _active(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    session = drawing.noted(draft, outlets.outlet_of(facility), session)
    if _must_stop(draft, facility, session):
        return
    booking = draft.get(Booking, session.by.basis)
    over = booking is not None and draft.now.wall_ms >= booking.terms.end_ms
    if over and draft.now.trusted and not session.continued:
        draft.put(replace(session, continued=True))
        draft.record(Fact.SESSION_CONTINUED, session=session.id, facility=facility.id)


def _resuming(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    """C8: outlets that lost their power get it back one after another."""
    on = outlets.is_on(draft, outlets.outlet_of(facility))
    if on is None or _must_stop(draft, facility, replace(session, stop=None)):
        return
    if not on and session.stop is not None:
        _stop(draft, session, session.stop)
    elif on or session.progress.since.at(draft.now) >= _stagger_ms(draft, facility):
        _go(draft, replace(session, stop=None), SessionState.ACTIVE)


def _stagger_ms(draft: Draft, facility: Facility) -> int:
    among = [one.id for one in draft.site.facilities.values() if one.outlet is not None]
    return STAGGER_MS[0] + among.index(facility.id) * SECOND_MS % (STAGGER_MS[1] - STAGGER_MS[0])


def _stopping(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    off = outlets.is_on(draft, outlets.outlet_of(facility)) is False
    if off or session.progress.since.at(draft.now) >= OFF_WITHIN_MS:
        _go(draft, session, SessionState.CLOSING)


def _closing(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    if metering.seen_since(draft, facility, session.progress.since):
        _end(draft, session)
    elif session.progress.since.at(draft.now) >= CLOSES_WITHIN_MS:
        _end(draft, session, provisional=True)


_STATES = {
    SessionState.AUTHORISED: _authorised,
    SessionState.STARTING: _starting,
    SessionState.OPENING: _opening,
    SessionState.ACTIVE: _active,
    SessionState.RESUMING: _resuming,
    SessionState.STOPPING: _stopping,
    SessionState.CLOSING: _closing,
}


# --- why it stops ---------------------------------------------------------------------------------


def _must_stop(draft: Draft, facility: Facility, session: ChargingSession) -> bool:
    why = ending.cause(draft, facility, session)
    if why is not None:
        _stop(draft, session, why)
    return why is not None


def _stop(draft: Draft, session: ChargingSession, why: StopReason) -> None:
    if session.progress.state is SessionState.AUTHORISED:
        _end(draft, replace(session, stop=why))
    elif session.powered:
        draft.record(
            Fact.SESSION_STOPPING, session=session.id, facility=session.facility, cause=why.value
        )
        _go(draft, replace(session, stop=why), SessionState.STOPPING)


# --- its end --------------------------------------------------------------------------------------


def _end(draft: Draft, session: ChargingSession, *, provisional: bool = False) -> None:
    """The session is over; a provisional end is completed by a later record (C3)."""
    _tell(draft, Fact.SESSION_ENDED, session, provisional=provisional)
    if provisional:
        _go(draft, session, SessionState.PROVISIONAL)
    else:
        draft.drop(ChargingSession, session.id)


def _tell(draft: Draft, fact: Fact, session: ChargingSession, *, provisional: bool = False) -> None:
    """All of a session that its platform can price it by."""
    lasted, started_ms = session.progress.lasted, session.progress.started_ms
    duration_ms = lasted.at(draft.now) if lasted is not None else 0
    taken = {Counted.ENERGY: session.energy_wh, Counted.TIME: duration_ms}
    draft.record(
        fact,
        personal={"subject": session.subject} if session.subject else None,
        session=session.id,
        facility=session.facility,
        basis=session.by.basis,
        authorised_ms=session.by.at_ms,
        started_ms=started_ms or None,
        duration_ms=duration_ms,
        duration_by_class=tariffs.duration(draft, session.facility, started_ms, duration_ms),
        energy_wh=session.energy_wh,
        energy_by_class=tariffs.energy(session),
        segments=[_segment(one) for one in session.segments],
        quotas=quotas.settle(draft, session.id, taken, over=not provisional),
        stop_reason=(session.stop or StopReason.OTHER).value,
        continued=session.continued or None,
        provisional=provisional or None,
    )


def _segment(one: Segment) -> dict[str, Any]:
    told = {"meter": one.meter, "opened_wh": one.opened_wh, "closed_wh": one.latest_wh}
    return told | ({"price_class": one.price, "from_ms": one.from_ms} if one.price else {})


def _complete(draft: Draft, facility: Facility) -> None:
    """A session that closed without its last register: it has been read now."""
    for session in draft.where(ChargingSession, "facility", facility.id):
        if session.progress.state is not SessionState.PROVISIONAL:
            continue
        if metering.seen_since(draft, facility, session.progress.since):
            _tell(draft, Fact.SESSION_COMPLETED, session)
            draft.drop(ChargingSession, session.id)


def _note_status(draft: Draft, facility: Facility) -> None:
    """OCPP's status of the outlet is kept, and each change of it is a fact."""
    known = draft.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    status = outlets.connector_status(draft, facility)
    if status is not known.status:
        draft.put(replace(known, status=status))
        draft.record(Fact.OUTLET_STATUS, facility=facility.id, status=status.value)


# --- inside ---------------------------------------------------------------------------------------


def _go(draft: Draft, session: ChargingSession, state: SessionState) -> None:
    progress = replace(session.progress, state=state, since=Elapsed.started(draft.now))
    draft.put(replace(session, progress=progress))
