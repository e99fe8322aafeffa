"""A gateway without devices: the real engine, store and uplink, on a small site."""

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contract import violations_of
from fixtures.clock import MachineClock
from simulation.sites import small_site

from gateway.domain.errors import StoreError
from gateway.domain.events import Event
from gateway.domain.points import PointRef
from gateway.domain.profile import SetpointSpec
from gateway.domain.records import Fact, Position, Record
from gateway.domain.site import Channel, ChannelKind, Escalation, Site
from gateway.domain.site import Step as EscalationStep
from gateway.domain.state import State
from gateway.notify.dispatcher import Dispatcher
from gateway.notify.dispatcher import Times as NotifyTimes
from gateway.notify.mqtt import MqttNotifier
from gateway.notify.platform import PlatformNotifier
from gateway.notify.webhook import WebhookNotifier
from gateway.ports import Batch, Driver, Loaded, Notifier, Stamped
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.step import Step
from gateway.runtime.tasks import cancelled
from gateway.runtime.views import EngineViews
from gateway.security.credentials import KeyedCredentials
from gateway.store.store import SqliteStore, StoreOptions
from gateway.uplink.once import Publisher
from gateway.uplink.settings import UplinkSettings
from gateway.uplink.surroundings import Surroundings
from gateway.uplink.uplink import Uplink
from simulators.platform import Address, Platform
from simulators.platform.service import Times

GATEWAY = "small"
FAST: dict[str, Any] = {
    "host": "127.0.0.1",
    "resend_ms": 300,
    "resend_max_ms": 1_000,
    "urgent_resend_ms": 300,
    "reconnect_ms": 20,
    "reconnect_max_ms": 200,
    "cursor_save_ms": 0,
    "look_ms": 50,
    "timeout_ms": 2_000,
}
KEY = bytes(range(32))
HOUR_MS = 3_600_000


class CardStore(SqliteStore):
    """A store on a card that can turn read-only, as cards do when they fail."""

    _broken = False
    opens_in_s = 0.0

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self._broken = True
        yield
        self._broken = False

    def open(self) -> Loaded:
        time.sleep(self.opens_in_s)
        self._check()
        return super().open()

    def commit(self, batch: Batch) -> Position:
        self._check()
        return super().commit(batch)

    def _check(self) -> None:
        if self._broken:
            raise StoreError("attempt to write a readonly database")


