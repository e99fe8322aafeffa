"""Calls for help among all that may happen: raised, climbing, answered, never lost (RULES E)."""

import hypothesis.strategies as st
from core.harness import DESK, World
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.domain.calls import Call, CallOrigin, CallOutcome, CallState
from gateway.domain.events import (
    CallAcknowledged,
    CallAttended,
    CallCleared,
    CallerFine,
    CallRequested,
)
from gateway.domain.now import MINUTE_MS, SECOND_MS
from gateway.domain.points import PointRef
from gateway.domain.records import Fact

BUTTONS = ("help", "cord", "pendant")
PLACES = ("study_room", "bathroom_room")
SIREN_MS = 180 * SECOND_MS
ATTENDED_MINUTES = 10
REPEATED_MINUTES = 5


class Calling(RuleBasedStateMachine):
    """People who call, and those who answer."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.crying: set[str] = set()  # call points pressed since they were last cleared

    def calls(self) -> list[Call]:
        """Those that are open."""
        return [call for call in self.world.state.all(Call) if call.open]

    def waiting(self) -> list[Call]:
        """Those that nobody has acknowledged."""
        return [call for call in self.calls() if call.unanswered]

    @rule(button=st.sampled_from(BUTTONS))
    def calls_for_help(self, button: str) -> None:
        self.world.press(button)
        self.crying.add(button)
        assert button in {call.call_point for call in self.waiting()}, "E4: a press calls again"
        call_point = self.world.site.safety.call_points[button]
        for siren in call_point.outputs.sirens:
            assert self.sounds(siren), "E2: a press is not heard"
        self.world.edge(call_point.point, False)

    @rule(place=st.sampled_from(PLACES))
    def asks_for_help_on_a_page(self, place: str) -> None:
        self.world.tell(CallRequested(place, CallOrigin.PAGE))

    @precondition(lambda self: self.calls())
    @rule(data=st.data(), how=st.sampled_from(("acknowledge", "attend", "clear")))
    def is_answered(self, data: st.DataObject, how: str) -> None:
        call = data.draw(st.sampled_from(self.calls()))
        match how:
            case "acknowledge":
                self.world.tell(CallAcknowledged(call.id, DESK))
            case "attend":
                self.world.tell(CallAttended(call.id, DESK, "Rolf"))
            case _:
                reply = self.world.tell(CallCleared(call.id, DESK, CallOutcome.FALSE))
                if reply.accepted:
                    self.crying.discard(call.call_point)

    @precondition(lambda self: self.waiting())
    @rule(fine=st.booleans())
    def nobody_answers(self, fine: bool) -> None:
        """E4: the call climbs on, also where the person says they are fine."""
        call = self.waiting()[0]
        if fine:
            self.world.tell(CallerFine(call.id))
        before = self.steps(call)
        self.world.wait(minutes=REPEATED_MINUTES + 1)
        assert self.steps(call) > before, "E4: nobody answers, and nobody is told"

    def steps(self, call: Call) -> int:
        return sum(fact.data["call"] == call.id for fact in self.world.facts(Fact.CALL_STEP))

    @precondition(lambda self: any(c.state is CallState.ACKNOWLEDGED for c in self.calls()))
    @rule()
    def nobody_attends(self) -> None:
        """E4: then it is raised again."""
        call = next(c for c in self.calls() if c.state is CallState.ACKNOWLEDGED)
        self.world.wait(ms=ATTENDED_MINUTES * MINUTE_MS + SECOND_MS)
        assert call.id in {one.id for one in self.waiting()}, "E4: acknowledged, and that was all"

    # --- what holds ---------------------------------------------------------------------------

    @invariant()
    def who_calls_is_heard(self) -> None:
        """E1: through restarts, lost disks and silent devices, until somebody clears the call."""
        assert self.crying <= {call.call_point for call in self.calls()}

    @invariant()
    def sirens_sound_for_a_while(self) -> None:
        """E2, E4: for each raise that nobody answered, and no longer than their time."""
        now = self.world.now()
        for id_, call_point in self.world.site.safety.call_points.items():
            here = [c for c in self.waiting() if c.place == call_point.place]
            raised = [c.climb.raised.at(now) for c in here if c.call_point in (id_, "")]
            for siren in call_point.outputs.sirens:
                assert self.sounds(siren) is any(ms < SIREN_MS for ms in raised), (
                    f"E4: {siren}, {raised}"
                )

    def sounds(self, siren: PointRef) -> bool:
        return getattr(self.world.wanted(str(siren)), "value", "off") == "on"

    @invariant()
    def doors_open_for_calls_from_beside_them(self) -> None:
        """E6: for no wearable and no page, and for nobody once the call is cleared."""
        safety, doors = self.world.site.safety, self.world.site.doors
        fixed = {call.call_point for call in self.calls()} & {"help", "cord"}
        may = {door for id_ in fixed for door in safety.call_points[id_].outputs.releases}
        for setpoint in self.world.reconciler.desired():
            if setpoint.reason.code == "call_release":
                opens = {
                    id_
                    for id_, door in doors.items()
                    if setpoint.ref in (door.points.strike, door.points.hold)
                }
                assert opens & may, f"E6: {setpoint.ref} opens, and nobody calls there"

    def sound_again(self) -> None:
        """E3: after a start, every call that nobody answered."""
        for call in self.waiting():
            assert call.climb.raised.at(self.world.now()) < MINUTE_MS, "E3: not raised again"
