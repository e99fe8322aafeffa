"""Emergency calls: raised, joined, raised again, and what time does to them (RULES E1–E4, E6).

| state | press | acknowledge | attend | clear | time |
|---|---|---|---|---|---|
| raised, delivered | joins, or sounds again | acknowledged | attended | refused | next step |
| acknowledged | raised again | stays | attended | cleared, if not genuine | raised again |
| attended | raised again | stays | stays | cleared | – |
| cleared | a new call | refused | refused | refused | forgotten |

`answering` holds what people do about a call, `escalation` its steps, `call_test` the test mode.
"""

from dataclasses import dataclass, replace

from gateway.core import call_test, escalation
from gateway.core.draft import Draft
from gateway.core.faults import open_fault
from gateway.core.layout import layout
from gateway.domain.calls import Call, CallOrigin, CallState, Climb, Presses
from gateway.domain.events import CallRequested, PointEdge
from gateway.domain.now import DAY_MS, MINUTE_MS, Elapsed
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import CallPoint, Door, Wiring
from gateway.domain.state import Reply, Result

CLEARED_KEPT_MS = DAY_MS
CLEARED_KEPT = 100  # of a day on which somebody presses and clears without end; the journal has all


@dataclass(frozen=True, slots=True)
class _Raising:
    """What a call is raised from. `call_point` is "" for a page or pass."""

    call_point: str
    place: str
    origin: CallOrigin
    count: int = 1
    test: bool = False
    person: str = ""


# --- raising ------------------------------------------------------------------------------------


def pressed(draft: Draft, call_point: CallPoint, edge: PointEdge) -> Reply:
    """A press belongs to a raised call, whatever else is going on (E1)."""
    call = next((c for c in draft.where(Call, "call_point", call_point.id) if c.open), None)
    test = call_test.takes(draft, call_point.id, call)
    if call is not None and (call.test or test):
        call_test.over(draft, call)  # its next press is real, or another test (E7)
        call = None
    if call is None:
        if test:
            call_test.pressed(draft, call_point)
        origin = CallOrigin.WEARABLE if call_point.wiring is Wiring.WEARABLE else CallOrigin.FIXED
        raising = _Raising(call_point.id, call_point.place, origin, edge.count, test)
        return _raise(draft, raising)
    if call.unanswered:
        return _join(draft, call, "pressed", edge.count)
    return _raise_again(draft, call, "pressed", edge.count)


def requested(draft: Draft, event: CallRequested) -> Reply:
    """Help asked for from a page or with a pass: a call like any other, that opens nothing (E6)."""
    if event.place not in draft.site.places:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="place", id=event.place))
    for call in draft.where(Call, "place", event.place):
        if call.open and not call.call_point:
            if call.unanswered:
                return _join(draft, call, "asked again", 1)
            return _raise_again(draft, call, "asked again", 1)
    who = event.actor.name if event.actor else ""
    return _raise(draft, _Raising("", event.place, event.origin, person=who))


def _raise(draft: Draft, raising: _Raising) -> Reply:
    now = draft.now
    start = Elapsed.started(now)
    call = Call(
        id=draft.new_id("call"),
        call_point=raising.call_point,
        place=raising.place,
        origin=raising.origin,
        state=CallState.RAISED,
        presses=Presses(0, now.wall_ms, now.wall_ms, start),
        climb=Climb(0, start, start),
        test=raising.test,
    )
    call = _count(draft, call, raising.count)
    site = draft.site
    own = site.safety.call_points.get(raising.call_point)
    releases = list(own.outputs.releases) if own and may_release(call) else []
    name = site.places[raising.place].name
    draft.record(
        Fact.CALL_RAISED,
        personal={"person": raising.person} if raising.person else None,
        urgent=True,
        why=reason("call_test" if raising.test else "call_raised", place=name.en),
        call=call.id,
        call_point=raising.call_point or None,
        place=raising.place,
        origin=raising.origin.value,
        presses=raising.count,
        test=raising.test or None,
        releases=releases or None,
    )
    call = escalation.begin(draft, call)
    draft.put(call)
    _forget_oldest(draft)
    return answer(call)


