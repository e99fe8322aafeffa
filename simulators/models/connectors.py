"""Places where a vehicle is plugged in: a charger's connector, and a switched outlet.

Rules:
- Energy is the exact sum of what was drawn between instants at which that may change: at most
  `SLICE_MS` apart while a battery fills, when it is full, and when a time-out runs out in between.
- A connector that hears nothing for its time-out acts by itself, to the millisecond: a charger
  offers its failsafe current until it is told a limit again, an outlet switches off.
- Without supply nothing flows, and nothing is remembered but the meter and what is set for good.
"""

import math
from typing import ClassVar

from simulators.models.vehicles import NO_AMPS, VOLTS, Amps, Vehicle

HOUR_MS = 3_600_000
MAINS_A = 16.0
SLICE_MS = 10_000


class Connector:
    """One vehicle at most, a meter that counts what it draws, and a time-out of silence."""

    VICES: ClassVar[tuple[str, ...]] = ("broken",)

    def __init__(self, now_ms: int) -> None:
        self.vehicle: Vehicle | None = None
        self.energy_wh = 0.0  # for life
        self.session_wh = 0.0  # since it was plugged in
        self.temperature_c = 25.0
        self.supplied = True
        self.broken = False
        self.silence_ms = 0  # its time-out; 0: it waits for ever
        self._attended = False
        self._heard_ms = now_ms
        self._silent = False
        self._wakes_at_ms: int | None = None  # when its vehicle draws, or drew first
        self._at_ms = now_ms

    def offered_a(self) -> float:
        """What flows at most, a phase."""
        raise AssertionError("a connector is a charger's or an outlet")

    def misbehave(self, vice: str, now_ms: int) -> None:
        """From now on it has this of its vices, and no other."""
        self.step(now_ms)
        for name in self.VICES:
            setattr(self, name, name == vice)

    # --- what people and things do ------------------------------------------------------------

    def plug_in(self, vehicle: Vehicle, now_ms: int) -> None:
        """Somebody plugs a vehicle in; what was there is unplugged first."""
        self.step(now_ms)
        self.vehicle, self.session_wh, self._wakes_at_ms = vehicle, 0.0, None

    def unplug(self, now_ms: int) -> None:
        """Somebody takes the plug out."""
        self.step(now_ms)
        self.vehicle = None

    def supply(self, on: bool, now_ms: int) -> None:
        """The supply fails, or is there again."""
        self.step(now_ms)
        self.supplied = on
        self._hear(now_ms)

    def hear(self, now_ms: int) -> None:
        """A valid request came."""
        self.step(now_ms)
        self._hear(now_ms)

    def attend(self, attended: bool, now_ms: int) -> None:
        """From now on it is spoken to all the time, in virtual time, or not any more."""
        self.step(now_ms)
        self._attended = attended
        self._hear(now_ms)

    # --- what flows ---------------------------------------------------------------------------

    def amps(self, now_ms: int) -> Amps:
        """What it draws on its own phases."""
        self.step(now_ms)
        return self._amps()

    def watts(self, now_ms: int) -> float:
        """What it draws."""
        return sum(self.amps(now_ms)) * VOLTS

    def step(self, now_ms: int) -> None:
        """Time went by."""
        while self._at_ms < now_ms:
            watts = sum(self._amps()) * VOLTS
            silent_ms = self._silent_from_ms()
            ends_ms = min(silent_ms, now_ms)
            if self._wakes_at_ms is not None and self._wakes_at_ms > self._at_ms:
                ends_ms = min(ends_ms, self._wakes_at_ms)
            if watts and self.vehicle is not None:
                full_ms = self.vehicle.lacks_wh * HOUR_MS / watts
                ends_ms = min(ends_ms, self._at_ms + max(1, math.ceil(min(SLICE_MS, full_ms))))
                self._count(watts * (ends_ms - self._at_ms) / HOUR_MS)
            self._at_ms = max(ends_ms, self._at_ms)
            if self._at_ms >= silent_ms:
                self._silent = True
                self._fall()

    def _amps(self) -> Amps:
        vehicle = self.vehicle
        if vehicle is None or not self.supplied or self.broken:
            self._wakes_at_ms = None
            return NO_AMPS
        wanted = vehicle.amps(self.offered_a())
        if not any(wanted):
            self._wakes_at_ms = None
            return NO_AMPS
        if self._wakes_at_ms is None:
            self._wakes_at_ms = self._at_ms + vehicle.wakes_ms
        return wanted if self._at_ms >= self._wakes_at_ms else NO_AMPS

    def _count(self, energy_wh: float) -> None:
        self.energy_wh += energy_wh
        self.session_wh += energy_wh
        if self.vehicle is not None:
            self.vehicle.take(energy_wh)

    def _silent_from_ms(self) -> int:
        """When it will have heard nothing for too long."""
        if self._silent or self._attended or not self.silence_ms or not self.supplied:
            return 1 << 62
        return max(self._heard_ms + self.silence_ms, self._at_ms)

    def _hear(self, now_ms: int) -> None:
        self._heard_ms, self._silent = now_ms, False

    def _fall(self) -> None:
        """Nobody speaks to it any more."""


