"""The tree of places, each with what is in it and the worst that is the matter there."""

from collections.abc import Iterator
from enum import StrEnum

from fastapi import APIRouter

from gateway.api.actions import problems
from gateway.api.auth import Anybody
from gateway.api.common import NameShown, Shown
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.domain.calls import Call, FireLatch
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


@router.get("", responses=problems(401), summary="The tree of places")
async def places(parts: Parts, _: Anybody) -> list[PlaceShown]:
    """From its roots."""
    found = parts.views.site.places.values()
    return [_show(parts, place) for place in found if place.parent is None]


@router.get("/{place}", responses=problems(401, 404), summary="One place and all below it")
async def place_of(place: str, parts: Parts, _: Anybody) -> PlaceShown:
    """The part of the tree."""
    found = parts.views.site.places.get(place)
    if found is None:
        raise unknown("place", place, parts.views.site.places)
    return _show(parts, found)


def _show(parts: Gateway, place: Place) -> PlaceShown:
    site = parts.views.site
    below = [_show(parts, one) for one in site.places.values() if one.parent == place.id]
    calls = sum(call.open for call in parts.views.state.where(Call, "place", place.id))
    faults = sum(place.id in fault.places for fault in parts.views.state.all(Fault))
    calls += sum(one.calls for one in below)
    faults += sum(one.faults for one in below)
    return PlaceShown(
        id=place.id,
        name=NameShown.of(place.name),
        parent=place.parent,
        state=_worst(
            fire=any(_fires(parts, place.id)) or any(p.state is PlaceState.FIRE for p in below),
            calls=calls,
            faults=faults,
        ),
        calls=calls,
        faults=faults,
        doors=[one.id for one in site.doors.values() if one.place == place.id],
        facilities=[one.id for one in site.facilities.values() if one.place == place.id],
        call_points=[one.id for one in site.safety.call_points.values() if one.place == place.id],
        fire_zones=[one.id for one in site.safety.fire_zones.values() if one.place == place.id],
        places=below,
    )


def _fires(parts: Gateway, place: str) -> Iterator[bool]:
    for zone in parts.views.site.safety.fire_zones.values():
        latch = parts.views.state.get(FireLatch, zone.id)
        yield zone.place == place and latch is not None and latch.latched


def _worst(*, fire: bool, calls: int, faults: int) -> PlaceState:
    if fire:
        return PlaceState.FIRE
    if calls:
        return PlaceState.CALL
    return PlaceState.FAULT if faults else PlaceState.OK