def _join(draft: Draft, call: Call, why: str, count: int) -> Reply:
    """Presses of one call are counted, never dropped; at most one record in 10 s (E1).

    Who presses as the siren is silent is heard again (E2).
    """
    call = _count(draft, call, count)
    if call.climb.silenced:
        call = replace(call, climb=replace(call.climb, fine=False))
        return answer(_go_on(draft, call, why))
    presses = call.presses
    at = presses.since.at(draft.now)
    if at - presses.recorded_ms >= draft.site.settings.emergency.join_record_ms:
        call = replace(call, presses=replace(presses, recorded_ms=at))
        draft.record(
            Fact.CALL_PRESSED,
            urgent=True,
            call=call.id,
            place=call.place,
            presses=presses.count,
            first_ms=presses.first_ms,
            last_ms=presses.last_ms,
        )
    draft.put(call)
    return answer(call)


def _raise_again(draft: Draft, call: Call, why: str, count: int = 0) -> Reply:
    """As raised for the first time: siren, and the escalation from its beginning."""
    call = _count(draft, call, count) if count else call
    start = Elapsed.started(draft.now)
    fine = call.climb.fine and not count  # who presses again is no longer fine
    climb = Climb(0, start, start, raises=call.climb.raises + 1, fine=fine)
    call = replace(call, state=CallState.RAISED, climb=climb, person="")
    _tell_raised_again(draft, call, why)
    call = escalation.begin(draft, call)
    draft.put(call)
    return answer(call)


def restarted(draft: Draft) -> None:
    """E3: a call nobody acknowledged is raised again and goes to its next step at once."""
    for call in draft.all(Call):
        if call.unanswered:
            _go_on(draft, call, "restart")


def _go_on(draft: Draft, call: Call, why: str) -> Call:
    """Raised again where it is: siren and releases anew, and the next step at once."""
    start, climb = Elapsed.started(draft.now), call.climb
    climb = replace(climb, raised=start, raises=climb.raises + 1, silenced=False)
    call = replace(call, climb=climb, state=CallState.RAISED)
    _tell_raised_again(draft, call, why)
    call = escalation.next_step(draft, call)
    draft.put(call)
    return call


def _tell_raised_again(draft: Draft, call: Call, why: str) -> None:
    draft.record(
        Fact.CALL_RAISED_AGAIN,
        urgent=True,
        call=call.id,
        place=call.place,
        cause=why,
        raises=call.climb.raises,
        presses=call.presses.count,
        test=call.test or None,
    )


def _count(draft: Draft, call: Call, count: int) -> Call:
    """More presses of the call; more than 10 a minute are chattering too (E1)."""
    presses, most = call.presses, draft.site.settings.emergency.chatter_per_minute
    since = presses.since.checkpoint(draft.now)
    at = since.at(draft.now)
    recent = [press for press in presses.recent_ms if at - press < MINUTE_MS]
    recent = [*recent, *[at] * min(count, most + 1)][-(most + 1) :]
    if len(recent) > most and call.call_point:
        open_fault(
            draft, call.call_point, reason("chattering", point=call.call_point), (call.place,)
        )
    counted = Presses(
        count=presses.count + count,
        first_ms=presses.first_ms,
        last_ms=draft.now.wall_ms,
        since=since,
        recorded_ms=presses.recorded_ms,
        recent_ms=tuple(recent),
    )
    return replace(call, presses=counted)


# --- time ---------------------------------------------------------------------------------------


def due(draft: Draft, call: Call) -> None:
    """Time passed for a call: the next step, the siren's limit, nobody attended."""
    settings = draft.site.settings.emergency
    if call.test and call.open and call.presses.since.at(draft.now) >= settings.test_ms:
        call_test.over(draft, call)
    elif call.unanswered:
        _climb(draft, call)
    elif call.state is CallState.ACKNOWLEDGED:
        if call.climb.since.at(draft.now) >= settings.attend_within_ms:
            _raise_again(draft, call, "not attended")
    elif call.state is CallState.CLEARED and _forgotten_in_ms(draft, call) == 0:
        draft.drop(Call, call.id)


