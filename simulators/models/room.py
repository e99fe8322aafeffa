"""A room, the people in it, and the air they breathe.

Rules: a person who came in or stirred moves for a while and then sits still. Carbon dioxide rises
by 5.2 ml/s for each person (ASTM D6245, office work) and leaves with the air change; the solution
between two changes of the number of people is exact, so steps may be of any length.
"""

import math

OUTDOOR_PPM = 420.0
BREATH_M3_PER_HOUR = 0.0052 * 3.6
HOUR_MS = 3_600_000


class Room:
    """One room. `volume_m3` and `air_changes_per_hour` say how fast its air goes bad."""

    __slots__ = ("_air_ms", "_air_ppm", "_moving_until", "air_changes_per_hour", "volume_m3")

    def __init__(self, now_ms: int, volume_m3: float = 50.0) -> None:
        self.volume_m3 = volume_m3
        self.air_changes_per_hour = 1.0
        self._moving_until: dict[str, int] = {}
        self._air_ppm = OUTDOOR_PPM
        self._air_ms = now_ms

    @property
    def people(self) -> tuple[str, ...]:
        """Who is in it."""
        return tuple(self._moving_until)

    def enter(self, person: str, now_ms: int, moves_ms: int = 20_000) -> None:
        """Somebody comes in, and moves about before sitting down."""
        self.co2_ppm(now_ms)
        self._moving_until[person] = now_ms + moves_ms

    def leave(self, person: str, now_ms: int) -> None:
        """Somebody goes out."""
        self.co2_ppm(now_ms)
        self._moving_until.pop(person, None)

    def stir(self, person: str, now_ms: int, moves_ms: int = 2_000) -> None:
        """Somebody who sat still moves."""
        if person in self._moving_until:
            self._moving_until[person] = now_ms + moves_ms

    def sit_still(self, person: str, now_ms: int) -> None:
        """Somebody stops moving."""
        if person in self._moving_until:
            self._moving_until[person] = now_ms

    def moving(self, now_ms: int) -> bool:
        """Anybody moves, as a motion sensor would see."""
        return any(now_ms < until for until in self._moving_until.values())

    @property
    def still_from_ms(self) -> int:
        """When the last of them will sit still."""
        return max(self._moving_until.values(), default=0)

    def co2_ppm(self, now_ms: int) -> float:
        """Carbon dioxide in the air now."""
        fresh_m3 = self.volume_m3 * self.air_changes_per_hour
        settles_ppm = OUTDOOR_PPM + len(self.people) * BREATH_M3_PER_HOUR / fresh_m3 * 1e6
        hours = max(0, now_ms - self._air_ms) / HOUR_MS
        remains = math.exp(-hours * self.air_changes_per_hour)
        self._air_ppm = settles_ppm + (self._air_ppm - settles_ppm) * remains
        self._air_ms = now_ms
        return self._air_ppm
