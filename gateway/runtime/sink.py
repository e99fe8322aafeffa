"""What a driver's words become: readings, freshness, events, counters. One for each link."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from gateway.domain.events import (
    CredentialPresented,
    DeviceHealthChanged,
    LinkHealthChanged,
    PointEdge,
)
from gateway.domain.faults import Health
from gateway.domain.feedback import Answer, Feedback
from gateway.domain.points import Freshness, PointRef, Reading
from gateway.domain.state import Reply
from gateway.domain.uses import Use, uses
from gateway.runtime.engine import Engine

Press = Callable[[PointRef], Callable[[], None]]


class LinkSink:
    """The `Sink` of one link. `press` latches a press; what it returns unlatches it."""

    def __init__(self, link: str, engine: Engine, press: Press) -> None:
        self._link = link
        self._engine = engine
        self._press = press
        self.health: dict[str, Health] = {}
        self.counters: Counter[tuple[str, str]] = Counter()

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> Freshness:
        """A cell for a group of points of a device."""
        return self._engine.readings.freshness(device, points, expected_ms)

    def reading(self, reading: Reading) -> None:
        """A value that passed its deadband, or whose quality changed."""
        self._engine.readings.put(reading)
        if reading.ref in uses(self._engine.site):
            self._engine.changed(reading)

    def edge(self, edge: PointEdge, durable: Callable[[], None] | None = None) -> None:
        """A happening. A press is latched before anything else (DESIGN §5).

        While the store is lost the latch alone must do: a broker that waits for our word on a
        press holds back the presses after it (RULES E1).
        """
        used = uses(self._engine.site).get(edge.ref, ())
        settle = _once(durable)
        if any(u.use is Use.CALL for u in used):
            self._engine.tell(edge, _both(self._press(edge.ref), settle), settle)
        else:
            self._engine.tell(edge, settle, settle)

    def presented(self, event: CredentialPresented, answer: Answer | None = None) -> None:
        """Somebody presented a credential; the answer goes back to the very reader it came from."""
        if answer is None:
            self._engine.tell(event)
            return
        loop = asyncio.get_running_loop()

        def answered(reply: Reply) -> None:
            loop.call_soon(answer, Feedback.of(reply))  # a driver's bug must not end the engine

        self._engine.tell(event, answer=answered)

    def device_health(
        self, device: str, health: Health, reason_code: str = "device_silent", detail: str = ""
    ) -> None:
        """The device's health changed; a silent one's readings become stale."""
        self.health[f"device:{device}"] = health
        if health is Health.SILENT:
            self._stale(device)
        self._engine.tell(DeviceHealthChanged(device, health, reason_code, detail))

    def link_health(self, health: Health, detail: str = "") -> None:
        """The link's health changed; on one that is down nothing read is fresh."""
        self.health[f"link:{self._link}"] = health
        if health in (Health.SILENT, Health.FAILED):
            for device in self._engine.site.equipment.devices.values():
                if device.link == self._link:
                    self._stale(device.id)
        self._engine.tell(LinkHealthChanged(self._link, health, detail))

    def _stale(self, device: str) -> None:
        for reading in self._engine.readings.device_silent(device):
            self._engine.changed(reading)

    def count(self, what: str, device: str = "") -> None:
        """Add one to a counter."""
        self.counters[device, what] += 1


def _once(settle: Callable[[], None] | None) -> Callable[[], None]:
    left = [settle] if settle is not None else []

    def settled() -> None:
        if left:
            left.pop()()

    return settled


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        first()
        second()

    return both
