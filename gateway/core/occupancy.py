"""Presence becomes visits, check-ins and vacancy (RULES A7, A8, B5, B6).

- Entering opens a visit, or goes on with the one its subject has.
- Leaving (an exit, or an opening from inside) followed by no presence for the hold time ends the
  visits of the room. Where no living sensor can tell, a visit ends with its booking.
- A sensor's sign of presence is held for its own time: motion does not see who sits still.
- A room is vacant while no visit is open in it and no presence is known.
"""

from dataclasses import replace
from typing import Any

from gateway.core import arrival, grace, passage, quotas, tariffs
from gateway.core.draft import Draft
from gateway.core.layout import layout
from gateway.core.quotas import Most
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.now import DAY_MS, MINUTE_MS, Elapsed
from gateway.domain.points import Reading
from gateway.domain.quotas import Counted
from gateway.domain.records import Fact
from gateway.domain.site import Door, Facility, PresenceSensor, SensorKind
from gateway.domain.subjects import Subject
from gateway.domain.visits import Grant, RoomStatus, Visit

DOOR_CLOSES_MS = 15_000  # presence this soon after a leaving is the one who leaves
LOOK_AGAIN_MS = MINUTE_MS
VISIT_LONGEST_MS = DAY_MS  # where nothing here saw its end


# --- doors --------------------------------------------------------------------------------------


def entered(draft: Draft, door: Door, given: Grant) -> None:
    """Somebody went in by their grant: a visit, and the holder's check-in (B5)."""
    for facility in layout(draft.site).own[door.id]:
        if given.facility not in (None, facility.id):
            continue
        if given.subject is None:
            grace.not_seen(draft, facility.id)  # whoever it was, it may be the holder
        else:
            _visited(draft, facility, given)
        if facility.sensors:
            _see_presence(draft, facility, _hold_ms(facility))
            _somebody_stays(draft, facility)


def passed(draft: Draft, door: Door) -> None:
    """The door was passed without a grant, in or out: nobody can say. Presence will tell."""
    for facility in layout(draft.site).own[door.id]:
        grace.not_seen(draft, facility.id)
        _leaving(draft, facility)


def left(draft: Draft, door: Door) -> None:
    """Somebody went out: the visits end unless presence follows."""
    for facility in layout(draft.site).own[door.id]:
        _leaving(draft, facility)


# --- sensors ------------------------------------------------------------------------------------


def sensed(draft: Draft, facility: Facility, sensor: PresenceSensor, reading: Reading) -> None:
    """A presence sensor reported. Its sign is held; its silence is no absence."""
    if not reading.good and not living_sensors(draft, facility):
        grace.not_seen(draft, facility.id)
    elif reading.good and is_sign(sensor, reading):
        _see_presence(draft, facility, sensor.hold_ms)
        if sensor.kind is not SensorKind.CO2:  # which stays in the air behind them
            _somebody_stays(draft, facility)
        return
    room = _room(draft, facility)
    if reading.good and sensor.kind is not SensorKind.CO2 and room.present:
        _hold(draft, room, sensor.hold_ms)  # it was a sign until now
    _judge(draft, facility)


def is_sign(sensor: PresenceSensor, reading: Reading) -> bool:
    """The reading says that somebody is there."""
    if sensor.kind is SensorKind.CO2:
        return isinstance(reading.value, int | float) and reading.value > sensor.threshold
    return reading.value is True


def living_sensors(draft: Draft, facility: Facility) -> list[PresenceSensor]:
    """The sensors whose word counts now: heard, and not stuck (B6)."""
    return [
        sensor
        for sensor in facility.sensors
        if draft.reading(sensor.point).good and not is_stuck(draft, facility, sensor)
    ]


def is_stuck(draft: Draft, facility: Facility, sensor: PresenceSensor) -> bool:
    """Presence that has not changed for 24 h is no evidence (B6)."""
    reading = draft.reading(sensor.point)
    if not (reading.good and is_sign(sensor, reading)):
        return False
    stuck_ms = draft.site.settings.booking.stuck_sensor_ms
    if sensor.kind is SensorKind.CO2:  # its value moves though its word does not
        room = draft.get(RoomStatus, facility.id)
        lasted = room.lasted if room is not None and room.present else None
        return lasted is not None and lasted.at(draft.now) >= stuck_ms
    return draft.now.mono_ms - reading.mono_ms >= stuck_ms


