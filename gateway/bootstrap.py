"""The only place that builds concrete parts."""

import asyncio
import random
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from config.site import load_site
from drivers.registry import kinds
from gateway.domain.events import Started, Stopping
from gateway.domain.now import Now, Trust
from gateway.domain.points import PointRef
from gateway.domain.profile import SetpointSpec
from gateway.domain.site import Site
from gateway.domain.uses import watches
from gateway.ports import Credentials, Driver, LinkSetup
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.sink import LinkSink
from gateway.runtime.step import Step
from gateway.runtime.supervisor import Supervisor
from gateway.runtime.tasks import cancelled
from gateway.runtime.views import EngineViews
from gateway.security.credentials import KeyedCredentials, load_key
from gateway.store.store import SqliteStore

log = structlog.get_logger()

VERSION = version("commons-gateway")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: the site's folder, the data folder, and what a test or the demo overrides."""

    site: Path
    data: Path
    demo: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)


class PlainClock:
    """The system's clocks, trusted as they are."""

    def __init__(self, boot: str) -> None:
        self._boot = boot

    def now(self) -> Now:
        """This instant."""
        return Now(self.wall_ms(), self.mono_ms(), Trust.SYNCHRONISED, self._boot)

    def mono_ms(self) -> int:
        """Monotonic milliseconds."""
        return time.monotonic_ns() // 1_000_000

    def wall_ms(self) -> int:
        """UTC milliseconds."""
        return time.time_ns() // 1_000_000


class Gateway:
    """One gateway: every part, built and wired. `serve` runs it."""

    def __init__(self, options: Options) -> None:
        self.site = load_site(options.site, kinds(), demo=options.demo, overrides=options.overrides)
        options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clock = PlainClock(secrets.token_hex(4))
        self.credentials: Credentials = KeyedCredentials(load_key(options.data))
        self.store = SqliteStore(options.data / "gateway.db")
        loaded = self.store.open()
        self._head = loaded.head
        self.readings = Readings(self.clock.mono_ms)
        step = Step(self.site, loaded, self.readings)
        reconciler = Reconciler(self._setpoint_spec, self.clock.mono_ms())
        self.engine = Engine(step, reconciler, self.readings, self.store, self.clock)
        self.sinks = {link: LinkSink(link, self.engine, self._latch) for link in self._links()}
        self.views = EngineViews(self.engine, self.clock, self.sinks)
        self.supervisor = Supervisor()

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. A bug in the engine ends this with its exception."""
        drivers = self._drivers(self.site)
        self.engine.start(self._head, drivers)
        self.engine.tell(Started(VERSION))
        self.supervisor.start({link: (drivers[link], self.sinks[link]) for link in drivers})
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.engine.stop, Stopping("asked to"))
            stack.push_async_callback(self.supervisor.stop)
            tasks = [asyncio.create_task(self.engine.run(), name="engine"), *self._services()]
            stack.push_async_callback(_cancel, tasks)
            log.info("started", site=self.site.id, boot=self.clock.now().boot, version=VERSION)
            stopping = asyncio.create_task(stop.wait(), name="stop")
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for task in done - {stopping}:
                task.result()  # a service never ends by itself: its exception ends us

    def _services(self) -> list[asyncio.Task[None]]:
        """The uplink and all that may start after the first call can be taken."""
        services = []
        if self.site.settings.uplink:
            services.append(asyncio.create_task(self._uplink(), name="uplink"))
        return services

    async def _uplink(self) -> None:
        from gateway.uplink.settings import parse  # noqa: PLC0415 (after the first call)
        from gateway.uplink.surroundings import Surroundings  # noqa: PLC0415
        from gateway.uplink.uplink import Uplink  # noqa: PLC0415

        around = Surroundings(
            self.engine, self.views, self.store.journal, self.credentials, self.clock
        )
        await Uplink(parse(self.site.settings.uplink), around, VERSION, random.random).run()

    def _links(self) -> list[str]:
        return list(self.site.equipment.links)

    def _drivers(self, site: Site) -> dict[str, Driver]:
        known = kinds()
        found: dict[str, Driver] = {}
        for link in site.equipment.links.values():
            devices = [d for d in site.equipment.devices.values() if d.link == link.id]
            found[link.id] = known[link.driver].open(
                LinkSetup(
                    link=link,
                    devices=devices,
                    profiles=site.equipment.profiles,
                    watches=watches(site),
                    poll_ms=site.settings.poll_ms,
                    sink=self.sinks[link.id],
                    credentials=self.credentials,
                    clock=self.clock,
                )
            )
        return found

    def _setpoint_spec(self, ref: PointRef) -> SetpointSpec | None:
        return self.engine.site.equipment.spec_of(ref).setpoint

    def _latch(self, _ref: PointRef) -> Any:
        return lambda: None


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    await cancelled(*tasks)
