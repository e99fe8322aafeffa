"""A simulated site with the real drivers on its wires, and everything they tell kept."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fixtures.broker import Broker
from fixtures.clock import MachineClock

from config.site import load_site
from drivers.registry import kinds
from gateway.domain.events import CredentialPresented, PointEdge
from gateway.domain.faults import Health
from gateway.domain.feedback import Answer, Feedback
from gateway.domain.points import (
    Freshness,
    Lease,
    Level,
    PointRef,
    Pulse,
    Reading,
    Setpoint,
    Value,
    WriteOutcome,
)
from gateway.domain.reasons import Reason
from gateway.domain.site import Site
from gateway.domain.uses import watches
from gateway.ports import Driver, LinkSetup
from gateway.runtime.tasks import cancelled
from gateway.security.credentials import KeyedCredentials
from simulators.devices import SimulatedSite, mono_ms

COURT = Path(__file__).parent / "court"
BOOT = "boot"
WHY = Reason("test", "试", "test")


class Kept:
    """A sink that keeps what drivers tell."""

    def __init__(self) -> None:
        self.latest: dict[PointRef, Reading] = {}
        self.edges: list[PointEdge] = []
        self.presented_: list[CredentialPresented] = []
        self.verdicts: deque[Feedback] = deque()  # what the next ones who present are told
        self.health: dict[str, Health] = {}
        self.counts: Counter[str] = Counter()

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> Freshness:
        return Freshness(expected_ms)

    def reading(self, reading: Reading) -> None:
        self.latest[reading.ref] = reading

    def edge(self, edge: PointEdge, durable: Callable[[], None] | None = None) -> None:
        self.edges.append(edge)
        if durable is not None:
            durable()

    def presented(self, event: CredentialPresented, answer: Answer | None = None) -> None:
        self.presented_.append(event)
        if answer is not None and self.verdicts:
            answer(self.verdicts.popleft())

    def device_health(
        self, device: str, health: Health, reason_code: str = "device_silent", detail: str = ""
    ) -> None:
        self.health[device] = health

    def link_health(self, health: Health, detail: str = "") -> None:
        self.counts[f"link {health}"] += 1

    def count(self, what: str, device: str = "") -> None:
        self.counts[what] += 1


class Driven:
    """The world, and the drivers that look at it from the gateway's side."""

    def __init__(self, world: SimulatedSite) -> None:
        self.world = world
        self.kept = Kept()
        self._drivers: dict[str, Driver] = {}
        self._tokens = 0

    def value(self, ref: str) -> Value | None:
        """What the gateway's side last read at a point."""
        reading = self.kept.latest.get(PointRef.parse(ref))
        return reading.value if reading is not None and reading.good else None

    async def reads(self, ref: str, value: Any, timeout_s: float = 5) -> None:
        """Wait until the gateway's side reads this value at a point."""
        if not await self.world.until(lambda: self.value(ref) == value, timeout_s):
            raise AssertionError(f"{ref}: {self.kept.latest.get(PointRef.parse(ref))}")

    async def pulse(self, ref: str, length_ms: int) -> WriteOutcome:
        """Release something once."""
        self._tokens += 1
        until_ms = mono_ms() + 2_000
        token = f"token-{self._tokens}"
        return await self._write(
            Pulse(PointRef.parse(ref), token, length_ms, until_ms, BOOT, False, WHY)
        )

    async def lease(self, ref: str, value: Value, lasts_ms: int = 3_000) -> WriteOutcome:
        """Play a pattern, or keep a limit alive."""
        until_ms = mono_ms() + lasts_ms
        return await self._write(Lease(PointRef.parse(ref), value, True, WHY, until_ms))

    async def level(self, ref: str, value: Value) -> WriteOutcome:
        """Switch something."""
        return await self._write(Level(PointRef.parse(ref), value, False, WHY))

    async def _write(self, setpoint: Setpoint) -> WriteOutcome:
        link = self.world.town.site.equipment.devices[setpoint.ref.device].link
        return await self._drivers[link].write(setpoint)

    def open(self) -> list[asyncio.Task[None]]:
        """Open a driver on every link of the site as the simulation serves it."""
        site = self.world.site
        equipment = site.equipment
        for link in equipment.links.values():
            setup = LinkSetup(
                link=link,
                devices=[one for one in equipment.devices.values() if one.link == link.id],
                profiles=equipment.profiles,
                watches=watches(site),
                poll_ms=site.settings.poll_ms,
                sink=self.kept,
                credentials=KeyedCredentials(bytes(32)),
                clock=MachineClock(),
            )
            self._drivers[link.id] = kinds()[link.driver].open(setup)
        return [asyncio.create_task(driver.run()) for driver in self._drivers.values()]


@asynccontextmanager
async def driven(
    broker: Broker, folder: Path = COURT, changed: Callable[[Site], Site] = lambda site: site
) -> AsyncIterator[Driven]:
    """A site's folder, perhaps with something changed in it, simulated and driven."""
    site = changed(load_site(folder, kinds()))
    brokers = {
        link.id: (broker.host, broker.port)
        for link in site.equipment.links.values()
        if link.driver == "mqtt"
    }
    async with SimulatedSite(site, brokers=brokers) as world:
        here = Driven(world)
        tasks = here.open()
        try:
            yield here
        finally:
            await cancelled(*tasks)
