"""Emergency calls and fire (RULES E, A3).

| state | press | acknowledge | attend | clear | time |
|---|---|---|---|---|---|
| raised, delivered | joins | acknowledged | attended | refused | next step |
| acknowledged | raised again | stays | attended | cleared | raised again after 10 min |
| attended | raised again | refused | stays | cleared | – |
| cleared | a new call | refused | refused | refused | – |
"""

from dataclasses import replace

from gateway.core.draft import Draft
from gateway.core.faults import close_fault, open_fault
from gateway.domain.calls import (
    Call,
    CallOrigin,
    CallOutcome,
    CallPointStatus,
    CallState,
    Climb,
    FireLatch,
    Presses,
)
from gateway.domain.events import (
    Actor,
    CallAcknowledged,
    CallAttended,
    CallCleared,
    CallerFine,
    CallNotified,
    CallRequested,
    FireResetAsked,
    PointEdge,
    TestModeOpened,
)
from gateway.domain.now import DAY_MS, MINUTE_MS, Elapsed
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import CallPoint, ChannelKind, Escalation, FireZone, Wiring
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role

_ANSWERING = frozenset(
    {Role.DESK, Role.TECHNICIAN, Role.STAFF, Role.RESPONDER, Role.CLEANER, Role.PLATFORM}
)
_CLEARING = frozenset({Role.DESK, Role.TECHNICIAN})
_CONFIRMS = frozenset({ChannelKind.WEBHOOK, ChannelKind.PLATFORM, ChannelKind.DESK})
CLEARED_KEPT_MS = DAY_MS


# --- raising ------------------------------------------------------------------------------------


def pressed(draft: Draft, call_point: CallPoint, edge: PointEdge) -> Reply:
    """A press belongs to a raised call, whatever else is going on (E1)."""
    open_call = _open_call(draft, call_point.id)
    if _in_test(draft, call_point.id) and (open_call is None or open_call.test):
        return _test_pressed(draft, call_point, edge)
    if open_call is not None and open_call.test:
        _clear(draft, open_call, Actor("", Role.TECHNICIAN), CallOutcome.TEST, "")
        open_call = None  # a second press is real (E7)
    if open_call is None:
        origin = _origin(call_point)
        return _raise(draft, call_point.id, call_point.place, origin, edge.count)
    if open_call.unanswered:
        return _join(draft, open_call, edge.count)
    return _raise_again(draft, open_call, "pressed", edge.count)


def requested(draft: Draft, event: CallRequested) -> Reply:
    """Help asked for from a page or with a pass: a call like any other, that opens nothing (E6)."""
    if event.place not in draft.site.places:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="place", id=event.place))
    for call in draft.where(Call, "place", event.place):
        if call.open and not call.call_point:
            if call.unanswered:
                return _join(draft, call, 1)
            return _raise_again(draft, call, "asked again", 1)
    who = event.actor.name if event.actor else ""
    return _raise(draft, "", event.place, event.origin, 1, asked_by=who)


def _raise(  # noqa: PLR0913 (what a call is made of)
    draft: Draft,
    call_point: str,
    place: str,
    origin: CallOrigin,
    count: int,
    *,
    test: bool = False,
    asked_by: str = "",
) -> Reply:
    now = draft.now
    start = Elapsed.started(now)
    call = Call(
        id=now.new_id("call"),
        call_point=call_point,
        place=place,
        origin=origin,
        state=CallState.RAISED,
        presses=Presses(count, now.wall_ms, now.wall_ms, now.mono_ms, now.mono_ms, count),
        climb=Climb(0, start, start),
        test=test,
    )
    name = draft.site.places[place].name
    draft.record(
        Fact.CALL_RAISED,
        personal={"person": asked_by} if asked_by else None,
        urgent=True,
        why=reason("call_test" if test else "call_raised", place=name.en),
        call=call.id,
        call_point=call_point or None,
        place=place,
        origin=origin.value,
        test=test or None,
    )
    call = _tell_step(draft, call)
    draft.put(call)
    return _of(call)


def _join(draft: Draft, call: Call, count: int) -> Reply:
    """Presses of one call are counted, never dropped; at most one record in 10 s (E1)."""
    now, settings = draft.now, draft.site.settings.emergency
    old = call.presses
    fresh_minute = now.mono_ms - old.window_start_mono_ms >= MINUTE_MS
    presses = replace(
        old,
        count=old.count + count,
        last_ms=now.wall_ms,
        window_start_mono_ms=now.mono_ms if fresh_minute else old.window_start_mono_ms,
        window_count=count if fresh_minute else old.window_count + count,
    )
    if now.mono_ms - old.recorded_mono_ms >= settings.join_record_ms:
        presses = replace(presses, recorded_mono_ms=now.mono_ms)
        draft.record(
            Fact.CALL_PRESSED,
            urgent=True,
            call=call.id,
            place=call.place,
            presses=presses.count,
            first_ms=presses.first_ms,
            last_ms=presses.last_ms,
        )
    if presses.window_count > settings.chatter_per_minute and call.call_point:
        why = reason("chattering", point=call.call_point)
        open_fault(draft, call.call_point, why, (call.place,))
    draft.put(replace(call, presses=presses))
    return _of(call)


