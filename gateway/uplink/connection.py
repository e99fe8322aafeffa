"""One connection to a broker: MQTT 5.0, or 3.1.1 where the broker has no 5.0; TLS; no Nagle."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.domain.errors import UplinkError
from gateway.uplink.client import Client
from gateway.uplink.settings import Broker, TlsFiles
from gateway.uplink.topics import content_type

NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
V5 = aiomqtt.ProtocolVersion.V5
V311 = aiomqtt.ProtocolVersion.V311
_QUEUE_MAX = 1_000
_QUEUE_BYTES_MAX = 16_777_216
_NO_SUCH_PROTOCOL = (1, 0x84)  # CONNACK codes of 3.1.1 and of 5.0


class ProtocolRefusedError(UplinkError):
    """The broker does not speak this version of MQTT, or hung up at it: try the other."""


class _BoundedQueue(asyncio.Queue[aiomqtt.Message]):
    """Holds so much and no more: what is over is dropped and counted; the platform repeats it."""

    dropped = 0
    _bytes = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if self.qsize() >= _QUEUE_MAX or self._bytes >= _QUEUE_BYTES_MAX:
            self.dropped += 1
        else:
            super().put_nowait(item)

    def _put(self, item: aiomqtt.Message) -> None:
        self._bytes += len(_payload(item))
        super()._put(item)

    def _get(self) -> aiomqtt.Message:
        item: aiomqtt.Message = super()._get()
        self._bytes -= len(_payload(item))
        return item


class Connection:
    """The `Transport` of the uplink: hands messages to the broker, and yields those that come."""

    def __init__(
        self, client: aiomqtt.Client, protocol: aiomqtt.ProtocolVersion, queue: _BoundedQueue
    ) -> None:
        self._client = client
        self._queue = queue
        self.protocol = protocol

    @property
    def dropped(self) -> int:
        """Messages that came faster than they were taken."""
        return self._queue.dropped

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker, QoS 1. Raises UplinkError."""
        properties = None
        if self.protocol is V5:
            properties = _properties(PacketTypes.PUBLISH)
            properties.ContentType = content_type(topic)
        try:
            await self._client.publish(topic, payload, 1, retain, properties)
        except aiomqtt.MqttError as error:
            raise UplinkError(f"{topic} was not taken: {error}") from error

    async def subscribe(self, topic: str) -> None:
        """Ask for a topic, QoS 1. Raises UplinkError."""
        try:
            granted = await self._client.subscribe(topic, 1)
        except aiomqtt.MqttError as error:
            raise UplinkError(f"no subscription to {topic}: {error}") from error
        if any(_code(code) >= 0x80 for code in granted):
            raise UplinkError(f"the broker refused the subscription to {topic}")

    async def messages(self) -> AsyncIterator[tuple[str, bytes, bool]]:
        """(topic, payload, retained) as they come. Raises UplinkError when the link breaks."""
        try:
            async for message in self._client.messages:
                yield str(message.topic), _payload(message), message.retain
        except aiomqtt.MqttError as error:
            raise UplinkError(f"the connection broke: {error.__cause__ or error}") from error


@asynccontextmanager
async def connect(
    broker: Broker,
    protocol: aiomqtt.ProtocolVersion,
    identifier: str | None,
    will: aiomqtt.Will | None = None,
    bytes_max: int = 0,
) -> AsyncIterator[Connection]:
    """A live connection. Raises UplinkError when it cannot be made."""
    options: dict[str, Any] = {"clean_session": True}
    if protocol is V5:
        options = {"clean_start": True}
        if bytes_max:
            options["properties"] = _properties(PacketTypes.CONNECT)
            options["properties"].MaximumPacketSize = bytes_max
    try:
        password, context = await asyncio.to_thread(_secrets, broker)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UplinkError(f"the uplink's certificates or password: {error}") from error
    queue = _BoundedQueue()
    client = Client(
        broker.host,
        broker.port_used,
        username=broker.username,
        password=password,
        identifier=identifier,
        queue_type=lambda **_: queue,  # type: ignore[arg-type]  # called like the class it wants
        protocol=protocol,
        will=will,
        timeout=broker.timeout_ms / 1000,
        keepalive=broker.keepalive_s,
        tls_context=context,
        socket_options=[NO_DELAY],
        **options,
    )
    try:
        await client.__aenter__()
    except (aiomqtt.MqttError, OSError, ValueError) as error:
        raise _failure(error)(f"{broker.host}:{broker.port_used}: {error}") from error
    try:
        yield Connection(client, protocol, queue)
    finally:
        await _leave(client)


def _failure(error: Exception) -> type[UplinkError]:
    if isinstance(error, MqttConnectError):
        named = "protocol version" in str(error)  # paho's name for a 3.1.1 answer to a 5.0 greeting
        return (
            ProtocolRefusedError if named or _code(error.rc) in _NO_SUCH_PROTOCOL else UplinkError
        )
    # Connected, but never greeted: some brokers just hang up at a version they do not know.
    return ProtocolRefusedError if str(error) == "Operation timed out" else UplinkError


async def _leave(client: aiomqtt.Client) -> None:
    try:
        await client.__aexit__(None, None, None)
    except aiomqtt.MqttError:
        return  # it is gone, one way or the other


def _secrets(broker: Broker) -> tuple[str | None, ssl.SSLContext | None]:
    """Read at each connection, so that renewed files are taken without a restart."""
    password = None
    if broker.password_file is not None:
        password = broker.password_file.read_text("utf-8").strip()
    return password, _tls(broker.tls) if broker.tls is not None else None


def _tls(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.ca) if files.ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.cert and files.key:
        context.load_cert_chain(files.cert, files.key)
    return context


def _properties(packet: int) -> Any:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped


def _code(answer: Any) -> int:
    """A plain number in 3.1.1, a reason code in 5.0."""
    return int(getattr(answer, "value", answer))


def _payload(message: aiomqtt.Message) -> bytes:
    payload = message.payload
    return bytes(payload) if isinstance(payload, bytes | bytearray) else str(payload).encode()
