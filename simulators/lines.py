"""The wires of a simulated site: a face for each device, on each of the site's links.

Rules: ports and device files are free ones, told in `overrides` as link bindings. A broker is
somebody else's; the gateway reaches it through a wire of ours, so that the link can be cut. With
`as_written` everything is where the site's files say it is, and a broker's link cannot be cut.
"""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from drivers.mqtt.binding import parse
from gateway.domain.errors import GatewayError
from gateway.domain.profile import PointSpec
from gateway.domain.site import Device, Link
from simulators.faults import Faults
from simulators.modbus_face import ModbusRtuFace, ModbusTcpFace
from simulators.modbus_units import unit_of
from simulators.modbus_wire import RtuFramer, TcpFramer
from simulators.mqtt_face import BrokerAddress
from simulators.readers import JsonReader
from simulators.town import Town
from simulators.wire import Wire
from simulators.zigbee import zigbee_device
from simulators.zigbee_bridge import ZigbeeBridge

LOOPBACK = "127.0.0.1"
ModbusFace = ModbusTcpFace | ModbusRtuFace


class Lines:
    """Every link of a town's site, served."""

    def __init__(
        self,
        town: Town,
        brokers: Mapping[str, tuple[str, int]],
        noise: Random,
        now_ms: Callable[[], int],
        *,
        as_written: bool = False,
    ) -> None:
        self.overrides: dict[str, dict[str, Any]] = {}
        self.faults = {device: Faults() for device in town.site.equipment.devices}
        self.buses: dict[str, ModbusFace] = {}
        self.bridges: dict[str, ZigbeeBridge] = {}
        self.readers: dict[str, JsonReader] = {}
        self.brokers = {link: BrokerAddress(*address) for link, address in brokers.items()}
        self.retains = True
        self._town = town
        self._noise = noise
        self._now_ms = now_ms
        self._as_written = as_written
        self._wires: dict[str, Wire] = {}

    async def start(self) -> None:
        """Serve every link."""
        for link in self._town.site.equipment.links.values():
            if link.driver.startswith("modbus"):
                await self._serve_modbus(link)
            elif link.driver == "mqtt":
                await self._serve_mqtt(link)

    async def stop(self) -> None:
        """Take every link away."""
        for bridge in self.bridges.values():
            await bridge.stop()
        for reader in self.readers.values():
            await reader.stop()
        for wire in self._wires.values():
            await wire.cut()
        for bus in self.buses.values():
            await bus.stop()

    def look(self) -> None:
        """Let bridges send what changed."""
        for bridge in self.bridges.values():
            bridge.look()

    def on_link(self, link: str) -> list[Device]:
        """The devices of a link."""
        devices = self._town.site.equipment.devices.values()
        return [device for device in devices if device.link == link]

    async def cut(self, link: str) -> None:
        """Cut a link's wire: connections drop, and no new one succeeds. Raises GatewayError."""
        await self._wire(link).cut()

    async def mend(self, link: str) -> None:
        """The wire is whole again, at the same address."""
        await self._wire(link).mend()

    async def darken(self) -> None:
        """No device is supplied: bridges and readers are gone, and every wire is dead."""
        for bridge in self.bridges.values():
            await bridge.stop()
        for reader in self.readers.values():
            await reader.vanish()
        for bus in self.buses.values():
            await bus.cut()

    async def light(self) -> None:
        """They are supplied again, at the same addresses."""
        for bus in self.buses.values():
            await bus.mend()
        for link, bridge in self.bridges.items():
            await bridge.start(self.brokers[link])
        for device, reader in self.readers.items():
            link = self._town.site.equipment.devices[device].link
            await reader.start(self.brokers[link])

    def present(self, device: str, what: Mapping[str, str]) -> int | None:
        """A keypad or reader says what was presented at it; when, None if it is mute."""
        faults = self.faults[device]
        if faults.mute:
            return None
        return self.readers[device].present(what, garbage=faults.garbage)

    async def restart_device(self, device: str, boot_s: float) -> None:
        """A device is away for so long; one alone on its port or broker drops its connection."""
        link = self._town.site.equipment.devices[device].link
        faults = self.faults[device]
        faults.restarting = True
        alone = isinstance(self.buses.get(link), ModbusTcpFace) and len(self.on_link(link)) == 1
        if alone:
            await self.cut(link)
        if device in self.readers:
            await self.readers[device].vanish()
        await asyncio.sleep(boot_s)
        faults.restarting = False
        if alone:
            await self.mend(link)
        if device in self.readers:
            await self.readers[device].start(self.brokers[link])

    async def restart_bridge(self, link: str) -> None:
        """The bridge of a link restarts, and sends cached states as if they were fresh."""
        if link not in self.bridges:
            raise GatewayError(f"link {link} has no radio bridge; known: {', '.join(self.bridges)}")
        await self.bridges[link].stop()
        await self.bridges[link].start(self.brokers[link])

    async def _serve_modbus(self, link: Link) -> None:
        units = {
            self._unit(device): (
                unit_of(self._town, device, self._now_ms),
                self.faults[device.id],
            )
            for device in self.on_link(link.id)
        }
        face: ModbusFace
        if link.driver == "modbus_rtu":
            face = ModbusRtuFace(units, self._noise, int(link.binding.get("baudrate", 9_600)))
            if self._as_written:
                face.path = str(link.binding["port"])
            await face.start()
            self.overrides[link.id] = {"port": face.path}
        else:
            framer = RtuFramer if link.binding.get("framing") == "rtu" else TcpFramer
            face = ModbusTcpFace(units, self._noise, framer)
            if self._as_written:
                face.port = _own_port(link)
            await face.start()
            self.overrides[link.id] = {"host": LOOPBACK, "port": face.port}
        self.buses[link.id] = face

    def _unit(self, device: Device) -> int:
        model = self._town.site.equipment.profiles[device.profile].binding
        return int(device.binding.get("unit", model.get("unit", 1)))

    def _wire(self, link: str) -> ModbusFace | Wire:
        wire = self._wires.get(link) or self.buses.get(link)
        if wire is None:
            raise GatewayError(f"link {link} runs over a broker of its own and cannot be cut here")
        return wire

    async def _serve_mqtt(self, link: Link) -> None:
        broker = self.brokers.setdefault(link.id, _broker_of(link))
        if not self._as_written:
            wire = self._wires[link.id] = Wire(broker.host, broker.port)
            await wire.mend()
            self.overrides[link.id] = {"host": LOOPBACK, "port": wire.port}
        radio = {}
        for device in self.on_link(link.id):
            profile = self._town.site.equipment.profiles[device.profile]
            if "bridge" in profile.binding:
                radio[device.id] = str(device.binding["topic"])
            else:
                self.readers[device.id] = JsonReader(device, profile)
                await self.readers[device.id].start(broker)
        if radio:
            await self._serve_radio(link.id, radio)

    async def _serve_radio(self, link: str, topics: Mapping[str, str]) -> None:
        base = next(iter(topics.values())).partition("/")[0]
        devices = {
            id_: zigbee_device(self._town, id_, topic.partition("/")[2])
            for id_, topic in topics.items()
        }
        bridge = self.bridges[link] = ZigbeeBridge(base, devices, self.faults, self._now_ms)
        bridge.retains = self.retains
        self._connect_radio(bridge, devices)
        await bridge.start(self.brokers[link])

    def _connect_radio(self, bridge: ZigbeeBridge, devices: Mapping[str, object]) -> None:
        """Buttons and locks report happenings through their bridge."""
        for call_point in self._town.site.safety.call_points.values():
            device = call_point.point.device
            if device in devices:
                spec = self._town.site.equipment.spec_of(call_point.point)
                self._town.buttons[call_point.id].send = _sends(bridge, device, spec)
        for device, lock in self._town.locks.items():
            if device in devices:
                lock.acted = _acts(bridge, device)


def _own_port(link: Link) -> int:
    """The port that the site says, if it is on this machine. Raises GatewayError."""
    host = str(link.binding.get("host", LOOPBACK))
    if host not in (LOOPBACK, "localhost", "::1"):
        raise GatewayError(
            f"link {link.id}: found host {host}; a simulation can only be on this machine"
        )
    return int(link.binding.get("port", 502))


def _broker_of(link: Link) -> BrokerAddress:
    """The broker that the site says. Raises ConfigError or OSError."""
    found = parse(link)
    return BrokerAddress(found.host, found.port, found.login.username, found.login.password())


def _sends(bridge: ZigbeeBridge, device: str, spec: PointSpec) -> Callable[[], None]:
    """Says the first action that the profile takes for a press."""
    action = next(iter(spec.binding.get("enum", ())), "emergency")
    return lambda: bridge.happen(device, {"action": action})


def _acts(bridge: ZigbeeBridge, device: str) -> Callable[[str, str, int], None]:
    def acted(action: str, source: str, user: int) -> None:
        happening = {"action": action, "action_source_name": source, "action_user": user}
        bridge.happen(device, happening)

    return acted