def _raise_again(draft: Draft, call: Call, why: str, count: int = 0) -> Reply:
    start = Elapsed.started(draft.now)
    presses = replace(call.presses, count=call.presses.count + count, last_ms=draft.now.wall_ms)
    if not count:
        presses = call.presses
    climb = Climb(0, start, start, raises=call.climb.raises + 1)
    call = replace(call, state=CallState.RAISED, climb=climb, presses=presses, person="")
    draft.record(
        Fact.CALL_RAISED_AGAIN,
        urgent=True,
        call=call.id,
        place=call.place,
        cause=why,
        raises=climb.raises,
        presses=presses.count,
    )
    call = _tell_step(draft, call)
    draft.put(call)
    return _of(call)


def restarted(draft: Draft) -> None:
    """E3: a call nobody acknowledged is raised again and goes to its next step at once."""
    start = Elapsed.started(draft.now)
    for call in draft.all(Call):
        if call.unanswered:
            climb = replace(
                call.climb, since=start, raised=start, raises=call.climb.raises + 1, silenced=False
            )
            again = replace(call, climb=climb, state=CallState.RAISED)
            draft.record(
                Fact.CALL_RAISED_AGAIN,
                urgent=True,
                call=call.id,
                place=call.place,
                cause="restart",
                raises=climb.raises,
                presses=call.presses.count,
            )
            draft.put(_tell_step(draft, again))


# --- answering ----------------------------------------------------------------------------------


def acknowledged(draft: Draft, event: CallAcknowledged) -> Reply:
    """A named person has the call: the siren stops, the climb stops, the wait to attend begins."""
    call, refusal = _call_for(draft, event.call, event.by)
    if call is None:
        return refusal
    if call.state is CallState.ATTENDED:
        return Reply(Result.ACCEPTED, reason("ok"), _facts(call))
    if not call.unanswered:
        return _of(call)
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
    return _of(call)


def attended(draft: Draft, event: CallAttended) -> Reply:
    """A responder is at the place."""
    call, refusal = _call_for(draft, event.call, event.by)
    if call is None:
        return refusal
    if not event.responder.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    attend(draft, call, event.responder, "named")
    return _of(draft.get(Call, call.id) or call)


def attend(draft: Draft, call: Call, responder: str, how: str) -> None:
    """Somebody came: by a responder's card at the place, or named (E4)."""
    if call.state in (CallState.ATTENDED, CallState.CLEARED):
        return
    draft.put(replace(call, state=CallState.ATTENDED, person=responder))
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


def responder_seen(draft: Draft, place: str, subject: str) -> None:
    """A responder's card at a place with an open call attends it (E4)."""
    for call in draft.where(Call, "place", place):
        if call.open:
            attend(draft, call, subject, "card")


def cleared(draft: Draft, event: CallCleared) -> Reply:
    """The call is over: by desk or technician on site, never by the platform (E4)."""
    call, refusal = _call_for(draft, event.call, event.by)
    if call is None:
        return refusal
    if event.by.role not in _CLEARING:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, technician"))
    if not event.by.on_site:
        return Reply(Result.REJECTED, reason("on_site_only"))
    if call.unanswered:
        return Reply(Result.REJECTED, reason("call_not_acknowledged"))
    _clear(draft, call, event.by, event.outcome, event.note)
    return _of(draft.get(Call, call.id) or call)


def _clear(draft: Draft, call: Call, by: Actor, outcome: CallOutcome, note: str) -> None:
    draft.put(replace(call, state=CallState.CLEARED, person=by.name))
    personal = {"person": by.name, "note": note}
    draft.record(
        Fact.CALL_CLEARED,
        personal={key: value for key, value in personal.items() if value},
        urgent=True,
        call=call.id,
        place=call.place,
        outcome=outcome.value,
        test=call.test or None,
        duration_ms=call.climb.raised.at(draft.now),
        presses=call.presses.count,
    )
    close_fault(draft, call.id, "call_undelivered")
    if call.call_point:
        close_fault(draft, call.call_point, "chattering")


def fine(draft: Draft, event: CallerFine) -> Reply:
    """The person says they are fine: recorded and shown; the escalation goes on (E4)."""
    call = draft.get(Call, event.call)
    if call is None or not call.open:
        return Reply(Result.UNKNOWN, reason("call_not_open"))
    if not call.climb.fine:
        draft.put(replace(call, climb=replace(call.climb, fine=True)))
        draft.record(Fact.CALL_FINE, urgent=True, call=call.id, place=call.place)
    return _of(call)


