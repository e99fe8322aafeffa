"""One session with a broker: paho-mqtt on the asyncio loop, with a connection of its own.

Rules:
- Every connection has a fresh paho client, so nothing that was not sent is ever sent by a later
  one (RULES A4): what we publish leaves at once or not at all.
- A session drains its socket, at most 64 messages or 1 ms a turn, so that no flood holds the loop:
  a call takes several turns from its press to its siren.
- A *lasting* session (calls) is kept by the broker over our absence, and its messages are
  acknowledged once settled (see `held`): a dead disk must not stop the next call from coming.
- An abandoned connection is reset, so that no bytes are sent after we gave them up.
"""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers.mqtt.binding import Binding
from drivers.mqtt.held import Held, Settle
from drivers.mqtt.packets import bound_packet, pending, socket_of, topic_of
from drivers.mqtt.packets import properties as new_properties
from drivers.mqtt.routes import PAYLOAD_MAX
from gateway.domain.errors import DeviceError
from gateway.domain.points import WriteOutcome, WriteResult

TURN_MESSAGES = 64
TURN_S = 0.001

TICK_S = 1.0
CONNECT_S = 3.0
WAIT_S = 0.25  # before the first try to connect again
STOOD_S = 5.0  # a connection that lasted so long was no flapping
LASTS_S = 86_400  # how long a broker keeps the calls for us
_RECEIVE_BUFFER = 65_536  # paho takes up to 100 of these before we can look at a packet
_REFUSED = 128  # MQTT reason codes from here on are failures