class Charger(Connector):
    """A charger's connector with a current limit.

    `fed_by_limits`: only a limit that is written counts as speaking to it. `ignores`: it takes a
    limit, shows it, and goes on as before. `leaks`: it offers its most whatever it is told.
    """

    VICES: ClassVar[tuple[str, ...]] = ("broken", "ignores", "leaks")

    def __init__(self, now_ms: int, most_a: float = 32.0) -> None:
        super().__init__(now_ms)
        self.most_a = most_a
        self.limit_ma = 0  # as it was last told
        self.enabled = True
        self.failsafe_ma = 6_000
        self.in_failsafe = False
        self.after_restart_ma = 0  # what it offers before it is told
        self.fed_by_limits = False
        self.leaks = False
        self._ignored_ma: int | None = None

    @property
    def ignores(self) -> bool:
        """It takes limits and goes on as before."""
        return self._ignored_ma is not None

    @ignores.setter
    def ignores(self, wanted: bool) -> None:
        self._ignored_ma = self.limit_ma if wanted else None

    def offered_a(self) -> float:
        """What its pilot says."""
        told_ma = self.limit_ma if self._ignored_ma is None else self._ignored_ma
        if self.leaks:
            return self.most_a
        if self.in_failsafe:
            return min(self.failsafe_ma / 1_000, self.most_a)
        return min(told_ma / 1_000, self.most_a) if self.enabled else 0.0

    def set_limit(self, limit_ma: int, now_ms: int) -> None:
        """It is told a limit; 0 is off."""
        self.step(now_ms)
        self.limit_ma = limit_ma
        self.in_failsafe = False
        self._hear(now_ms)
        self._amps()  # a vehicle that is offered nothing sleeps

    def enable(self, on: bool, now_ms: int) -> None:
        """It is switched beside its limit."""
        self.step(now_ms)
        self.enabled = on
        self.in_failsafe = False
        self._hear(now_ms)
        self._amps()

    def hear(self, now_ms: int) -> None:
        """A request came; one that heeds only limits takes no notice."""
        if not self.fed_by_limits:
            self.step(now_ms)
            self.in_failsafe = False
            self._hear(now_ms)

    def supply(self, on: bool, now_ms: int) -> None:
        """A restart forgets what it was told."""
        super().supply(on, now_ms)
        self.limit_ma, self.enabled, self.in_failsafe = self.after_restart_ma, True, False

    def state(self, now_ms: int) -> str:
        """What it says of itself."""
        if self.broken:
            return "faulted"
        if self.vehicle is None:
            return "available"
        return "charging" if any(self.amps(now_ms)) else "connected"

    def shown_ma(self, now_ms: int) -> int:
        """What its pilot offers a vehicle; nothing where there is none."""
        self.step(now_ms)
        offers = self.vehicle is not None and not self.ignores and not self.leaks
        return round(self.offered_a() * 1_000) if offers else self._told_ma()

    def silent_in_s(self, now_ms: int) -> int:
        """How long until it acts by itself."""
        self.step(now_ms)
        left_ms = self._heard_ms + self.silence_ms - now_ms
        return max(0, left_ms // 1_000) if self.silence_ms and not self._silent else 0

    def _told_ma(self) -> int:
        return self.limit_ma if self.vehicle is not None and self.enabled else 0

    def _fall(self) -> None:
        self.in_failsafe = True


class SwitchedOutlet(Connector):
    """An outlet behind a relay; a `welded` one stays as it is. `broken`: its breaker is open."""

    VICES: ClassVar[tuple[str, ...]] = ("broken", "welded")

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self.on = False
        self.welded = False

    def offered_a(self) -> float:
        """All there is, or nothing."""
        return MAINS_A if self.on else 0.0

    def switch(self, on: bool, now_ms: int) -> None:
        """Its relay is told."""
        self.step(now_ms)
        self.on = self.on if self.welded else on

    def supply(self, on: bool, now_ms: int) -> None:
        """Off after a power cut."""
        super().supply(on, now_ms)
        self.on = self.welded and self.on

    def _fall(self) -> None:
        self.on = self.welded and self.on