def notified(draft: Draft, event: CallNotified) -> Reply:
    """A channel took the call, or did not; a confirmed one makes it delivered (E4)."""
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
        draft.put(replace(call, state=CallState.DELIVERED))
        draft.record(
            Fact.CALL_DELIVERED,
            urgent=True,
            call=call.id,
            place=call.place,
            channel=event.channel,
        )
        close_fault(draft, call.id, "call_undelivered")
    elif not event.delivered and call.state is CallState.RAISED:
        why = reason("call_undelivered", call=call.id)
        open_fault(draft, call.id, why, (call.place,), urgent=True)
    return _of(call)


# --- time ---------------------------------------------------------------------------------------


def due(draft: Draft, call: Call) -> None:
    """Time passed for a call: the next step, the siren's limit, nobody attended."""
    settings = draft.site.settings.emergency
    if call.unanswered:
        limit_ms = settings.test_siren_ms if call.test else settings.siren_ms
        if not call.climb.silenced and call.climb.raised.at(draft.now) >= limit_ms:
            call = replace(call, climb=replace(call.climb, silenced=True))
            draft.put(call)
            draft.record(
                Fact.CALL_SILENCED,
                urgent=True,
                why=reason("call_silent"),
                call=call.id,
                place=call.place,
            )
        if call.climb.since.at(draft.now) >= _step_wait_ms(draft, call):
            draft.put(_tell_step(draft, call))
    elif call.state is CallState.ACKNOWLEDGED:
        if call.climb.since.at(draft.now) >= settings.attend_within_ms:
            _raise_again(draft, call, "not attended")
    elif call.state is not CallState.CLEARED:
        return
    elif draft.now.trusted and draft.now.wall_ms - call.presses.last_ms > CLEARED_KEPT_MS:
        draft.drop(Call, call.id)


def due_in_ms(draft: Draft, call: Call) -> int | None:
    """How long until `due` is next worth asking."""
    settings = draft.site.settings.emergency
    waits = []
    if call.unanswered:
        waits.append(_step_wait_ms(draft, call) - call.climb.since.at(draft.now))
        if not call.climb.silenced:
            limit_ms = settings.test_siren_ms if call.test else settings.siren_ms
            waits.append(limit_ms - call.climb.raised.at(draft.now))
    elif call.state is CallState.ACKNOWLEDGED:
        waits.append(settings.attend_within_ms - call.climb.since.at(draft.now))
    elif call.state is CallState.CLEARED:
        waits.append(call.presses.last_ms + CLEARED_KEPT_MS + 1 - draft.now.wall_ms)
    return max(0, min(waits)) if waits else None


def escalation_of(draft: Draft, call: Call) -> Escalation:
    """The escalation a call climbs: its call point's, or that of the nearest place with one."""
    safety = draft.site.safety
    call_point = safety.call_points.get(call.call_point)
    if call_point is not None:
        return safety.escalations[call_point.escalation]
    at: str | None = call.place
    while at is not None:
        for candidate in safety.call_points.values():
            if candidate.place == at:
                return safety.escalations[candidate.escalation]
        at = draft.site.places[at].parent
    return safety.escalations[min(safety.escalations)]


def _step_wait_ms(draft: Draft, call: Call) -> int:
    """How long after the last step told the next one follows; the last one repeats."""
    escalation = escalation_of(draft, call)
    told = call.climb.step
    steps = escalation.steps
    if told >= len(steps):
        return escalation.repeat_ms
    before = steps[told - 1].after_ms if told else 0
    return max(0, steps[told].after_ms - before)


def _tell_step(draft: Draft, call: Call) -> Call:
    """Take the next step: a record that the channels' readers act on."""
    escalation = escalation_of(draft, call)
    if call.climb.step == 0 and escalation.steps[0].after_ms > 0:
        return call
    index = min(call.climb.step, len(escalation.steps) - 1)
    draft.record(
        Fact.CALL_STEP,
        urgent=True,
        call=call.id,
        call_point=call.call_point or None,
        place=call.place,
        step=index,
        channels=list(escalation.steps[index].channels),
        repeat=call.climb.step >= len(escalation.steps) or None,
        test=call.test or None,
        fine=call.climb.fine or None,
    )
    climb = replace(call.climb, step=call.climb.step + 1, since=Elapsed.started(draft.now))
    return replace(call, climb=climb)


# --- test mode ----------------------------------------------------------------------------------


