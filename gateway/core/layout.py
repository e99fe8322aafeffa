"""How the parts of a site lie to one another: found once a site, asked at every decision."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from gateway.domain.calls import Call
from gateway.domain.points import PointRef
from gateway.domain.site import CallPoint, Device, Door, Facility, FireRole, FireZone, Site

T = TypeVar("T")
BATTERY_POINTS = ("battery", "battery_low")  # a level in percent, and a flag


@dataclass(frozen=True, slots=True)
class Layout:
    """Who lies behind, above or around what. Places, doors and devices by id."""

    above: Mapping[str, tuple[str, ...]]  # a place, then those it is in
    own: Mapping[str, tuple[Facility, ...]]  # a door's facilities, whose own door it is
    behind: Mapping[str, tuple[Facility, ...]]  # those, and the ones whose way it is on
    fire_zones: Mapping[str, tuple[FireZone, ...]]  # that release a door
    cut_by: Mapping[str, tuple[FireZone, ...]]  # that cut a facility's power
    releasing: Mapping[str, tuple[CallPoint, ...]]  # call points that release a door (E6)
    call_points: Mapping[str, tuple[CallPoint, ...]]  # in a place, else in the nearest above it
    entrances: Mapping[str, tuple[Door, ...]]  # doors of a place, else of the nearest above it
    strikes: Mapping[str, tuple[str, ...]]  # devices that let people into a facility
    observers: Mapping[str, tuple[Facility, ...]]  # facilities that a device sees or lets people in
    covering: Mapping[str, tuple[CallPoint, ...]]  # the call points of each place that has some
    batteries: tuple[tuple[Device, tuple[PointRef, ...]], ...]  # and what tells of them


@lru_cache(maxsize=4)
def layout(site: Site) -> Layout:
    """The layout of a site."""
    above = {place: _above(site, place) for place in site.places}
    doors, facilities = site.doors, site.facilities.values()
    call_points = site.safety.call_points.values()
    by_place = {p: tuple(c for c in call_points if c.place == p) for p in site.places}
    doors_of = {p: tuple(d for d in doors.values() if d.place == p) for p in site.places}
    zones = {door: tuple(_zones(site, doors[door])) for door in doors}
    return Layout(
        above=above,
        own={door: tuple(f for f in facilities if door in f.doors) for door in doors},
        behind={d: tuple(f for f in facilities if d in f.doors or d in f.way) for d in doors},
        fire_zones=zones,
        cut_by={
            f.id: tuple(z for z in site.safety.fire_zones.values() if f.id in z.outlets)
            for f in facilities
        },
        releasing={d: tuple(c for c in call_points if d in c.outputs.releases) for d in doors},
        call_points={p: _nearest(by_place, above[p]) for p in site.places},
        entrances={p: _nearest(doors_of, above[p]) for p in site.places},
        strikes={f.id: _strikes(site, f) for f in facilities},
        observers=_observers(site),
        covering={place: found for place, found in by_place.items() if found},
        batteries=tuple(_batteries(site)),
    )


def call_points_of(site: Site, call: Call) -> tuple[CallPoint, ...]:
    """The call points whose outputs a call moves: its own; for a page or pass the nearest."""
    own = site.safety.call_points.get(call.call_point)
    if own is not None:
        return (own,)
    return layout(site).call_points.get(call.place, ())


def _above(site: Site, place: str) -> tuple[str, ...]:
    found: list[str] = []
    at: str | None = place
    while at is not None and at in site.places and at not in found:
        found.append(at)
        at = site.places[at].parent
    return tuple(found)


def _strikes(site: Site, facility: Facility) -> tuple[str, ...]:
    strikes = (site.doors[id_].points.strike for id_ in facility.doors)
    return tuple(dict.fromkeys(ref.device for ref in strikes if ref is not None))


def _nearest(of: Mapping[str, tuple[T, ...]], places: tuple[str, ...]) -> tuple[T, ...]:
    return next((of[place] for place in places if of[place]), ())


def _zones(site: Site, door: Door) -> list[FireZone]:
    if door.rules.fire is FireRole.STAYS:
        return []
    return [zone for zone in site.safety.fire_zones.values() if door.id in zone.doors]


def _observers(site: Site) -> dict[str, tuple[Facility, ...]]:
    found: dict[str, tuple[Facility, ...]] = {}
    for facility in site.facilities.values():
        devices = {sensor.point.device for sensor in facility.sensors}
        for door in (*facility.doors, *facility.way):
            devices |= door_devices(site.doors[door])
        for device in devices:
            found[device] = (*found.get(device, ()), facility)
    return found


def _batteries(site: Site) -> Iterator[tuple[Device, tuple[PointRef, ...]]]:
    for device in site.equipment.devices.values():
        points = site.equipment.profiles[device.profile].points
        told = tuple(PointRef(device.id, name) for name in BATTERY_POINTS if name in points)
        if told:
            yield device, told


def door_devices(door: Door) -> set[str]:
    """The devices a door is made of."""
    points = door.points
    every = (points.strike, points.contact, points.lock, *points.readers)
    return {ref.device for ref in every if ref is not None}
