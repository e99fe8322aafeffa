"""What doors do, and whether it was granted (RULES A6–A9).

Granted is not entered: entering is the grant followed by the opening, in time.

| an opening comes with | it is |
|---|---|
| an exit press, or a hand on the lock inside, in time and newer than every grant | exit |
| grants, in time | entered, by each |
| a release still on, by fire or call, free passage, open hours, the lock's own user | passage |
| no exit button at the door, and somebody inside | exit |
| none of these | door forced |

An opening too brief to be told from a bounce is none by itself. But a grant that no other came with
was used by it: what was held up on its way comes all at once.

A door with no contact opens when its lock says so; one with neither claims nothing of either.
"""

from dataclasses import replace

from gateway.core import fire, grace, occupancy, passage
from gateway.core.draft import Draft
from gateway.core.emergency import released_by_call
from gateway.core.faults import close_fault, fault_id, open_fault
from gateway.core.layout import layout
from gateway.domain.events import PointEdge, PulseEnd, PulseSettled
from gateway.domain.faults import Fault
from gateway.domain.points import Reading
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Door
from gateway.domain.uses import Use, uses
from gateway.domain.visits import DoorState, DoorStatus, Grant, RoomStatus, Visit

EXPLAINS_MS = 15_000  # an exit press, or the lock's own user, explains an opening for so long
TOLD_WITHIN_MS = 2_000  # a contact tells of an opening so much later: a poll, or its radio's way
LOCKED, UNLOCKED = "locked", "unlocked"
OWN_ACTIONS = frozenset({"unlock", "keypad_unlock", "rfid_unlock", "key_unlock"})
HAND_ACTIONS = frozenset({"manual_unlock"})  # the knob inside
OURS = frozenset({"rf", "zigbee", "remote", "self", "network"})  # our own release, reported back
NO_SLOT = 65_535
_PULSE_FAULTS = {
    PulseEnd.UNKNOWN: "pulse_unknown",
    PulseEnd.UNCONFIRMED: "pulse_unconfirmed",
    PulseEnd.REFUSED: "pulse_refused",
}


# --- what is reported ---------------------------------------------------------------------------


def contact_moved(draft: Draft, door: Door, edge: PointEdge) -> None:
    """The contact says open or closed."""
    if edge.brief:
        _glimpsed(draft, door)
        return
    _moved(draft, door, DoorState.OPEN if edge.value else DoorState.CLOSED, edge.first_sight)


def lock_read(draft: Draft, door: Door, reading: Reading) -> None:
    """The lock's own report. At a door with no contact it is what shows the opening (A6)."""
    if not reading.good:
        return
    if reading.value == LOCKED:
        close_fault(draft, door.id, "door_not_relocked")
    if door.points.contact is None:
        state = DoorState.OPEN if reading.value == UNLOCKED else DoorState.CLOSED
        _moved(draft, door, state, _status(draft, door).state is DoorState.UNKNOWN)


def lock_acted(draft: Draft, door: Door, edge: PointEdge) -> None:
    """One of the lock's own users opened it: recorded with its slot, no breach of A1 (A9)."""
    action, detail = str(edge.value), edge.detail or {}
    source = str(detail.get("action_source_name", ""))
    if source in OURS:
        return
    if action in HAND_ACTIONS or (action == "unlock" and source == "manual"):
        exit_pressed(draft, door)
    elif action in OWN_ACTIONS:
        slot = detail.get("action_user")
        draft.record(
            Fact.LOCK_OWN_CREDENTIAL,
            door=door.id,
            place=door.place,
            action=action,
            source=source or None,
            slot=slot if isinstance(slot, int) and slot != NO_SLOT else None,
        )
        _own_user_passes(draft, door)


def exit_pressed(draft: Draft, door: Door) -> None:
    """Somebody asked to leave; the button itself lets them out (A2). The opening follows."""
    status = _status(draft, door)
    if door.points.contact is None or status.state is DoorState.OPEN:
        _exit(draft, door)  # no opening to come
    else:
        draft.put(replace(status, exit_until_mono_ms=draft.now.mono_ms + EXPLAINS_MS))


def pulse_settled(draft: Draft, event: PulseSettled) -> None:
    """What became of a release: an outcome that stays unknown is a fault, not a retry (A4)."""
    for used in uses(draft.site).get(event.ref, ()):
        if used.use is Use.STRIKE:
            _release_settled(draft, draft.site.doors[used.owner], event)


# --- time ---------------------------------------------------------------------------------------


