"""What doors do, and whether it was granted (RULES A6–A9).

Granted is not entered: entering is the grant followed by the opening, in time.

| an opening comes with | it is |
|---|---|
| a grant, in time | entered |
| an exit press, in time | exit |
| a release by fire or call, free passage, open hours, the lock's own user | passage |
| no exit button at the door, and somebody inside | exit |
| none of these | door forced |
"""

from dataclasses import replace

from gateway.core import access, occupancy
from gateway.core.draft import Draft
from gateway.core.faults import close_fault, open_fault
from gateway.domain.calls import Call, FireLatch
from gateway.domain.events import PointEdge, PulseEnd, PulseSettled
from gateway.domain.points import Reading
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Door, FireRole
from gateway.domain.uses import Use, uses
from gateway.domain.visits import DoorState, DoorStatus, Grant, RoomStatus, Visit

EXIT_EXPLAINS_MS = 15_000
LOCKED = "locked"
UNLOCKED = "unlocked"
OWN_ACTIONS = frozenset({"unlock", "manual_unlock", "keypad_unlock", "rfid_unlock", "key_unlock"})


def contact_moved(draft: Draft, door: Door, edge: PointEdge) -> None:
    """The contact says open or closed."""
    status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
    state = DoorState.OPEN if edge.value else DoorState.CLOSED
    now = draft.now
    if state is status.state and status.boot == now.boot:
        return
    moved = replace(status, state=state, since_mono_ms=now.mono_ms, boot=now.boot)
    draft.put(moved)
    if edge.first_sight:
        # How it came to be so was not seen; but a grant just given explains an open door.
        if (
            state is DoorState.OPEN
            and moved.grant is not None
            and _in_time(draft, door, moved.grant)
        ):
            _entered(draft, door, moved, moved.grant)
        return
    if state is DoorState.OPEN:
        _opened(draft, door, moved)
    else:
        _closed(draft, door, moved)


def exit_pressed(draft: Draft, door: Door) -> None:
    """Somebody asked to leave; the button itself lets them out (A2). The opening follows."""
    status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
    until = draft.now.mono_ms + EXIT_EXPLAINS_MS
    draft.put(replace(status, exit_until_mono_ms=until, boot=draft.now.boot))
    if door.points.contact is None:
        draft.record(Fact.EXIT, door=door.id, place=door.place)
        occupancy.left(draft, door)


def lock_read(draft: Draft, door: Door, reading: Reading) -> None:
    """The lock's own report. At a door with no contact it is what shows the entering (A6)."""
    if not reading.good:
        return
    if reading.value == LOCKED:
        close_fault(draft, door.id, "door_not_relocked")
    status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
    if door.points.contact is not None:
        return
    open_now = reading.value == UNLOCKED
    state = DoorState.OPEN if open_now else DoorState.CLOSED
    if state is status.state:
        return
    now = draft.now
    first = status.state is DoorState.UNKNOWN or status.boot != now.boot
    moved = replace(status, state=state, since_mono_ms=now.mono_ms, boot=now.boot)
    draft.put(moved)
    if open_now and not first and moved.grant is not None and _grant_explains(draft, door, moved):
        _entered(draft, door, moved, moved.grant)


def lock_acted(draft: Draft, door: Door, edge: PointEdge) -> None:
    """One of the lock's own users opened it: recorded with its slot, no breach of A1 (A9)."""
    if str(edge.value) not in OWN_ACTIONS:
        return
    detail = edge.detail or {}
    source = str(detail.get("action_source_name", ""))
    if source in ("remote", "self", "network"):
        return  # our own release, reported back
    slot = detail.get("action_user")
    draft.record(
        Fact.LOCK_OWN_CREDENTIAL,
        door=door.id,
        place=door.place,
        action=str(edge.value),
        source=source or None,
        slot=slot if isinstance(slot, int) and slot != 65535 else None,
    )
    status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
    until = draft.now.mono_ms + EXIT_EXPLAINS_MS
    draft.put(replace(status, exit_until_mono_ms=until, boot=draft.now.boot))


def pulse_settled(draft: Draft, event: PulseSettled) -> None:
    """What became of a release: an outcome that stays unknown is a fault, not a retry (A4)."""
    door = door_of(draft, event)
    if door is None:
        return
    about = door.points.strike.device
    code = {
        PulseEnd.UNKNOWN: "pulse_unknown",
        PulseEnd.UNCONFIRMED: "pulse_unconfirmed",
        PulseEnd.REFUSED: "pulse_refused",
    }.get(event.end)
    if code is None:
        for earlier in ("pulse_unknown", "pulse_unconfirmed", "pulse_refused"):
            close_fault(draft, about, earlier)
        return
    draft.record(
        Fact.PULSE_SETTLED,
        door=door.id,
        place=door.place,
        grant=event.token,
        end=event.end.value,
        detail=event.detail or None,
    )
    open_fault(draft, about, reason(code, point=str(event.ref)), (door.place,))


def door_of(draft: Draft, event: PulseSettled) -> Door | None:
    """The door whose strike a pulse went to."""
    for used in uses(draft.site).get(event.ref, ()):
        if used.use is Use.STRIKE:
            return draft.site.doors[used.owner]
    return None


def due(draft: Draft, status: DoorStatus) -> None:
    """Time passed at a door: a grant not used, a door held open or not locked again."""
    door = draft.site.doors.get(status.id)
    if door is None:
        return
    given = status.grant
    if given is not None and not _in_time(draft, door, given):
        draft.put(replace(status, grant=None))
        _not_entered(draft, door, given)
    status = draft.get(DoorStatus, door.id) or status
    _check_held_open(draft, door, status)
    _check_relocked(draft, door, status)
    if status.passage_until_ms is not None and draft.now.wall_ms >= status.passage_until_ms:
        end_passage(draft, door.id)


