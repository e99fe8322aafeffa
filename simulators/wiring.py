"""Wires a town from its site: what each point shows follows from what the site uses it for."""

from collections.abc import Callable

from gateway.domain.points import PointRef, Value
from gateway.domain.profile import PointSpec, PollClass, ValueKind
from gateway.domain.site import (
    CallPoint,
    Egress,
    FireRole,
    PresenceSensor,
    SensorKind,
    Site,
    Wiring,
)
from gateway.domain.site import Door as SiteDoor
from simulators.charging import wire_charging
from simulators.models.button import Button, FirePanel
from simulators.models.connectors import SwitchedOutlet
from simulators.models.door import Bolt, Door, Strike
from simulators.models.lock import Lock
from simulators.models.power import Meter, Plug
from simulators.models.relay import Relay, Sounder
from simulators.models.room import Room
from simulators.models.sensors import AirSensor, MotionSensor, StillSensor
from simulators.town import Source, Town, channel_of

BASE_LOAD_W, LOAD_PER_PERSON_W = 12.0, 65.0
METERED = {"V", "A", "W", "Wh", "kWh", "Hz"}
AMBIENT: dict[str, Value] = {
    "temperature": 21.4,
    "humidity": 45.0,
    "illuminance": 180.0,
    "battery": 87.0,
    "power_factor": 1.0,
}


def build_town(site: Site, now_ms: int) -> Town:
    """The world of a site, at rest: doors shut, nobody there."""
    town = Town(site)
    town.rooms = {place: Room(now_ms) for place in site.places}
    for ref in _points(site):
        channel = channel_of(ref)
        if channel is not None:
            town.relays.setdefault((ref.device, channel), Relay())
            town.sources[ref] = town.relay(ref).on
    for door in site.doors.values():
        _wire_door(town, door)
    for facility in site.facilities.values():
        for sensor in facility.sensors:
            _wire_sensor(town, sensor, now_ms)
    for call_point in site.safety.call_points.values():
        _wire_call_point(town, call_point)
    wire_charging(town, now_ms)
    _wire_fire(town)
    for ref in _points(site):
        if ref not in town.sources:
            town.sources[ref] = _ambient(town, ref, now_ms)
    return town


def _points(site: Site) -> list[PointRef]:
    profiles = site.equipment.profiles
    return [
        PointRef(device.id, point)
        for device in site.equipment.devices.values()
        for point in profiles[device.profile].points
    ]


def _wire_door(town: Town, door: SiteDoor) -> None:
    points = door.points
    bolt: Bolt
    if channel_of(points.strike) is not None:
        hold = points.hold and town.relay(points.hold)
        bolt = Strike(town.relay(points.strike), hold)
    else:
        bolt = town.locks.setdefault(points.strike.device, Lock())
    wired = Door(bolt, hardwired_exit=door.rules.egress is Egress.HARDWIRED)
    town.doors[door.id] = wired
    if points.contact is not None:
        town.sources[points.contact] = wired.opened
    if points.exit_button is not None:
        town.sources[points.exit_button] = wired.exit_pressed
    if points.lock is not None:
        lock = town.locks.get(points.lock.device)
        town.sources[points.lock] = lock.state if lock else _state_of(bolt)


def _state_of(bolt: Bolt) -> Source:
    return lambda now_ms: "unlocked" if bolt.released(now_ms) else "locked"


def _wire_sensor(town: Town, sensor: PresenceSensor, now_ms: int) -> None:
    ref = sensor.point
    if ref in town.sources:
        return
    room = _room_of(town, ref.device, now_ms)
    if sensor.kind is SensorKind.CO2:
        air = AirSensor(room)
        town.sensors[ref], town.sources[ref] = air, air.ppm
    elif sensor.kind is SensorKind.PRESENCE:
        still = StillSensor(room)
        town.sensors[ref], town.sources[ref] = still, still.on
    else:
        by_radio = town.site.equipment.spec_of(ref).poll is PollClass.EVENT
        motion = MotionSensor(room) if by_radio else MotionSensor(room, 0, 3_000)
        town.sensors[ref], town.sources[ref] = motion, motion.on


def _wire_call_point(town: Town, call_point: CallPoint) -> None:
    button = Button(call_point.wiring)
    town.buttons[call_point.id] = button
    source: Source = button.active
    if call_point.wiring is Wiring.COUNTER:
        source = _count_of(button)
    town.sources[call_point.point] = source
    if call_point.reset_key is not None:
        key = town.reset_keys[call_point.id] = Button(Wiring.MOMENTARY)
        town.sources[call_point.reset_key] = key.active
    for ref in (*call_point.outputs.sirens, *call_point.outputs.lamps):
        if channel_of(ref) is None:
            town.sounders.setdefault(ref.device, Sounder())


def _count_of(button: Button) -> Source:
    return lambda _now_ms: button.presses


def _wire_fire(town: Town) -> None:
    site = town.site
    for zone in site.safety.fire_zones.values():
        panel = town.panels[zone.id] = FirePanel()
        town.sources[zone.input] = _alarm_of(panel, zone.active)
        for door_id in zone.doors:
            if site.doors[door_id].rules.fire is not FireRole.STAYS:
                town.doors[door_id].hardwired_fire = _wire_of(panel)


def _alarm_of(panel: FirePanel, active: bool) -> Source:
    return lambda _now_ms: panel.alarm is active


def _wire_of(panel: FirePanel) -> Callable[[int], bool]:
    return lambda _now_ms: panel.alarm


def _ambient(town: Town, ref: PointRef, now_ms: int) -> Source:
    """What a point shows that the site uses for nothing: its meter's, or a steady value."""
    spec = town.site.equipment.spec_of(ref)
    if spec.unit in METERED:
        return _metered(town, ref, now_ms)
    if spec.unit == "ppm":
        room = _room_of(town, ref.device, now_ms)
        air = town.sensors[ref] = AirSensor(room)
        return air.ppm
    if spec.kind is ValueKind.BOOL and spec.setpoint is not None:
        return lambda _now_ms: ref.device in town.plugs and town.plugs[ref.device].on
    value = _steady(spec)
    return lambda _now_ms: value


def _metered(town: Town, ref: PointRef, now_ms: int) -> Source:
    profile = town.site.equipment.profiles[town.site.equipment.devices[ref.device].profile]
    if ref.device not in town.meters:
        load_w = _load_of(_room_of(town, ref.device, now_ms))
        if any(point.setpoint for point in profile.points.values()):
            outlet = town.connectors.get(ref.device)
            plug = town.plugs[ref.device] = Plug(outlet.watts if outlet else load_w, now_ms)
            if isinstance(outlet, SwitchedOutlet):
                plug.switches(outlet.switch, now_ms)
            town.meters[ref.device] = plug.meter
        else:
            town.meters[ref.device] = Meter(load_w, now_ms)
    meter, unit = town.meters[ref.device], profile.points[ref.point].unit
    if "export" in ref.point:
        return lambda _now_ms: 0  # nobody here generates
    return lambda at_ms: meter.quantity(unit, at_ms)


def _room_of(town: Town, device: str, now_ms: int) -> Room:
    return town.rooms.setdefault(town.site.equipment.devices[device].place, Room(now_ms))


def _load_of(room: Room) -> Callable[[int], float]:
    return lambda _now_ms: BASE_LOAD_W + LOAD_PER_PERSON_W * len(room.people)


def _steady(spec: PointSpec) -> Value:
    if spec.kind is ValueKind.BOOL:
        return False
    if spec.kind is ValueKind.TEXT:
        return ""
    return AMBIENT.get(spec.name, 0)
