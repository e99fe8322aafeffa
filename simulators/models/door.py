"""A door: a leaf with a closer and a contact, behind a bolt that something releases.

Rules: from outside it opens only while the bolt is released, or by force. From inside a mechanical
handle always opens it, and a hard-wired exit button releases the bolt without any gateway
(RULES A2). The closer shuts the leaf when nobody passes, unless it is propped open.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from simulators.models.relay import KEPT, Relay


class Bolt(Protocol):
    """What keeps a door shut."""

    jammed: bool

    def released(self, now_ms: int) -> bool:
        """The door may be opened."""
        ...


class Strike:
    """An electric strike on relay contacts: `timed` releases it, `hold` keeps it released."""

    __slots__ = ("hold", "jammed", "timed")

    def __init__(self, timed: Relay, hold: Relay | None = None) -> None:
        self.timed = timed
        self.hold = hold
        self.jammed = False

    def released(self, now_ms: int) -> bool:
        """Current flows and the bolt follows it."""
        energised = self.timed.on(now_ms) or (self.hold is not None and self.hold.on(now_ms))
        return energised and not self.jammed


class Door:
    """One door with people before and behind it."""

    __slots__ = (
        "_closes_ms",
        "bolt",
        "close_after_ms",
        "exit_pressed_until_ms",
        "hardwired_exit",
        "hardwired_fire",
        "leaf_jammed",
        "openings",
        "propped",
    )

    def __init__(self, bolt: Bolt, *, hardwired_exit: bool, close_after_ms: int = 3_000) -> None:
        self.bolt = bolt
        self.hardwired_exit = hardwired_exit
        self.hardwired_fire: Callable[[int], bool] = lambda _now_ms: False
        self.close_after_ms = close_after_ms
        self.leaf_jammed = False
        self.propped = False
        self.exit_pressed_until_ms = 0
        self.openings: deque[int] = deque(maxlen=KEPT)
        self._closes_ms: int | None = None

    def released(self, now_ms: int) -> bool:
        """The bolt is back: by the gateway, the exit button's wire or the fire panel's."""
        wired = self.hardwired_exit and self.exit_pressed(now_ms)
        return self.bolt.released(now_ms) or wired or self.hardwired_fire(now_ms)

    def opened(self, now_ms: int) -> bool:
        """The leaf is open, as a contact sees it."""
        if self._closes_ms is not None and not self.propped and now_ms >= self._closes_ms:
            self._closes_ms = None
        return self._closes_ms is not None

    def pull(self, now_ms: int) -> bool:
        """Somebody outside opens it, or finds it locked."""
        if not self.opened(now_ms) and not self.released(now_ms):
            return False
        return self._open(now_ms)

    def push(self, now_ms: int) -> bool:
        """Somebody inside opens it: by its handle, or once the bolt is released."""
        if self.hardwired_exit and not self.opened(now_ms) and not self.released(now_ms):
            return False
        return self._open(now_ms)

    def force(self, now_ms: int) -> bool:
        """Somebody breaks in."""
        return self._open(now_ms)

    def press_exit(self, now_ms: int, length_ms: int = 1_000) -> None:
        """Somebody inside presses the exit button."""
        self.exit_pressed_until_ms = now_ms + length_ms

    def exit_pressed(self, now_ms: int) -> bool:
        """The exit button is down, as an input sees it."""
        return now_ms < self.exit_pressed_until_ms

    def close(self) -> None:
        """Somebody pulls it shut, and takes away what propped it open."""
        self.propped = False
        self._closes_ms = None

    def _open(self, now_ms: int) -> bool:
        if self.leaf_jammed:
            return False
        if not self.opened(now_ms):
            self.openings.append(now_ms)
        self._closes_ms = now_ms + self.close_after_ms
        return True
