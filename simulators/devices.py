"""The simulated world of a site, served on real wires, with people that tests and the demo move.

`async with SimulatedSite(site, brokers=…) as world:` opens a Modbus TCP port or a pseudo-terminal
for each Modbus link and a connection to the broker of each MQTT link. `world.site` is the same
site with its links pointing there, `world.overrides` what changed in them. Times are monotonic
milliseconds of this machine, the same clock as a gateway's on it.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Mapping
from random import Random
from types import TracebackType
from typing import Any, Self

from gateway.domain.points import PointRef, Value
from gateway.domain.site import Device, Link, Site
from gateway.runtime.tasks import cancelled
from simulators.faults import Faults
from simulators.modbus_face import ModbusRtuFace, ModbusTcpFace
from simulators.modbus_units import RelayBoardUnit
from simulators.modbus_wire import Unit
from simulators.mqtt_face import MqttFace
from simulators.town import Town
from simulators.views import CallPointView, DoorView
from simulators.wire import Wire
from simulators.wiring import build_town

TICK_S = 0.1
LOOK_S = 0.01
SOMEBODY = "somebody"
Face = ModbusTcpFace | ModbusRtuFace


def mono_ms() -> int:
    """Monotonic milliseconds of this machine."""
    return time.monotonic_ns() // 1_000_000


class SimulatedSite:
    """A town on its wires. `brokers` gives the address of each MQTT link's broker."""

    def __init__(
        self,
        site: Site,
        *,
        brokers: Mapping[str, tuple[str, int]] | None = None,
        seed: int = 1,
        now_ms: Callable[[], int] = mono_ms,
    ) -> None:
        self.now_ms = now_ms
        self.town: Town = build_town(site, now_ms())
        self.faults = {device: Faults() for device in site.equipment.devices}
        self.overrides: dict[str, dict[str, Any]] = {}
        self._brokers = dict(brokers or {})
        self._noise = Random(seed)  # noqa: S311  # a simulation, to be repeated
        self._faces: dict[str, Face] = {}
        self._mqtt: dict[str, MqttFace] = {}
        self._wires: dict[str, Wire] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for link in self.town.site.equipment.links.values():
            if link.driver.startswith("modbus"):
                await self._serve_modbus(link)
            elif link.driver == "mqtt":
                await self._serve_mqtt(link)
        self._tasks.append(asyncio.create_task(self._tick()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            await cancelled(task)
        for mqtt in self._mqtt.values():
            await mqtt.stop()
        for wire in self._wires.values():
            await wire.cut()
        for face in self._faces.values():
            await face.stop()

    @property
    def site(self) -> Site:
        """The site, with links that lead to this simulation."""
        site = self.town.site
        links = {
            link.id: dataclasses.replace(link, binding={**link.binding, **self.overrides[link.id]})
            if link.id in self.overrides
            else link
            for link in site.equipment.links.values()
        }
        equipment = dataclasses.replace(site.equipment, links=links)
        return dataclasses.replace(site, equipment=equipment)

    # --- people -------------------------------------------------------------------------------

    async def present_pin(self, door: str, pin: str, identifier: str = "") -> None:
        """Somebody types a PIN at a door, perhaps after a flat or member number."""
        message = {"pin": pin} | ({"identifier": identifier} if identifier else {})
        await self._present(door, message)

    async def present_card(self, door: str, uid: str) -> None:
        """Somebody holds a card to the reader of a door."""
        await self._present(door, {"card": uid})

    async def present_pass(self, door: str, token: str) -> None:
        """Somebody shows a signed pass to the reader of a door."""
        await self._present(door, {"pass": token})

    async def person_enters(
        self, door: str, person: str = SOMEBODY, patience_ms: int = 5_000
    ) -> bool:
        """Somebody tries a door until it opens, and goes in; False when patience ends."""
        return await self._tries(lambda: self.town.enter(door, person, self.now_ms()), patience_ms)

    async def person_exits(
        self, door: str, person: str = SOMEBODY, patience_ms: int = 5_000
    ) -> bool:
        """Somebody inside presses the exit button, where there is one, and goes out."""
        if self.town.site.doors[door].points.exit_button is not None:
            self.town.doors[door].press_exit(self.now_ms())
        return await self._tries(lambda: self.town.leave(door, person, self.now_ms()), patience_ms)

    def press_exit(self, door: str) -> None:
        """Somebody presses the exit button and goes nowhere."""
        self.town.doors[door].press_exit(self.now_ms())

    async def press(self, call_point: str, held_ms: int = 500) -> bool:
        """Somebody calls for help; False when the button's radio could not say so."""
        return self.town.buttons[call_point].press(self.now_ms(), held_ms)

    # --- what can be seen ---------------------------------------------------------------------

    def door(self, door: str) -> DoorView:
        """A door as one who stands before it sees it."""
        return DoorView(self.town, door, self.now_ms)

    def call_point(self, call_point: str) -> CallPointView:
        """A call point, its siren and its lamp."""
        return CallPointView(self.town, call_point, self.now_ms)

    def siren(self, call_point: str) -> CallPointView:
        """The same, for one who listens."""
        return self.call_point(call_point)

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
        """Wait until something can be seen; False when it cannot in time."""
        return await self._tries(condition, int(timeout_s * 1_000))

    # --- what goes wrong ----------------------------------------------------------------------

    def silence(self, device: str) -> None:
        """The device answers no more."""
        self.faults[device].silent = True

    def heal(self, device: str) -> None:
        """The device behaves again."""
        self.faults[device].heal()

    def stick(self, ref: PointRef, value: Value) -> None:
        """A point shows this and nothing else."""
        self.town.stuck[ref] = value

    def unstick(self, ref: PointRef) -> None:
        """A point shows the truth again."""
        self.town.stuck.pop(ref, None)

    def jam(self, door: str, *, leaf: bool = False) -> None:
        """The bolt of a door does not move any more, or the leaf itself is stuck."""
        if leaf:
            self.town.doors[door].leaf_jammed = True
        else:
            self.town.doors[door].bolt.jammed = True

    def free(self, door: str) -> None:
        """Bolt and leaf of a door move again."""
        self.town.doors[door].leaf_jammed = False
        self.town.doors[door].bolt.jammed = False

    async def cut_link(self, link: str) -> None:
        """The link's wire is cut: connections drop, and no new one succeeds."""
        if link in self._wires:
            await self._wires[link].cut()
        else:
            await self._faces[link].cut()

    async def mend_link(self, link: str) -> None:
        """The wire is whole again, at the same address."""
        if link in self._wires:
            await self._wires[link].mend()
        else:
            await self._faces[link].restore()

    async def reboot(self, device: str, boot_s: float = 1.0) -> None:
        """The device restarts: its relays drop, and it is away for so long."""
        faults = self.faults[device]
        faults.restarting = True
        for (board, _), relay in self.town.relays.items():
            if board == device:
                relay.power_lost(self.now_ms())
        link = self.town.site.equipment.devices[device].link
        alone = len(self._on_link(link)) == 1 and isinstance(self._faces.get(link), ModbusTcpFace)
        if alone:
            await self.cut_link(link)
        await asyncio.sleep(boot_s)
        faults.restarting = False
        if alone:
            await self.mend_link(link)

    # --- serving ------------------------------------------------------------------------------

    async def _serve_modbus(self, link: Link) -> None:
        units = {
            int(device.binding.get("unit", 1)): (self._unit(device), self.faults[device.id])
            for device in self._on_link(link.id)
        }
        face: Face
        if "host" in link.binding:
            face = ModbusTcpFace(units, self._noise)
            await face.start()
            self.overrides[link.id] = {"host": "127.0.0.1", "port": face.port}
        else:
            face = ModbusRtuFace(units, self._noise, int(link.binding.get("baud_rate", 9_600)))
            await face.start()
            self.overrides[link.id] = {"port": face.path}
        self._faces[link.id] = face

    def _unit(self, device: Device) -> Unit:
        return RelayBoardUnit(self.town, device, self.now_ms)

    async def _serve_mqtt(self, link: Link) -> None:
        host, port = self._brokers.get(link.id) or (link.binding["host"], link.binding["port"])
        wire = Wire(host, port)
        await wire.mend()
        self._wires[link.id] = wire
        self.overrides[link.id] = {"host": "127.0.0.1", "port": wire.port}
        self._mqtt[link.id] = MqttFace(host, port)
        await self._mqtt[link.id].start()

    def _on_link(self, link: str) -> list[Device]:
        devices = self.town.site.equipment.devices.values()
        return [device for device in devices if device.link == link]

    async def _present(self, door: str, message: Mapping[str, str]) -> None:
        reader = self.town.site.doors[door].points.readers[0]
        device = self.town.site.equipment.devices[reader.device]
        if not self.faults[device.id].mute:
            await self._mqtt[device.link].say(f"{device.binding['topic']}/presented", message)

    async def _tries(self, attempt: Callable[[], bool], patience_ms: int) -> bool:
        ends_ms = self.now_ms() + patience_ms
        while not attempt():
            if self.now_ms() >= ends_ms:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def _tick(self) -> None:
        while True:
            self.town.step(self.now_ms())
            await asyncio.sleep(TICK_S)
