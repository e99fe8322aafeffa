"""Loads, a meter and a metering plug.

Rules: energy is the exact sum of what was drawn between steps; the register shows it in whole units
of its resolution and never goes back, but at a reset.
"""

from collections.abc import Callable

HOUR_MS = 3_600_000
Watts = Callable[[int], float]
Switched = Callable[[bool, int], None]


class Meter:
    """A single-phase meter over a load, like an Eastron SDM120."""

    __slots__ = ("_at_ms", "_watts", "energy_wh", "frequency_hz", "load_w", "voltage_v")

    def __init__(self, load_w: Watts, now_ms: int) -> None:
        self.load_w = load_w
        self.voltage_v = 230.0
        self.frequency_hz = 50.0
        self.energy_wh = 0.0
        self._at_ms = now_ms
        self._watts = load_w(now_ms)

    def step(self, now_ms: int) -> None:
        """Count what was drawn since the last step."""
        self.energy_wh += self._watts * max(0, now_ms - self._at_ms) / HOUR_MS
        self._at_ms, self._watts = now_ms, self.load_w(now_ms)

    def quantity(self, unit: str, now_ms: int) -> float:
        """The quantity of a unit: V, A, W, Hz, Wh or kWh."""
        self.step(now_ms)
        quantities = {
            "V": self.voltage_v,
            "A": self._watts / self.voltage_v,
            "W": self._watts,
            "Hz": self.frequency_hz,
            "Wh": self.energy_wh,
            "kWh": self.energy_wh / 1_000,
        }
        return quantities[unit]


class Plug:
    """A metering plug that switches its load. A welded contact stays as it is."""

    __slots__ = ("_load_w", "_switched", "meter", "on", "welded")

    def __init__(self, load_w: Watts, now_ms: int) -> None:
        self.on = True
        self.welded = False
        self._load_w = load_w
        self._switched: Switched = lambda _on, _now_ms: None
        self.meter = Meter(self._drawn_w, now_ms)

    def switch(self, on: bool, now_ms: int) -> None:
        """Switch the load on or off."""
        self.meter.step(now_ms)
        self.on = self.on if self.welded else on
        self._switched(self.on, now_ms)
        self.meter.step(now_ms)

    def switches(self, load: Switched, now_ms: int) -> None:
        """Its load is told whenever it is switched."""
        self._switched = load
        load(self.on, now_ms)

    def _drawn_w(self, now_ms: int) -> float:
        return self._load_w(now_ms) if self.on else 0.0
