"""A simulated device's (or bridge's) own connection to a real broker.

Rules: MQTT 3.1.1. It reconnects for ever and says its greetings at each connection; what is said
while it is away is lost, as a radio's would be. `say` never blocks.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiomqtt

from gateway.runtime.tasks import cancelled
from gateway.uplink.client import Client

RETRY_S = 0.2
Heard = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is, and who we are to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """One message to publish."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 1


def said(topic: str, message: Any, *, retain: bool = False, qos: int = 1) -> Said:
    """A message as JSON; text goes as it is."""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    return Said(topic, text.encode(), retain, qos)


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client behaves on the broker: its will, greetings, and what it listens to."""

    will: Said | None = None
    greetings: Callable[[], list[Said]] = list
    listens: tuple[str, ...] = ()
    heard: Heard = lambda _topic, _payload: None


class MqttFace:
    """One client of a broker."""

    def __init__(self, address: BrokerAddress, manners: Manners) -> None:
        self._address = address
        self._manners = manners
        self._outgoing: asyncio.Queue[Said] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._client: aiomqtt.Client | None = None

    async def start(self) -> None:
        """Connect, and return once connected and greeted."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await self._connected.wait()

    async def stop(self) -> None:
        """Leave politely: the will is not sent."""
        if self._task is not None:
            await cancelled(self._task)
            self._task = None

    async def vanish(self) -> None:
        """Lose power, with no goodbye: the broker speaks the will."""
        if self._client is not None:
            wire = self._client._client.socket()  # aiomqtt itself always says goodbye
            if isinstance(wire, socket.socket):
                wire.shutdown(socket.SHUT_RDWR)
        await self.stop()

    def say(self, message: Said) -> None:
        """Publish soon; lost when the broker is away."""
        if self._connected.is_set():
            self._outgoing.put_nowait(message)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with self._made() as self._client:
                    await self._serve(self._client)
            await asyncio.sleep(RETRY_S)

    def _made(self) -> aiomqtt.Client:
        will = self._manners.will
        return Client(
            self._address.host,
            self._address.port,
            username=self._address.username,
            password=self._address.password,
            protocol=aiomqtt.ProtocolVersion.V311,
            will=aiomqtt.Will(will.topic, will.payload, will.qos, will.retain) if will else None,
        )

    async def _serve(self, client: aiomqtt.Client) -> None:
        for topic in self._manners.listens:
            await client.subscribe(topic, qos=1)
        for greeting in self._manners.greetings():
            await self._publish(client, greeting)
        self._outgoing = asyncio.Queue()
        self._connected.set()
        speaking = asyncio.create_task(self._speak(client))
        try:
            async for message in client.messages:
                payload = message.payload
                if isinstance(payload, bytes):
                    self._manners.heard(str(message.topic), payload)
        finally:
            self._connected.clear()
            await cancelled(speaking)

    async def _speak(self, client: aiomqtt.Client) -> None:
        while True:
            message = await self._outgoing.get()
            with contextlib.suppress(aiomqtt.MqttError):  # lost, as on any radio
                await self._publish(client, message)

    async def _publish(self, client: aiomqtt.Client, message: Said) -> None:
        await client.publish(message.topic, message.payload, message.qos, message.retain)


def object_of(payload: bytes) -> Mapping[str, Any]:
    """The JSON object in a payload; an empty one where there is none."""
    try:
        found = json.loads(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
