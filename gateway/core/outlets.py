"""What an outlet's readings say, and how it stands (RULES C1, C8)."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.core import calendar, fire
from gateway.core.draft import Draft, zone_of
from gateway.domain.charging import (
    ChargerState,
    ChargingSession,
    ConnectorStatus,
    Outlet,
    OutletStatus,
    SessionState,
)
from gateway.domain.now import SECOND_MS, Elapsed
from gateway.domain.points import NUMBERS, PointRef, Reading
from gateway.domain.power import LoadKind
from gateway.domain.reasons import Reason, reason
from gateway.domain.site import Facility

NOMINAL_V = 230
ASKED_AFTER_MS = SECOND_MS  # an answer this long after an instant was asked for after it
_SAID: dict[object, ChargerState] = {state.value: state for state in ChargerState}
_PLUGGED = {
    ChargerState.CONNECTED: True,
    ChargerState.CHARGING: True,
    ChargerState.AVAILABLE: False,
}


def outlet_of(facility: Facility) -> Outlet:
    """The outlet of a facility that has one."""
    assert facility.outlet is not None
    return facility.outlet


def facility_of(draft: Draft, id_: str) -> Facility | None:
    """The facility of that id, if the site still has it and it is an outlet."""
    found = draft.site.facilities.get(id_)
    return found if found is not None and found.outlet is not None else None


def sessions_at(draft: Draft, facility: str) -> Sequence[ChargingSession]:
    """The sessions of an outlet that are not closed for good, found once until one changes."""
    known: dict[str, Sequence[ChargingSession]] = draft.found(ChargingSession)
    if facility not in known:
        known[facility] = draft.where(ChargingSession, "facility", facility)
    return known[facility]


def session_at(draft: Draft, facility: str) -> ChargingSession | None:
    """The session that has the outlet now."""
    for session in sessions_at(draft, facility):
        if session.running:
            return session
    return None


class Seen(NamedTuple):
    """What is read of an outlet; None is what is not read, or cannot be acted on.

    `fresh`: everything is read that power rests on (C1). `currents_ma`: its own L1 first.
    `drawn_ma`: the most on a phase, more than it may where it ignores its limit.
    """

    fresh: bool
    on: bool | None  # what drives it reports that power may flow
    state: ChargerState | None  # what the charger says of itself
    watts: float | None
    currents_ma: tuple[float | None, ...]
    drawn_ma: int

    @property
    def plugged(self) -> bool | None:
        """A vehicle is there; None where nobody can say: never claimed from power (C8)."""
        return None if self.state is None else _PLUGGED.get(self.state)


def seen(draft: Draft, outlet: Outlet) -> Seen:
    """What is read of the outlet, found once a decision."""
    found: Seen | None = draft.seen.get(id(outlet))
    if found is None:
        found = draft.seen[id(outlet)] = _see(draft, outlet)
    return found


def _see(draft: Draft, outlet: Outlet) -> Seen:
    points, meter, latest = outlet.points, outlet.meter, draft.reading
    drive = latest(points.drive)
    heard = drive.good
    said = latest(points.state) if points.state is not None else None
    register = latest(meter.energy) if meter is not None else None
    watts = None if points.power is None else _number(latest(points.power))
    currents_ma: tuple[float | None, ...] = ()
    drawn_ma: float = 0
    if points.currents:
        currents_ma = tuple([_number(latest(ref)) for ref in points.currents])
        drawn_ma = max([one or 0 for one in currents_ma])
    elif watts and outlet.load.kind is LoadKind.SWITCHED:
        drawn_ma = watts * 1_000 / NOMINAL_V
    return Seen(
        fresh=heard and (said is None or said.good) and (register is None or register.good),
        on=drive.value > 0 if heard and isinstance(drive.value, NUMBERS) else None,
        state=_SAID.get(said.value) if said is not None and said.good else None,
        watts=watts,
        currents_ma=currents_ma,
        drawn_ma=round(drawn_ma),
    )


def charger_state(draft: Draft, outlet: Outlet) -> ChargerState | None:
    """What the charger says of itself; None while it says nothing, or cannot."""
    return seen(draft, outlet).state


def plugged(draft: Draft, outlet: Outlet) -> bool | None:
    """A vehicle is there; None where nobody can say: never claimed from power (C8)."""
    return seen(draft, outlet).plugged


def watts(draft: Draft, outlet: Outlet) -> float | None:
    """The power that flows, as far as it is read."""
    return seen(draft, outlet).watts


def number(draft: Draft, ref: PointRef) -> float | None:
    """The value of a number that may be acted on."""
    return _number(draft.reading(ref))


def _number(reading: Reading) -> float | None:
    value = reading.value
    return float(value) if reading.good and isinstance(value, NUMBERS) else None


def read_since(draft: Draft, ref: PointRef, since: Elapsed | None) -> bool:
    """A point was read again after that instant of this boot."""
    seen_ms = draft.readings.seen_ms(ref)
    if since is None or seen_ms is None or since.boot != draft.now.boot:
        return False
    return seen_ms > since.since_mono_ms - since.before_ms


def since(draft: Draft, before: Elapsed | None, holds: bool) -> Elapsed | None:
    """Since when something holds, if it does."""
    if not holds:
        return None
    return before or Elapsed.started(draft.now)


def is_on(draft: Draft, outlet: Outlet) -> bool | None:
    """What drives the outlet reports that power may flow; None while it is not read."""
    return seen(draft, outlet).on


def is_open(draft: Draft, facility: Facility) -> bool:
    """Its charging hours are now (C8); so they are on a clock that nobody trusts."""
    hours = outlet_of(facility).rules.hours
    return not draft.now.trusted or calendar.within(
        hours, draft.now.wall_ms, zone_of(draft.site.zone)
    )


def is_fresh(draft: Draft, outlet: Outlet) -> bool:
    """Everything is read that power rests on (C1)."""
    return seen(draft, outlet).fresh


def hazard(draft: Draft, facility: Facility) -> str:
    """Why the outlet must have no power, by reason code; "" if nothing says so (A3, C2)."""
    if fire.cuts(draft, facility):
        return "fire_release"
    status = draft.get(OutletStatus, facility.id)
    found = status.hazard if status is not None else None
    return found.code if found is not None and found.active else ""


def power_reason(draft: Draft, facility: Facility) -> Reason:
    """Why the outlet has the power it has, or none."""
    if hazard(draft, facility):
        return reason("hazard", outlet=facility.name.en)
    status = draft.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    session = session_at(draft, facility.id)
    if session is None or not (session.powered or status.granted_ma):
        return reason("no_charge")
    if charger_state(draft, outlet_of(facility)) is ChargerState.FAULTED:
        return reason("outlet_faulted", outlet=facility.name.en)
    code = status.limited_by or ("charging" if status.granted_ma else "power_waits")
    return reason(code, outlet=facility.name.en)


def connector_status(draft: Draft, facility: Facility) -> ConnectorStatus:
    """OCPP's status of the outlet."""
    outlet = outlet_of(facility)
    found = seen(draft, outlet)
    if hazard(draft, facility) or found.state is ChargerState.FAULTED:
        return ConnectorStatus.FAULTED
    if found.state is ChargerState.UNAVAILABLE or not found.fresh:
        return ConnectorStatus.UNAVAILABLE
    session = session_at(draft, facility.id)
    if session is None:
        return ConnectorStatus.PREPARING if found.plugged else ConnectorStatus.AVAILABLE
    return _status_in_session(draft, facility, session)


def _status_in_session(
    draft: Draft, facility: Facility, session: ChargingSession
) -> ConnectorStatus:
    match session.progress.state:
        case SessionState.AUTHORISED:
            return ConnectorStatus.PREPARING
        case SessionState.STOPPING | SessionState.CLOSING:
            return ConnectorStatus.FINISHING
        case _:
            pass
    outlet = outlet_of(facility)
    status = draft.get(OutletStatus, facility.id)
    if status is None or not status.granted_ma:
        return ConnectorStatus.SUSPENDED_EVSE
    state = charger_state(draft, outlet)
    takes = (watts(draft, outlet) or 0) > outlet.rules.signs.unplugged_below_w
    if state is ChargerState.CHARGING or (state is None and takes):
        return ConnectorStatus.CHARGING
    return ConnectorStatus.SUSPENDED_EV
