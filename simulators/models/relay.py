"""A relay, and the flashes that its board times by itself.

Rules: a relay has a level it rests at and at most one flash over it. A flash ends by itself, at
the opposite of what it was, also when nobody asks; a plain write or a new flash replaces it.
"""

from collections import deque
from dataclasses import dataclass

KEPT = 1_000  # a demo runs for days


@dataclass(frozen=True, slots=True)
class Flash:
    """One timed flash, as the board was told it."""

    at_ms: int
    length_ms: int
    on: bool = True


class Relay:
    """A relay that remembers its flashes and the edges of its contact."""

    __slots__ = ("_edges", "_ends_ms", "_resting", "_value", "flashes", "writes")

    def __init__(self) -> None:
        self.flashes: deque[Flash] = deque(maxlen=KEPT)
        self.writes: deque[tuple[int, bool]] = deque(maxlen=KEPT)
        self._edges: deque[tuple[int, bool]] = deque(maxlen=KEPT)
        self._value = False
        self._resting = False
        self._ends_ms: int | None = None

    def write(self, on: bool, now_ms: int) -> None:
        """Switch it; a running flash is over."""
        self._settle(now_ms)
        self.writes.append((now_ms, on))
        self._ends_ms = None
        self._become(on, now_ms)

    def flash(self, on: bool, length_ms: int, now_ms: int) -> None:
        """Be on (or off) for so long, and then the opposite."""
        self._settle(now_ms)
        self.flashes.append(Flash(now_ms, length_ms, on))
        self._become(on, now_ms)
        self._resting, self._ends_ms = not on, now_ms + length_ms

    def power_lost(self, now_ms: int) -> None:
        """The board restarts: every relay drops."""
        self._settle(now_ms)
        self._ends_ms = None
        self._become(False, now_ms)

    def on(self, now_ms: int) -> bool:
        """The contact is closed."""
        self._settle(now_ms)
        return self._value

    def edges(self, now_ms: int) -> tuple[tuple[int, bool], ...]:
        """When the contact changed, and to what, oldest first."""
        self._settle(now_ms)
        return tuple(self._edges)

    def flashing(self, now_ms: int, within_ms: int = 3_000) -> bool:
        """True when it changed at least twice of late: a lamp that flashes, not a steady one."""
        return sum(at >= now_ms - within_ms for at, _ in self.edges(now_ms)) >= 2

    def _settle(self, now_ms: int) -> None:
        if self._ends_ms is not None and now_ms >= self._ends_ms:
            ended, self._ends_ms = self._ends_ms, None
            self._become(self._resting, ended)

    def _become(self, on: bool, at_ms: int) -> None:
        if on != self._value:
            self._value = on
            self._edges.append((at_ms, on))


class Sounder:
    """A siren with a strobe, which ends every warning by itself."""

    __slots__ = ("horn", "strobe")

    def __init__(self) -> None:
        self.horn = Relay()
        self.strobe = Relay()

    def warn(self, length_ms: int, now_ms: int, *, loud: bool, light: bool) -> None:
        """Sound, flash, or both, for so long; what is not wanted stops at once."""
        for relay, wanted in ((self.horn, loud), (self.strobe, light)):
            if wanted:
                relay.flash(True, length_ms, now_ms)
            else:
                relay.write(False, now_ms)
