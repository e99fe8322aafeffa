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
from gateway.domain.site import Site
from gateway.runtime.tasks import cancelled
from simulators.faults import Faults
from simulators.lines import Lines
from simulators.models.vehicles import KINDS
from simulators.readers import JsonReader, Shown
from simulators.town import Town
from simulators.views import CallPointView, DoorView
from simulators.wiring import build_town

TICK_S = 0.1
LOOK_S = 0.01
READS_MS = 2_000  # how long somebody looks at a keypad that says nothing
SOMEBODY = "somebody"
KEY_TURNED_MS = 1_000

Fields = Mapping[str, Any]


def mono_ms() -> int:
    """Monotonic milliseconds of this machine."""
    return time.monotonic_ns() // 1_000_000


class SimulatedSite:
    """A town on its wires. `brokers` gives the address of each MQTT link's broker.

    `retains` is how radio bridges are set: their states are kept by the broker, or are not.
    `as_written` serves everything at the ports, device files and brokers of the site's own files.
    """

    def __init__(
        self,
        site: Site,
        *,
        brokers: Mapping[str, tuple[str, int]] | None = None,
        seed: int = 1,
        retains: bool = True,
        as_written: bool = False,
    ) -> None:
        self.now_ms: Callable[[], int] = mono_ms
        self.town: Town = build_town(site, mono_ms())
        noise = Random(seed)  # noqa: S311  # a simulation, to be repeated
        self.lines = Lines(self.town, brokers or {}, noise, mono_ms, as_written=as_written)
        self.lines.retains = retains
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            await self.lines.start()
        except BaseException:
            await self.lines.stop()
            raise
        self._tasks.append(asyncio.create_task(self._tick()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await cancelled(*self._tasks)
        await self.lines.stop()

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        """What the binding of each link must say to lead here."""
        return self.lines.overrides

    @property
    def faults(self) -> dict[str, Faults]:
        """What is wrong with each device, to be set at will."""
        return self.lines.faults

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

    async def present_pin(
        self, door_or_outlet: str, pin: str, identifier: str = "", patience_ms: int = READS_MS
    ) -> Fields | None:
        """Somebody types a PIN at a door or outlet, perhaps after a flat number; what is shown."""
        return await self._present(
            door_or_outlet, {"pin": pin, "identifier": identifier}, patience_ms
        )

    async def present_card(
        self, door_or_outlet: str, uid: str, patience_ms: int = READS_MS
    ) -> Fields | None:
        """Somebody holds a card to the reader of a door or outlet; what it then says."""
        return await self._present(door_or_outlet, {"card": uid}, patience_ms)

    async def present_pass(
        self, door_or_outlet: str, token: str, patience_ms: int = READS_MS
    ) -> Fields | None:
        """Somebody shows a signed pass to the reader of a door or outlet; what it then says."""
        return await self._present(door_or_outlet, {"pass": token}, patience_ms)

    async def type_at_lock(self, door: str, code: str) -> bool:
        """Somebody types at the lock's own keypad; False when it knows no such user (A9)."""
        lock = self.town.locks[self.town.site.doors[door].points.strike.device]
        return lock.type_code(code, self.now_ms())

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

    async def force(self, door: str, person: str = SOMEBODY) -> bool:
        """Somebody breaks in; False when the leaf is stuck."""
        return self.town.force(door, person, self.now_ms())

    def press_exit(self, door: str) -> None:
        """Somebody presses the exit button and goes nowhere."""
        self.town.doors[door].press_exit(self.now_ms())

    def prop(self, door: str) -> None:
        """Somebody props an open door, so that its closer cannot shut it."""
        self.town.doors[door].propped = True

    def shut(self, door: str) -> None:
        """Somebody shuts a door, propped or not."""
        self.town.doors[door].close()

    async def press(self, call_point: str, held_ms: int = 500) -> bool:
        """Somebody calls for help; False when the button's radio could not say so."""
        return self.town.buttons[call_point].press(self.now_ms(), held_ms)

    def reset_button(self, call_point: str) -> None:
        """Somebody turns the key of a latched call button, or the reset key beside one."""
        self.town.buttons[call_point].reset()
        if call_point in self.town.reset_keys:
            self.town.reset_keys[call_point].press(self.now_ms(), KEY_TURNED_MS)

    def fire(self, zone: str, *, alarm: bool = True) -> None:
        """The fire panel alarms, or is reset."""
        self.town.panels[zone].alarm = alarm

    # --- vehicles -----------------------------------------------------------------------------

    def plug_in(self, outlet: str, vehicle: str = "car", percent: float = 30.0) -> None:
        """Somebody plugs in a car, a small_car (of one phase) or an ebike, so full."""
        self.town.connector(outlet).plug_in(KINDS[vehicle](percent / 100), self.now_ms())

    def unplug(self, outlet: str) -> None:
        """Somebody takes the plug out."""
        self.town.connector(outlet).unplug(self.now_ms())

    async def swap(
        self, outlet: str, vehicle: str = "ebike", percent: float = 30.0, away_s: float = 40.0
    ) -> None:
        """Somebody takes the plug out, and after a while somebody plugs in another vehicle."""
        self.unplug(outlet)
        await asyncio.sleep(away_s)
        self.plug_in(outlet, vehicle, percent)

    def misbehave(self, outlet: str, vice: str = "none") -> None:
        """A connector ignores limits, leaks (starts by itself), is broken or welded; or none."""
        self.town.connector(outlet).misbehave(vice, self.now_ms())

    def overload(self, circuit: str, amps: float) -> None:
        """So much more than was declared is drawn on each phase of a circuit; 0: as before."""
        self.town.buildings[circuit].add((amps, amps, amps), self.now_ms())

    # --- what can be seen ---------------------------------------------------------------------

    def door(self, door: str) -> DoorView:
        """A door as one who stands before it sees it."""
        return DoorView(self.town, door, self.now_ms)

    def keypad(self, at: str) -> JsonReader:
        """The first reader of a door or outlet, with what it shows."""
        return self.lines.readers[self.town.readers(at)[0].device]

    def shows(self, at: str) -> Shown | None:
        """What can be read now at the reader of a door or outlet, if one there says something."""
        readers = self.town.readers(at)
        reader = self.lines.readers.get(readers[0].device) if readers else None
        return reader.shows if reader else None

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

    def delay(self, device: str, delay_ms: int) -> None:
        """The device answers so late; beyond its asker's time-out every answer is a late one."""
        self.faults[device].delay_ms = delay_ms

    def garble(self, device: str) -> None:
        """The device says what makes no sense."""
        self.faults[device].garbage = True

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
        await self.lines.cut(link)

    async def mend_link(self, link: str) -> None:
        """The wire is whole again, at the same address."""
        await self.lines.mend(link)

    async def reboot(self, device: str, boot_s: float = 1.0) -> None:
        """The device restarts: its relays drop, it charges nothing, and is away for so long."""
        self.town.supply(False, self.now_ms(), device)
        await self.lines.restart_device(device, boot_s)
        self.town.supply(True, self.now_ms(), device)

    async def cut_power(self) -> None:
        """The whole site is dark: nothing is supplied, and no wire answers."""
        self.town.supply(False, self.now_ms())
        await self.lines.darken()

    async def restore_power(self) -> None:
        """There is power again, and every device starts as it does."""
        self.town.supply(True, self.now_ms())
        await self.lines.light()

    async def restart_bridge(self, link: str) -> None:
        """The radio bridge of a link restarts and repeats what it remembers."""
        await self.lines.restart_bridge(link)

    def lose(self, device: str, *, gone: bool = True) -> None:
        """A radio bridge notices that a device is gone (or is back)."""
        self.lines.bridges[self.town.site.equipment.devices[device].link].notice(device, gone=gone)

    # --- the rest -------------------------------------------------------------------------------

    async def _present(self, at: str, what: dict[str, str], patience_ms: int) -> Fields | None:
        """What the reader says of it, None if nothing before patience ends."""
        keypad = self.keypad(at)
        named = {"outlet": at.rpartition("_")[2]} if at in self.town.outlets else {}
        asked = self.lines.present(self.town.readers(at)[0].device, what | named)
        if asked is None or not keypad.answered:
            return None
        await self._tries(lambda: keypad.answer_to(asked) is not None, patience_ms)
        shown = keypad.answer_to(asked)
        return shown.fields if shown else None

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
            self.lines.look()
            await asyncio.sleep(TICK_S)
