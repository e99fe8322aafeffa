"""What the platform keeps in step at the gateway: bookings, subjects, rights, each by revisions.

- An epoch begins with a snapshot; then changes, one revision under way a stream, sent again until
  the gateway answers that it is durable. So no revision overtakes another.
- Commands are under way side by side, each until it is answered or its time is over.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulators.platform.canonical import snapshot_digest

DAY_MS = 86_400_000
_ALWAYS = (0, 2**53)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway answered."""

    result: str
    code: str
    whole: dict[str, Any]

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Answer":
        """From the wire."""
        return cls(said["result"], said["reason"]["code"], said)

    @property
    def accepted(self) -> bool:
        """It is so."""
        return self.result == "Accepted"

    @property
    def rejected(self) -> dict[str, str]:
        """Items that made no sense, with the reason."""
        return {each["id"]: each["why"] for each in self.whole.get("rejected", ())}


Waiting = asyncio.Future[Answer]


@dataclass(slots=True)
class Change:
    """One revision to be made, and who waits for it."""

    put: list[dict[str, Any]]
    remove: list[str]
    waiting: Waiting


@dataclass(slots=True)
class Feed:
    """One stream."""

    stream: str
    epoch: str
    wall_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    revision: int = 0
    opened: bool = False
    changes: list[Change] = field(default_factory=list)
    under_way: dict[str, Any] | None = None

    waiting: list[Waiting] = field(default_factory=list)

    def change(self, put: list[dict[str, Any]], remove: list[str]) -> Waiting:
        """Put and remove items; done when the gateway answered the revision."""
        for item in put:
            self.items[item["id"]] = item
        for id_ in remove:
            self.items.pop(id_, None)
        change = Change(put, remove, asyncio.get_running_loop().create_future())
        self.changes.append(change)
        return change.waiting

    def message(self) -> dict[str, Any] | None:
        """What to send now, or again; None when all is answered."""
        if self.under_way is None and not self.opened and self.items:
            self.under_way = self._snapshot(self._window(), [c.waiting for c in self.changes])
            self.changes.clear()
        elif self.under_way is None and self.changes:
            change = self.changes.pop(0)
            self.revision += 1
            self.waiting = [change.waiting]
            self.under_way = {
                "type": "changes",
                "epoch": self.epoch,
                "revision": self.revision,
                "put": change.put,
                "remove": change.remove,
            }
        return self.under_way

    def snapshot(self, window: tuple[int, int] | None, by: str) -> Waiting:
        """Send everything (of a window) anew, in place of what was under way."""
        waiting: Waiting = asyncio.get_running_loop().create_future()
        others = [*self.waiting, *(change.waiting for change in self.changes)]
        self.changes.clear()
        self.under_way = self._snapshot(window or self._window(), [*others, waiting])
        if by:
            self.under_way["confirmed_by"] = {"name": by}
        return waiting

    def answered(self, answer: Answer) -> None:
        """The gateway answered; only the word on what is under way counts, once durable."""
        about = answer.whole["about"]
        asked = self.under_way
        if asked is None or not answer.whole.get("durable", True):
            return
        if (about.get("epoch"), about.get("revision")) != (asked["epoch"], asked["revision"]):
            return
        self.under_way = None
        self.opened = True
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_result(answer)
        self.waiting = []

    def applied(self, epoch: str) -> None:
        """The gateway's status names the epoch it follows: another one needs a snapshot."""
        if epoch != self.epoch and self.under_way is None:
            self.opened = False

    def _window(self) -> tuple[int, int]:
        if self.stream != "bookings":
            return _ALWAYS
        now_ms = self.wall_ms()
        return (now_ms - DAY_MS, now_ms + 60 * DAY_MS)

    def _snapshot(self, window: tuple[int, int], waiting: list[Waiting]) -> dict[str, Any]:
        self.revision += 1
        self.waiting = waiting
        start, end = window
        inside = [
            item
            for item in self.items.values()
            if item.get("end_ms", end) > start and item.get("start_ms", start) < end
        ]
        return {
            "type": "snapshot",
            "epoch": self.epoch,
            "revision": self.revision,
            "window": {"from_ms": start, "until_ms": end},
            "count": len(inside),
            "digest": snapshot_digest(inside),
            "items": inside,
        }


@dataclass(slots=True)
class Commands:
    """Commands under way, by id."""

    wall_ms: Callable[[], int]
    under_way: dict[str, tuple[dict[str, Any], Waiting]] = field(default_factory=dict)

    def ask(self, command: dict[str, Any]) -> Waiting:
        """Send a command until it is answered."""
        waiting: Waiting = asyncio.get_running_loop().create_future()
        self.under_way[command["id"]] = (command, waiting)
        return waiting

    def messages(self) -> list[dict[str, Any]]:
        """What to send now, or again."""
        return [command for command, _ in self.under_way.values()]

    def answered(self, answer: Answer) -> None:
        """The gateway answered a command."""
        if not answer.whole.get("durable", True):
            return
        _, waiting = self.under_way.pop(answer.whole["about"].get("id", ""), (None, None))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
