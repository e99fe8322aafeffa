"""Simulated MQTT devices on a real broker."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiomqtt

from gateway.runtime.tasks import cancelled

RETRY_S = 0.2


class MqttFace:
    """One connection to a broker, through which the simulated devices of a link speak.

    It reconnects for ever; what is said while it is away is lost, as a radio's would be.
    """

    def __init__(self, host: str, port: int, options: Mapping[str, Any] | None = None) -> None:
        self._host = host
        self._port = port
        self._options = dict(options or {})
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    async def start(self) -> None:
        """Connect, and return once connected."""
        self._task = asyncio.create_task(self._run())
        await self.connected.wait()

    async def stop(self) -> None:
        """Disconnect."""
        if self._task is not None:
            await cancelled(self._task)
            self._task = None

    async def say(
        self, topic: str, message: Mapping[str, Any], *, retain: bool = False, qos: int = 1
    ) -> None:
        """Publish a message as JSON. Raises aiomqtt.MqttError when the broker is away."""
        if self._client is None:
            raise aiomqtt.MqttError("the broker is away")
        payload = json.dumps(message, ensure_ascii=False)
        await self._client.publish(topic, payload, qos=qos, retain=retain)

    async def _run(self) -> None:
        while True:
            try:
                async with aiomqtt.Client(
                    self._host,
                    self._port,
                    protocol=aiomqtt.ProtocolVersion.V311,
                    **self._options,
                ) as client:
                    self._client = client
                    self.connected.set()
                    async for _message in client.messages:
                        pass
            except aiomqtt.MqttError:
                await asyncio.sleep(RETRY_S)
            finally:
                self._client = None
                self.connected.clear()