def test_opened(draft: Draft, event: TestModeOpened) -> Reply:
    """A named person tests one call point, for one press or 10 min (E7)."""
    call_point = draft.site.safety.call_points.get(event.call_point)
    if call_point is None:
        why = reason("unknown_target", kind="call point", id=event.call_point)
        return Reply(Result.UNKNOWN, why)
    if event.by.role not in _CLEARING:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, technician"))
    if not event.by.name.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    status = _status(draft, call_point.id)
    start = Elapsed.started(draft.now)
    draft.put(replace(status, test_by=event.by.name, test_since=start))
    draft.record(
        Fact.TEST_OPENED,
        personal={"person": event.by.name},
        call_point=call_point.id,
        place=call_point.place,
    )
    return Reply(Result.ACCEPTED, reason("done"), {"call_point": call_point.id})


def test_due(draft: Draft, status: CallPointStatus) -> None:
    """A test nobody pressed for ends by itself."""
    if status.test_by and not _in_test(draft, status.id):
        _end_test(draft, status, "time")


def _test_pressed(draft: Draft, call_point: CallPoint, edge: PointEdge) -> Reply:
    status = _status(draft, call_point.id)
    _end_test(draft, status, "pressed")
    close_fault(draft, call_point.id, "call_point_untested")
    origin = _origin(call_point)
    return _raise(draft, call_point.id, call_point.place, origin, edge.count, test=True)


def _end_test(draft: Draft, status: CallPointStatus, why: str) -> None:
    tested_ms = draft.now.wall_ms if why == "pressed" else status.untested_since_ms
    draft.put(replace(status, test_by="", test_since=None, untested_since_ms=tested_ms))
    draft.record(Fact.TEST_ENDED, call_point=status.id, cause=why)


def _in_test(draft: Draft, call_point: str) -> bool:
    status = draft.get(CallPointStatus, call_point)
    if status is None or status.test_since is None:
        return False
    return status.test_since.at(draft.now) < draft.site.settings.emergency.test_ms


def _status(draft: Draft, call_point: str) -> CallPointStatus:
    return draft.get(CallPointStatus, call_point) or CallPointStatus(call_point)


# --- fire ---------------------------------------------------------------------------------------


def fire_input(draft: Draft, zone: FireZone, edge: PointEdge) -> None:
    """The supervised fire input moved. Fire latches; only a person resets it (A3)."""
    active = edge.value == zone.active
    latch = draft.get(FireLatch, zone.id) or FireLatch(zone.id, False, False)
    if active and not latch.latched:
        latch = FireLatch(zone.id, True, True, draft.now.wall_ms)
        draft.record(
            Fact.FIRE, urgent=True, why=reason("fire_release"), zone=zone.id, place=zone.place
        )
    draft.put(replace(latch, input_active=active))


def fire_reset(draft: Draft, event: FireResetAsked) -> Reply:
    """On site, by a person with the role, with the input inactive; never over the uplink (A3)."""
    latch = draft.get(FireLatch, event.zone)
    zone = draft.site.safety.fire_zones.get(event.zone)
    if zone is None:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="fire zone", id=event.zone))
    if event.by.role not in _CLEARING:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, technician"))
    if not event.by.on_site:
        return Reply(Result.REJECTED, reason("on_site_only"))
    if latch is None or not latch.latched:
        return Reply(Result.ACCEPTED, reason("unchanged"))
    reading = draft.reading(zone.input)
    if latch.input_active or not reading.good or reading.value == zone.active:
        return Reply(Result.REJECTED, reason("fire_active"))
    draft.put(replace(latch, latched=False))
    draft.record(
        Fact.FIRE_RESET,
        personal={"person": event.by.name},
        urgent=True,
        zone=zone.id,
        place=zone.place,
    )
    return Reply(Result.ACCEPTED, reason("done"), {"zone": zone.id})


# --- inside -------------------------------------------------------------------------------------


def _open_call(draft: Draft, call_point: str) -> Call | None:
    return next((c for c in draft.where(Call, "call_point", call_point) if c.open), None)


def _origin(call_point: CallPoint) -> CallOrigin:
    wearable = call_point.wiring is Wiring.MESSAGE and not call_point.outputs.releases
    return CallOrigin.WEARABLE if wearable else CallOrigin.FIXED


def _call_for(draft: Draft, id_: str, by: Actor) -> tuple[Call | None, Reply]:
    call = draft.get(Call, id_)
    if call is None:
        return None, Reply(Result.UNKNOWN, reason("unknown_target", kind="call", id=id_))
    if not by.name.strip():
        return None, Reply(Result.REJECTED, reason("person_needed"))
    if by.role not in _ANSWERING:
        return None, Reply(Result.REJECTED, reason("role_needed", role="desk, staff"))
    if not call.open:
        return None, Reply(Result.EXPIRED, reason("call_not_open"))
    return call, Reply(Result.ACCEPTED)


def _of(call: Call) -> Reply:
    return Reply(Result.ACCEPTED, reason("ok"), _facts(call))


def _facts(call: Call) -> dict[str, object]:
    return {"call": call.id, "state": call.state.value, "place": call.place, "test": call.test}
