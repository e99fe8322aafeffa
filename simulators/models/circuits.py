"""What flows in a feeder: the connectors that hang on it, and the building beside them.

Rules: a meter's energy is the sum of what its connectors' own meters counted and what the
building drew, to the last watt-second. A building's load is steady for three minutes, never above
what is declared for it, and follows from its seed, so that a day can be lived again.
"""

from collections.abc import Sequence
from random import Random

from simulators.models.connectors import HOUR_MS, Connector
from simulators.models.relay import Relay
from simulators.models.vehicles import NO_AMPS, VOLTS, Amps

MINUTE_MS = 60_000
MINUTES_A_DAY = 1_440
STEADY_MINUTES = 3
STEADY_MS = STEADY_MINUTES * 60_000
APPLIANCES = (0.35, 0.2, 0.1)  # kettle, washing machine, light: shares of what is declared


class Building:
    """Everything else on a feeder, at most `most_a` a phase. `more_a` is added on top, at will."""

    def __init__(self, most_a: Amps, seed: int, now_ms: int) -> None:
        self.most_a = most_a
        self.more_a: Amps = (0.0, 0.0, 0.0)
        self.energy_wh = 0.0
        self._seed = seed
        self._at_ms = now_ms
        self._habit: tuple[object, Amps] = (None, NO_AMPS)  # of three minutes

    def amps(self, now_ms: int) -> Amps:
        """What it draws now."""
        self.step(now_ms)
        return self._amps(now_ms // MINUTE_MS)

    def add(self, more_a: Amps, now_ms: int) -> None:
        """Somebody switches something on that was never declared, or off again."""
        self.step(now_ms)
        self.more_a = more_a

    def step(self, now_ms: int) -> None:
        """Time went by."""
        while self._at_ms < now_ms:
            minute = self._at_ms // MINUTE_MS
            ends_ms = min(now_ms, (minute + 1) * MINUTE_MS)
            watts = sum(self._amps(minute)) * VOLTS
            self.energy_wh += watts * (ends_ms - self._at_ms) / HOUR_MS
            self._at_ms = ends_ms

    def _amps(self, minute: int) -> Amps:
        """By night a tenth of what is declared, by day what happens to be on."""
        of = (minute // STEADY_MINUTES, self.most_a)
        if self._habit[0] != of:
            self._habit = (of, self._on(minute))
        if self.more_a == NO_AMPS:
            return self._habit[1]
        l1, l2, l3 = (on + more for on, more in zip(self._habit[1], self.more_a, strict=True))
        return (l1, l2, l3)

    def _on(self, minute: int) -> Amps:
        random = Random(f"{self._seed} {minute // STEADY_MINUTES}")  # noqa: S311  # a simulation
        awake = 420 <= minute % MINUTES_A_DAY < 1_380
        loads = []
        for most in self.most_a:
            on = sum(share for share in APPLIANCES if awake and random.random() < 0.3)
            loads.append(most * min(1.0, 0.1 + on))
        return (loads[0], loads[1], loads[2])


class Contactor:
    """The switch of a circuit: what hangs on it has power while its relay is on, as handed over."""

    def __init__(self, relay: Relay, over: Sequence[Connector], now_ms: int) -> None:
        self.closed = True
        self._relay = relay
        self._over = over
        relay.write(True, now_ms)

    def step(self, now_ms: int) -> None:
        """Time went by."""
        closed = self._relay.on(now_ms)
        if closed is not self.closed:
            self.closed = closed
            for connector in self._over:
                connector.supply(closed, now_ms)


class CircuitMeter:
    """A meter over connectors, each on some of the site's phases, and perhaps a building."""

    def __init__(
        self, over: Sequence[tuple[Connector, Sequence[int]]], building: Building | None = None
    ) -> None:
        self._over = over
        self._building = building
        self._before_wh = sum(connector.energy_wh for connector, _ in over)
        self.voltage_v = VOLTS

    def amps(self, now_ms: int) -> Amps:
        """What flows on L1, L2, L3."""
        flows = list(self._building.amps(now_ms)) if self._building else [0.0, 0.0, 0.0]
        for connector, phases in self._over:
            if connector.vehicle is None:
                continue
            for amps, phase in zip(connector.amps(now_ms), phases or (1, 2, 3), strict=False):
                flows[phase - 1] += amps
        return (flows[0], flows[1], flows[2])

    def loaded(self, now_ms: int) -> bool:
        """A connector draws something."""
        return any(connector.watts(now_ms) > 0 for connector, _ in self._over)

    def watts(self, now_ms: int) -> float:
        """What flows in all."""
        return sum(self.amps(now_ms)) * self.voltage_v

    def energy_wh(self, now_ms: int) -> float:
        """What has flowed in all."""
        self.watts(now_ms)
        flowed = sum(connector.energy_wh for connector, _ in self._over) - self._before_wh
        return flowed + (self._building.energy_wh if self._building else 0.0)

    def quantity(self, point: str, now_ms: int) -> float:
        """What a meter's point of this name shows, in the units that our profiles have."""
        name, _, phase = point.rpartition("_l")
        if phase in ("1", "2", "3"):
            amps = self.amps(now_ms)[int(phase) - 1]
            each = {"current": amps * 1_000, "power": amps * self.voltage_v}
            return each.get(name, self.voltage_v)
        if point.startswith("energy"):
            return 0.0 if "export" in point else self.energy_wh(now_ms)  # nobody generates
        amps = sum(self.amps(now_ms))
        whole = {"power": amps * self.voltage_v, "current": amps, "voltage": self.voltage_v}
        return {**whole, "frequency": 50.0, "power_factor": 1.0}[point]