def due(draft: Draft, room: RoomStatus) -> None:
    """Time passed in a room: hold times end, and so does free passage to an empty one (A8)."""
    facility = draft.site.facilities.get(room.id)
    if facility is None:
        return
    _judge(draft, facility)
    room = _room(draft, facility)
    empty_ms = draft.site.settings.access.empty_ends_passage_ms
    if room.vacant is not None and room.vacant.at(draft.now) >= empty_ms:
        for door in facility.doors:
            passage.end(draft, door)


def due_in_ms(draft: Draft, room: RoomStatus) -> int | None:
    """How long until `due` is worth asking."""
    facility = draft.site.facilities.get(room.id)
    if facility is None:
        return None
    waits = []
    same_boot = room.boot == draft.now.boot
    settled = False if living_sensors(draft, facility) else None
    if facility.sensors and not (same_boot and room.present is settled):
        held = room.held_until_mono_ms if same_boot else 0
        waits.append(max(0, held - draft.now.mono_ms))
    if room.vacant is not None and any(passage.is_passing(draft, d) for d in facility.doors):
        empty_ms = draft.site.settings.access.empty_ends_passage_ms
        waits.append(max(0, empty_ms - room.vacant.at(draft.now)))
    return min(waits, default=None)


def restarted(draft: Draft) -> None:
    """That a room was empty before a start says nothing of now: a sensor must see it again (U2)."""
    for facility in draft.site.facilities.values():
        room = _room(draft, facility)
        if facility.sensors and room.present is False:
            nothing_held = replace(room, held_until_mono_ms=0, boot=draft.now.boot)
            _turn(draft, nothing_held, present=None)


# --- visits -------------------------------------------------------------------------------------


def visit_due(draft: Draft, visit: Visit) -> None:
    """A leaving that no presence followed ends a visit; else its booking's end may (A7)."""
    facility = draft.site.facilities.get(visit.facility)
    if facility is None:
        close_visit(draft, visit, "facility_gone")
        return
    living = living_sensors(draft, facility)
    if living or visit.booking is None or draft.get(Booking, visit.booking) is None:
        _end_by_leaving(draft, visit, living)
    elif _booked_ms(draft, visit) == 0 and draft.now.trusted:
        close_visit(draft, visit, "booking_ended")


def visit_due_in_ms(draft: Draft, visit: Visit) -> int | None:
    """How long until `visit_due` is worth asking."""
    facility = draft.site.facilities.get(visit.facility)
    if facility is None:
        return 0
    living = living_sensors(draft, facility)
    booked_ms = _booked_ms(draft, visit)
    waits = []
    if visit.leaving is not None:
        vacant_ms = draft.site.settings.booking.vacant_ms
        # A sensor that comes back may tell what none could tell before.
        again_ms = 0 if living or booked_ms is None else LOOK_AGAIN_MS
        waits.append(max(again_ms, vacant_ms - visit.leaving.at(draft.now)))
    longest_ms = max(0, VISIT_LONGEST_MS - visit.spent.at(draft.now))
    if not living:
        waits.append(longest_ms if booked_ms is None else max(booked_ms, _distrust_ms(draft)))
    elif visit.leaving is None:
        waits.append(longest_ms or (LOOK_AGAIN_MS if _is_seen(draft, living) else 0))
    return min(waits, default=None)


