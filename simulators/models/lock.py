"""A lock that relocks by itself, with a keypad and users of its own (RULES A9).

Rules: a release unlocks it for `relock_ms`; then the bolt goes out again. A jammed bolt does not
follow a release; an obstructed one does not go out, and the lock says `not_fully_locked`.
"""

from collections import deque
from collections.abc import Callable

from simulators.models.relay import KEPT, Flash

ACTION_NOBODY = 65_535  # what Zigbee locks report where no user is known


class Lock:
    """One battery lock on a door."""

    __slots__ = (
        "_relocks_ms",
        "acted",
        "battery",
        "jammed",
        "obstructed",
        "releases",
        "relock_ms",
        "users",
    )

    def __init__(self, relock_ms: int = 5_000) -> None:
        self.relock_ms = relock_ms
        self.users: dict[int, str] = {}
        self.releases: deque[Flash] = deque(maxlen=KEPT)
        self.battery = 87
        self.jammed = False
        self.obstructed = False
        self.acted: Callable[[str, str, int], None] = lambda _action, _source, _user: None
        self._relocks_ms: int | None = None

    def released(self, now_ms: int) -> bool:
        """The bolt is back."""
        return self.state(now_ms) != "locked"

    def state(self, now_ms: int) -> str:
        """`locked`, `unlocked` or `not_fully_locked`, as its own sensor sees the bolt."""
        if self._relocks_ms is not None and now_ms >= self._relocks_ms:
            if self.obstructed:
                return "not_fully_locked"
            self._relocks_ms = None
        return "locked" if self._relocks_ms is None else "unlocked"

    def unlock(self, now_ms: int) -> None:
        """The command to unlock, over the air."""
        self.releases.append(Flash(now_ms, self.relock_ms))
        self._retract(now_ms)
        self.acted("unlock", "rf", ACTION_NOBODY)

    def lock(self, now_ms: int) -> None:
        """The command to lock, over the air."""
        self._relocks_ms = now_ms if self.obstructed else None
        self.acted("lock", "rf", ACTION_NOBODY)

    def type_code(self, code: str, now_ms: int) -> bool:
        """Somebody types at the lock itself, which knows its own users alone."""
        for slot, own in self.users.items():
            if own == code:
                self._retract(now_ms)
                self.acted("keypad_unlock", "keypad", slot)
                return True
        return False

    def turn_thumb(self, now_ms: int) -> None:
        """Somebody inside turns the knob."""
        self._retract(now_ms)
        self.acted("manual_unlock", "manual", ACTION_NOBODY)

    def _retract(self, now_ms: int) -> None:
        if not self.jammed:
            self._relocks_ms = now_ms + self.relock_ms
