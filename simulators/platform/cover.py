"""Whether a gateway is heard: "no cover" after 180 s without its status (RULES E8)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

COVER_S = 180.0


@dataclass(slots=True)
class Cover:
    """What the duty desk at the platform sees of one gateway. `mono` gives seconds."""

    mono: Callable[[], float]
    status: dict[str, Any] = field(default_factory=dict)
    heard: float | None = None
    listening: float | None = None  # since when; a gateway never heard counts from then
    alarms: list[str] = field(default_factory=list)  # "no cover" and "cover", as they came
    storage_lost: bool = False

    def take(self, status: dict[str, Any], retained: bool) -> None:
        """A status came. A retained one, or a will, is no sign of life."""
        self.status = status
        online = status.get("state") == "online"
        if online and not retained:
            self.heard = self.mono()
            self._tell("cover")
        if online and status["storage"]["lost"] != self.storage_lost:
            self.storage_lost = status["storage"]["lost"]
            self.alarms.append("storage lost" if self.storage_lost else "storage restored")

    def check(self) -> bool:
        """True while the gateway is heard; raises the alarm when it is not."""
        if self.listening is None:
            self.listening = self.mono()
        last = self.listening if self.heard is None else self.heard
        covered = self.mono() - last <= COVER_S
        if not covered:
            self._tell("no cover")
        return covered

    def _tell(self, what: str) -> None:
        told = [alarm for alarm in self.alarms if alarm in ("cover", "no cover")]
        if (told[-1] if told else "cover") != what:
            self.alarms.append(what)