def close_visit(draft: Draft, visit: Visit, why: str) -> None:
    """A visit is over."""
    draft.drop(Visit, visit.id)
    spent_ms = visit.spent.at(draft.now)
    counted = {Counted.TIME: spent_ms} if visit.booking is None else {}
    draft.record(
        Fact.VISIT_CLOSED,
        personal={"subject": visit.subject} if visit.subject else None,
        visit=visit.id,
        facility=visit.facility,
        booking=visit.booking,
        entered_ms=visit.entered_ms,
        duration_ms=spent_ms,
        duration_by_class=tariffs.duration(draft, visit.facility, visit.entered_ms, spent_ms),
        quotas=quotas.settle(draft, visit.id, counted),
        cause=why,
    )
    facility = draft.site.facilities.get(visit.facility)
    if facility is not None:
        _settle_vacancy(draft, facility)


# --- inside -------------------------------------------------------------------------------------


def _visited(draft: Draft, facility: Facility, given: Grant) -> None:
    booking = draft.get(Booking, given.basis)
    mine = booking if booking is not None and booking.facility == facility.id else None
    _open_visit(draft, facility, given, mine)
    if mine is not None:
        arrival.came(draft, mine)


def _open_visit(draft: Draft, facility: Facility, given: Grant, booking: Booking | None) -> None:
    for visit in draft.where(Visit, "facility", facility.id):
        if visit.subject == given.subject:
            id_ = booking.id if booking else visit.booking
            if visit.booking is None and id_ is not None:  # from now on it is booked time
                spent = {Counted.TIME: visit.spent.at(draft.now)}
                quotas.settle(draft, visit.id, spent, over=False)
            draft.put(replace(visit, booking=id_, leaving=None))
            return
    subject = draft.get(Subject, given.subject or "")
    visit = Visit(
        id=draft.new_id("visit"),
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
        held=_held(draft, facility, visit),
        staff=True if subject and subject.staff else None,
    )
    _settle_vacancy(draft, facility)


def _held(draft: Draft, facility: Facility, visit: Visit) -> list[dict[str, Any]] | None:
    """Time without a booking is held of who came; nobody is put out when it is used up."""
    if visit.booking is not None or visit.subject is None:
        return None
    return quotas.hold(draft, visit.id, visit.subject, facility, (Most(Counted.TIME),))


def _leaving(draft: Draft, facility: Facility) -> None:
    for visit in draft.where(Visit, "facility", facility.id):
        draft.put(replace(visit, leaving=Elapsed.started(draft.now)))


def _end_by_leaving(draft: Draft, visit: Visit, living: list[PresenceSensor]) -> None:
    if visit.leaving is None:
        if not _is_seen(draft, living) and visit.spent.at(draft.now) >= VISIT_LONGEST_MS:
            close_visit(draft, visit, "not_seen_to_end")  # who left while nobody could see it
        return
    if visit.leaving.at(draft.now) < draft.site.settings.booking.vacant_ms:
        return
    signs = [s for s in living if is_sign(s, draft.reading(s.point))]
    seen = [s for s in signs if s.kind is not SensorKind.CO2]
    gone_ms = visit.leaving.at(draft.now)
    if any(gone_ms > DOOR_CLOSES_MS + sensor.hold_ms for sensor in seen):
        draft.put(replace(visit, leaving=None))  # somebody stayed
    elif seen:
        return  # it may still show the one who left
    elif signs:
        draft.put(replace(visit, leaving=Elapsed.started(draft.now)))  # wait for the air to clear
    else:
        close_visit(draft, visit, "left")


def _is_seen(draft: Draft, living: list[PresenceSensor]) -> bool:
    return any(is_sign(sensor, draft.reading(sensor.point)) for sensor in living)


def _booked_ms(draft: Draft, visit: Visit) -> int | None:
    """How long until the visit's booking lets it end; a return after the end has its own (B7)."""
    booking = draft.get(Booking, visit.booking or "")
    if booking is None:
        return None
    end_ms = booking.terms.end_ms
    if visit.entered_ms >= end_ms:
        end_ms += draft.site.settings.booking.return_after_end_ms
    return max(0, end_ms - draft.now.wall_ms)


def _distrust_ms(draft: Draft) -> int:
    return 0 if draft.now.trusted else LOOK_AGAIN_MS


def _room(draft: Draft, facility: Facility) -> RoomStatus:
    return draft.get(RoomStatus, facility.id) or RoomStatus(facility.id)