@dataclass(slots=True)
class Rig:
    """A gateway that runs."""

    store: CardStore
    engine: Engine
    uplink: Uplink
    settings: UplinkSettings
    dispatcher: Dispatcher

    @property
    def state(self) -> State:
        return self.engine.state

    def cursor(self) -> int:
        return self.store.journal.cursor("platform")

    async def note(self, event: Event) -> int:
        """Have the engine decide something; the journal's head once it is durable."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.engine.tell(event, lambda: durable.set_result(None))
        await durable
        return self.engine.head.seq


def prefill(
    folder: Path, count: int, urgent: Callable[[int], bool] = lambda _: False, machine: str = ""
) -> None:
    """A journal that already holds so many records."""
    store = SqliteStore(folder / "journal.db", StoreOptions(machine=machine, ballast_bytes=0))
    store.open()
    now = MachineClock().now()
    records = tuple(
        Stamped(
            Record(
                Fact.CALL_PRESSED if urgent(n) else Fact.EXIT,
                {"n": n, "door": "study_room_door", "note": '开门 "quoted" \n line'},
                {"subject": f"s{n}"} if n % 3 == 0 else {},
                urgent=urgent(n),
            ),
            now,
        )
        for n in range(1, count + 1)
    )
    store.commit(Batch(1, records, ()))
    store.close()


def calling_site(channels: Mapping[str, Channel]) -> Site:
    """The small site, with an escalation that tells these channels at once."""
    site = small_site()
    output = Channel("siren", ChannelKind.OUTPUT, offline=True)
    told = {"siren": output, **channels}
    steps = (EscalationStep(0, tuple(told)),)
    safety = replace(site.safety, escalations={"desk": Escalation("desk", steps)}, channels=told)
    return replace(site, safety=safety, settings=replace(site.settings, store_reopen_ms=300))


def drop(folder: Path, first: int, last: int) -> None:
    """Drop records as retention does: their chain goes on."""
    with sqlite3.connect(folder / "journal.db") as database:
        (chain,) = database.execute(
            "SELECT chain FROM journal WHERE number = ?", (last,)
        ).fetchone()
        database.execute(
            "INSERT INTO gap (last, first, chain) VALUES (?, ?, ?)", (last, first, chain)
        )
        database.execute("DELETE FROM journal WHERE number BETWEEN ? AND ?", (first, last))
    database.close()


def surroundings(engine: Engine, store: SqliteStore, clock: MachineClock) -> Surroundings:
    """What an uplink sees of a gateway."""
    return Surroundings(
        engine,
        EngineViews(engine, clock, {}),
        store.journal,
        KeyedCredentials(KEY),
        clock,
        engine.step.unsaved,
    )


@asynccontextmanager
async def uplinked(
    engine: Engine, store: SqliteStore, clock: MachineClock, port: int
) -> AsyncIterator[None]:
    """An uplink beside a gateway that runs already."""
    settings = UplinkSettings(**{**FAST, "port": port})
    uplink = Uplink(settings, surroundings(engine, store, clock), "0.1.0", random.Random(7).random)
    task = asyncio.create_task(uplink.run())
    try:
        yield
    finally:
        await cancelled(task)


@asynccontextmanager
async def gateway(
    folder: Path,
    port: int,
    machine: str = "",
    channels: Mapping[str, Channel] | None = None,
    drivers: Mapping[str, Driver] | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """A gateway on a folder, its uplink on a broker's port."""
    clock = MachineClock()
    store = CardStore(folder / "journal.db", StoreOptions(machine=machine, ballast_bytes=0))
    loaded = store.open()
    site = calling_site(channels or {})
    readings = Readings()
    engine = Engine(
        Step(site, loaded, readings),
        Reconciler(_spec(site), clock.mono_ms()),
        readings,
        store,
        clock,
    )
    engine.start(loaded.head, drivers or {})
    uplink_settings = UplinkSettings(**{**FAST, "port": port, **settings})
    around = surroundings(engine, store, clock)
    uplink = Uplink(uplink_settings, around, "0.1.0", random.Random(7).random)
    notifiers: dict[ChannelKind, Notifier] = {
        ChannelKind.WEBHOOK: WebhookNotifier(clock.wall_ms),
        ChannelKind.MQTT: MqttNotifier(Publisher(lambda: site.equipment.links)),
        ChannelKind.PLATFORM: PlatformNotifier(engine, store.journal, uplink.acknowledged, 5),
    }
    times = NotifyTimes(again_s=0.1, again_max_s=0.2)
    dispatcher = Dispatcher(engine, around.views, notifiers, times)
    engine.listen(dispatcher.decided)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.run()), group.create_task(uplink.run())]
        yield Rig(store, engine, uplink, uplink_settings, dispatcher)
        await dispatcher.stop()
        for task in tasks:
            task.cancel()
    await engine.stop()


def _spec(site: Site) -> Callable[[PointRef], SetpointSpec | None]:
    def spec_of(ref: PointRef) -> SetpointSpec | None:
        return site.equipment.spec_of(ref).setpoint

    return spec_of


@asynccontextmanager
async def platform(
    port: int, address: Address | None = None, **times: Any
) -> AsyncIterator[Platform]:
    """A platform; in the end, all that was seen on the wire is held to its description."""
    desk = Platform(address or Address(port), GATEWAY, Times(**{"repeat_s": 0.3, **times}))
    async with desk:
        yield desk
    assert violations_of(desk.seen) == []


def window(clock_ms: int | None = None, hours: int = 1) -> tuple[int, int]:
    """From half an hour ago on."""
    now_ms = clock_ms or time.time_ns() // 1_000_000
    return now_ms - HOUR_MS // 2, now_ms + hours * HOUR_MS
