"""The physical world of one site, built from the site's own files. No sockets, no clock.

Rules: a point shows what the thing wired to it does, unless it is stuck. People are in one place at
a time, and change it only by a door. `step` is called as time goes by; a reading in between is
exact for everything but sensors, which see what `step` shows them.
"""

from collections.abc import Callable, Mapping

from gateway.domain.points import PointRef, Value
from gateway.domain.site import Site
from simulators.models.button import Button, FirePanel
from simulators.models.circuits import Building, CircuitMeter, Contactor
from simulators.models.connectors import Connector
from simulators.models.door import Door
from simulators.models.lock import Lock
from simulators.models.power import Meter, Plug
from simulators.models.relay import Relay, Sounder
from simulators.models.room import Room
from simulators.models.sensors import AirSensor, MotionSensor, StillSensor

Source = Callable[[int], Value]
Sink = Callable[[Value, int], None]
Switch = Callable[[bool, int], None]
Sensor = MotionSensor | StillSensor | AirSensor


class Town:
    """Doors, rooms, buttons and boards, and the people among them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.doors: dict[str, Door] = {}
        self.locks: dict[str, Lock] = {}
        self.rooms: dict[str, Room] = {}
        self.buttons: dict[str, Button] = {}
        self.reset_keys: dict[str, Button] = {}
        self.panels: dict[str, FirePanel] = {}
        self.sensors: dict[PointRef, Sensor] = {}
        self.meters: dict[str, Meter] = {}
        self.plugs: dict[str, Plug] = {}
        self.relays: dict[tuple[str, int], Relay] = {}
        self.sounders: dict[str, Sounder] = {}
        self.connectors: dict[str, Connector] = {}  # by device, or device and number
        self.on_device: dict[str, list[Connector]] = {}
        self.outlets: dict[str, Connector] = {}  # by facility
        self.feeders: dict[str, CircuitMeter] = {}  # by the device that measures them
        self.buildings: dict[str, Building] = {}  # by circuit
        self.contactors: dict[str, Contactor] = {}  # by circuit, where it has a switch
        self.sources: dict[PointRef, Source] = {}
        self.sinks: dict[PointRef, Sink] = {}
        self.switches: dict[PointRef, Switch] = {}  # beside a limit
        self.stuck: dict[PointRef, Value] = {}
        self.whereabouts: dict[str, str] = {}

    def step(self, now_ms: int) -> None:
        """Time went by."""
        for sensor in self.sensors.values():
            sensor.see(now_ms)
        for contactor in self.contactors.values():
            contactor.step(now_ms)
        for connector in self.connectors.values():
            connector.step(now_ms)
        for building in self.buildings.values():
            building.step(now_ms)
        for meter in self.meters.values():
            meter.step(now_ms)

    def value(self, ref: PointRef, now_ms: int) -> Value:
        """What a point of a device shows. Raises KeyError for one that no profile has."""
        if ref in self.stuck:
            return self.stuck[ref]
        return self.sources[ref](now_ms)

    def write(self, ref: PointRef, value: Value, now_ms: int) -> None:
        """A device is told a value; a setting that moves nothing is shown from now on."""
        if ref in self.sinks:
            self.sinks[ref](value, now_ms)
        else:
            self.sources[ref] = lambda _now_ms: value

    def hear(self, device: str, now_ms: int) -> None:
        """A device got a valid request."""
        for connector in self.on_device.get(device, ()):
            connector.hear(now_ms)

    def supply(self, on: bool, now_ms: int, device: str = "") -> None:
        """A device, or every one, loses its power or has it back; relays and plugs drop."""
        for (board, _), relay in self.relays.items():
            if device in ("", board) and not on:
                relay.power_lost(now_ms)
        for id_, plug in self.plugs.items():
            if device in ("", id_) and not on:
                plug.switch(False, now_ms)
        all_of_them = self.connectors.values()
        for connector in self.on_device.get(device, ()) if device else all_of_them:
            connector.supply(on, now_ms)

    def connector(self, outlet: str) -> Connector:
        """A connector by its facility, or by its device."""
        return self.outlets.get(outlet) or self.connectors[outlet]

    def readers(self, at: str) -> tuple[PointRef, ...]:
        """The keypads and card readers of a door, or of a facility's outlet. Raises KeyError."""
        if at in self.site.doors:
            return self.site.doors[at].points.readers
        outlet = self.site.facilities[at].outlet
        return outlet.points.readers if outlet is not None else ()

    # --- people -------------------------------------------------------------------------------

    def enter(self, door: str, person: str, now_ms: int) -> bool:
        """Somebody opens a door from outside and goes in; False when it is locked."""
        if not self.doors[door].pull(now_ms):
            return False
        self._move(person, self.site.doors[door].place, now_ms)
        return True

    def leave(self, door: str, person: str, now_ms: int) -> bool:
        """Somebody opens a door from inside and goes out; False when it does not open."""
        strike = self.site.doors[door].points.strike
        if strike.device in self.locks:
            self.locks[strike.device].turn_thumb(now_ms)
        if not self.doors[door].push(now_ms):
            return False
        self._move(person, self.outside(door), now_ms)
        return True

    def force(self, door: str, person: str, now_ms: int) -> bool:
        """Somebody breaks in."""
        if not self.doors[door].force(now_ms):
            return False
        self._move(person, self.site.doors[door].place, now_ms)
        return True

    def outside(self, door: str) -> str:
        """The place before a door: the one around the place it leads into."""
        return self.site.places[self.site.doors[door].place].parent or ""

    def _move(self, person: str, place: str, now_ms: int) -> None:
        before = self.whereabouts.get(person)
        if before in self.rooms:
            self.rooms[before].leave(person, now_ms)
        self.whereabouts[person] = place
        if place in self.rooms:
            self.rooms[place].enter(person, now_ms)

    # --- what people see and hear ---------------------------------------------------------------

    def sirens(self, call_point: str) -> tuple[Relay, ...]:
        """What sounds for this call point: relays of a board, or the horns of sounders."""
        refs = self.site.safety.call_points[call_point].outputs.sirens
        return tuple(
            self.sounders[ref.device].horn if ref.device in self.sounders else self.relay(ref)
            for ref in refs
        )

    def lamps(self, call_point: str) -> tuple[Relay, ...]:
        """What lights for this call point: relays of a board, or the strobes of sounders."""
        refs = self.site.safety.call_points[call_point].outputs.lamps
        return tuple(
            self.sounders[ref.device].strobe if ref.device in self.sounders else self.relay(ref)
            for ref in refs
        )

    def strike(self, door: str) -> Relay:
        """The relay that releases a door. Raises KeyError where a lock does it."""
        return self.relay(self.site.doors[door].points.strike)

    def relay(self, ref: PointRef) -> Relay:
        """The relay behind a point of a relay board."""
        channel = channel_of(ref)
        if channel is None:
            raise KeyError(f"{ref} is no relay")
        return self.relays[ref.device, channel]


CHANNELS: Mapping[str, str] = {"relay": "relay", "pulse": "relay", "signal": "relay"}


def channel_of(ref: PointRef) -> int | None:
    """Which relay of its board a point drives, from 1; None when it drives none."""
    kind, _, number = ref.point.rpartition("_")
    return int(number) if kind in CHANNELS and number.isdigit() else None
