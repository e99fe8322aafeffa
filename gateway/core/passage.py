"""Doors that are open to all for a while, by their mode (RULES A8).

| mode | open to all |
|---|---|
| per person | never |
| first person in | from check-in to the booking's end, or until the room was empty for 10 min |
| scheduled | in its weekly hours, on a trusted clock |
"""

from dataclasses import replace

from gateway.core import calendar
from gateway.core.draft import Draft, zone_of
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.records import Fact
from gateway.domain.site import Door, DoorMode, Facility
from gateway.domain.visits import DoorStatus


def is_open_to_all(draft: Draft, door: Door) -> bool:
    """Nobody needs a grant at the door now."""
    wall = draft.now.wall_ms
    if door.rules.mode is DoorMode.SCHEDULED and door.rules.open_hours is not None:
        zone = zone_of(draft.site.zone)
        return draft.now.trusted and calendar.within(door.rules.open_hours, wall, zone)
    status = draft.get(DoorStatus, door.id)
    until = status.passage_until_ms if status else None
    return until is not None and wall < until


def next_change_ms(draft: Draft, door: Door) -> int | None:
    """How long until time alone opens or closes the door to all; None if it never does."""
    wall = draft.now.wall_ms
    if door.rules.mode is DoorMode.SCHEDULED and door.rules.open_hours is not None:
        edge = calendar.next_change_ms(door.rules.open_hours, wall, zone_of(draft.site.zone))
    else:
        status = draft.get(DoorStatus, door.id)
        edge = status.passage_until_ms if status else None
    return edge - wall if edge is not None and edge > wall else None


def begin(draft: Draft, facility: Facility, until_ms: int) -> None:
    """The first person is in: the facility's doors of that mode let everybody pass."""
    for id_ in facility.doors:
        door = draft.site.doors[id_]
        status = draft.get(DoorStatus, id_) or DoorStatus(id_)
        if door.rules.mode is DoorMode.FIRST_IN and status.passage_until_ms is None:
            draft.put(replace(status, passage_until_ms=until_ms))
            draft.record(Fact.DOOR_PASSAGE, door=id_, place=door.place, open=True)


def settle(draft: Draft, facility: Facility) -> None:
    """Free passage goes with the checked-in booking: prolonged, cut short or revoked."""
    open_doors = [id_ for id_ in facility.doors if is_passing(draft, id_)]
    if not open_doors:
        return
    ends = [
        booking.terms.end_ms
        for booking in draft.where(Booking, "facility", facility.id)
        if booking.status is BookingStatus.CHECKED_IN and booking.covers(draft.now.wall_ms)
    ]
    for id_ in open_doors:
        if ends:
            status = draft.get(DoorStatus, id_) or DoorStatus(id_)
            draft.put(replace(status, passage_until_ms=max(ends)))
        else:
            end(draft, id_)


def end(draft: Draft, door: str) -> None:
    """Free passage is over."""
    status = draft.get(DoorStatus, door)
    if status is not None and status.passage_until_ms is not None:
        draft.put(replace(status, passage_until_ms=None))
        place = draft.site.doors[door].place
        draft.record(Fact.DOOR_PASSAGE, door=door, place=place, open=False)


def is_passing(draft: Draft, door: str) -> bool:
    """Free passage was begun at the door, and not ended."""
    status = draft.get(DoorStatus, door)
    return status is not None and status.passage_until_ms is not None