def due(draft: Draft, status: DoorStatus) -> None:
    """Time passed at a door: grants not used, held open, free passage over."""
    door = draft.site.doors.get(status.id)
    if door is None:
        return
    now = draft.now
    over = [given for given in status.grants if not _in_time(draft, door, given)]
    if over:
        kept = tuple(given for given in status.grants if given not in over)
        draft.put(replace(status, grants=kept))
    for given in over:
        if _used_briefly(draft, door, given):
            _tell(draft, Fact.ENTERED, door, given)
            occupancy.entered(draft, door, given)
        elif door.points.shows_opening:
            _tell(draft, Fact.NOT_ENTERED, door, given)
        if status.state is not DoorState.CLOSED and given.facility is not None:
            grace.not_seen(draft, given.facility)  # it stood open: they may have come in (B6)
    _check_held_open(draft, door)
    if status.passage_until_ms is not None and now.wall_ms >= status.passage_until_ms:
        passage.end(draft, door.id)


def due_in_ms(draft: Draft, status: DoorStatus) -> int | None:
    """How long until `due` is worth asking."""
    door = draft.site.doors.get(status.id)
    if door is None:
        return None
    now = draft.now
    waits = [_time_left_ms(draft, door, given) for given in status.grants]
    if _may_be_held_open(door, status):
        waits.append(status.since_mono_ms + door.rules.held_open_ms - now.mono_ms)
    if status.passage_until_ms is not None:
        waits.append(status.passage_until_ms - now.wall_ms)
    return max(0, min(waits)) if waits else None


def restarted(draft: Draft) -> None:
    """What the contact says is not known yet; the grants are kept, as somebody may be entering."""
    for status in draft.all(DoorStatus):
        draft.put(
            replace(
                status,
                state=DoorState.UNKNOWN,
                since_mono_ms=draft.now.mono_ms,
                exit_until_mono_ms=0,
                released_until_mono_ms=0,
                glimpsed_mono_ms=None,
            )
        )


def supervise(draft: Draft, door: Door) -> None:
    """The slow round: a lock that did not lock again (A6)."""
    status = _status(draft, door)
    if door.points.lock is None:
        return
    reading = draft.reading(door.points.lock)
    if not reading.good or reading.value == LOCKED or status.grants or _is_passage(draft, door):
        return
    since = draft.now.mono_ms - max(reading.mono_ms, status.since_mono_ms)
    if since >= door.rules.held_open_ms:
        _fault(draft, door, "door_not_relocked", Fact.DOOR_NOT_RELOCKED)


# --- openings -----------------------------------------------------------------------------------


def _moved(draft: Draft, door: Door, state: DoorState, first_sight: bool) -> None:
    status = _status(draft, door)
    now = draft.now
    if state is status.state:
        return
    draft.put(replace(status, state=state, since_mono_ms=now.mono_ms))
    if state is DoorState.CLOSED:
        _closed(draft, door)
    elif _pressed_since(draft, door, status):
        _opened(draft, door)  # whoever asked last to pass is who passes
    elif any(_in_time(draft, door, given) for given in status.grants):
        _entered(draft, door)
    elif not first_sight and door.points.contact is not None:
        _opened(draft, door)  # else how it came to be open was not seen


def _glimpsed(draft: Draft, door: Door) -> None:
    status = _status(draft, door)
    if status.grants and status.state is DoorState.CLOSED:
        draft.put(replace(status, glimpsed_mono_ms=draft.now.mono_ms))


def _used_briefly(draft: Draft, door: Door, given: Grant) -> bool:
    glimpsed_ms = _status(draft, door).glimpsed_mono_ms
    if glimpsed_ms is None:
        return False
    return given.boot != draft.now.boot or _given_mono_ms(door, given) <= glimpsed_ms


def _given_mono_ms(door: Door, given: Grant) -> int:
    return given.until_mono_ms - door.rules.release_ms


def _pressed_since(draft: Draft, door: Door, status: DoorStatus) -> bool:
    """An exit press explains the opening, and is newer than every grant."""
    pressed_ms = status.exit_until_mono_ms - EXPLAINS_MS
    return status.exit_until_mono_ms > draft.now.mono_ms and all(
        given.boot != draft.now.boot or _given_mono_ms(door, given) <= pressed_ms
        for given in status.grants
    )


def _opened(draft: Draft, door: Door) -> None:
    now, status = draft.now, _status(draft, door)
    if status.exit_until_mono_ms > now.mono_ms:
        draft.put(replace(status, exit_until_mono_ms=0))
        _exit(draft, door)
    elif _is_passage(draft, door):
        draft.record(Fact.DOOR_PASSAGE, door=door.id, place=door.place)
        occupancy.passed(draft, door)
    elif door.points.exit_button is None and _somebody_inside(draft, door):
        _exit(draft, door)
    else:
        _fault(draft, door, "door_forced", Fact.DOOR_FORCED, urgent=True)


def _closed(draft: Draft, door: Door) -> None:
    status = _status(draft, door)
    if status.held_open_told:
        draft.record(Fact.DOOR_CLOSED, door=door.id, place=door.place)
    draft.put(replace(status, held_open_told=False, exit_until_mono_ms=0))
    close_fault(draft, door.id, "door_held_open")
    close_fault(draft, door.id, "door_forced")


