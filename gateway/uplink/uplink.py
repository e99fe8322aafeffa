"""The uplink: one supervised task between journal and engine here, and the platform there.

- Offline is normal: it connects again for ever, at growing, jittered intervals.
- What comes down is asked of the engine and answered; the platform repeats until it is answered,
  so what does not fit in a queue is dropped. Acknowledgements never wait behind it.
- The cursor is the platform's word; it is kept at intervals, for a lost one costs repeats alone.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiomqtt
import structlog

from gateway.domain.calls import Call
from gateway.domain.errors import UplinkError
from gateway.domain.events import Stream
from gateway.domain.records import Position
from gateway.uplink import answers, messages, status
from gateway.uplink.connection import V5, V311, Connection, ProtocolRefusedError, connect
from gateway.uplink.messages import Asked, NonsenseError
from gateway.uplink.sender import Sender
from gateway.uplink.settings import UplinkSettings
from gateway.uplink.surroundings import Surroundings
from gateway.uplink.topics import Topics
from gateway.uplink.unsaved import Unsaved

DOWN = ("ack", "command", *(stream.value for stream in Stream))
_STEADY_MS = 30_000  # a connection that lived so long was a good one
_LARGE_BYTES = 32_768  # parsed in a thread, so that a big snapshot delays no call
_LAST_WORD_S = 1.0
_LOOK_S = 0.25  # how soon a change of the status is seen

_Inbox = asyncio.Queue[tuple[str, bytes, bool]]  # (name, payload, retained)

log = structlog.get_logger()


@dataclass(slots=True)
class Health:
    """How the uplink is, for pages and metrics."""

    connected: bool = False
    protocol: str = ""
    error: str = ""
    connections: int = 0
    malformed: int = 0
    answered: int = 0
    failures: int = 0  # bugs of our own
    dropped: int = 0  # came faster than they could be asked; the platform repeats them


class Uplink:
    """Journal up; bookings, rights and commands down."""

    def __init__(
        self,
        settings: UplinkSettings,
        around: Surroundings,
        version: str,
        chance: Callable[[], float],
    ) -> None:
        self.health = Health()
        self.gateway = settings.gateway or around.views.site.id
        self._settings = settings
        self._around = around
        self._version = version
        self._chance = chance
        self._topics = Topics(self.gateway)
        self._protocol = V311 if settings.protocol == "3.1.1" else V5
        self._told: tuple[object, ...] = ()  # the essence of the last status
        self._unsaved = Unsaved(self.gateway)
        self.sender = Sender(self.gateway, settings, around)

    async def acknowledged(self, position: Position) -> None:
        """Wait until the platform has every urgent record up to this one."""
        await self.sender.acknowledged(position)

    async def run(self) -> None:
        """Serve until cancelled, reconnecting for ever. Another exception is a bug."""
        attempt, told = 0, False
        try:
            while True:
                began_ms, problem = self._around.clock.mono_ms(), await self._connection()
                if self._around.clock.mono_ms() - began_ms >= _STEADY_MS:
                    attempt = 0
                if self.health.connected or not told:
                    log.warning("uplink_down", gateway=self.gateway, why=str(problem))
                    told = True
                self.health.connected = False
                self.health.error = str(problem)
                if not self._other_protocol(problem, attempt):
                    await self._pause(attempt)
                attempt += 1
        finally:
            self.health.connected = False
            await self.sender.keep()

    # --- one connection -------------------------------------------------------------------------

    async def _connection(self) -> UplinkError:
        """Serve one connection; what ended it."""
        now = self._around.clock.now()
        payload = status.encoded(status.offline(self.gateway, self._version, now, "lost"))
        will = aiomqtt.Will(self._topics.status, payload, qos=1, retain=True)
        name = f"commons-{self.gateway}"
        bytes_max = self._settings.message_bytes_max
        try:
            async with connect(self._settings, self._protocol, name, will, bytes_max) as link:
                await self._serve(link)
        except UplinkError as error:
            return error
        except Exception as error:
            # A bug here must not take doors and calls with it: the uplink alone waits and goes on.
            log.exception("uplink_failed", gateway=self.gateway)
            self.health.failures += 1
            return UplinkError(f"a bug of our own: {type(error).__name__}: {error}")
        return UplinkError("the connection ended")

    async def _serve(self, link: Connection) -> None:
        async def publish(urgent: bool, batch: bytes) -> None:
            await link.publish(self._topics.urgent if urgent else self._topics.journal, batch)

        sync: _Inbox = asyncio.Queue(8)
        commands: _Inbox = asyncio.Queue(256)
        try:
            await self._greet(link)
            await _first(
                self._receive(link, sync, commands),
                self._desk(link, sync),
                self._desk(link, commands),
                self.sender.follow(),
                self.sender.send(publish),
                self._send_unsaved(link),
                self._heartbeat(link),
            )
        except asyncio.CancelledError:
            await self._last_word(link)
            raise

    async def _greet(self, link: Connection) -> None:
        await link.subscribe(self._topics.down)
        await self.sender.restart()
        await self._tell_status(link)
        self.health.connected, self.health.error = True, ""
        self.health.connections += 1
        self.health.protocol = "5" if link.protocol is V5 else "3.1.1"
        log.info("uplink_up", gateway=self.gateway, protocol=self.health.protocol)

    async def _last_word(self, link: Connection) -> None:
        """Say that we stop. Whoever stops us may say so again; that does not cut it short."""
        now = self._around.clock.now()
        last = status.encoded(status.offline(self.gateway, self._version, now, "stopped"))
        word = asyncio.create_task(link.publish(self._topics.status, last, retain=True))
        until = asyncio.get_running_loop().time() + _LAST_WORD_S
        while not word.done() and (left := until - asyncio.get_running_loop().time()) > 0:
            with suppress(asyncio.CancelledError):
                await asyncio.wait([word], timeout=left)
        word.cancel()
        with suppress(UplinkError, asyncio.CancelledError):
            await word  # where it did not get through, the will says it in our place

    # --- down -----------------------------------------------------------------------------------

    async def _receive(self, link: Connection, sync: _Inbox, commands: _Inbox) -> None:
        async for topic, payload, retained in link.messages():
            name = topic.rpartition("/")[2]
            try:
                self._check(name, payload, retained)
                if name == "ack":
                    if self.sender.take(payload):
                        self._unsaved.restart()
                else:
                    (commands if name == "command" else sync).put_nowait((name, payload, retained))
            except NonsenseError as error:
                await self._answer_nonsense(link, error)
            except asyncio.QueueFull:
                self.health.dropped += 1

    def _check(self, name: str, payload: bytes, retained: bool) -> None:
        about = {"topic": name[:64]}
        if name not in DOWN:
            raise NonsenseError(about, (f"expected a topic of {', '.join(DOWN)}",))
        if len(payload) > self._settings.message_bytes_max:
            most = self._settings.message_bytes_max
            raise NonsenseError(about, (f"expected at most {most} bytes, found {len(payload)}",))
        if retained and name in ("ack", "command"):
            raise NonsenseError(about, ("expected a live message, found a retained one",))

    async def _desk(self, link: Connection, inbox: _Inbox) -> None:
        """Ask the engine, one message after the other, and answer."""
        while True:
            name, payload, retained = await inbox.get()
            try:
                asked = await self._understand(name, payload, retained)
            except NonsenseError as error:
                await self._answer_nonsense(link, error)
                continue
            reply = await self._around.engine.ask(asked.event)
            await link.publish(self._topics.answer, answers.replied(asked, reply))
            self.health.answered += 1

    async def _understand(self, name: str, payload: bytes, retained: bool) -> Asked:
        try:
            if name == "command":
                return messages.command(payload)
            said = (Stream(name), payload, retained, self._around.credentials)
            if len(payload) >= _LARGE_BYTES:
                return await asyncio.to_thread(messages.sync, *said)
            return messages.sync(*said)
        except NonsenseError:
            raise
        except Exception as error:
            # The platform repeats what is not answered: a bug on one message must not stop others.
            log.error("uplink_message_failed", topic=name, error=type(error).__name__)
            raise NonsenseError({"topic": name}, ("a message that we can understand",)) from None

    async def _answer_nonsense(self, link: Connection, error: NonsenseError) -> None:
        self.health.malformed += 1
        await link.publish(self._topics.answer, answers.nonsense(error))

    # --- up -------------------------------------------------------------------------------------

    async def _send_unsaved(self, link: Connection) -> None:
        self._unsaved.restart()
        while True:
            if self._around.views.storage_lost():
                for batch in self._unsaved.batches(self._around.unsaved()):
                    await link.publish(self._topics.unsaved, batch)
            await asyncio.sleep(_LOOK_S)

    async def _heartbeat(self, link: Connection) -> None:
        """Tell the status at its interval, and at once when its essence changes."""
        told_ms = saved_ms = self._around.clock.mono_ms()
        dropped = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            self.health.dropped += link.dropped - dropped
            dropped = link.dropped
            now_ms = self._around.clock.mono_ms()
            if now_ms - saved_ms >= self._settings.cursor_save_ms:
                saved_ms = now_ms
                await self.sender.keep()
            changed = status.essence(self._status()) != self._told
            if changed or now_ms - told_ms >= self._settings.status_ms:
                told_ms = now_ms
                await self._tell_status(link)

    def _status(self) -> dict[str, Any]:
        journal = self.sender.distance()
        return status.online(self.gateway, self._version, journal, self._around.views)

    async def _tell_status(self, link: Connection) -> None:
        now = self._status()
        self._told = status.essence(now)
        await link.publish(self._topics.status, status.encoded(now), retain=True)

    # --- waiting --------------------------------------------------------------------------------

    def _other_protocol(self, problem: UplinkError, attempt: int) -> bool:
        """Change the version of MQTT after a refusal; True to try it at once."""
        if self._settings.protocol != "auto" or not isinstance(problem, ProtocolRefusedError):
            return False
        self._protocol = V311 if self._protocol is V5 else V5
        return attempt % 2 == 0

    def wait_ms(self, attempt: int) -> float:
        """How long to wait after so many failures: growing, and no two gateways the same."""
        settings = self._settings
        most_ms = min(settings.reconnect_max_ms, settings.reconnect_ms << min(attempt, 20))
        return most_ms * (1 + self._chance()) / 2

    async def _pause(self, attempt: int) -> None:
        """Wait before the next try; not long while somebody calls for help."""
        began_ms, wait_ms = self._around.clock.mono_ms(), self.wait_ms(attempt)
        while True:
            calling = any(call.unanswered for call in self._around.views.state.all(Call))
            limit_ms = min(wait_ms, self._settings.reconnect_call_ms) if calling else wait_ms
            left_ms = began_ms + limit_ms - self._around.clock.mono_ms()
            if left_ms <= 0:
                return
            await asyncio.sleep(min(left_ms, 500) / 1000)


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends or fails; then end the others, and raise what it raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
