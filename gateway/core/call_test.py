"""Test mode of a call point (RULES E7).

Opened by a named person; ends after one press or 10 min. The press runs the whole path marked TEST,
with the siren for at most 3 s; the next press is real. A test call that nobody cleared is over
after 10 min. Untested for 35 days is a fault.
"""

from dataclasses import replace

from gateway.core.draft import Draft
from gateway.core.faults import close_fault, set_fault
from gateway.domain.calls import Call, CallOutcome, CallPointStatus, CallState
from gateway.domain.events import TestModeOpened
from gateway.domain.now import Elapsed
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import CallPoint
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role

_TESTING = frozenset({Role.DESK, Role.TECHNICIAN})


def opened(draft: Draft, event: TestModeOpened) -> Reply:
    """A named person tests one call point, for one press or 10 min."""
    call_point = draft.site.safety.call_points.get(event.call_point)
    if call_point is None:
        why = reason("unknown_target", kind="call point", id=event.call_point)
        return Reply(Result.UNKNOWN, why)
    if event.by.role not in _TESTING:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, technician"))
    if not event.by.name.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    start = Elapsed.started(draft.now)
    draft.put(replace(_status(draft, call_point.id), test_by=event.by.name, test_since=start))
    draft.record(
        Fact.TEST_OPENED,
        personal={"person": event.by.name},
        call_point=call_point.id,
        place=call_point.place,
    )
    return Reply(Result.ACCEPTED, reason("done"), {"call_point": call_point.id})


def takes(draft: Draft, call_point: str, call: Call | None) -> bool:
    """The next press is the test's: its mode is on, and nobody has called in earnest."""
    earnest = call is not None and not call.test
    return not earnest and _left_ms(draft, _status(draft, call_point)) > 0


def pressed(draft: Draft, call_point: CallPoint) -> None:
    """The press that was waited for."""
    tested_ms = draft.now.wall_ms if draft.now.trusted else None
    status = replace(_status(draft, call_point.id), untested_since_ms=tested_ms)
    _end(draft, status, "pressed")
    close_fault(draft, call_point.id, "call_point_untested")


def over(draft: Draft, call: Call) -> None:
    """A test call ends by itself: by the next press, or 10 min after its own."""
    climb = replace(call.climb, since=Elapsed.started(draft.now))
    draft.put(replace(call, state=CallState.CLEARED, person="", climb=climb))
    draft.record(
        Fact.CALL_CLEARED,
        urgent=True,
        call=call.id,
        place=call.place,
        outcome=CallOutcome.TEST.value,
        test=True,
        duration_ms=call.presses.since.at(draft.now),
        presses=call.presses.count,
    )


def due(draft: Draft, status: CallPointStatus) -> None:
    """A test nobody pressed for ends by itself."""
    if status.test_since is not None and _left_ms(draft, status) == 0:
        _end(draft, status, "time")


def due_in_ms(draft: Draft, status: CallPointStatus) -> int | None:
    """How long until `due` is worth asking."""
    return None if status.test_since is None else _left_ms(draft, status)


def check_tested(draft: Draft, call_point: CallPoint) -> None:
    """The slow round: untested for 35 days is a fault. The count begins on a trusted clock."""
    if not draft.now.trusted:
        return
    status = _status(draft, call_point.id)
    wall = draft.now.wall_ms
    if status.untested_since_ms is None or status.untested_since_ms > wall:
        status = replace(status, untested_since_ms=wall)
        draft.put(status)
    assert status.untested_since_ms is not None
    untested = wall - status.untested_since_ms >= draft.site.settings.emergency.untested_ms
    why = reason("call_point_untested", point=call_point.name.en)
    set_fault(draft, call_point.id, why, untested, (call_point.place,))


def _end(draft: Draft, status: CallPointStatus, why: str) -> None:
    draft.put(replace(status, test_by="", test_since=None))
    draft.record(Fact.TEST_ENDED, call_point=status.id, cause=why)


def _left_ms(draft: Draft, status: CallPointStatus) -> int:
    if status.test_since is None:
        return 0
    return max(0, draft.site.settings.emergency.test_ms - status.test_since.at(draft.now))


def _status(draft: Draft, call_point: str) -> CallPointStatus:
    return draft.get(CallPointStatus, call_point) or CallPointStatus(call_point)