def _entered(draft: Draft, door: Door) -> None:
    """Each that was granted in time is in: they share the opening."""
    status = _status(draft, door)
    came = [given for given in status.grants if _in_time(draft, door, given)]
    kept = tuple(given for given in status.grants if given not in came)
    draft.put(replace(status, grants=kept))
    _explain(draft, door, max(g.until_mono_ms if g.boot == draft.now.boot else 0 for g in came))
    for given in came:
        _tell(draft, Fact.ENTERED, door, given)
        occupancy.entered(draft, door, given)


def _exit(draft: Draft, door: Door) -> None:
    draft.record(Fact.EXIT, door=door.id, place=door.place)
    occupancy.left(draft, door)


def _own_user_passes(draft: Draft, door: Door) -> None:
    """The lock's own user needs no release of ours, and explains the opening that follows."""
    _explain(draft, door, draft.now.mono_ms + EXPLAINS_MS)
    if door.points.contact is None:
        occupancy.passed(draft, door)


def _explain(draft: Draft, door: Door, until_mono_ms: int) -> None:
    status = _status(draft, door)
    until = max(status.released_until_mono_ms, until_mono_ms)
    draft.put(replace(status, released_until_mono_ms=until))


def _tell(draft: Draft, fact: Fact, door: Door, given: Grant) -> None:
    draft.record(
        fact,
        personal={"subject": given.subject} if given.subject else None,
        door=door.id,
        place=door.place,
        facility=given.facility,
        basis=given.basis,
        grant=given.token,
    )


def _in_time(draft: Draft, door: Door, given: Grant) -> bool:
    return _time_left_ms(draft, door, given) > 0


def _time_left_ms(draft: Draft, door: Door, given: Grant) -> int:
    """How long an opening means that who was granted has entered."""
    now = draft.now
    if given.boot == now.boot:
        return max(0, given.until_mono_ms + door.rules.enter_within_ms - now.mono_ms)
    # A restart spent the release, but the person it let in may be opening the door just now.
    since = now.wall_ms - given.given_wall_ms
    left = door.rules.release_ms + door.rules.enter_within_ms - since
    return left if since >= 0 and left > 0 else 0


def _is_passage(draft: Draft, door: Door) -> bool:
    until_ms = _status(draft, door).released_until_mono_ms
    released = until_ms and draft.now.mono_ms < until_ms + TOLD_WITHIN_MS
    if released or passage.is_open_to_all(draft, door):
        return True
    return bool(fire.releases(draft, door) or released_by_call(draft, door))


def _somebody_inside(draft: Draft, door: Door) -> bool:
    for facility in layout(draft.site).behind[door.id]:
        room = draft.get(RoomStatus, facility.id)
        if draft.where(Visit, "facility", facility.id) or (room is not None and room.present):
            return True
    return False


# --- faults -------------------------------------------------------------------------------------


def _release_settled(draft: Draft, door: Door, event: PulseSettled) -> None:
    code = _PULSE_FAULTS.get(event.end)
    # That a device took a pulse proves nothing, where something could have shown its effect.
    proven = event.end is PulseEnd.CONFIRMED or not door.points.shows_opening
    for other in _PULSE_FAULTS.values():
        if other != code and (proven or code is not None):
            close_fault(draft, door.id, other)
    if code is None:
        return
    draft.record(
        Fact.PULSE_SETTLED,
        door=door.id,
        place=door.place,
        grant=event.token,
        end=event.end.value,
        detail=event.detail or None,
    )
    open_fault(draft, door.id, reason(code, point=str(event.ref)), (door.place,))


def _may_be_held_open(door: Door, status: DoorStatus) -> bool:
    watched = door.points.contact is not None and not status.held_open_told
    return watched and status.state is DoorState.OPEN


def _check_held_open(draft: Draft, door: Door) -> None:
    status = _status(draft, door)
    if not _may_be_held_open(door, status) or _is_passage(draft, door):
        return
    if draft.now.mono_ms - status.since_mono_ms >= door.rules.held_open_ms:
        draft.put(replace(status, held_open_told=True))
        _fault(draft, door, "door_held_open", Fact.DOOR_HELD_OPEN)


def _fault(draft: Draft, door: Door, code: str, fact: Fact, *, urgent: bool = False) -> None:
    if draft.get(Fault, fault_id(door.id, code)) is not None:
        return
    draft.record(fact, urgent=urgent, door=door.id, place=door.place)
    open_fault(draft, door.id, reason(code, door=door.name.en), (door.place,), urgent=urgent)


def _status(draft: Draft, door: Door) -> DoorStatus:
    return draft.get(DoorStatus, door.id) or DoorStatus(door.id)
