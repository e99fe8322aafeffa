"""The tree of places, each with what is in it and the worst that is the matter there."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from fastapi import APIRouter

from gateway.api.auth import Anybody
from gateway.api.common import NameShown, Shown
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.api.safety import latched_zones
from gateway.domain.calls import Call
from gateway.domain.faults import Fault
from gateway.domain.site import Place

router = APIRouter(prefix="/places", tags=["places"])


class PlaceState(StrEnum):
    """The worst that is the matter in a place or below it."""

    FIRE = "fire"
    CALL = "call"
    FAULT = "fault"
    OK = "ok"


class PlaceShown(Shown):
    """A place, with everything below it. Counts are of the place and all below."""

    id: str
    name: NameShown
    parent: str | None
    state: PlaceState
    calls: int
    faults: int
    doors: list[str]
    facilities: list[str]
    call_points: list[str]
    fire_zones: list[str]
    places: list["PlaceShown"]


@router.get("", summary="The tree of places")
async def places(parts: Parts, _: Anybody) -> list[PlaceShown]:
    """From its roots."""
    tree = _Tree(parts)
    return [tree.show(place) for place in tree.below[None]]


@router.get("/{place}", summary="One place and all below it")
async def place_of(place: str, parts: Parts, _: Anybody) -> PlaceShown:
    """The part of the tree."""
    found = parts.views.site.places.get(place)
    if found is None:
        raise unknown("place", place, parts.views.site.places)
    return _Tree(parts).show(found)


class _Tree:
    """What is where, gathered once for a whole answer."""

    def __init__(self, parts: Gateway) -> None:
        site, state = parts.views.site, parts.views.state
        self.below: defaultdict[str | None, list[Place]] = defaultdict(list)
        for place in site.places.values():
            self.below[place.parent].append(place)
        self._in: dict[str, dict[str, list[str]]] = {
            "doors": _by_place(site.doors.values()),
            "facilities": _by_place(site.facilities.values()),
            "call_points": _by_place(site.safety.call_points.values()),
            "fire_zones": _by_place(site.safety.fire_zones.values()),
        }
        self._calls = Counter(call.place for call in state.all(Call) if call.open)
        self._faults = Counter(place for fault in state.all(Fault) for place in fault.places)
        latched = latched_zones(state)
        zones = site.safety.fire_zones.values()
        self._fires = {zone.place for zone in zones if zone.id in latched}

    def show(self, place: Place) -> PlaceShown:
        """A place and all below it."""
        below = [self.show(one) for one in self.below[place.id]]
        calls = self._calls[place.id] + sum(one.calls for one in below)
        faults = self._faults[place.id] + sum(one.faults for one in below)
        fire = place.id in self._fires or any(one.state is PlaceState.FIRE for one in below)
        return PlaceShown(
            id=place.id,
            name=NameShown.of(place.name),
            parent=place.parent,
            state=_worst(fire=fire, calls=calls, faults=faults),
            calls=calls,
            faults=faults,
            places=below,
            **{kind: found.get(place.id, []) for kind, found in self._in.items()},
        )


class _Placed(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def place(self) -> str: ...


def _by_place(things: Iterable[_Placed]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for thing in things:
        found[thing.place].append(thing.id)
    return found


def _worst(*, fire: bool, calls: int, faults: int) -> PlaceState:
    if fire:
        return PlaceState.FIRE
    if calls:
        return PlaceState.CALL
    return PlaceState.FAULT if faults else PlaceState.OK
