"""What an outlet's readings say, and how it stands (RULES C1, C8)."""

from gateway.core import fire
from gateway.core.draft import Draft
from gateway.domain.charging import (
    ChargerState,
    ChargingSession,
    ConnectorStatus,
    Outlet,
    OutletStatus,
    SessionState,
)
from gateway.domain.points import PointRef
from gateway.domain.site import Facility

_PLUGGED = {
    ChargerState.CONNECTED: True,
    ChargerState.CHARGING: True,
    ChargerState.AVAILABLE: False,
}


def outlet_of(facility: Facility) -> Outlet:
    """The outlet of a facility that has one."""
    assert facility.outlet is not None
    return facility.outlet


def session_at(draft: Draft, facility: str) -> ChargingSession | None:
    """The session that has the outlet now."""
    found = draft.where(ChargingSession, "facility", facility)
    return next((session for session in found if session.running), None)


def charger_state(draft: Draft, outlet: Outlet) -> ChargerState | None:
    """What the charger says of itself; None while it says nothing, or cannot."""
    if outlet.points.state is None:
        return None
    reading = draft.reading(outlet.points.state)
    if not reading.good or reading.value not in set(ChargerState):
        return None
    return ChargerState(str(reading.value))


def plugged(draft: Draft, outlet: Outlet) -> bool | None:
    """A vehicle is there; None where nobody can say: never claimed from power (C8)."""
    state = charger_state(draft, outlet)
    return None if state is None else _PLUGGED.get(state)


def watts(draft: Draft, outlet: Outlet) -> float | None:
    """The power that flows, as far as it is read."""
    return None if outlet.points.power is None else number(draft, outlet.points.power)


def number(draft: Draft, ref: PointRef) -> float | None:
    """The value of a number that may be acted on."""
    reading = draft.reading(ref)
    if not reading.good or not isinstance(reading.value, int | float):
        return None
    return float(reading.value)


def is_on(draft: Draft, outlet: Outlet) -> bool | None:
    """What drives the outlet reports that power may flow; None while it is not read."""
    reading = draft.reading(outlet.points.drive)
    if not reading.good or isinstance(reading.value, str | None):
        return None
    return reading.value > 0


def is_fresh(draft: Draft, outlet: Outlet) -> bool:
    """Everything is read that power rests on (C1)."""
    points = outlet.points
    needed = [ref for ref in (points.drive, points.state) if ref is not None]
    if outlet.meter is not None:
        needed.append(outlet.meter.energy)
    return all(draft.reading(ref).good for ref in needed)


def hazard(draft: Draft, facility: Facility) -> str:
    """Why the outlet must have no power, by reason code; "" if nothing says so (A3, C2)."""
    if fire.cuts(draft, facility):
        return "fire_release"
    status = draft.get(OutletStatus, facility.id)
    found = status.hazard if status is not None else None
    return found.code if found is not None and found.active else ""


def connector_status(draft: Draft, facility: Facility) -> ConnectorStatus:
    """OCPP's status of the outlet."""
    outlet = outlet_of(facility)
    state = charger_state(draft, outlet)
    if hazard(draft, facility) or state is ChargerState.FAULTED:
        return ConnectorStatus.FAULTED
    if state is ChargerState.UNAVAILABLE or not is_fresh(draft, outlet):
        return ConnectorStatus.UNAVAILABLE
    session = session_at(draft, facility.id)
    if session is None:
        there = plugged(draft, outlet)
        return ConnectorStatus.PREPARING if there else ConnectorStatus.AVAILABLE
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
