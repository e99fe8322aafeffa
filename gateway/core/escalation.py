"""The steps a call climbs until a person acknowledges it, on monotonic time (RULES E3, E4)."""

from dataclasses import replace

from gateway.core.draft import Draft
from gateway.core.layout import call_points_of
from gateway.domain.calls import Call
from gateway.domain.now import Elapsed
from gateway.domain.records import Fact
from gateway.domain.site import Escalation

_NONE = Escalation("", ())  # a call without one still sounds


def escalation_of(draft: Draft, call: Call) -> Escalation:
    """The escalation a call climbs: its call point's, or that of the nearest place with one."""
    escalations = draft.site.safety.escalations
    for call_point in call_points_of(draft.site, call):
        if call_point.escalation in escalations:
            return escalations[call_point.escalation]
    return escalations[min(escalations)] if escalations else _NONE


def begin(draft: Draft, call: Call) -> Call:
    """A (re)raised call takes its first step, unless that one waits."""
    steps = escalation_of(draft, call).steps
    return next_step(draft, call) if steps and steps[0].after_ms <= 0 else call


def next_step(draft: Draft, call: Call) -> Call:
    """Take the next step, the last one again and again: a record that the channels act on."""
    steps = escalation_of(draft, call).steps
    if steps:
        index = min(call.climb.step, len(steps) - 1)
        draft.record(
            Fact.CALL_STEP,
            urgent=True,
            call=call.id,
            call_point=call.call_point or None,
            place=call.place,
            step=index,
            channels=list(steps[index].channels),
            repeat=call.climb.step >= len(steps) or None,
            test=call.test or None,
            fine=call.climb.fine or None,
        )
    climb = replace(call.climb, step=call.climb.step + 1, since=Elapsed.started(draft.now))
    return replace(call, climb=climb)


def step_wait_ms(draft: Draft, call: Call) -> int:
    """How long after the last step told the next one follows."""
    escalation = escalation_of(draft, call)
    told, steps = call.climb.step, escalation.steps
    if told >= len(steps):
        return escalation.repeat_ms
    before = steps[told - 1].after_ms if told else 0
    return max(0, steps[told].after_ms - before)
