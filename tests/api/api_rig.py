"""A gateway without devices behind a real HTTP server: the real engine, store, tokens and PINs."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fixtures.clock import MachineClock
from simulation.sites import small_site

from gateway.api.app import create_app
from gateway.api.desk import Desk
from gateway.api.events import Streams
from gateway.api.parts import Gateway
from gateway.api.server import ApiServer
from gateway.domain.bookings import Terms
from gateway.domain.entity import Entity
from gateway.domain.events import BookingItem, ChangesReceived, Event, PointEdge, Started, Stream
from gateway.domain.points import PointRef, Quality, Reading, Value
from gateway.domain.profile import SetpointSpec
from gateway.domain.records import Position
from gateway.domain.site import Channel, ChannelKind, Escalation, Site
from gateway.domain.site import Step as CallStep
from gateway.domain.subjects import Credential, CredentialKind, Role, Subject
from gateway.domain.visits import DoorStatus
from gateway.runtime.engine import Engine
from gateway.runtime.latch import CallLatch
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.reports import UtilizationReports
from gateway.runtime.sink import LinkSink
from gateway.runtime.step import Step
from gateway.runtime.views import EngineViews
from gateway.security.credentials import KeyedCredentials
from gateway.security.tokens import ApiTokens
from gateway.store.store import SqliteStore, StoreOptions
from gateway.uplink.reader import PlatformMessages

HOUR_MS = 3_600_000
PIN = "4711"
KEY = bytes(range(32))
FILE = "gateway.db"
ROLES = ("platform", "desk", "technician", "resident")


@dataclass
class Rig:
    """A gateway that runs, and how to speak to it as each role."""

    parts: "Parts"
    server: ApiServer
    tokens: dict[str, str]
    client: httpx.AsyncClient
    file: Path
    engine_task: "asyncio.Task[None]"

    def __post_init__(self) -> None:
        self.store, self.engine = self.parts.store, self.parts.engine
        self.views, self.desk = self.parts.views, self.parts.desk
        self.clock, self.sinks = self.parts.clock, self.parts.sinks

    async def request(self, method: str, path: str, role: str = "", **more: Any) -> httpx.Response:
        """Ask as a role; as nobody without one."""
        headers = {**more.pop("headers", {})}
        if role:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, path: str, role: str = "desk", **more: Any) -> httpx.Response:
        return await self.request("GET", path, role, **more)

    async def post(
        self, path: str, body: Any = None, role: str = "desk", **more: Any
    ) -> httpx.Response:
        return await self.request("POST", path, role, json=body, **more)

    async def sync(self, stream: Stream, revision: int, *put: Any) -> None:
        """Have the platform say something, past the API."""
        event = ChangesReceived(stream, "p1", revision, put, ())
        assert (await self.engine.ask(event)).accepted

    def revoke(self, role: str) -> None:
        """Take a role's token away, as `commons token revoke` does."""
        (id_,) = (one.id for one in self.parts.tokens.list() if one.role == role)
        self.parts.tokens.revoke(id_)

    def door_status(self) -> DoorStatus:
        status = self.engine.state.get(DoorStatus, "study_room_door")
        assert status is not None
        return status

    def break_store(self) -> None:
        """From now on every commit fails in the database itself; reading goes on."""
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute(
                "CREATE TRIGGER broken BEFORE INSERT ON journal "
                "BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END"
            )
            connection.commit()

    def hide_journal(self) -> None:
        """From now on the journal cannot be read either."""
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute("ALTER TABLE journal RENAME TO hidden")
            connection.commit()

    async def people(self) -> None:
        """Ada, with a PIN, and Bob."""
        digest = KeyedCredentials(KEY).pin(PIN).digest
        assert digest is not None
        people: list[Entity] = [
            Subject("ada"),
            Subject("bob"),
            Credential("ada-pin", "ada", CredentialKind.PIN, digest),
        ]
        await self.sync(Stream.SUBJECTS, 1, *people)

    async def press(self, point: str, value: bool = True) -> None:
        """Something happens at a point, and its record is durable."""
        ref = PointRef.parse(point)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sink = self.sinks[self.engine.site.equipment.devices[ref.device].link]
        sink.edge(PointEdge(ref, value), lambda: durable.set_result(None))
        await durable

    async def tell(self, event: Event) -> None:
        """Have the engine decide something of its own accord."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.engine.tell(event, lambda: durable.set_result(None))
        await durable

    def read(self, point: str, value: Value) -> None:
        """A device reports a value."""
        ref = PointRef.parse(point)
        clock, link = self.clock, self.engine.site.equipment.devices[ref.device].link
        reading = Reading(ref, value, Quality.GOOD, clock.wall_ms(), clock.mono_ms())
        self.sinks[link].reading(reading)

    async def booking(self, subject: str = "ada", revision: int = 1, **terms: Any) -> None:
        """A booking of the study that is on now."""
        now_ms = self.clock.wall_ms()
        start = terms.pop("start_ms", now_ms - HOUR_MS // 2)
        end = terms.pop("end_ms", start + HOUR_MS)
        id_ = terms.pop("id", "b1")
        item = BookingItem(id_, Terms("study", (subject,), start, end, revision=revision, **terms))
        await self.sync(Stream.BOOKINGS, revision, item)


def api_site(**changes: Any) -> Site:
    """The small site, with an escalation that tells a desk page."""
    site = small_site()
    safety = replace(
        site.safety,
        escalations={"desk": Escalation("desk", (CallStep(0, ("desk",)),))},
        channels={"desk": Channel("desk", ChannelKind.DESK, offline=True)},
    )
    return replace(site, safety=safety, **changes)


@dataclass
class Parts:
    """Everything under the HTTP server, built and not yet running."""

    store: SqliteStore
    engine: Engine
    clock: MachineClock
    sinks: dict[str, LinkSink]
    views: EngineViews
    desk: Desk
    tokens: ApiTokens
    gateway: Gateway
    head: Position


def built(folder: Path, site: Site | None = None, clock: MachineClock | None = None) -> Parts:
    """A gateway on a folder."""
    site = site or api_site()
    clock = clock or MachineClock()
    store = SqliteStore(folder / FILE, StoreOptions(ballast_bytes=0))
    loaded = store.open()
    readings = Readings()
    reconciler = Reconciler(lambda ref: _spec(site, ref), clock.mono_ms())
    engine = Engine(Step(site, loaded, readings), reconciler, readings, store, clock)
    latch = CallLatch(folder / "latch")
    sinks = {link: LinkSink(link, engine, latch.press) for link in site.equipment.links}
    views = EngineViews(engine, clock, sinks)
    tokens, desk, credentials = ApiTokens(folder), Desk(confirm_within_s=1.0), KeyedCredentials(KEY)
    gateway = Gateway(
        engine=engine,
        views=views,
        journal=store.journal,
        credentials=credentials,
        tokens=tokens,
        sync=PlatformMessages(credentials),
        reports=UtilizationReports(views, store.utilization),
        desk=desk,
        version="0",
    )
    return Parts(store, engine, clock, sinks, views, desk, tokens, gateway, loaded.head)


_made: list[FastAPI] = []


def application(gateway: Gateway) -> FastAPI:
    """The application of this gateway; its routes are made once, for they take a while."""
    if not _made:
        _made.append(create_app(gateway))
    _made[0].state.gateway = gateway
    _made[0].state.streams = Streams()
    return _made[0]


@asynccontextmanager
async def served(
    folder: Path,
    site: Site | None = None,
    clock: MachineClock | None = None,
    started: Started | None = None,
) -> AsyncIterator[Rig]:
    """A gateway on a folder, served on a free port; `started` is the first thing it hears."""
    parts = built(folder, site, clock)
    texts = {
        role: parts.tokens.add(f"{role} one", Role(role), 0, "ada" if role == "resident" else "")
        for role in ROLES
    }
    parts.engine.start(parts.head, {})
    if started is not None:
        parts.engine.tell(started)
    server = ApiServer(application(parts.gateway), "127.0.0.1:0")
    task = asyncio.create_task(parts.engine.run())
    await server.start()
    base = f"http://127.0.0.1:{server.port}"
    try:
        async with httpx.AsyncClient(base_url=base, timeout=10, verify=False) as client:
            yield Rig(parts, server, texts, client, folder / FILE, task)
    finally:
        await server.stop()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await parts.engine.stop()


def _spec(site: Site, ref: PointRef) -> SetpointSpec | None:
    return site.equipment.spec_of(ref).setpoint