def _see_presence(draft: Draft, facility: Facility, held_ms: int) -> None:
    room = _room(draft, facility)
    if not room.present:
        _now_present(draft, facility, room)
    _hold(draft, _room(draft, facility), held_ms)


def _somebody_stays(draft: Draft, facility: Facility) -> None:
    for visit in draft.where(Visit, "facility", facility.id):
        # Only what is seen after the door has closed behind them says that somebody stayed.
        if visit.leaving is not None and visit.leaving.at(draft.now) > DOOR_CLOSES_MS:
            draft.put(replace(visit, leaving=None))


def _hold(draft: Draft, room: RoomStatus, held_ms: int) -> None:
    now = draft.now
    held = room.held_until_mono_ms if room.boot == now.boot else 0
    until = max(held, now.mono_ms + held_ms)
    draft.put(replace(room, held_until_mono_ms=until, boot=now.boot))


def _now_present(draft: Draft, facility: Facility, room: RoomStatus) -> None:
    was_vacant = room.vacant is not None
    _turn(draft, room, present=True)
    draft.record(Fact.PRESENCE_BEGAN, facility=facility.id)
    if was_vacant:
        _check_in_by_presence(draft, facility)


def _turn(draft: Draft, room: RoomStatus, *, present: bool | None) -> None:
    now = draft.now
    lasted = Elapsed.started(now)
    draft.put(replace(room, present=present, since_ms=now.wall_ms, lasted=lasted))
    facility = draft.site.facilities[room.id]
    _settle_vacancy(draft, facility)


def _check_in_by_presence(draft: Draft, facility: Facility) -> None:
    """B5: presence that began after the room was vacant, where no door knows who came."""
    doors = [draft.site.doors[id_] for id_ in facility.doors]
    known_by_door = doors and not any(passage.is_open_to_all(draft, door) for door in doors)
    if known_by_door or draft.where(Visit, "facility", facility.id) or not draft.now.trusted:
        return
    wall = draft.now.wall_ms
    bookings = draft.where(Booking, "facility", facility.id)
    waiting = [b for b in bookings if b.status is BookingStatus.ENFORCED and b.covers(wall)]
    if len(waiting) == 1:
        arrival.came(draft, waiting[0])
    else:
        grace.not_seen(draft, facility.id)  # one of several came, and nobody knows which


def _judge(draft: Draft, facility: Facility) -> None:
    """What the living sensors say of the room, once the hold times are over."""
    now = draft.now
    living = living_sensors(draft, facility)
    signs = [s for s in living if is_sign(s, draft.reading(s.point))]
    if signs:
        _see_presence(draft, facility, max(sensor.hold_ms for sensor in signs))
        return
    room = _room(draft, facility)
    if room.boot != now.boot:
        _hold(draft, room, _hold_ms(facility))  # this boot has not looked for long enough
    elif now.mono_ms < room.held_until_mono_ms:
        return
    elif not living and room.present is not None:
        _turn(draft, room, present=None)
        if room.present:
            draft.record(Fact.PRESENCE_ENDED, facility=facility.id, cause="sensors_lost")
    elif living and room.present is not False:
        _turn(draft, room, present=False)
        if room.present:
            draft.record(Fact.PRESENCE_ENDED, facility=facility.id)


def _settle_vacancy(draft: Draft, facility: Facility) -> None:
    """Vacant from when both the last visit is closed and no presence is known; overstay ends."""
    room = _room(draft, facility)
    known = room.present is False or not facility.sensors
    vacant = known and not draft.where(Visit, "facility", facility.id)
    if vacant and room.vacant is None:
        draft.put(replace(room, vacant=Elapsed.started(draft.now), overstay_of=None))
        for booking in draft.where(Booking, "facility", facility.id):
            draft.put(replace(booking, overstayed=False))  # who comes back is told of anew
    elif not vacant and room.vacant is not None:
        draft.put(replace(room, vacant=None))


def _hold_ms(facility: Facility) -> int:
    return max((sensor.hold_ms for sensor in facility.sensors), default=0)
