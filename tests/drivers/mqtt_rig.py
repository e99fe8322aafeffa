"""A link to a real broker, with everything the driver tells kept; and a client to play devices."""

import asyncio
import json
import os
import secrets
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fixtures.broker import Broker
from fixtures.clock import MachineClock
from fixtures.waiting import until
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from config.profiles import load_profiles
from drivers.mqtt.driver import MqttDriver
from drivers.registry import kinds
from gateway.domain.events import CredentialPresented, PointEdge
from gateway.domain.faults import Health
from gateway.domain.feedback import Answer
from gateway.domain.points import Freshness, PointRef, Reading
from gateway.domain.profile import Profile
from gateway.domain.site import POLL_MS, Device, Link, Name
from gateway.domain.uses import Watch
from gateway.ports import LinkSetup
from gateway.security.credentials import KeyedCredentials

WAIT_S = 10.0


class Sink:
    """Keeps what a driver tells. `durable` is called by itself unless `disk_works` is False."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.latest: dict[str, Reading] = {}
        self.edges: list[PointEdge] = []
        self.held: list[Callable[[], None]] = []
        self.credentials: list[CredentialPresented] = []
        self.answers: list[Answer] = []
        self.health: dict[str, tuple[Health, str, str]] = {}
        self.links: list[tuple[Health, str]] = []
        self.counts: Counter[str] = Counter()
        self.cells: dict[str, Freshness] = {}
        self.disk_works = True

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> Freshness:
        return self.cells.setdefault(device, Freshness(expected_ms))

    def reading(self, reading: Reading) -> None:
        self.readings.append(reading)
        self.latest[str(reading.ref)] = reading

    def edge(self, edge: PointEdge, durable: Callable[[], None] | None = None) -> None:
        self.edges.append(edge)
        if durable is not None:
            if self.disk_works:
                durable()
            else:
                self.held.append(durable)

    def presented(self, event: CredentialPresented, answer: Answer | None = None) -> None:
        self.credentials.append(event)
        if answer is not None:
            self.answers.append(answer)

    def device_health(
        self, device: str, health: Health, reason_code: str = "device_silent", detail: str = ""
    ) -> None:
        self.health[device] = (health, reason_code, detail)

    def link_health(self, health: Health, detail: str = "") -> None:
        self.links.append((health, detail))

    def count(self, what: str, device: str = "") -> None:
        self.counts[what] += 1

    def value(self, ref: str) -> object:
        """The latest value of a point, None if none was told."""
        reading = self.latest.get(ref)
        return None if reading is None else reading.value

    def is_now(self, device: str, health: Health) -> bool:
        """The health last told of a device."""
        return self.health.get(device, (Health.UNKNOWN,))[0] is health

    @property
    def up(self) -> bool:
        return bool(self.links) and self.links[-1][0] is Health.ONLINE


@cache
def profiles() -> dict[str, Profile]:
    """Every shipped profile."""
    return load_profiles(kinds())


def device(id_: str, profile: str, topic: str, **more: Any) -> Device:
    return Device(id_, profile, "radio", "hall", Name(id_, id_), {"topic": topic, **more})


SOS = device("sos", "z2m_sos_button", "zigbee2mqtt/hall sos")
KEYPAD = device("keypad", "json_keypad", "keypads/hall")


class Rig:
    """A driver on a broker."""

    def __init__(
        self,
        broker: Broker,
        devices: Sequence[Device],
        own: Mapping[str, Profile] | None = None,
        watches: Mapping[PointRef, Watch] | None = None,
        **binding: Any,
    ) -> None:
        self.clock = MachineClock()
        self.sink = Sink()
        self.credentials = KeyedCredentials(bytes(range(32)))
        raw = {"host": broker.host, "port": broker.port, "client_id": "test", **binding}
        self.setup = LinkSetup(
            link=Link("radio", "mqtt", raw),
            devices=devices,
            profiles={**profiles(), **(own or {})},
            watches=watches or {},
            poll_ms=POLL_MS,
            sink=self.sink,
            credentials=self.credentials,
            clock=self.clock,
        )
        self.driver = MqttDriver(self.setup)

    @asynccontextmanager
    async def running(self, *, wait_up: bool = True) -> AsyncIterator["Rig"]:
        """Run the driver while inside."""
        task = asyncio.create_task(self.driver.run())
        try:
            if wait_up:
                await until(lambda: self.sink.up or task.done())
            yield self
        finally:
            task.cancel()
            done = await asyncio.gather(task, return_exceptions=True)
            if isinstance(done[0], Exception):
                raise done[0]


class Wire:
    """A bare client that plays devices and bridges: publishes, and hears what we are told."""

    def __init__(self, broker: Broker, **options: Any) -> None:
        self.heard: list[paho.MQTTMessage] = []
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.pop("client_id", f"wire-{secrets.token_hex(3)}"),
            protocol=options.pop("protocol", paho.MQTTv311),
        )
        self._client.on_message = lambda _c, _u, message: self.heard.append(message)
        if "tls" in options:
            self._client.tls_set(options.pop("tls"))
        if "will" in options:
            self._client.will_set(*options.pop("will"), qos=1, retain=True)
        self._client.connect(broker.host, broker.port, **options)
        self._client.loop_start()

    def say(self, topic: str, message: Any, *, retain: bool = False, qos: int = 1) -> None:
        """Publish, and wait until the broker has it. Text and bytes go as they are."""
        payload = message if isinstance(message, str | bytes) else json.dumps(message)
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        info.wait_for_publish(WAIT_S)

    def listen(self, *topics: str) -> None:
        """Hear these topics from now on."""
        done = threading.Event()
        self._client.on_subscribe = lambda *_: done.set()
        self._client.subscribe([(topic, 1) for topic in topics])
        assert done.wait(WAIT_S)

    def messages(self, topic_ends: str = "") -> list[tuple[str, Any]]:
        """What was heard so far: topic, and JSON or text."""
        found = []
        for message in list(self.heard):
            text = message.payload.decode()
            if message.topic.endswith(topic_ends):
                found.append((message.topic, json.loads(text) if text[:1] in "{[" else text))
        return found

    def cut(self) -> None:
        """Go without a word: the broker says our will."""
        self._client.loop_stop()
        self._client.socket().close()  # type: ignore[union-attr]  # connected

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def golden() -> list[dict[str, Any]]:
    """What real Zigbee devices expose, from other people's data; skips where it is missing."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("COMMONS_DATA", root.parent / "shared" / "data"))
    file = folder / "mqtt" / "zigbee2mqtt_exposes.json"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    definitions: list[dict[str, Any]] = json.loads(file.read_text())["definitions"]
    return definitions
