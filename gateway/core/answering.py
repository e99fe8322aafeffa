"""What people do about a call: acknowledge, attend, clear; the table is in `emergency` (E4)."""

from dataclasses import replace

from gateway.core.draft import Draft
from gateway.core.emergency import answer, undelivered
from gateway.core.faults import close_fault
from gateway.core.layout import layout
from gateway.domain.calls import Call, CallOutcome, CallState
from gateway.domain.events import (
    Actor,
    CallAcknowledged,
    CallAttended,
    CallCleared,
    CallerFine,
    CallNotified,
    PointEdge,
)
from gateway.domain.now import Elapsed
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import CallPoint, ChannelKind, Door
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role

_ANSWERING = frozenset(
    {Role.DESK, Role.TECHNICIAN, Role.STAFF, Role.RESPONDER, Role.CLEANER, Role.PLATFORM}
)
_CLEARING = frozenset({Role.DESK, Role.TECHNICIAN})
KEY = "reset key"  # who turned it, nobody knows
_CONFIRMS = frozenset({ChannelKind.WEBHOOK, ChannelKind.PLATFORM, ChannelKind.DESK})


def acknowledged(draft: Draft, event: CallAcknowledged) -> Reply:
    """A named person has the call: the siren stops, the climb stops, the wait to attend begins."""
    call = _call_for(draft, event.call, event.by)
    if isinstance(call, Reply) or not call.unanswered:
        return call if isinstance(call, Reply) else answer(call)
    climb = replace(call.climb, since=Elapsed.started(draft.now))
    call = replace(call, state=CallState.ACKNOWLEDGED, person=event.by.name, climb=climb)
    draft.put(call)
    draft.record(
        Fact.CALL_ACKNOWLEDGED,
        personal={"person": event.by.name},
        urgent=True,
        call=call.id,
        place=call.place,
        role=event.by.role.value,
        on_site=event.by.on_site,
        after_ms=call.climb.raised.at(draft.now),
    )
    close_fault(draft, call.id, "call_undelivered")
    return answer(call)


def attended(draft: Draft, event: CallAttended) -> Reply:
    """A responder is at the place: named by whoever knows."""
    call = _call_for(draft, event.call, event.by)
    if isinstance(call, Reply):
        return call
    if not event.responder.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    return answer(_attend(draft, call, event.responder, "named"))


def responder_seen(draft: Draft, door: Door, subject: str) -> None:
    """A responder's card at the place of a call attends it: at its door, or the nearest (E4)."""
    entrances = layout(draft.site).entrances
    for call in draft.all(Call):
        if call.open and door in entrances.get(call.place, ()):
            _attend(draft, call, subject, "card")


def cleared(draft: Draft, event: CallCleared) -> Reply:
    """The call is over, by desk or technician on site (E4); a genuine one once attended."""
    call = _call_for(draft, event.call, event.by)
    if isinstance(call, Reply):
        return call
    problem = _clear_problem(call, event)
    if problem is not None:
        return problem
    return answer(_clear(draft, call, event))


def key_turned(draft: Draft, call_point: CallPoint, event: PointEdge) -> None:
    """The reset key at the place clears its calls: whoever turns it is there (E4).

    Only a turn counts: a key that is found turned, or stays so, clears nothing.
    """
    if event.value is not True or event.first_sight:
        return
    for call in draft.where(Call, "call_point", call_point.id):
        if call.open:
            outcome = CallOutcome.TEST if call.test else CallOutcome.GENUINE
            told = CallCleared(call.id, Actor(KEY, Role.TECHNICIAN), outcome)
            _clear(draft, _attend(draft, call, KEY, "reset_key"), told)


def fine(draft: Draft, event: CallerFine) -> Reply:
    """The person says they are fine: recorded and shown; the escalation goes on (E4)."""
    call = draft.get(Call, event.call)
    if call is None or not call.open:
        return Reply(Result.UNKNOWN, reason("call_not_open"))
    if not call.climb.fine:
        call = replace(call, climb=replace(call.climb, fine=True))
        draft.put(call)
        draft.record(Fact.CALL_FINE, urgent=True, call=call.id, place=call.place)
    return answer(call)


def notified(draft: Draft, event: CallNotified) -> Reply:
    """A channel took the call, or did not; a confirming one makes it delivered (E4)."""
    call = draft.get(Call, event.call)
    if call is None:
        return Reply(Result.UNKNOWN, reason("call_not_open"))
    draft.record(
        Fact.CALL_NOTIFIED,
        urgent=True,
        call=call.id,
        place=call.place,
        step=event.step,
        channel=event.channel,
        delivered=event.delivered,
        detail=event.detail or None,
    )
    channel = draft.site.safety.channels.get(event.channel)
    confirms = channel is not None and channel.kind in _CONFIRMS
    if event.delivered and confirms and call.state is CallState.RAISED:
        call = replace(call, state=CallState.DELIVERED)
        draft.put(call)
        draft.record(
            Fact.CALL_DELIVERED,
            urgent=True,
            call=call.id,
            place=call.place,
            channel=event.channel,
        )
        close_fault(draft, call.id, "call_undelivered")
    elif not event.delivered and call.state is CallState.RAISED:
        undelivered(draft, call)
    return answer(call)


def _attend(draft: Draft, call: Call, responder: str, how: str) -> Call:
    if call.state is CallState.ATTENDED:
        return call
    call = replace(call, state=CallState.ATTENDED, person=responder)
    draft.put(call)
    draft.record(
        Fact.CALL_ATTENDED,
        personal={"person": responder},
        urgent=True,
        call=call.id,
        place=call.place,
        how=how,
        after_ms=call.climb.raised.at(draft.now),
    )
    close_fault(draft, call.id, "call_undelivered")
    return call


def _clear(draft: Draft, call: Call, event: CallCleared) -> Call:
    call = replace(
        call,
        state=CallState.CLEARED,
        person=event.by.name,
        climb=replace(call.climb, since=Elapsed.started(draft.now)),
    )
    draft.put(call)
    draft.record(
        Fact.CALL_CLEARED,
        personal={"person": event.by.name} | ({"note": event.note} if event.note else {}),
        urgent=True,
        call=call.id,
        place=call.place,
        outcome=event.outcome.value,
        test=call.test or None,
        duration_ms=call.presses.since.at(draft.now),
        presses=call.presses.count,
    )
    for about in (call.id, call.call_point):
        close_fault(draft, about, "call_undelivered")
        close_fault(draft, about, "chattering")
    return call


def _call_for(draft: Draft, id_: str, by: Actor) -> Call | Reply:
    call = draft.get(Call, id_)
    if call is None:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="call", id=id_))
    if not by.name.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    if by.role not in _ANSWERING:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, staff"))
    return call if call.open else Reply(Result.EXPIRED, reason("call_not_open"))


def _clear_problem(call: Call, event: CallCleared) -> Reply | None:
    by = event.by
    if by.role not in _CLEARING:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, technician"))
    if not by.on_site:
        return Reply(Result.REJECTED, reason("on_site_only"))
    if call.unanswered:
        return Reply(Result.REJECTED, reason("call_not_acknowledged"))
    if call.state is CallState.ACKNOWLEDGED and event.outcome is CallOutcome.GENUINE:
        return Reply(Result.REJECTED, reason("call_not_attended"))
    return None