def due_in_ms(draft: Draft, call: Call) -> int | None:
    """How long until `due` is next worth asking."""
    settings = draft.site.settings.emergency
    waits = []
    if call.unanswered:
        waits.append(escalation.step_wait_ms(draft, call) - call.climb.since.at(draft.now))
        if not call.climb.silenced:
            waits.append(siren_left_ms(draft, call))
    elif call.state is CallState.ACKNOWLEDGED:
        waits.append(settings.attend_within_ms - call.climb.since.at(draft.now))
    elif call.state is CallState.CLEARED:
        waits.append(_forgotten_in_ms(draft, call))
    if call.test and call.open:
        waits.append(settings.test_ms - call.presses.since.at(draft.now))
    return max(0, min(waits)) if waits else None


def undelivered(draft: Draft, call: Call) -> None:
    """No channel has confirmed the call so far: somebody must know that (E2)."""
    why = reason("call_undelivered", call=call.id)
    open_fault(draft, call.id, why, (call.place,), urgent=True)


def siren_left_ms(draft: Draft, call: Call) -> int:
    """How long the siren may still sound for this raise: 180 s, and 3 s for a test (E4, E7)."""
    settings = draft.site.settings.emergency
    limit_ms = settings.test_siren_ms if call.test else settings.siren_ms
    return max(0, limit_ms - call.climb.raised.at(draft.now))


def _climb(draft: Draft, call: Call) -> None:
    if not call.climb.silenced and siren_left_ms(draft, call) == 0:
        call = replace(call, climb=replace(call.climb, silenced=True))
        draft.put(call)
        draft.record(
            Fact.CALL_SILENCED,
            urgent=True,
            why=reason("call_silent"),
            call=call.id,
            place=call.place,
        )
    if call.climb.since.at(draft.now) >= escalation.step_wait_ms(draft, call):
        if call.state is CallState.RAISED and call.climb.step and not call.test:
            undelivered(draft, call)
        draft.put(escalation.next_step(draft, call))


def _forget_oldest(draft: Draft) -> None:
    """Of cleared calls so many are kept, however often somebody calls."""
    cleared = [call for call in draft.all(Call) if not call.open]
    cleared.sort(key=lambda call: call.climb.since.at(draft.now))
    for call in cleared[CLEARED_KEPT:]:
        draft.drop(Call, call.id)


def _forgotten_in_ms(draft: Draft, call: Call) -> int:
    """Cleared calls are shown for a day more, by a measure that no stepped clock moves."""
    return max(0, CLEARED_KEPT_MS - call.climb.since.at(draft.now))


# --- releases -----------------------------------------------------------------------------------


def released_by_call(draft: Draft, door: Door) -> Call | None:
    """The call that holds the door released: until attended or 15 min (E6)."""
    for call_point in layout(draft.site).releasing[door.id]:
        for call in draft.where(Call, "call_point", call_point.id):
            if release_left_ms(draft, call):
                return call
    return None


def release_left_ms(draft: Draft, call: Call) -> int:
    """How long a call goes on releasing its doors."""
    waits = call.state in (CallState.RAISED, CallState.DELIVERED, CallState.ACKNOWLEDGED)
    if not waits or not may_release(call):
        return 0
    return max(0, draft.site.settings.emergency.release_ms - call.climb.raised.at(draft.now))


def may_release(call: Call) -> bool:
    """Only a call from a fixed point, and never a test: no page, phone, pass or wearable (E6)."""
    return call.origin is CallOrigin.FIXED and bool(call.call_point) and not call.test


# --- answers ------------------------------------------------------------------------------------


def answer(call: Call) -> Reply:
    """A call, as it is told to whoever asked."""
    data = {"call": call.id, "state": call.state.value, "place": call.place, "test": call.test}
    return Reply(Result.ACCEPTED, reason("ok"), data)
