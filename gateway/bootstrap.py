"""The only place that builds concrete parts."""

import asyncio
import gc
import os
import random
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from config.files import digest_of
from config.site import load_site
from drivers.registry import kinds
from gateway.api.desk import Desk
from gateway.domain.clock import ClockStatus
from gateway.domain.errors import ConfigError, GatewayError, StoreError
from gateway.domain.events import SiteChanged, Started, Stopping
from gateway.domain.faults import Health
from gateway.domain.now import MINUTE_MS
from gateway.domain.points import PointRef
from gateway.domain.profile import SetpointSpec
from gateway.domain.records import Position
from gateway.domain.site import Channel, ChannelKind, Link, Site
from gateway.domain.uses import watches
from gateway.notify.dispatcher import Dispatcher
from gateway.notify.mqtt import MqttNotifier
from gateway.notify.platform import PlatformNotifier
from gateway.notify.webhook import WebhookNotifier
from gateway.ports import Clock, Credentials, Driver, LinkSetup, Loaded, Notifier, Sink
from gateway.runtime import systemd
from gateway.runtime.clock import SystemClock
from gateway.runtime.engine import Engine
from gateway.runtime.latch import CallLatch, latch_file
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.recording import RecordedStep
from gateway.runtime.ring import open_ring
from gateway.runtime.sink import LinkSink
from gateway.runtime.supervisor import Supervisor, changed_links
from gateway.runtime.tasks import cancelled
from gateway.runtime.views import EngineViews
from gateway.security.credentials import KEY_BYTES, KeyedCredentials, load_key
from gateway.security.passes import PassVerifier, load_pass_keys
from gateway.store.folder import DataFolder, FolderInUse, machine_id
from gateway.store.retention import Housekeeping, RetentionPolicy
from gateway.store.store import SqliteStore, StoreOptions
from gateway.uplink.settings import check as check_uplink

if TYPE_CHECKING:
    from gateway.api.server import ApiServer
    from gateway.uplink.uplink import Uplink

log = structlog.get_logger()

VERSION = version("commons-gateway")
TIDY_S = 60.0
FIRST_LOOK_S = 0.5
GIL_S = 0.000_5  # a busy event loop lets the writer on after so long: its 5 ms made a commit 6 ms
LISTENING = "listening"  # where the API listens, for the commands of this machine


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: the site's folder, the data folder, and what a test or the demo overrides."""

    site: Path
    data: Path
    demo: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)


