"""Happenings of one device on their way to the gateway: bounded, yet no press is dropped.

Rules:
- At most 60 at once and 20 a second (`Allowance`). Over it the device is flooding: doors and
  changes are dropped and counted; presses are gathered for 100 ms and told with their count
  (RULES E1).
- A message is settled (see `session`) once what it caused is durable.
"""

import asyncio
from collections.abc import Callable

from drivers.edges import Found
from drivers.mqtt.health import DeviceState
from gateway.domain.events import PointEdge
from gateway.domain.points import PointRef, Value
from gateway.domain.profile import Edge

BURST, PER_S = 60, 20
GATHER_S = 0.1

Settle = Callable[[], None]


class Allowance:
    """How much one source of a device may say; over it the device is flooding."""

    def __init__(self, state: DeviceState) -> None:
        self._state = state
        self._left = float(BURST)
        self._left_ms = 0

    def spend(self) -> bool:
        """Take one; False, and counted, when none is left."""
        mono_ms = self._state.clock.mono_ms()
        gained = (mono_ms - self._left_ms) * PER_S / 1000
        self._left = min(float(BURST), self._left + gained)
        self._left_ms = mono_ms
        if self._left < 1:
            self._state.sink.count("flooded", self._state.device)
            self._state.flooding(self, True)
            return False
        self._left -= 1
        if self._left >= BURST / 2:
            self._state.flooding(self, False)
        return True


class Happenings:
    """Tells the happenings of one device."""

    def __init__(self, state: DeviceState) -> None:
        self._state = state
        self._allowance = Allowance(state)
        self._gathered: dict[PointRef, _Gathered] = {}

    def tell(
        self,
        ref: PointRef,
        edge: Edge,
        found: Found,
        settle: Settle | None,
        detail: dict[str, Value] | None = None,
    ) -> bool:
        """Tell one; True if `settle` will be called once it is durable."""
        if self._allowance.spend():
            self._state.sink.edge(found.at(ref, detail), settle)
            return settle is not None
        if edge is not Edge.PRESS:
            return False
        self._gather(ref, found, settle)
        return settle is not None

    def _gather(self, ref: PointRef, found: Found, settle: Settle | None) -> None:
        gathered = self._gathered.get(ref)
        if gathered is None:
            gathered = self._gathered[ref] = _Gathered(found.value)
            asyncio.get_running_loop().call_later(GATHER_S, self._tell_gathered, ref)
        gathered.count += found.count
        if settle is not None:
            gathered.settles.append(settle)

    def _tell_gathered(self, ref: PointRef) -> None:
        gathered = self._gathered.pop(ref)
        happened = PointEdge(ref, gathered.value, gathered.count)
        self._state.sink.edge(happened, gathered.settle)


class _Gathered:
    """Presses of one point that wait to be told together."""

    __slots__ = ("count", "settles", "value")

    def __init__(self, value: Value) -> None:
        self.value = value
        self.count = 0
        self.settles: list[Settle] = []

    def settle(self) -> None:
        for one in self.settles:
            one()
