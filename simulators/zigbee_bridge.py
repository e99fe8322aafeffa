"""A Zigbee2MQTT bridge: its devices' topics, its own, and its habits, good and bad.

Rules: states are sent as they change, a happening in the same message; at QoS 0 and, for a gateway
that starts to know them, retained, unless a technician set `qos` and `retains`. At each start it
says that it is online, lists its devices, and sends every *cached* state again, as if it had just
been heard (`cache_state_send_on_startup`); a happening is in no cache. A command is echoed at once
(`optimistic`), and the device's own report follows. A device that fell silent stays "online" until
the bridge is told to notice. A device that has nothing new reports every `REPORT_MS` all the same.
`last_seen` is off by default, as there.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from simulators.faults import Faults
from simulators.mqtt_face import BrokerAddress, Manners, MqttFace, Said, object_of, said
from simulators.zigbee import ZigbeeDevice

REPORT_MS = 300_000
OFFLINE, ONLINE = {"state": "offline"}, {"state": "online"}


class ZigbeeBridge:
    """One bridge on one broker."""

    def __init__(
        self,
        base: str,
        devices: Mapping[str, ZigbeeDevice],
        faults: Mapping[str, Faults],
        now_ms: Callable[[], int],
    ) -> None:
        self._base = base
        self._devices = devices
        self._faults = faults
        self._now_ms = now_ms
        self.shows_last_seen = False
        self.retains = True
        self.qos = 0
        self._cached: dict[str, dict[str, Any]] = {}
        self._hits: dict[str, int] = {}
        self._seen_ms: dict[str, int] = {}
        self._gone: set[str] = set()
        self._face: MqttFace | None = None
        self._by_name = {device.friendly_name: device for device in devices.values()}

    async def start(self, broker: BrokerAddress) -> None:
        """Come up on a broker."""
        manners = Manners(
            will=said(f"{self._base}/bridge/state", OFFLINE, retain=True),
            greetings=self._greetings,
            listens=tuple(
                f"{self._base}/{name}/{verb}" for name in self._by_name for verb in ("set", "get")
            ),
            heard=self._heard,
        )
        for device in self._devices.values():
            if device.id not in self._cached:
                self._remember(device)
        self._face = MqttFace(broker, manners)
        await self._face.start()

    async def stop(self) -> None:
        """Go down, saying so."""
        if self._face is not None:
            self._face.say(said(f"{self._base}/bridge/state", OFFLINE, retain=True))
            await asyncio.sleep(0.05)  # what was said is on its way
            await self._face.stop()
            self._face = None

    def look(self) -> None:
        """Send what changed since the last look. Called a few times a second."""
        now_ms = self._now_ms()
        for device in self._devices.values():
            if self._faults[device.id].mute:
                continue
            changed = device.state(now_ms) != self._cached[device.id]
            hit = device.hits() != self._hits[device.id]
            if changed or hit or now_ms - self._seen_ms[device.id] >= REPORT_MS:
                self._send(device, self._remember(device))

    def happen(self, device: str, happening: Mapping[str, Any]) -> None:
        """A device reports a happening beside its state."""
        if not self._faults[device].mute:
            found = self._devices[device]
            self._send(found, {**self._remember(found), **happening})

    def notice(self, device: str, *, gone: bool) -> None:
        """The bridge notices that a device is gone, or is back."""
        (self._gone.add if gone else self._gone.discard)(device)
        self._say(self._availability(self._devices[device]))

    def _greetings(self) -> list[Said]:
        listed = [
            device.listed(number) for number, device in enumerate(self._devices.values(), start=1)
        ]
        return [
            said(f"{self._base}/bridge/state", ONLINE, retain=True),
            *(self._message(device, self._cached[device.id]) for device in self._devices.values()),
            *(self._availability(device) for device in self._devices.values()),
            said(f"{self._base}/bridge/devices", listed, retain=True),
        ]

    def _availability(self, device: ZigbeeDevice) -> Said:
        topic = f"{self._base}/{device.friendly_name}/availability"
        return said(topic, OFFLINE if device.id in self._gone else ONLINE, retain=True)

    def _heard(self, topic: str, payload: bytes) -> None:
        name, _, verb = topic.removeprefix(f"{self._base}/").rpartition("/")
        device = self._by_name.get(name)
        if device is None or self._faults[device.id].mute:
            return
        if verb == "get":
            self._send(device, self._remember(device))
            return
        loop = asyncio.get_running_loop()
        loop.call_later(self._faults[device.id].delay_ms / 1_000, self._obey, device, payload)

    def _obey(self, device: ZigbeeDevice, payload: bytes) -> None:
        message = object_of(payload)
        echoed = device.echo(message)
        if echoed:
            self._send(device, {**self._cached[device.id], **echoed})
        device.set(message, self._now_ms())
        self.look()

    def _remember(self, device: ZigbeeDevice) -> dict[str, Any]:
        """The device was heard: what it says is cached."""
        now_ms = self._now_ms()
        state = self._cached[device.id] = device.state(now_ms)
        self._hits[device.id], self._seen_ms[device.id] = device.hits(), now_ms
        return state

    def _send(self, device: ZigbeeDevice, state: Mapping[str, Any]) -> None:
        if self._faults[device.id].garbage:
            self._say(Said(f"{self._base}/{device.friendly_name}", b'{"state": \xff\x00', qos=0))
        else:
            self._say(self._message(device, state))

    def _message(self, device: ZigbeeDevice, state: Mapping[str, Any]) -> Said:
        shown = dict(state)
        if self.shows_last_seen:
            ago_s = (self._now_ms() - self._seen_ms[device.id]) / 1_000
            seen = datetime.fromtimestamp(time.time() - ago_s, UTC)
            shown["last_seen"] = seen.isoformat(timespec="milliseconds")
        topic = f"{self._base}/{device.friendly_name}"
        return said(topic, shown, retain=self.retains, qos=self.qos)

    def _say(self, message: Said) -> None:
        if self._face is not None:
            self._face.say(message)