Receive = Callable[[str, Any, Settle | None], bool]  # topic, message, settle


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish. `expiry_s` is honoured where the protocol has it (5.0)."""

    topic: str
    payload: str
    expiry_s: int | None = None


class Session:
    """Connects, reads and writes, again and again.

    `receive` is given each message; in a lasting session also a function that settles it, and it
    returns True if it will call that. `changed` is told when the session comes up or goes down, and
    `resumed` when the broker may send what it kept for us.
    """

    def __init__(
        self,
        binding: Binding,
        name: str,
        receive: Receive,
        changed: Callable[[bool, str], None],
        lasting: bool = False,
    ) -> None:
        self.name = name
        self.connected = False
        self.topics: Sequence[str] = ()
        self.packet_max = PAYLOAD_MAX
        self.receive = receive
        self.resumed: Callable[[], None] = lambda: None
        self._binding = binding
        self._changed = changed
        self._lasting = lasting
        self._client: paho.Client | None = None
        self._abandoned = False
        self._blocked = False  # the loop waits for the socket to take more
        self._up_s: float | None = None  # since when, by the loop's clock
        self._closed: asyncio.Future[str] | None = None
        self._received = 0
        self._published: dict[int, asyncio.Future[WriteOutcome]] = {}
        self._held = Held(self._acknowledge_now)

    async def run(self, wait_max_s: float) -> None:
        """Keep the session up until cancelled, trying again with growing, jittered waits."""
        wait_s = WAIT_S
        while True:
            try:
                await self._serve()
            except DeviceError as error:
                if self._stood():
                    wait_s = WAIT_S
                self._changed(False, str(error))
            await asyncio.sleep(wait_s * (0.5 + random.random() / 2))  # noqa: S311  # jitter
            wait_s = min(wait_max_s, wait_s * 2)

    async def publish(self, message: Outgoing, wait_s: float) -> WriteOutcome:
        """Publish once, QoS 1: sent when the broker says it has it, never again by a later try."""
        client = self._client
        if client is None or not self.connected:
            return WriteOutcome(WriteResult.REFUSED, "not connected")
        properties = self._properties(message)
        info = client.publish(message.topic, message.payload, qos=1, properties=properties)
        if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            return WriteOutcome(WriteResult.UNKNOWN, paho.error_string(info.rc))
        answer: asyncio.Future[WriteOutcome] = asyncio.get_running_loop().create_future()
        self._published[info.mid] = answer
        self._flush()
        try:
            async with asyncio.timeout(wait_s):
                return await answer
        except TimeoutError:
            self.abandon("the broker does not acknowledge")
            return WriteOutcome(WriteResult.UNKNOWN, "not acknowledged by the broker in time")
        finally:
            self._published.pop(info.mid, None)

    def send(self, message: Outgoing) -> None:
        """Publish now, QoS 0, if connected: for what may be lost."""
        if self._client is not None and self.connected:
            properties = self._properties(message)
            self._client.publish(message.topic, message.payload, qos=0, properties=properties)
            # Not now: we may be inside a callback of paho's, which writes under its own lock.
            asyncio.get_running_loop().call_soon(self._flush)

    def say(self, message: Outgoing) -> bool:
        """As `send`, for what is worth nothing later: False where it cannot leave now."""
        if not self.connected or self._blocked:
            return False
        self.send(message)
        return True

    def _properties(self, message: Outgoing) -> Any:
        if not self._binding.version5 or message.expiry_s is None:
            return None
        properties = new_properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = message.expiry_s
        return properties

    def abandon(self, why: str) -> None:
        """Give the connection up: whatever it still holds in its buffers is not sent."""
        self._abandoned = True
        sock = socket_of(self._client) if self._client else None
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._close(why)

    # --- one connection -------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Connect and serve until the connection ends. Raises DeviceError."""
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        self._abandoned, self._blocked, self._up_s = False, False, None
        self._client = client = self._new_client()
        try:
            await self._connect(client)
            with self._reading(client):
                await self._until_up(client)
                self.connected, self._up_s = True, loop.time()
                self._changed(True, "")
                raise DeviceError(await self._closed)
        finally:
            self.connected = False
            self._client = None
            self._leave(client)

    def _stood(self) -> bool:
        up_s = self._up_s
        return up_s is not None and asyncio.get_running_loop().time() - up_s > STOOD_S

    async def _connect(self, client: paho.Client) -> None:
        """Open the socket in a thread: names and TLS handshakes block."""
        binding = self._binding
        try:
            client.username_pw_set(binding.login.username, binding.login.password())
            if binding.tls:
                client.tls_set_context(binding.tls.context())
            await asyncio.to_thread(self._open, client)
        except (OSError, ValueError) as error:
            raise DeviceError(f"{binding.host}:{binding.port}: {error}") from error
        sock = socket_of(client)
        if sock is None:
            raise DeviceError(f"{binding.host}:{binding.port}: closed at once")
        client.on_socket_register_write = _flushed_by_us
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def _open(self, client: paho.Client) -> None:
        binding = self._binding
        options: dict[str, Any] = {}
        if binding.version5:
            properties = new_properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = LASTS_S if self._lasting else 0
            properties.MaximumPacketSize = 2 * self.packet_max
            options = {"clean_start": not self._lasting, "properties": properties}
        client.connect(binding.host, binding.port, binding.keepalive_s, **options)

    def _new_client(self) -> paho.Client:
        version5 = self._binding.version5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{self._binding.client_id}-{self.name}",
            clean_session=None if version5 else not self._lasting,
            protocol=paho.MQTTv5 if version5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=self._lasting,
        )
        client.connect_timeout = CONNECT_S
        client.on_message = self._on_message_lasting if self._lasting else self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        return client

    async def _until_up(self, client: paho.Client) -> None:
        """Wait for the broker to accept us and our subscriptions. Raises DeviceError."""
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[Any] = loop.create_future()
        subscribed: asyncio.Future[Any] = loop.create_future()

        def on_connect(_c: object, _u: object, flags: Any, reason: Any, _p: object) -> None:
            self._held.connected(session_present=flags.session_present)
            if flags.session_present:
                self.resumed()  # at once: what the broker kept for us comes right behind
            _answer(accepted, reason)

        client.on_connect = on_connect
        client.on_subscribe = lambda _c, _u, _mid, reasons, _p: _answer(subscribed, reasons)
        reason = await self._answered(accepted, "does not answer")
        if reason.is_failure:
            raise DeviceError(f"{self.name}: the broker refuses us: {reason}")
        if not self.topics:
            return
        options: Any = SubscribeOptions(qos=1) if self._binding.version5 else 1
        client.subscribe([(topic, options) for topic in self.topics])
        self._flush()
        reasons = await self._answered(subscribed, "does not answer our subscriptions")
        refused = [t for t, r in zip(self.topics, reasons, strict=False) if r.value >= _REFUSED]
        if refused:
            raise DeviceError(f"{self.name}: the broker does not let us read {refused[0]}")

    async def _answered(self, answer: asyncio.Future[Any], silence: str) -> Any:
        assert self._closed is not None
        wanted = {answer, self._closed}
        done, _ = await asyncio.wait(wanted, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        if answer in done:
            return answer.result()
        if self._closed in done:
            raise DeviceError(self._closed.result())
        raise DeviceError(f"{self.name}: the broker {silence}")

    @contextmanager
    def _reading(self, client: paho.Client) -> Iterator[None]:
        """The socket is read, and kept alive, while inside."""
        loop = asyncio.get_running_loop()
        descriptor = socket_of(client).fileno()

        def closing(*_: object) -> None:
            loop.remove_reader(descriptor)
            loop.remove_writer(descriptor)

        client.on_socket_close = closing
        loop.add_reader(descriptor, self._drain)
        ticker = asyncio.create_task(self._tick(client))
        try:
            yield
        finally:
            ticker.cancel()
            closing()

    async def _tick(self, client: paho.Client) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            client.loop_misc()
            self._flush()

    def _drain(self) -> None:
        """Read while messages keep coming; a bug in whoever receives them ends the session."""
        client = self._client
        if client is None:
            return
        try:
            until = time.perf_counter() + TURN_S
            for _ in range(TURN_MESSAGES):
                before = self._received
                client.loop_read()
                if self._received == before or time.perf_counter() >= until:
                    break
            bound_packet(client, self.packet_max)
            self._flush()
            if self._binding.tls and self._client is client and pending(client):
                asyncio.get_running_loop().call_soon(self._drain)
        except Exception as bug:
            assert self._closed is not None
            if not self._closed.done():
                self._closed.set_exception(bug)

    def _flush(self) -> None:
        """Write what paho has queued; the loop goes on where the socket would block."""
        client = self._client
        if client is None or not client.want_write():
            return
        client.loop_write()
        sock = socket_of(client)
        blocked = sock is not None and client.want_write()
        if blocked and not self._blocked:
            asyncio.get_running_loop().add_writer(sock.fileno(), self._flush)
        elif self._blocked and not blocked and sock is not None:
            asyncio.get_running_loop().remove_writer(sock.fileno())
        self._blocked = blocked

    def _leave(self, client: paho.Client) -> None:
        for answer in self._published.values():
            _answer(answer, WriteOutcome(WriteResult.UNKNOWN, "the connection was lost"))
        client.on_disconnect = None
        if not self._abandoned and client.socket() is not None:
            client.disconnect()
            client.loop_write()
        sock = socket_of(client)
        if sock is not None:
            sock.close()

    def _close(self, why: str) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(f"{self.name}: {why}")

    # --- what paho tells ------------------------------------------------------------------------

    def _on_message(self, _client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        self._received += 1
        self.receive(topic_of(message), message, None)

    def _on_publish(
        self, _client: paho.Client, _user: object, mid: int, reason: Any, _properties: object
    ) -> None:
        answer = self._published.get(mid)
        if answer is None:
            return
        if reason.value >= _REFUSED:
            _answer(answer, WriteOutcome(WriteResult.REFUSED, f"the broker refuses: {reason}"))
        else:
            _answer(answer, WriteOutcome(WriteResult.SENT))

    def _on_disconnect(
        self, _client: paho.Client, _user: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        self._close(f"connection lost: {reason}")

    def _on_message_lasting(
        self, client: paho.Client, _user: object, message: paho.MQTTMessage
    ) -> None:
        if message.qos == 0:
            self._on_message(client, _user, message)
            return
        self._received += 1
        topic = topic_of(message)
        if topic not in self.topics:
            client.unsubscribe(topic)  # of a site as it was: the broker still remembers
        self._held.take(message, lambda settle: self.receive(topic, message, settle))
        self._acknowledge()  # written with the turn: paho must not write inside its callback

    def _acknowledge(self) -> None:
        client = self._client
        if client is not None:
            for mid in self._held.settled():
                client.ack(mid, 1)

    def _acknowledge_now(self) -> None:
        self._acknowledge()
        self._flush()


def _flushed_by_us(*_: object) -> None:
    """Paho need not write each packet by itself: we write all of a turn at its end."""


def _answer(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)
