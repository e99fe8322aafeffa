"""What each point of the devices is used for, as the site refers to it.

A relay board's input is a door contact or a call button only by what the site wires to it, so how
closely it is watched follows from its use, not from its profile.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from gateway.domain.charging import Outlet
from gateway.domain.points import PointRef
from gateway.domain.profile import Edge, PollClass
from gateway.domain.site import CallPoint, Door, FireZone, Site


class Use(StrEnum):
    """The part a point plays."""

    STRIKE = "strike"
    HOLD = "hold"
    CONTACT = "contact"
    LOCK = "lock"
    EXIT = "exit"
    READER = "reader"
    SENSOR = "sensor"
    CALL = "call"
    RESET_KEY = "reset_key"
    SIREN = "siren"
    LAMP = "lamp"
    FIRE = "fire"
    HEARTBEAT = "heartbeat"
    POWER_DRIVE = "power_drive"  # lets an outlet's power through
    FAILSAFE = "failsafe"  # what a charger does when nobody speaks to it
    OUTLET = "outlet"  # what an outlet's state and power are read from
    REGISTER = "register"  # its energy
    OUTLET_READER = "outlet_reader"
    CIRCUIT_METER = "circuit_meter"
    CIRCUIT_ENERGY = "circuit_energy"
    BREAKER = "breaker"


@dataclass(frozen=True, slots=True)
class Watch:
    """How closely a driver watches a point: its edges and its poll class."""

    edge: Edge
    poll: PollClass


WATCH: dict[Use, Watch] = {
    Use.CONTACT: Watch(Edge.DOOR, PollClass.DOOR),
    Use.EXIT: Watch(Edge.PRESS, PollClass.SAFETY),
    Use.CALL: Watch(Edge.PRESS, PollClass.SAFETY),
    Use.RESET_KEY: Watch(Edge.PRESS, PollClass.SAFETY),
    Use.FIRE: Watch(Edge.SUPERVISED, PollClass.SAFETY),
}


@dataclass(frozen=True, slots=True)
class Used:
    """One use of a point by one door, facility, call point or fire zone (`owner`)."""

    use: Use
    owner: str


@lru_cache(maxsize=4)
def uses(site: Site) -> dict[PointRef, tuple[Used, ...]]:
    """Every point the site refers to, with its uses."""
    found: dict[PointRef, tuple[Used, ...]] = {}
    for ref, used in _all_uses(site):
        found[ref] = (*found.get(ref, ()), used)
    return found


def watches(site: Site) -> dict[PointRef, Watch]:
    """How closely each used point is watched, where its use says so and not its profile."""
    found: dict[PointRef, Watch] = {}
    for ref, used_by in uses(site).items():
        for used in used_by:
            if used.use in WATCH:
                found[ref] = WATCH[used.use]
    return found


def _all_uses(site: Site) -> Iterator[tuple[PointRef, Used]]:
    for door in site.doors.values():
        yield from _door_uses(door)
    for facility in site.facilities.values():
        for sensor in facility.sensors:
            yield sensor.point, Used(Use.SENSOR, facility.id)
        if facility.outlet is not None:
            yield from _outlet_uses(facility.id, facility.outlet)
    for circuit in site.circuits.values():
        for ref in circuit.meter:
            yield ref, Used(Use.CIRCUIT_METER, circuit.id)
        if circuit.energy is not None:
            yield circuit.energy, Used(Use.CIRCUIT_ENERGY, circuit.id)
        if circuit.breaker is not None:
            yield circuit.breaker, Used(Use.BREAKER, circuit.id)
    for call_point in site.safety.call_points.values():
        yield from _call_uses(call_point)
    for zone in site.safety.fire_zones.values():
        yield from _fire_uses(zone)
    for ref in site.equipment.heartbeat:
        yield ref, Used(Use.HEARTBEAT, site.id)


def _door_uses(door: Door) -> Iterator[tuple[PointRef, Used]]:
    points = door.points
    yield points.strike, Used(Use.STRIKE, door.id)
    for ref, use in (
        (points.contact, Use.CONTACT),
        (points.lock, Use.LOCK),
        (points.exit_button, Use.EXIT),
        (points.hold, Use.HOLD),
    ):
        if ref is not None:
            yield ref, Used(use, door.id)
    for reader in points.readers:
        yield reader, Used(Use.READER, door.id)


def _outlet_uses(facility: str, outlet: Outlet) -> Iterator[tuple[PointRef, Used]]:
    points = outlet.points
    yield points.drive, Used(Use.POWER_DRIVE, facility)
    for ref in (points.failsafe_current, points.failsafe_timeout):
        if ref is not None:
            yield ref, Used(Use.FAILSAFE, facility)
    read = (points.state, points.power, points.temperature, *points.currents)
    if outlet.meter is not None:
        yield outlet.meter.energy, Used(Use.REGISTER, facility)
        read = (*read, outlet.meter.serial)
    for ref in read:
        if ref is not None:
            yield ref, Used(Use.OUTLET, facility)
    for reader in points.readers:
        yield reader, Used(Use.OUTLET_READER, facility)


def _call_uses(call_point: CallPoint) -> Iterator[tuple[PointRef, Used]]:
    yield call_point.point, Used(Use.CALL, call_point.id)
    if call_point.reset_key is not None:
        yield call_point.reset_key, Used(Use.RESET_KEY, call_point.id)
    for ref in call_point.outputs.sirens:
        yield ref, Used(Use.SIREN, call_point.id)
    for ref in call_point.outputs.lamps:
        yield ref, Used(Use.LAMP, call_point.id)


def _fire_uses(zone: FireZone) -> Iterator[tuple[PointRef, Used]]:
    yield zone.input, Used(Use.FIRE, zone.id)
