"""The platform on the wire: an MQTT client of its own, with faults on demand."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiomqtt

from gateway.runtime.tasks import cancelled
from gateway.uplink.client import Client
from simulators.platform.cover import Cover
from simulators.platform.feeds import Answer, Commands, Feed, Waiting
from simulators.platform.ledger import Entry, Ledger

STREAMS = ("bookings", "subjects", "rights")
_TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Address:
    """Where the platform's broker is."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = None
    protocol: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V311


@dataclass(slots=True)
class AckFaults:
    """What goes wrong with acknowledgements."""

    drop: int = 0  # so many of the next
    delay_s: float = 0.0
    twice: bool = False
    silent: bool = False  # none at all


@dataclass(slots=True)
class Times:
    """Clocks, and how often things are said again."""

    mono: Callable[[], float] = time.monotonic
    wall_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    repeat_s: float = 2.0


class Platform:
    """One gateway's platform. Methods that ask something return a future of the gateway's answer.

    `await platform.book(...)` waits for it; `platform.book(...)` alone does not.
    """

    def __init__(self, address: Address, gateway: str, times: Times | None = None) -> None:
        self.address = address
        self.gateway = gateway
        self.times = times or Times()
        self.ledger = Ledger(gateway)
        self.cover = Cover(self.times.mono)
        self.faults = AckFaults()
        self.answers: list[dict[str, Any]] = []
        self.seen: list[tuple[str, bytes]] = []  # every message on the wire, for contract tests
        self.new_epoch()
        self.commands = Commands(self.times.wall_ms)
        self._news = asyncio.Event()
        self._sent: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._client: aiomqtt.Client | None = None
        self._resumed = False
        self._late: set[asyncio.Task[None]] = set()

    # --- life -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.online()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        await self.offline()

    async def online(self) -> None:
        """Connect and serve; returns once subscribed."""
        if self._task is None:
            ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(ready))
            await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                await self._task

    async def offline(self) -> None:
        """Cut the platform off: nothing is heard, nothing said."""
        if self._task is not None:
            await cancelled(self._task)
            self._task = None

    async def until(self, wanted: Callable[["Platform"], object], timeout_s: float = 10.0) -> None:
        """Wait until something is so. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not wanted(self):
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_S):
                        await self._news.wait()

    # --- what it keeps and asks -----------------------------------------------------------------

    @property
    def records(self) -> list[Entry]:
        """The journal so far: every record once, in order."""
        return self.ledger.records

    @property
    def problems(self) -> list[str]:
        """What may never happen, and did."""
        return self.ledger.problems

    def facts(self, prefix: str = "") -> list[Entry]:
        """The records whose fact begins so."""
        return [entry for entry in self.records if entry.fact.startswith(prefix)]

    def new_epoch(self) -> None:
        """A platform set up anew: its revisions start again, with a snapshot."""
        epoch = uuid4().hex[:12]
        kept = getattr(self, "feeds", {})
        self.feeds = {
            name: Feed(name, epoch, self.times.wall_ms, kept[name].items if kept else {})
            for name in STREAMS
        }

    def book(
        self, name: str, facility: str, subjects: list[str], window: tuple[int, int], **more: int
    ) -> Waiting:
        """A booking; `more` are priority, created_ms, revision."""
        start_ms, end_ms = window
        booking = {"facility": facility, "subjects": subjects, "start_ms": start_ms}
        created = {"created_ms": self.times.wall_ms()}
        return self.change(
            "bookings", [{"id": name, **booking, "end_ms": end_ms, **created, **more}]
        )

    def cancel(self, *ids: str) -> Waiting:
        """Revoke bookings."""
        return self.change("bookings", [], list(ids))

    def subject(
        self, name: str, roles: list[str] | None = None, pin: str = "", card: str = ""
    ) -> Waiting:
        """A person, with at most one PIN and one card."""
        items: list[dict[str, Any]] = [
            {"kind": "subject", "id": name, "roles": roles or ["resident"], "active": True}
        ]
        if pin:
            items.append({"kind": "pin", "id": f"{name}-pin", "subject": name, "pin": pin})
        if card:
            items.append({"kind": "card", "id": f"{name}-card", "subject": name, "card": card})
        return self.change("subjects", items)

    def quota(self, name: str, subject: str, paid: int, of: str = "energy", **more: Any) -> Waiting:
        """What is left of all that was paid (Wh, or ms of time), by the records booked so far."""
        unit = "wh" if of == "energy" else "ms"
        used = self.ledger.used(name, unit)
        figures = {f"left_{unit}": max(0, paid - used), f"used_{unit}": used}
        item = {"kind": f"{of}_quota", "id": name, "subject": subject, **figures, **more}
        return self.change("subjects", [item])

    def right(self, name: str, subject: str, targets: list[str], **more: Any) -> Waiting:
        """A standing right; `more` are hours, from_ms, until_ms."""
        return self.change("rights", [{"id": name, "subject": subject, "targets": targets, **more}])

    def change(
        self, stream: str, put: list[dict[str, Any]], remove: list[str] | None = None
    ) -> Waiting:
        """A revision of a stream."""
        waiting = self.feeds[stream].change(put, remove or [])
        self._sent.clear()
        return waiting

    def snapshot(
        self, stream: str = "bookings", window: tuple[int, int] | None = None, by: str = ""
    ) -> Waiting:
        """Everything of a stream within a window; `by` names who confirms it."""
        waiting = self.feeds[stream].snapshot(window, by)
        self._sent.clear()
        return waiting

    def command(
        self, name: str, target: str, by: str = "", within_s: float = 60.0, **arguments: Any
    ) -> Waiting:
        """A remote command; an argument `id` names it."""
        id_ = arguments.pop("id", f"command-{uuid4().hex[:12]}")
        expires_ms = self.times.wall_ms() + int(within_s * 1000)
        command = {"id": id_, "name": name, "target": target, "expires_ms": expires_ms}
        waiting = self.commands.ask({**command, "arguments": arguments, "by": {"name": by}})
        self._sent.clear()
        return waiting

    async def publish(self, name: str, message: Any, *, retain: bool = False) -> None:
        """Any message on `down/<name>`, also one that makes no sense."""
        assert self._client is not None, "the platform is offline"
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.seen.append((f"down/{name}", payload))
        topic = f"commons/v1/{self.gateway}/down/{name}"
        await self._client.publish(topic, payload, qos=1, retain=retain)

    # --- the wire -------------------------------------------------------------------------------

    async def _run(self, ready: asyncio.Future[None]) -> None:
        pause_s = 0.1
        while True:
            try:
                async with self._connect() as client:
                    self._client = client
                    await client.subscribe(f"commons/v1/{self.gateway}/up/+", qos=1)
                    if not ready.done():
                        ready.set_result(None)
                    pause_s = 0.1
                    self._sent.clear()
                    self._resumed = False
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._say())
                        await self._listen(client)
            except* aiomqtt.MqttError:
                pause_s = min(2.0, pause_s * 2)
            self._client = None
            await asyncio.sleep(pause_s)

    def _connect(self) -> aiomqtt.Client:
        address = self.address
        return Client(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=f"platform-{self.gateway}-{uuid4().hex[:6]}",
            protocol=address.protocol,
            tls_context=address.tls,
            timeout=1.0,  # an acknowledgement on its way when the broker goes is soon given up
        )

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            name = str(message.topic).rpartition("/")[2]
            assert isinstance(message.payload, bytes)
            self.seen.append((f"up/{name}", message.payload))
            if name in ("journal", "urgent"):
                await self._acknowledge(self.ledger.take(message.payload, urgent=name == "urgent"))
            elif name == "unsaved":
                self.ledger.take_unsaved(message.payload)
            elif name == "answer":
                self._answered(json.loads(message.payload))
            elif name == "status":
                await self._status(json.loads(message.payload), bool(message.retain))
            self._news.set()

    async def _status(self, status: dict[str, Any], retained: bool) -> None:
        if self.cover.status.get("state") != "online":
            self._sent.clear()  # it was not there to hear what was said
        self.cover.take(status, retained)
        if status["state"] == "online":
            for name, feed in self.feeds.items():
                feed.applied(status["applied"][name]["epoch"])
            await self._resume(status["journal"]["epoch"])

    def _answered(self, said: dict[str, Any]) -> None:
        self.answers.append(said)
        answer = Answer.of(said)
        topic = said["about"].get("topic")
        if topic == "command":
            self.commands.answered(answer)
        elif topic in self.feeds:
            self.feeds[topic].answered(answer)

    async def _resume(self, epoch: str) -> None:
        """Once a connection, tell where we are, so that the gateway goes on from there at once."""
        if epoch and not self._resumed:
            self._resumed = True
            ack = {"epoch": epoch, "seq": self.ledger.position(epoch), "resume": True}
            await self.publish("ack", ack)

    async def _acknowledge(self, ack: dict[str, Any] | None) -> None:
        faults = self.faults
        if ack is None or faults.silent:
            return
        if faults.drop:
            faults.drop -= 1
            return
        for _ in range(2 if faults.twice else 1):
            if faults.delay_s:
                late = asyncio.create_task(self._later(faults.delay_s, ack))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
            else:
                await self.publish("ack", ack)

    async def _later(self, delay_s: float, ack: dict[str, Any]) -> None:
        await asyncio.sleep(delay_s)
        if self._client is not None:
            with suppress(aiomqtt.MqttError):
                await self.publish("ack", ack)

    async def _say(self) -> None:
        """Send what is to be sent, and again what is not answered; look after the cover."""
        while True:
            for name, feed in self.feeds.items():
                message = feed.message()
                if message is not None:
                    await self._repeat(name, f"{name}-{message['revision']}", message)
            for command in self.commands.messages():
                await self._repeat("command", command["id"], command)
            self.cover.check()
            await asyncio.sleep(_TICK_S)

    async def _repeat(self, name: str, key: str, message: dict[str, Any]) -> None:
        now = self.times.mono()
        if now - self._sent.get(key, -1e9) >= self.times.repeat_s:
            self._sent[key] = now
            await self.publish(name, message)
