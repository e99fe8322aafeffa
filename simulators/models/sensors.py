"""Presence sensors, each with what it cannot see.

Rules: `see(now_ms)` is called as time goes by, at least a few times a second while people move;
`on(now_ms)` is what the sensor reports. In virtual time `next_ms(now_ms)` says when it is worth
looking again if nobody in the room does anything until then.
"""

from simulators.models.room import OUTDOOR_PPM, Room

AIR_EVERY_MS = 120_000  # in virtual time; the air moves slowly


class MotionSensor:
    """Passive infrared: blind to people who sit still, and to all for `blind_ms` after a hit.

    It reports presence for `clears_ms` after its last hit. `hits` counts what it saw.
    """

    __slots__ = ("_hit_ms", "blind_ms", "clears_ms", "hits", "room")

    def __init__(self, room: Room, blind_ms: int = 60_000, clears_ms: int = 90_000) -> None:
        self.room = room
        self._hit_ms: int | None = None
        self.blind_ms = blind_ms
        self.clears_ms = clears_ms
        self.hits = 0

    def see(self, now_ms: int) -> None:
        """Look at the room."""
        if self._hit_ms is not None and now_ms < self._hit_ms + self.blind_ms:
            return
        if self.room.moving(now_ms):
            self._hit_ms = now_ms
            self.hits += 1

    def on(self, now_ms: int) -> bool:
        """It reports motion."""
        return self._hit_ms is not None and now_ms < self._hit_ms + self.clears_ms

    def next_ms(self, now_ms: int) -> int | None:
        """When the last move ends, else when it clears."""
        still_ms = self.room.still_from_ms
        if still_ms - 1 > now_ms:
            sees_ms = now_ms if self._hit_ms is None else self._hit_ms + self.blind_ms
            return max(sees_ms, still_ms - 1)
        return self._hit_ms + self.clears_ms if self._hit_ms and self.on(now_ms) else None


class StillSensor:
    """Radar: sees people who sit still; reports them for `fades_ms` after they left."""

    __slots__ = ("_seen_ms", "fades_ms", "room")

    def __init__(self, room: Room, fades_ms: int = 10_000) -> None:
        self.room = room
        self._seen_ms: int | None = None
        self.fades_ms = fades_ms

    def see(self, now_ms: int) -> None:
        """Look at the room."""
        if self.room.people:
            self._seen_ms = now_ms

    def on(self, now_ms: int) -> bool:
        """It reports somebody."""
        self.see(now_ms)
        return self._seen_ms is not None and now_ms - self._seen_ms < self.fades_ms

    def next_ms(self, now_ms: int) -> int | None:
        """When it no longer reports who left."""
        fades = not self.room.people and self._seen_ms is not None and self.on(now_ms)
        return self._seen_ms + self.fades_ms if fades and self._seen_ms is not None else None


class AirSensor:
    """Carbon dioxide: slow to see people come, slower to see them gone. Samples every 4 s."""

    __slots__ = ("_ppm", "_sampled_ms", "room")

    def __init__(self, room: Room) -> None:
        self.room = room
        self._ppm = OUTDOOR_PPM
        self._sampled_ms: int | None = None

    def see(self, now_ms: int) -> None:
        """Take a sample when one is due."""
        if self._sampled_ms is None or now_ms - self._sampled_ms >= 4_000:
            self._ppm, self._sampled_ms = self.room.co2_ppm(now_ms), now_ms

    def ppm(self, now_ms: int) -> int:
        """What it reports."""
        self.see(now_ms)
        return round(self._ppm)

    def next_ms(self, now_ms: int) -> int | None:
        """A little later, until the air is as fresh as it gets."""
        moves = self.room.people or round(self._ppm) > OUTDOOR_PPM + 1
        return now_ms + AIR_EVERY_MS if moves else None
