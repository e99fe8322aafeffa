"""Why a charging session must end (RULES C2, C3, C7, C8)."""

from gateway.core import calendar, drawing, hazards, outlets, quotas, tariffs
from gateway.core.draft import Draft, zone_of
from gateway.core.durations import LATE_MS, first_ahead
from gateway.core.grounds import taken_by_other
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.charging import ChargerState, ChargingSession, OutletStatus, StopReason
from gateway.domain.now import MINUTE_MS
from gateway.domain.quotas import Counted
from gateway.domain.site import Facility
from gateway.domain.subjects import StandingRight, Subject

OPEN_TO_ALL = "walk_in"
FAULTED_FOR_MS = MINUTE_MS


def cause(draft: Draft, facility: Facility, session: ChargingSession) -> StopReason | None:
    """Why the session ends now, if it does."""
    danger = outlets.hazard(draft, facility)
    if danger:
        overcurrent = danger == hazards.OVERCURRENT
        return StopReason.OVERCURRENT if overcurrent else StopReason.EMERGENCY_STOP
    if outlets.plugged(draft, outlets.outlet_of(facility)) is False:
        return StopReason.EV_DISCONNECTED
    return (
        by_energy(draft, session)
        or drawing.judge(draft, outlets.outlet_of(facility), session)
        or _by_time(draft, facility, session)
        or _by_fault(draft, facility)
        or _no_longer_authorised(draft, facility, session)
    )


def due_in_ms(draft: Draft, session: ChargingSession) -> int | None:
    """How long until time alone may end it, or change its price."""
    facility = draft.site.facilities[session.facility]
    drawn = drawing.due_in_ms(draft, outlets.outlet_of(facility), session)
    waits = [drawn] if drawn is not None else []
    longest, lasted = session.limits.longest_ms, session.progress.lasted
    if lasted is not None:
        waits += [longest - lasted.at(draft.now)] if longest else []
        credit = quotas.due_in_ms(draft, session.id, lasted.at(draft.now))
        waits += [credit] if credit is not None else []
    if draft.now.trusted:
        waits += [at - draft.now.wall_ms for at in _edges(draft, session)]
    return min(waits, default=None)


def outlet_due_in_ms(draft: Draft, status: OutletStatus) -> int | None:
    """How long until a charger has said for so long that it is faulted that its session ends."""
    facility = outlets.facility_of(draft, status.id)
    if facility is None or status.granted_ma or status.turn is None:
        return None
    if outlets.charger_state(draft, outlets.outlet_of(facility)) is not ChargerState.FAULTED:
        return None
    return first_ahead([FAULTED_FOR_MS - status.turn.at(draft.now)])


def _edges(draft: Draft, session: ChargingSession) -> list[int]:
    """The instants from now on at which something about it changes by the wall's clock."""
    facility = draft.site.facilities[session.facility]
    before = draft.now.wall_ms - LATE_MS
    booking = draft.get(Booking, session.by.basis)
    found = [booking.terms.end_ms if booking is not None else None]
    found.append(tariffs.next_change_ms(draft, facility, before))
    hours = outlets.outlet_of(facility).rules.hours
    if hours is not None:
        found.append(calendar.next_change_ms(hours, before, zone_of(draft.site.zone)))
    return [at for at in found if at is not None and at > before]


def by_energy(draft: Draft, session: ChargingSession) -> StopReason | None:
    """It has taken what it may, or what there was credit for."""
    most, taken = session.limits.most_wh, session.energy_wh
    if most and taken >= most:
        return StopReason.ENERGY_LIMIT
    over = quotas.used_up(draft, session.id, Counted.ENERGY, taken, most)
    return StopReason.OUT_OF_CREDIT if over else None


def _by_time(draft: Draft, facility: Facility, session: ChargingSession) -> StopReason | None:
    longest, lasted = session.limits.longest_ms, session.progress.lasted
    taken = lasted.at(draft.now) if lasted is not None else 0
    if (longest and taken >= longest) or not outlets.is_open(draft, facility):
        return StopReason.TIME_LIMIT
    over = quotas.used_up(draft, session.id, Counted.TIME, taken, longest)
    return StopReason.OUT_OF_CREDIT if over else None


def _by_fault(draft: Draft, facility: Facility) -> StopReason | None:
    """C1: a charger that says it is faulted has no power; if that lasts the session is over."""
    status = draft.get(OutletStatus, facility.id)
    faulted = outlets.charger_state(draft, outlets.outlet_of(facility)) is ChargerState.FAULTED
    if not faulted or status is None or status.granted_ma or status.turn is None:
        return None
    return StopReason.OTHER if status.turn.at(draft.now) >= FAULTED_FOR_MS else None


def _no_longer_authorised(
    draft: Draft, facility: Facility, session: ChargingSession
) -> StopReason | None:
    subject = draft.get(Subject, session.subject or "")
    if subject is not None and not subject.active:
        return StopReason.DEAUTHORIZED
    basis = session.by.basis
    if basis == OPEN_TO_ALL or draft.get(StandingRight, basis) is not None:
        return None
    booking = draft.get(Booking, basis)
    if booking is None:
        return StopReason.DEAUTHORIZED
    if booking.covers(draft.now.wall_ms) or not draft.now.trusted:
        lost = booking.status is BookingStatus.CONFLICTED
        return StopReason.DEAUTHORIZED if lost else None
    # C7: beyond the end it goes on, as long as nobody else is booked
    wanted = taken_by_other(draft, facility, session.subject or "")
    return StopReason.TIME_LIMIT if wanted else None
