"""When time alone may change an entity. Hints: what is due is recomputed from state (DESIGN §5)."""

from collections.abc import Callable
from typing import Any

from gateway.core import (
    beside,
    booking,
    call_test,
    charging,
    commands,
    doors,
    emergency,
    ending,
    guessing,
    hazards,
    loads,
    metering,
    occupancy,
    straying,
    tripping,
    utilization,
)
from gateway.core.draft import Draft
from gateway.domain.bookings import Booking, CommandSeen
from gateway.domain.calls import Call, CallPointStatus
from gateway.domain.charging import ChargingSession, CircuitLoad, MeterStatus, OutletStatus
from gateway.domain.entity import Entity
from gateway.domain.utilization import Usage
from gateway.domain.visits import DoorStatus, ReaderStatus, RoomStatus, Visit

_Look = Callable[[Draft, Any], None]
_Wait = Callable[[Draft, Any], int | None]

_OUTLET: tuple[Callable[[Draft, OutletStatus], int | None], ...] = (
    tripping.due_in_ms,
    hazards.due_in_ms,
    straying.due_in_ms,
    loads.due_in_ms,
    ending.outlet_due_in_ms,
)


def _outlet_due_in_ms(draft: Draft, status: OutletStatus) -> int | None:
    waits = (due_in_ms(draft, status) for due_in_ms in _OUTLET)
    return min((wait for wait in waits if wait is not None), default=None)


def _look_at_outlet(draft: Draft, one: OutletStatus | MeterStatus) -> None:
    charging.look_at(draft, one.id)


def _booking_due(draft: Draft, found: Booking) -> None:
    """What begins or ends now may end what somebody else has at the outlet (C7)."""
    booking.due(draft, found)
    charging.look_at(draft, found.facility)


_TIMED: dict[type[Entity], tuple[_Wait, _Look]] = {
    Booking: (booking.due_in_ms, _booking_due),
    Call: (emergency.due_in_ms, emergency.due),
    ChargingSession: (charging.due_in_ms, charging.due),
    CallPointStatus: (call_test.due_in_ms, call_test.due),
    CommandSeen: (commands.due_in_ms, commands.due),
    DoorStatus: (doors.due_in_ms, doors.due),
    ReaderStatus: (guessing.due_in_ms, guessing.due),
    CircuitLoad: (beside.due_in_ms, loads.load_due),
    MeterStatus: (metering.due_in_ms, _look_at_outlet),
    OutletStatus: (_outlet_due_in_ms, _look_at_outlet),
    Usage: (utilization.due_in_ms, utilization.due),
    RoomStatus: (occupancy.due_in_ms, occupancy.due),
    Visit: (occupancy.visit_due_in_ms, occupancy.visit_due),
}
TIMED = frozenset(_TIMED)
_KINDS = {type_.kind: type_ for type_ in _TIMED}


def next_due_ms(draft: Draft, entity: Entity) -> int | None:
    """The monotonic time at which the entity is worth a look; None for never by itself."""
    timed = _TIMED.get(type(entity))
    wait_ms = timed[0](draft, entity) if timed is not None else None
    return None if wait_ms is None else draft.now.mono_ms + max(0, wait_ms)


def due(draft: Draft, kind: str, id_: str) -> None:
    """Look at one entity whose time may have come."""
    type_ = _KINDS.get(kind)
    entity = draft.get(type_, id_) if type_ is not None else None
    if type_ is not None and entity is not None:
        _TIMED[type_][1](draft, entity)
