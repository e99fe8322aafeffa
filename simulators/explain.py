"""A world as it stands, for a person who asks why."""

from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.calls import Call
from gateway.domain.charging import ChargingSession, OutletStatus
from gateway.domain.faults import Fault
from gateway.domain.visits import Visit
from simulators.virtual.troubles import NOW
from simulators.world import World

RECORDS = 15
TROUBLES = 8


def explained(world: World) -> str:
    """The last steps and facts, what is wrong, where people are, what the gateway holds true."""
    return "\n".join(_lines(world))


def _lines(world: World) -> Iterator[str]:
    yield f"it is {_at(world.schedule.now_ms)}"
    yield "the last steps:"
    yield from (f"  {line}" for line in world.last)
    yield "the last facts on the disk:"
    for stamped in world.disk.stamped[-RECORDS:]:
        data = {key: value for key, value in stamped.record.data.items() if key != "reason"}
        yield f"  {_at(stamped.now.wall_ms)} {stamped.record.fact.value} {data}"
    yield "troubles of late:"
    for one in world.troubles.came[-TROUBLES:]:
        lasts = "lasts" if one.ended_ms == NOW else f"until {_at(one.ended_ms)}"
        yield f"  {_at(one.began_ms)} {lasts}: {one.name} {' '.join(sorted(one.devices))}"
    yield from _places(world)
    yield from _beliefs(world)


def _places(world: World) -> Iterator[str]:
    town, now_ms = world.place.town, world.schedule.now_ms
    yield "as it truly is:"
    for place, room in town.rooms.items():
        if room.people:
            yield f"  {place}: {', '.join(sorted(room.people))}"
    for facility, connector in town.outlets.items():
        there = "a vehicle" if connector.vehicle is not None else "nothing"
        watts, energy_wh = connector.watts(now_ms), connector.energy_wh
        yield f"  {facility}: {there}, {watts:.0f} W, {energy_wh:.0f} Wh"
    for device in world.place.links.devices.values():
        if not world.place.links.reaches(device.id):
            yield f"  {device.id} cannot be reached"


def _beliefs(world: World) -> Iterator[str]:
    gateway = world.place.gateway
    if gateway is None:
        yield "the gateway is not running"
        return
    yield f"as {gateway.boot} holds it to be, on a clock that is {gateway.clock.trust.value}:"
    bookings = [one for one in gateway.state.all(Booking) if one.status is not BookingStatus.ENDED]
    kinds = (Fault, Call, Visit, ChargingSession, OutletStatus)
    for entity in (*bookings, *(one for kind in kinds for one in gateway.state.all(kind))):
        yield f"  {entity}"


def _at(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
