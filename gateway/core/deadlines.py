"""When time alone may change an entity. Hints: what is due is recomputed from state (DESIGN §5)."""

from gateway.core import booking, doors, emergency, occupancy
from gateway.core.draft import Draft
from gateway.domain.bookings import Booking, CommandSeen
from gateway.domain.calls import Call, CallPointStatus
from gateway.domain.entity import Entity
from gateway.domain.now import DAY_MS, HOUR_MS
from gateway.domain.visits import DoorStatus, ReaderStatus, RoomStatus, Visit

TIMED: frozenset[type[Entity]] = frozenset(
    {Booking, Call, DoorStatus, RoomStatus, Visit, CallPointStatus, CommandSeen, ReaderStatus}
)


def next_due_ms(draft: Draft, entity: Entity) -> int | None:  # noqa: PLR0911 (a table)
    """The monotonic time at which the entity is worth a look; None for never by itself."""
    now, site = draft.now, draft.site
    match entity:
        case Booking():
            if entity.facility not in site.facilities:
                return None
            return _mono(draft, booking.due_wall_ms(entity, site.settings.booking))
        case Call():
            wait = emergency.due_in_ms(draft, entity)
            return None if wait is None else now.mono_ms + wait
        case DoorStatus():
            return _door_due(draft, entity)
        case RoomStatus():
            facility = site.facilities.get(entity.id)
            return occupancy.due_ms(entity, facility) if facility else None
        case Visit():
            if entity.leaving_mono_ms is None:
                return None
            started = entity.leaving_mono_ms if entity.leaving_boot == now.boot else now.mono_ms
            return started + site.settings.booking.vacant_ms
        case CallPointStatus():
            if entity.test_since is None:
                return None
            left = site.settings.emergency.test_ms - entity.test_since.at(now)
            return now.mono_ms + max(0, left)
        case CommandSeen():
            return _mono(draft, entity.expires_ms + DAY_MS)
        case ReaderStatus():
            recent = entity.recent_ms
            return _mono(draft, recent[-1] + HOUR_MS) if recent else None
        case _:
            return None


def due(draft: Draft, kind: str, id_: str) -> None:
    """Look at one entity whose time may have come."""
    for type_, look in _LOOKS:
        if type_.kind == kind:
            entity = draft.get(type_, id_)
            if entity is not None:
                look(draft, entity)  # type: ignore[arg-type]
            return


def _door_due(draft: Draft, status: DoorStatus) -> int | None:
    door = draft.site.doors.get(status.id)
    if door is None:
        return None
    if status.grant is not None and status.grant.boot != draft.now.boot:
        return draft.now.mono_ms + door.rules.enter_within_ms
    times = [doors.due_ms(status, door)]
    if status.passage_until_ms is not None:
        times.append(_mono(draft, status.passage_until_ms))
    return min((time for time in times if time is not None), default=None)


def _mono(draft: Draft, wall_ms: int) -> int:
    return draft.now.mono_ms + max(0, wall_ms - draft.now.wall_ms)


def _reader_due(draft: Draft, status: ReaderStatus) -> None:
    from gateway.core import access  # noqa: PLC0415 (access looks at rooms, which look at time)

    access.tamper_over(draft, status)


_LOOKS = (
    (Booking, booking.due),
    (Call, emergency.due),
    (DoorStatus, doors.due),
    (RoomStatus, occupancy.due),
    (Visit, occupancy.visit_due),
    (CallPointStatus, emergency.test_due),
    (ReaderStatus, _reader_due),
)
