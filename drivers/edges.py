"""Finds happenings in samples of a point: pure, no I/O, no clock.

Rules:
- Press (RULES E1): counts at its first active sample and re-arms after 1 s inactive; armed at the
  start and after a loss, so active at first sight is a press. Active again before it is re-armed
  is a bounce, unless it lasts a second: a latched button pressed right after its reset.
- A counter of presses gives how many; its first sample is the base, and a counter that fell was
  reset and counts from 0.
- Door: a change that still stands 100 ms after it was first seen. One that does not is `brief`: a
  bounce, or an opening whose messages were held up on their way and came all at once.
- Supervised (RULES A3): two equal samples in a row change it.
- Change: each change of value.
Doors, supervised points and changes are also found at first sight, and after a loss, with
`first_sight` set. A sample without a value is no evidence: it is not fed to a watcher.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.events import PointEdge
from gateway.domain.points import PointRef, Value
from gateway.domain.profile import Edge

REARM_MS = 1_000
SETTLE_MS = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A happening, as `PointEdge` will tell it."""

    value: Value
    count: int = 1
    first_sight: bool = False
    brief: bool = False

    def at(self, ref: PointRef, detail: dict[str, Value] | None = None) -> PointEdge:
        """It happened at that point."""
        return PointEdge(ref, self.value, self.count, self.first_sight, detail or None, self.brief)


class Watcher(Protocol):
    """Watches one point."""

    value: Value | None  # as settled; None until the first sight is settled

    @property
    def unsettled_ms(self) -> int | None:
        """Monotonic time from which another sample settles what is open; None if nothing is."""
        ...

    def take(self, value: Value, mono_ms: int) -> Found | None:
        """One sample; the happening it shows, if any."""
        ...

    def lost(self) -> None:
        """The device was lost: the next sample is a first sight."""
        ...


def watcher(edge: Edge) -> Watcher | None:
    """A watcher for that kind of edge; None where samples show none."""
    match edge:
        case Edge.PRESS:
            return Press()
        case Edge.DOOR:
            return Settled(wait_ms=SETTLE_MS)
        case Edge.SUPERVISED:
            return Settled(wait_ms=0)
        case Edge.CHANGE:
            return Change()
        case Edge.NONE | Edge.CREDENTIAL:
            return None


class Press:
    """A button (bool) or a counter of presses (int)."""

    __slots__ = ("_armed", "_early_ms", "_fresh", "_idle_since_ms", "value")

    def __init__(self) -> None:
        self.value: Value | None = None
        self._fresh = True
        self._armed = True
        self._idle_since_ms = 0
        self._early_ms: int | None = None  # active since then, before it was re-armed

    @property
    def unsettled_ms(self) -> int | None:
        """When what could be a bounce has lasted too long for one."""
        return None if self._early_ms is None else self._early_ms + REARM_MS

    def take(self, value: Value, mono_ms: int) -> Found | None:
        """One sample of the button or counter."""
        if isinstance(value, bool):
            return self._button(value, mono_ms)
        return self._counter(int(value))

    def lost(self) -> None:
        """A button found active next is a press; a counter goes on from where it was."""
        self._fresh = self._armed = True
        self._early_ms = None

    def _button(self, active: bool, mono_ms: int) -> Found | None:
        fresh, self._fresh = self._fresh, False
        was_active, self.value = self.value, active
        if not active:
            if was_active:
                self._idle_since_ms = mono_ms
            self._early_ms = None
            return None
        if not self._armed and not self._counts_again(not was_active, mono_ms):
            return None
        self._armed, self._early_ms = False, None
        return Found(True, first_sight=fresh)

    def _counts_again(self, began: bool, mono_ms: int) -> bool:
        """It was inactive long enough before, or is active too long for a bounce."""
        if began and mono_ms - self._idle_since_ms < REARM_MS:
            self._early_ms = mono_ms
        elif began:
            return True
        return self._early_ms is not None and mono_ms - self._early_ms >= REARM_MS

    def _counter(self, value: int) -> Found | None:
        before, self.value = self.value, value
        fresh, self._fresh = self._fresh, False
        if before is None or value == before:
            return None
        count = value - int(before) if value > int(before) else value
        return Found(value, count, fresh) if count else None


class Settled:
    """A value that changes once a later sample, at least `wait_ms` after, shows it again.

    With a wait, one that went back before is found too, as brief.
    """

    __slots__ = ("_candidate", "_fresh", "_since_ms", "_wait_ms", "value")

    def __init__(self, wait_ms: int) -> None:
        self.value: Value | None = None
        self._wait_ms = wait_ms
        self._fresh = True
        self._candidate: Value | None = None
        self._since_ms = 0

    @property
    def unsettled_ms(self) -> int | None:
        """When to look again at a candidate."""
        return None if self._candidate is None else self._since_ms + SETTLE_MS

    def take(self, value: Value, mono_ms: int) -> Found | None:
        """One sample."""
        if value == self.value:
            was, self._candidate = self._candidate, None
            return Found(was, brief=True) if self._wait_ms and was is not None else None
        if value != self._candidate:
            self._candidate, self._since_ms = value, mono_ms
            return None
        if mono_ms - self._since_ms < self._wait_ms:
            return None
        fresh, self._fresh = self._fresh, False
        self.value, self._candidate = value, None
        return Found(value, first_sight=fresh)

    def lost(self) -> None:
        """What was seen before the loss settles nothing after it."""
        self._fresh = True
        self.value = self._candidate = None


class Change:
    """Each change of value."""

    __slots__ = ("_fresh", "value")

    unsettled_ms = None

    def __init__(self) -> None:
        self.value: Value | None = None
        self._fresh = True

    def take(self, value: Value, mono_ms: int) -> Found | None:  # noqa: ARG002 (a Watcher)
        """One sample."""
        fresh, self._fresh = self._fresh, False
        if value == self.value and not fresh:
            return None
        self.value = value
        return Found(value, first_sight=fresh)

    def lost(self) -> None:
        """The next sample is told, whatever it is."""
        self._fresh = True
