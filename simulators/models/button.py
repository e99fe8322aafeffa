"""A call button: on a wire (momentary, latched or counter) or on a radio with a battery.

Rules: a momentary one is active while it is held; a latched one until somebody resets it; a counter
counts presses, modulo 65,536, and forgets nothing but at its own restart. A radio one sends a
message a press, if its battery lasts and it is within range; in between it says that it lives.
"""

from collections.abc import Callable

from gateway.domain.site import Wiring


class Button:
    """One call button."""

    __slots__ = (
        "_held_until_ms",
        "_latched",
        "battery",
        "in_range",
        "presses",
        "send",
        "tampered",
        "wiring",
    )

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.presses = 0
        self.battery = 92
        self.in_range = True
        self.tampered = False
        self.send: Callable[[], None] = lambda: None
        self._held_until_ms = 0
        self._latched = False

    def press(self, now_ms: int, held_ms: int = 500) -> bool:
        """Somebody presses; False when its radio could not say so."""
        self.presses = (self.presses + 1) % 65_536
        self._held_until_ms = max(self._held_until_ms, now_ms + held_ms)
        self._latched = self.wiring is Wiring.LATCHED
        if not self.wiring.reports_by_itself:
            return True
        if not self.alive:
            return False
        self.send()
        return True

    def reset(self) -> None:
        """Somebody turns the key of a latched button."""
        self._latched = False

    def active(self, now_ms: int) -> bool:
        """Its contact is closed."""
        return self._latched or now_ms < self._held_until_ms

    @property
    def alive(self) -> bool:
        """Its radio can be heard."""
        return self.in_range and self.battery > 0


class FirePanel:
    """The alarm output of a fire panel: two states on a wire, until somebody there resets it."""

    __slots__ = ("alarm",)

    def __init__(self) -> None:
        self.alarm = False