def end_passage(draft: Draft, door_id: str) -> None:
    """Free passage is over (A8)."""
    status = draft.get(DoorStatus, door_id)
    if status is not None and status.passage_until_ms is not None:
        draft.put(replace(status, passage_until_ms=None))
        place = draft.site.doors[door_id].place
        draft.record(Fact.DOOR_PASSAGE, door=door_id, place=place, open=False)


def due_ms(status: DoorStatus, door: Door) -> int | None:
    """When `due` is next worth asking (monotonic of the status' boot)."""
    times = []
    if status.grant is not None:
        times.append(_enter_until(status.grant, door))
    if status.state is DoorState.OPEN and not status.held_open_told:
        times.append(status.since_mono_ms + door.rules.held_open_ms)
    return min(times, default=None)


# --- openings -----------------------------------------------------------------------------------


def _opened(draft: Draft, door: Door, status: DoorStatus) -> None:
    if status.grant is not None and _grant_explains(draft, door, status):
        _entered(draft, door, status, status.grant)
    elif status.exit_until_mono_ms > draft.now.mono_ms:
        _exit(draft, door)
    elif _passage(draft, door, status):
        draft.record(Fact.DOOR_PASSAGE, door=door.id, place=door.place)
        occupancy.passed(draft, door)
    elif door.points.exit_button is None and _somebody_inside(draft, door):
        _exit(draft, door)
    else:
        draft.record(Fact.DOOR_FORCED, urgent=True, door=door.id, place=door.place)
        why = reason("door_forced", door=door.name.en)
        open_fault(draft, door.id, why, (door.place,), urgent=True)


def _closed(draft: Draft, door: Door, status: DoorStatus) -> None:
    if status.held_open_told:
        draft.record(Fact.DOOR_CLOSED, door=door.id, place=door.place)
    draft.put(replace(status, held_open_told=False, exit_until_mono_ms=0))
    close_fault(draft, door.id, "door_held_open")
    close_fault(draft, door.id, "door_forced")


def _entered(draft: Draft, door: Door, status: DoorStatus, given: Grant) -> None:
    draft.put(replace(status, grant=None))
    draft.record(
        Fact.ENTERED,
        personal={"subject": given.subject} if given.subject else None,
        door=door.id,
        place=door.place,
        facility=given.facility,
        basis=given.basis,
        grant=given.token,
    )
    occupancy.entered(draft, door, given)


def _not_entered(draft: Draft, door: Door, given: Grant) -> None:
    draft.record(
        Fact.NOT_ENTERED,
        personal={"subject": given.subject} if given.subject else None,
        door=door.id,
        place=door.place,
        facility=given.facility,
        basis=given.basis,
        grant=given.token,
    )


def _exit(draft: Draft, door: Door) -> None:
    draft.record(Fact.EXIT, door=door.id, place=door.place)
    occupancy.left(draft, door)


def _grant_explains(draft: Draft, door: Door, status: DoorStatus) -> bool:
    return status.grant is not None and _in_time(draft, door, status.grant)


def _in_time(draft: Draft, door: Door, given: Grant) -> bool:
    now = draft.now
    if given.boot == now.boot:
        return now.mono_ms < _enter_until(given, door)
    # A restart spent the release, but the person it let in may be opening the door just now.
    since = now.wall_ms - given.given_wall_ms
    return 0 <= since < door.rules.release_ms + door.rules.enter_within_ms


def _enter_until(given: Grant, door: Door) -> int:
    return given.until_mono_ms + door.rules.enter_within_ms


def _passage(draft: Draft, door: Door, status: DoorStatus) -> bool:
    if access.is_open_to_all(door, status, draft.now.wall_ms, draft):
        return True
    return released_to_all(draft, door)


def released_to_all(draft: Draft, door: Door) -> bool:
    """Fire or an emergency call has released the door."""
    if door.rules.fire is FireRole.RELEASES:
        for zone in draft.site.safety.fire_zones.values():
            latch = draft.get(FireLatch, zone.id)
            if door.id in zone.doors and latch is not None and latch.latched:
                return True
    return any(
        door.id in call_point.outputs.releases and call.open
        for call_point in draft.site.safety.call_points.values()
        for call in draft.where(Call, "call_point", call_point.id)
    )


def _somebody_inside(draft: Draft, door: Door) -> bool:
    for facility in draft.site.facilities.values():
        if door.id not in facility.doors:
            continue
        room = draft.get(RoomStatus, facility.id)
        if draft.where(Visit, "facility", facility.id) or (room is not None and room.present):
            return True
    return False


def _check_held_open(draft: Draft, door: Door, status: DoorStatus) -> None:
    now = draft.now
    if status.state is not DoorState.OPEN or status.boot != now.boot or status.held_open_told:
        return
    if door.points.contact is None or _passage(draft, door, status):
        return
    if now.mono_ms - status.since_mono_ms >= door.rules.held_open_ms:
        draft.put(replace(status, held_open_told=True))
        draft.record(Fact.DOOR_HELD_OPEN, door=door.id, place=door.place)
        open_fault(draft, door.id, reason("door_held_open", door=door.name.en), (door.place,))


def _check_relocked(draft: Draft, door: Door, status: DoorStatus) -> None:
    if door.points.lock is None or _passage(draft, door, status):
        return
    reading = draft.reading(door.points.lock)
    if not reading.good or reading.value == LOCKED or status.grant is not None:
        return
    if draft.now.mono_ms - reading.mono_ms >= door.rules.release_ms + door.rules.held_open_ms:
        why = reason("door_not_relocked", door=door.name.en)
        open_fault(draft, door.id, why, (door.place,))
