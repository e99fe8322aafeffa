"""Presence becomes visits, check-ins and overstays (RULES A7, A8, B5–B7).

- Entering opens a visit, or joins the one its booking has.
- Leaving (an exit, or an opening from inside) followed by no presence for the hold time ends the
  visits of the room. With no sensor a visit ends with its booking.
- A sensor's sign of presence is held for its own time: motion does not see who sits still.
"""

from dataclasses import replace

from gateway.core.draft import Draft
from gateway.core.faults import set_fault
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.now import Elapsed
from gateway.domain.points import Reading
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Door, DoorMode, Facility, PresenceSensor, SensorKind
from gateway.domain.subjects import Subject
from gateway.domain.visits import DoorStatus, Grant, RoomStatus, Visit


def entered(draft: Draft, door: Door, given: Grant) -> None:
    """Somebody went in by their grant: a visit, and the holder's check-in (B5)."""
    for facility in _behind(draft, door):
        if given.facility not in (None, facility.id):
            continue
        _see_presence(draft, facility)
        if given.subject is None:
            continue
        booking = _holders_booking(draft, facility, given)
        _open_visit(draft, facility, given, booking)
        if booking is not None:
            check_in(draft, booking, door)


def passed(draft: Draft, door: Door) -> None:
    """The door opened in free passage: in or out, nobody can say. Presence will tell."""
    for facility in _behind(draft, door):
        for visit in draft.where(Visit, "facility", facility.id):
            _leaving(draft, visit)


def left(draft: Draft, door: Door) -> None:
    """Somebody went out: the visits end unless presence follows."""
    for facility in _behind(draft, door):
        for visit in draft.where(Visit, "facility", facility.id):
            _leaving(draft, visit)


def sensed(draft: Draft, facility: Facility, sensor: PresenceSensor, reading: Reading) -> None:
    """A presence sensor reported. Its sign is held; its silence is no absence."""
    if not reading.good or not is_sign(sensor, reading):
        _judge_room(draft, facility)
        return
    _see_presence(draft, facility)


def is_sign(sensor: PresenceSensor, reading: Reading) -> bool:
    """The reading says that somebody is there."""
    if sensor.kind is SensorKind.CO2:
        return isinstance(reading.value, int | float) and reading.value > sensor.threshold
    return reading.value is True


def check_in(draft: Draft, booking: Booking, door: Door | None) -> None:
    """B5: the holder came. Free passage begins where the door's mode says so (A8)."""
    if booking.status is BookingStatus.CHECKED_IN or not booking.covers(draft.now.wall_ms):
        return
    booking = replace(booking, status=BookingStatus.CHECKED_IN, checked_in_ms=draft.now.wall_ms)
    draft.put(booking)
    draft.record(
        Fact.BOOKING_CHECKED_IN,
        booking=booking.id,
        facility=booking.facility,
        revision=booking.terms.revision,
    )
    if door is not None and door.rules.mode is DoorMode.FIRST_IN:
        status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
        draft.put(replace(status, passage_until_ms=booking.terms.end_ms))
        draft.record(Fact.DOOR_PASSAGE, door=door.id, place=door.place, open=True)


def close_visit(draft: Draft, visit: Visit, why: str) -> None:
    """A visit is over."""
    draft.drop(Visit, visit.id)
    draft.record(
        Fact.VISIT_CLOSED,
        personal={"subject": visit.subject} if visit.subject else None,
        visit=visit.id,
        facility=visit.facility,
        booking=visit.booking,
        entered_ms=visit.entered_ms,
        duration_ms=visit.spent.at(draft.now),
        cause=why,
    )
    _vacated(draft, visit.facility)


def due(draft: Draft, room: RoomStatus) -> None:
    """Time passed in a room: hold times end, visits close, overstays show."""
    facility = draft.site.facilities.get(room.id)
    if facility is not None:
        _judge_room(draft, facility)


def due_ms(room: RoomStatus, facility: Facility) -> int | None:
    """When `due` is next worth asking (monotonic of the room's boot)."""
    if room.present:
        return room.last_sign_mono_ms + _hold_ms(facility)
    return None


def visit_due(draft: Draft, visit: Visit) -> None:
    """A leaving that no presence followed ends the visit (A7)."""
    facility = draft.site.facilities.get(visit.facility)
    if facility is None or visit.leaving_mono_ms is None:
        return
    if visit.leaving_boot != draft.now.boot:
        # The gateway was off meanwhile; watch for the whole time once more.
        draft.put(replace(visit, leaving_mono_ms=draft.now.mono_ms, leaving_boot=draft.now.boot))
        return
    waited = draft.now.mono_ms - visit.leaving_mono_ms
    if not facility.sensors or waited < draft.site.settings.booking.vacant_ms:
        return
    if any(is_sign(s, draft.reading(s.point)) for s in living_sensors(draft, facility)):
        draft.put(replace(visit, leaving_mono_ms=None, leaving_boot=""))  # somebody stayed
    else:
        close_visit(draft, visit, "left")


def is_vacant(draft: Draft, facility: str) -> bool:
    """Nobody is known to be in: no visit and no presence."""
    room = draft.get(RoomStatus, facility)
    return not draft.where(Visit, "facility", facility) and not (room is not None and room.present)