class Gateway:
    """One gateway: every part, built and wired. `serve` runs it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.site = self._load()
        self.folder = DataFolder(options.data)
        held = StoreOptions(machine=machine_id(), before_open=self.folder.hold)
        self.store = SqliteStore(self.folder.database, held)
        loaded, lost = load_store(self.store)
        self.clock = SystemClock(secrets.token_hex(4))
        key, passes = _key(options.data), self._passes()
        self.credentials: Credentials = KeyedCredentials(key, passes)
        self._head = loaded.head
        self._clock_moved = self.clock.remember(loaded.meta)
        self.latch = CallLatch(latch_file(options.data))
        self.readings = Readings()
        self.ring = open_ring(options.data, VERSION)
        self._step = RecordedStep(self.site, loaded, self.readings, self.ring, lost=lost)
        reconciler = Reconciler(self._setpoint_spec, self.clock.mono_ms())
        self.engine = Engine(self._step, reconciler, self.readings, self.store, self.clock)
        self.sinks: dict[str, LinkSink] = {}
        self.drivers: dict[str, Driver] = {}
        self.views = EngineViews(self.engine, self.clock, self.sinks)
        self.supervisor = Supervisor()
        self._reload = asyncio.Event()
        self._uplink: Uplink | None = None
        self._uplink_made = asyncio.Event()
        self._uplink_changed = asyncio.Event()
        self._webhooks = WebhookNotifier(self.clock.wall_ms)
        self.desk = Desk()

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. A bug in the engine ends this with its exception."""
        sys.setswitchinterval(GIL_S)
        self._open_links(set(self.site.equipment.links))
        dispatcher = self._dispatcher()  # before the start raises again what nobody answered
        digest, away_ms = digest_of(self._options.site), self.clock.away_ms()
        self._step.site_digest = digest
        self.engine.start(self._head, self.drivers)
        started = Started(VERSION, self.latch.found, digest, away_ms, self.clock.machine)
        self.engine.tell(started, self.latch.found_durable)
        if self._clock_moved is not None:
            self.engine.clock_changed(self._clock_moved)
        self._start_links(set(self.drivers))
        async with AsyncExitStack() as stack:
            stack.callback(self.folder.release)
            stack.callback(self.latch.close)
            stack.callback(self.ring.close)
            stack.push_async_callback(self.engine.stop, Stopping("asked to"))
            stack.push_async_callback(self.supervisor.stop)
            stack.push_async_callback(self._webhooks.close)
            stack.push_async_callback(dispatcher.stop)
            tasks = [asyncio.create_task(self.engine.run(), name="engine")]
            stack.push_async_callback(self._cancel, tasks)
            log.info("started", site=self.site.id, boot=self.clock.now().boot, version=VERSION)
            tasks += await self._services(stack)
            # What is here now stays: to walk it would delay a call, for what is 0.3 MB of garbage.
            gc.freeze()
            gc.collect()  # nothing; but as long as it has found much, much more may pile up
            systemd.notify("READY=1")
            await self._until(stop, tasks)
            systemd.notify("STOPPING=1")

    def reload(self) -> None:
        """Read the site again, and change what is changed."""
        self._reload.set()

    @staticmethod
    async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()  # a service never ends by itself: its exception ends us

    @staticmethod
    async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
        await cancelled(*tasks)

    # --- services that may start after the first call can be taken ------------------------------

    async def _services(self, stack: AsyncExitStack) -> list[asyncio.Task[None]]:
        services = [
            self._watch_site(),
            self.clock.watch(self.engine.clock_changed, self._keep),
            self._tidy(),
            systemd.watch(),
            self._serve_uplink(),
        ]
        await self._first_look()
        await self._webhooks.prepare(_webhooks(self.site))
        if self.site.settings.listen:
            await self._serve_api(stack)
        return [asyncio.create_task(service) for service in services]

    async def _first_look(self) -> None:
        """Let every link come up and what is polled be seen, before others take processor time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                while not self._looked():  # noqa: ASYNC110 (a start's)
                    await asyncio.sleep(0.01)

    def _looked(self) -> bool:
        said = self.views.health()
        up = all(said[f"link:{link}"] is not Health.UNKNOWN for link in self.site.equipment.links)
        return up and not self.readings.unheard(MINUTE_MS)  # a battery's button may wait for hours

    def _keep(self, meta: Mapping[str, str]) -> None:
        self.engine.do(lambda: self.store.set_meta(meta))

    async def _tidy(self) -> None:
        """Drop what need not be kept, a little at a time, in the store's own thread."""
        settings = self.site.settings
        reader = "platform" if settings.uplink else None
        keeper = Housekeeping(self.store, RetentionPolicy(settings.retention_days, reader))

        def tidy() -> Position | None:
            clock = self.engine.state.get(ClockStatus, "clock") or ClockStatus()
            keeper.tidy(clock.settled(self.clock.now()))
            return self.store.journal.head()

        while True:
            await asyncio.sleep(TIDY_S)
            if not self.engine.step.lost:
                self.engine.do(tidy)

    async def _serve_uplink(self) -> None:
        """The uplink as the site has it; with other settings it begins anew where it was."""
        while True:
            changed = asyncio.create_task(self._uplink_changed.wait(), name="uplink changed")
            tasks: list[asyncio.Task[Any]] = [changed]
            if self.site.settings.uplink:
                await asyncio.to_thread(import_module, "gateway.uplink.uplink")
                tasks.append(asyncio.create_task(self._make_uplink().run(), name="uplink"))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancelled(*tasks)
            for task in done:
                task.result()  # it never ends by itself: its exception ends us
            self._uplink_made.clear()
            self._uplink_changed.clear()

    def _make_uplink(self) -> "Uplink":
        from gateway.uplink.settings import parse  # noqa: PLC0415 (after the first call)
        from gateway.uplink.surroundings import Surroundings  # noqa: PLC0415
        from gateway.uplink.uplink import Uplink  # noqa: PLC0415

        around = Surroundings(
            self.engine,
            self.views,
            self.store.journal,
            self.credentials,
            self.clock,
            self.engine.step.unsaved,
        )
        settings = parse(self.site.settings.uplink)
        self._uplink = Uplink(settings, around, VERSION, random.random)
        self._uplink_made.set()
        return self._uplink

    def _dispatcher(self) -> Dispatcher:
        """Takes calls to people; it hears of every decision."""
        notifiers: dict[ChannelKind, Notifier] = {
            ChannelKind.DESK: self.desk,
            ChannelKind.WEBHOOK: self._webhooks,
            ChannelKind.MQTT: MqttNotifier(self._publish),
            ChannelKind.PLATFORM: PlatformNotifier(
                self.engine, self.store.journal, self._acknowledged
            ),
        }
        dispatcher = Dispatcher(self.engine, self.views, notifiers)
        self.engine.listen(dispatcher.decided)
        return dispatcher

    async def _publish(self, where: Mapping[str, Any], topic: str, payload: bytes) -> str:
        from gateway.uplink.once import Publisher  # noqa: PLC0415 (only for such a channel)

        return await Publisher(lambda: self.site.equipment.links)(where, topic, payload)

    async def _acknowledged(self, position: Position) -> None:
        if not self.site.settings.uplink:
            raise GatewayError("the site has no uplink")
        await self._uplink_made.wait()
        assert self._uplink is not None
        await self._uplink.acknowledged(position)

    async def _serve_api(self, stack: AsyncExitStack) -> None:
        server = await asyncio.to_thread(self._make_api)  # a second of imports delays no call
        try:
            await server.start()
        except GatewayError as error:
            log.error("api_not_served", why=str(error))  # doors and calls need no API
            return
        stack.push_async_callback(server.stop)
        host = self.site.settings.listen.rpartition(":")[0]
        address = self.folder.path / LISTENING
        try:
            fresh = address.with_suffix(".new")
            fresh.write_text(f"{host}:{server.port}\n")
            fresh.replace(address)  # whoever sees it sees all of it
            stack.callback(_forget, address)
        except OSError as error:  # on a disk that takes nothing: commands here must be told (X1)
            log.warning("address_not_kept", file=str(address), why=str(error))
        log.info("listening", address=f"{host}:{server.port}")

    def _make_api(self) -> "ApiServer":
        from gateway.api.app import create_app  # noqa: PLC0415 (after the first call)
        from gateway.api.parts import Gateway as Parts  # noqa: PLC0415
        from gateway.api.server import ApiServer  # noqa: PLC0415
        from gateway.runtime.reports import UtilizationReports  # noqa: PLC0415
        from gateway.security.tokens import ApiTokens  # noqa: PLC0415
        from gateway.uplink.reader import PlatformMessages  # noqa: PLC0415

        parts = Parts(
            engine=self.engine,
            views=self.views,
            journal=self.store.journal,
            credentials=self.credentials,
            tokens=ApiTokens(self.folder.path),
            sync=PlatformMessages(self.credentials),
            reports=UtilizationReports(self.views, self.store.utilization),
            desk=self.desk,
            version=VERSION,
        )
        return ApiServer(create_app(parts), self.site.settings.listen)

    # --- links ----------------------------------------------------------------------------------

    def _open_links(self, names: set[str]) -> None:
        for name in names:
            sink = self.sinks[name] = LinkSink(name, self.engine, self.latch.press)
            self.drivers[name] = open_link(
                self.site, self.site.equipment.links[name], sink, self.credentials, self.clock
            )

    def _start_links(self, names: set[str]) -> None:
        self.supervisor.start({name: (self.drivers[name], self.sinks[name]) for name in names})

    async def _watch_site(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            systemd.notify("RELOADING=1")
            try:
                await self._change_site(self._load())
            except ConfigError as error:
                log.error("site_refused", problems=str(error))
            systemd.notify("READY=1")

    async def _change_site(self, site: Site) -> None:
        """Take a changed site; links of which nothing changed are left alone."""
        changed = changed_links(self.site, site)
        former, self.site = self.site.settings, site
        if site.settings.uplink != former.uplink:
            self._uplink_changed.set()
        if site.settings.listen != former.listen:
            log.warning("needs_a_restart", key="settings.listen")
        await self.supervisor.stop(changed)
        for name in changed:
            self.drivers.pop(name, None)
            self.sinks.pop(name, None)
        for device in set(self.engine.site.equipment.devices) | set(site.equipment.devices):
            before, after = self.engine.site.equipment.devices, site.equipment.devices
            if {d.link for d in (before.get(device), after.get(device)) if d} & changed:
                self.readings.forget_device(device)
        opened = changed & set(site.equipment.links)
        self._step.site_digest = digest_of(self._options.site)
        self.engine.reload(site, self.drivers)
        self._open_links(opened)
        self.engine.reload(site, self.drivers)
        self.engine.tell(SiteChanged(self._step.site_digest, tuple(sorted(changed))))
        self._start_links(opened)
        await self._webhooks.prepare(_webhooks(site))
        log.info("site_changed", links=sorted(changed))

    # --- small things ---------------------------------------------------------------------------

    def _load(self) -> Site:
        asked, checks = self._options, {"uplink": check_uplink}
        demo, over = asked.demo, asked.overrides
        return load_site(asked.site, kinds(), demo=demo, overrides=over, sections=checks)

    def _passes(self) -> PassVerifier:
        """Verifies passes for this gateway with the keys in the site's folder, `keys/<kid>.pem`."""
        audience = self.site.settings.uplink.get("gateway") or self.site.id
        return PassVerifier(load_pass_keys(self._options.site / "keys"), audience)

    def _setpoint_spec(self, ref: PointRef) -> SetpointSpec | None:
        return self.engine.site.equipment.spec_of(ref).setpoint


def _webhooks(site: Site) -> list[Channel]:
    return [one for one in site.safety.channels.values() if one.kind is ChannelKind.WEBHOOK]


def open_link(site: Site, link: Link, sink: Sink, credentials: Credentials, clock: Clock) -> Driver:
    """The driver of one link of a site."""
    devices = [d for d in site.equipment.devices.values() if d.link == link.id]
    setup = LinkSetup(
        link=link,
        devices=devices,
        profiles=site.equipment.profiles,
        watches=watches(site),
        poll_ms=site.settings.poll_ms,
        sink=sink,
        credentials=credentials,
        clock=clock,
    )
    return kinds()[link.driver].open(setup)


def load_store(store: SqliteStore) -> tuple[Loaded, str]:
    """What a store holds, and why it cannot be written; then what can be read of it (RULES X1).

    Raises FolderInUse: another gateway drives these devices.
    """
    try:
        return store.open(), ""
    except FolderInUse:
        raise
    except StoreError as error:
        lost = str(error)
    log.error("storage_lost", error=lost)
    with suppress(StoreError):
        return store.peek(), lost
    return Loaded((), Position("", 0), {}), lost


def _key(folder: Path) -> bytes:
    """The key of the folder; where the disk has none and takes none, one of this run alone."""
    try:
        return load_key(folder)
    except OSError as error:
        log.error("credential_key_not_kept", why=str(error))
        return os.urandom(KEY_BYTES)


def _forget(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)


def lone_driver(site: Site, link: str, sink: Sink) -> Driver:
    """A driver of one link with no gateway around it, to try devices with."""
    credentials = KeyedCredentials(os.urandom(32))
    tried = site.equipment.links[link]
    if tried.driver == "mqtt":  # a name of its own: the gateway's calls must not come to us (E1)
        tried = replace(tried, binding={**tried.binding, "trial": True})
    return open_link(site, tried, sink, credentials, SystemClock("try"))
