"""What is plugged in: cars with their own chargers, and e-bikes with theirs.

Rules: a vehicle takes what it wants of what is offered, and nothing below its least. Its battery
takes less and less from where its taper begins, in a straight line of what it holds, and at the
end nothing, or what an idle charger takes. Currents are in A, on its own phases, L1 first.
"""

import math
from collections.abc import Callable, Mapping
from typing import Protocol

VOLTS = 230.0
Amps = tuple[float, float, float]
NO_AMPS: Amps = (0.0, 0.0, 0.0)


class Vehicle(Protocol):
    """Something with a battery at the end of a cable; it draws `wakes_ms` after it may."""

    wakes_ms: int

    @property
    def lacks_wh(self) -> float:
        """What it takes before it is full, and draws something else."""
        ...

    def amps(self, offered_a: float) -> Amps:
        """What it draws while it is offered so much a phase."""
        ...

    def take(self, energy_wh: float) -> None:
        """It got so much."""
        ...


class Car:
    """A car. `phases` it charges on, at most `most_a` each; `holds_wh` of `capacity_wh` now."""

    LEAST_A = 6.0  # IEC 61851: below there is no valid offer

    def __init__(
        self,
        capacity_wh: float = 60_000,
        holds_wh: float = 20_000,
        phases: int = 3,
        most_a: float = 16.0,
        tapers_from: float = 0.8,
    ) -> None:
        self.capacity_wh = capacity_wh
        self.holds_wh = holds_wh
        self.phases = phases
        self.most_a = most_a
        self.tapers_from = tapers_from
        self.wakes_ms = 0

    def amps(self, offered_a: float) -> Amps:
        """Its share of the offer; at the end of its taper it wants less than it may take."""
        share = self.holds_wh / self.capacity_wh
        if offered_a < self.LEAST_A or share >= 1:
            return NO_AMPS
        wanted_a = min(offered_a, self.most_a * max(0.1, _taper(share, self.tapers_from)))
        return (
            wanted_a,
            wanted_a if self.phases > 1 else 0.0,
            wanted_a if self.phases > 2 else 0.0,
        )

    def take(self, energy_wh: float) -> None:
        """Into its battery."""
        self.holds_wh = min(self.capacity_wh, self.holds_wh + energy_wh)

    @property
    def lacks_wh(self) -> float:
        """Until its battery is full."""
        return self.capacity_wh - self.holds_wh


class Ebike:
    """An e-bike's charger: constant current, then constant voltage, then next to nothing.

    It draws its `rated_w` at first, less and less from `tapers_from` on, and `idle_w` when full.
    """

    def __init__(
        self,
        capacity_wh: float = 500,
        holds_wh: float = 100,
        rated_w: float = 160.0,
        idle_w: float = 4.0,
        tapers_from: float = 0.85,
    ) -> None:
        self.capacity_wh = capacity_wh
        self.holds_wh = holds_wh
        self.rated_w = rated_w
        self.idle_w = idle_w
        self.tapers_from = tapers_from
        self.wakes_ms = 0

    def amps(self, offered_a: float) -> Amps:
        """What its charger draws wherever there is voltage."""
        share = self.holds_wh / self.capacity_wh
        watts = max(self.idle_w, self.rated_w * _taper(share, self.tapers_from))
        return (watts / VOLTS, 0.0, 0.0) if offered_a > 0 else NO_AMPS

    @property
    def lacks_wh(self) -> float:
        """Its charger goes on for ever."""
        return math.inf

    def take(self, energy_wh: float) -> None:
        """Into its battery; what an idle charger draws only warms it."""
        self.holds_wh = min(self.capacity_wh, self.holds_wh + energy_wh)


def _taper(share: float, begins: float) -> float:
    """1 until it begins, then down to 0 when full."""
    return 1.0 if share <= begins else max(0.0, (1 - share) / (1 - begins))


def _parked(car: Car) -> Car:
    """A car closes its contactor a few seconds after it is offered something."""
    car.wakes_ms = 3_000
    return car


KINDS: Mapping[str, Callable[[float], Vehicle]] = {
    "car": lambda share: _parked(Car(holds_wh=60_000 * share)),
    "small_car": lambda share: _parked(Car(36_000, 36_000 * share, phases=1)),
    "ebike": lambda share: Ebike(holds_wh=500 * share),
}