def living_sensors(draft: Draft, facility: Facility) -> list[PresenceSensor]:
    """The sensors whose word counts now: heard, and not stuck (B6)."""
    stuck_ms = draft.site.settings.booking.stuck_sensor_ms
    living = []
    for sensor in facility.sensors:
        reading = draft.reading(sensor.point)
        stuck = is_sign(sensor, reading) and draft.now.mono_ms - reading.mono_ms >= stuck_ms
        why = reason("stuck_sensor", point=str(sensor.point))
        set_fault(draft, str(sensor.point), why, stuck, (facility.place,))
        if reading.good and not stuck:
            living.append(sensor)
    return living


# --- inside -------------------------------------------------------------------------------------


def _behind(draft: Draft, door: Door) -> list[Facility]:
    return [f for f in draft.site.facilities.values() if door.id in f.doors]


def _holders_booking(draft: Draft, facility: Facility, given: Grant) -> Booking | None:
    booking = draft.get(Booking, given.basis)
    if booking is None or booking.facility != facility.id:
        return None
    return booking


def _open_visit(draft: Draft, facility: Facility, given: Grant, booking: Booking | None) -> None:
    for visit in draft.where(Visit, "facility", facility.id):
        if visit.subject == given.subject:
            draft.put(replace(visit, leaving_mono_ms=None, leaving_boot=""))
            return
    subject = draft.get(Subject, given.subject or "")
    visit = Visit(
        id=draft.now.new_id("visit"),
        facility=facility.id,
        subject=given.subject,
        booking=booking.id if booking else None,
        entered_ms=draft.now.wall_ms,
        spent=Elapsed.started(draft.now),
    )
    draft.put(visit)
    draft.record(
        Fact.VISIT_OPENED,
        personal={"subject": given.subject} if given.subject else None,
        visit=visit.id,
        facility=facility.id,
        booking=visit.booking,
        basis=given.basis,
        staff=True if subject and subject.staff else None,
    )


def _leaving(draft: Draft, visit: Visit) -> None:
    draft.put(replace(visit, leaving_mono_ms=draft.now.mono_ms, leaving_boot=draft.now.boot))


def _see_presence(draft: Draft, facility: Facility) -> None:
    now = draft.now
    room = draft.get(RoomStatus, facility.id) or RoomStatus(facility.id)
    began = not room.present
    draft.put(
        replace(
            room,
            present=True,
            since_ms=now.wall_ms if began else room.since_ms,
            last_sign_mono_ms=now.mono_ms,
            boot=now.boot,
            vacant_since_ms=None,
        )
    )
    for visit in draft.where(Visit, "facility", facility.id):
        # Only what is seen after the door has closed behind them says that somebody stayed.
        if visit.leaving_mono_ms is not None and now.mono_ms - visit.leaving_mono_ms > 15_000:
            draft.put(replace(visit, leaving_mono_ms=None, leaving_boot=""))
    if began:
        draft.record(Fact.PRESENCE_BEGAN, facility=facility.id)
        if room.vacant_since_ms is not None:
            _check_in_by_presence(draft, facility, room.vacant_since_ms)


def _check_in_by_presence(draft: Draft, facility: Facility, vacant_since_ms: int) -> None:
    """B5: presence that began after the room was vacant; one carried over is an overstay."""
    wall = draft.now.wall_ms
    if facility.doors or vacant_since_ms > wall or not draft.now.trusted:
        return  # at a door of its own, the holder's entering says who came
    for booking in draft.where(Booking, "facility", facility.id):
        if booking.status is BookingStatus.ENFORCED and booking.covers(wall):
            check_in(draft, booking, None)
            return


def _judge_room(draft: Draft, facility: Facility) -> None:
    room = draft.get(RoomStatus, facility.id) or RoomStatus(facility.id)
    now = draft.now
    living = living_sensors(draft, facility)
    if any(is_sign(sensor, draft.reading(sensor.point)) for sensor in living):
        draft.put(replace(room, last_sign_mono_ms=now.mono_ms, boot=now.boot))
        if not room.present:
            _see_presence(draft, facility)
        return
    if room.boot != now.boot:
        room = replace(room, last_sign_mono_ms=now.mono_ms, boot=now.boot)
        draft.put(room)
    held = now.mono_ms - room.last_sign_mono_ms < _hold_ms(facility)
    if room.present and not held and living:
        draft.put(replace(room, present=False, since_ms=now.wall_ms, vacant_since_ms=now.wall_ms))
        draft.record(Fact.PRESENCE_ENDED, facility=facility.id)
        _vacated(draft, facility.id)
    elif room.present is None and living and not held:
        draft.put(replace(room, present=False, since_ms=now.wall_ms, vacant_since_ms=now.wall_ms))


def _vacated(draft: Draft, facility: str) -> None:
    """Nobody is in any more: an overstay is over, free passage ends (A8, B5)."""
    room = draft.get(RoomStatus, facility)
    if room is not None and room.overstay_of is not None and is_vacant(draft, facility):
        draft.put(replace(room, overstay_of=None))


def _hold_ms(facility: Facility) -> int:
    return max((sensor.hold_ms for sensor in facility.sensors), default=0)
