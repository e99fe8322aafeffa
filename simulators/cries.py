"""Who calls for help in a world: each press has its call, each siren its time (RULES E).

Rules: as the auditor's. What counts is what arrived, what the records say, and what truly sounds.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gateway.domain.calls import Call
from gateway.domain.now import MINUTE_MS, SECOND_MS
from gateway.domain.points import PointRef, Setpoint
from gateway.domain.records import Fact, Record
from gateway.domain.state import State
from simulators.witness import Witness

if TYPE_CHECKING:
    from simulators.world import World

SIREN_WITHIN_MS = 3 * SECOND_MS
SIREN_MOST_MS = 180 * SECOND_MS
JOINS_MS = 10 * SECOND_MS  # a press so soon after a record of its call needs none of its own
RUNS_OUT_MS = 8 * SECOND_MS  # a pattern that nobody plays any more


class Cries(Witness):
    """Calls from fixed points, by their call points."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._points = world.site.safety.call_points
        self._at = {one.point: one.id for one in self._points.values()}
        self._presses: list[tuple[int, str]] = []  # that nothing was recorded of yet
        self._arrived: list[tuple[int, str]] = []  # all of them
        self._facts: list[tuple[int, Record]] = []  # of calls, as they were decided
        self._pressed: set[str] = set()  # and nobody cleared it since
        self._told: dict[str, int] = {}  # when a press of its call was last recorded
        self._raised: dict[str, int] = {}  # since when the siren may sound
        self._call_of: dict[str, str] = {}
        self._sirens: dict[PointRef, list[str]] = defaultdict(list)
        for one in self._points.values():
            for ref in one.outputs.sirens:
                self._sirens[ref].append(one.id)

    def press_arrived(self, ref: PointRef) -> None:
        """A press reached the gateway: from now on there is a call (E1)."""
        call_point = self._at[ref]
        self._arrived.append((self._now_ms, call_point))
        joins = call_point in self._pressed and call_point in self._told
        if not joins or self._now_ms - self._told[call_point] >= JOINS_MS:
            self._presses.append((self._now_ms, call_point))
        self._pressed.add(call_point)
        self._raises(call_point)
        self._world.schedule.after(SIREN_WITHIN_MS, lambda: self._check_siren(call_point))

    def died(self) -> None:
        """The gateway's process is no more: its next one raises them again (E3).

        A press of which no disk took anything calls again, and so does whoever was cleared for none
        but the gateway's memory (X1).
        """
        kept = {id(stamped.record) for stamped in self._world.disk.stamped}
        self._facts = [one for one in self._facts if id(one[1]) in kept]
        self._pressed.clear()
        self._told.clear()
        last: dict[str, int] = {}
        for at_ms, record in self._facts:
            call_point = self._note(record, at_ms)
            last[call_point] = at_ms
            if record.fact is Fact.CALL_RAISED:
                self._pressed.add(call_point)
        again = {one for at_ms, one in self._arrived if at_ms > last.get(one, -1)}
        self._presses = [(self._now_ms, one) for one in sorted(again)]
        self._pressed |= again
        for call_point in sorted(self._pressed):
            self._raises(call_point)

    def opens(self, door: str) -> bool:
        """Somebody calls from beside a door (E6)."""
        return any(
            door in one.outputs.releases and one.id in self._pressed
            for one in self._points.values()
        )

    def acted(self, setpoint: Setpoint) -> None:
        """A device did what it was told: no siren sounds while nobody calls (E4)."""
        if setpoint.ref in self._sirens:
            on = getattr(setpoint, "value", "off") in ("on", "flash")
            if on and self._pressed.isdisjoint(self._sirens[setpoint.ref]):
                self._breach("E4", f"{setpoint.ref} sounds, and nobody called")

    def decided(self, records: Iterable[Record]) -> None:
        """Facts as they are decided, durable or not."""
        for record in records:
            if record.fact is Fact.CALL_RAISED:
                self._call_raised(record.data)
            if record.fact in _OF_CALLS:
                self._facts.append((self._now_ms, record))
                call_point = self._note(record, self._now_ms)
                if record.fact is not Fact.CALL_CLEARED:
                    self._presses = [one for one in self._presses if one[1] != call_point]
                    self._raises(call_point)

    def check(self, state: State) -> None:
        """E1: every press has its call, through all that may happen."""
        for at_ms, call_point in self._presses:
            if at_ms < self._now_ms - MINUTE_MS:
                self._breach("E1", f"{call_point} was pressed, and no call was raised")
        open_at = {call.call_point for call in state.all(Call) if call.open}
        for call_point in sorted(self._pressed - open_at):
            if self._raised[call_point] < self._now_ms - MINUTE_MS:
                self._breach("E1", f"the call of {call_point} is lost")

    # --- what the gateway says ----------------------------------------------------------------

    def _call_raised(self, data: Any) -> None:
        call_point = data.get("call_point")
        self._call_of[data["call"]] = call_point
        if call_point is not None and call_point not in self._pressed:
            self._breach("E1", f"a call of {call_point} was raised, and nobody pressed")

    def _note(self, record: Record, at_ms: int) -> str:
        """A fact of a call was told then; once it is cleared nobody calls from its call point."""
        call_point = self._call_of[record.data["call"]]
        if record.fact is Fact.CALL_CLEARED:
            self._pressed.discard(call_point)
            self._told.pop(call_point, None)
        else:
            self._told[call_point] = at_ms
        return call_point

    # --- what sounds --------------------------------------------------------------------------

    def _raises(self, call_point: str) -> None:
        """From now on its siren may sound again, for its time."""
        self._raised[call_point] = self._now_ms
        wait_ms = SIREN_MOST_MS + RUNS_OUT_MS + SIREN_WITHIN_MS
        self._world.schedule.after(wait_ms, lambda: self._check_silence(call_point))

    def _check_siren(self, call_point: str) -> None:
        """E2: it sounds within seconds, disk or no disk, where its board can be reached."""
        town, links = self._world.place.town, self._world.place.links
        if self._world.place.gateway is None or call_point not in self._pressed:
            return
        for ref in self._points[call_point].outputs.sirens:
            reached = links.reaches(ref.device) and not self._world.hidden([ref.device], MINUTE_MS)
            if reached and not town.relay(ref).on(self._now_ms):
                self._breach("E2", f"{call_point} was pressed, and {ref} is silent")

    def _check_silence(self, call_point: str) -> None:
        """E4: it sounds for its time after each raise, and no longer."""
        for ref in self._points[call_point].outputs.sirens:
            since_ms = max(self._raised.get(one, 0) for one in self._sirens[ref])
            over = self._now_ms - since_ms >= SIREN_MOST_MS + RUNS_OUT_MS
            if over and self._world.place.town.relay(ref).on(self._now_ms):
                self._breach("E4", f"{ref} sounds on and on")


_OF_CALLS = frozenset(
    {Fact.CALL_RAISED, Fact.CALL_PRESSED, Fact.CALL_RAISED_AGAIN, Fact.CALL_CLEARED}
)
