"""Call points with their tests, and fire zones with their reset (RULES E7, A3)."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gateway.api.actions import ACTION, act
from gateway.api.auth import Caller, OnSite, Staff
from gateway.api.common import Asked, FaultShown, NameShown, Person, Shown
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.domain.calls import CallPointStatus, FireLatch
from gateway.domain.events import FireResetAsked, TestModeOpened
from gateway.domain.faults import Fault
from gateway.domain.site import CallPoint, FireZone, Wiring
from gateway.domain.state import State

router = APIRouter(tags=["safety"])


class CallPointShown(Shown):
    """A call point: whether it is heard, and when it was last tested.

    `heard_age_ms`: since its device was last heard live, None if never since the start (E5).
    `test_left_ms`: a test is open for so long (E7).
    """

    id: str
    name: NameShown
    place: str
    point: str
    wiring: Wiring
    escalation: str
    supervision_ms: int
    heard_age_ms: int | None
    tested_ms: int | None
    test_left_ms: int | None
    test_by: str | None
    faults: list[FaultShown]


class FireZoneShown(Shown):
    """A fire zone: latched until a person resets it on site (A3)."""

    id: str
    place: str
    input: str
    doors: tuple[str, ...]
    latched: bool
    input_active: bool
    since_ms: int | None
    faults: list[FaultShown]


class Acting(Asked):
    """Who does it, where the token is shared."""

    person: Person = ""


@router.get("/call-points", summary="Every call point")
async def call_points(parts: Parts, caller: Staff) -> list[CallPointShown]:
    """In the order of the site."""
    return [_call_point(parts, one, caller) for one in parts.views.site.safety.call_points.values()]


@router.post(
    "/call-points/{call_point}/test", **ACTION, summary="The next press of it is a test (E7)"
)
async def test_mode(call_point: str, asked: Acting, parts: Parts, caller: OnSite) -> JSONResponse:
    """For one press or 10 min; opened by a named person."""
    known = parts.views.site.safety.call_points
    if call_point not in known:
        raise unknown("call point", call_point, known)
    return await act(parts, TestModeOpened(call_point, caller.actor(asked.person)))


@router.get("/fire-zones", summary="Every fire zone")
async def fire_zones(parts: Parts, _: Staff) -> list[FireZoneShown]:
    """In the order of the site."""
    return [_fire_zone(parts, one) for one in parts.views.site.safety.fire_zones.values()]


@router.post("/fire-zones/{zone}/reset", **ACTION, summary="The fire is over")
async def fire_reset(zone: str, asked: Acting, parts: Parts, caller: OnSite) -> JSONResponse:
    """On site, with the input inactive; never over the uplink (A3)."""
    known = parts.views.site.safety.fire_zones
    if zone not in known:
        raise unknown("fire zone", zone, known)
    return await act(parts, FireResetAsked(zone, caller.actor(asked.person)))


def _call_point(parts: Gateway, found: CallPoint, caller: Caller) -> CallPointShown:
    views, now = parts.views, parts.views.now()
    status = views.state.get(CallPointStatus, found.id) or CallPointStatus(found.id)
    heard = views.readings.heard_ms(found.point.device)
    left = None
    if status.test_since is not None:
        left = max(0, views.site.settings.emergency.test_ms - status.test_since.at(now))
    return CallPointShown(
        id=found.id,
        name=NameShown.of(found.name),
        place=found.place,
        point=str(found.point),
        wiring=found.wiring,
        escalation=found.escalation,
        supervision_ms=found.supervision_ms,
        heard_age_ms=now.mono_ms - heard if heard is not None else None,
        tested_ms=status.untested_since_ms,
        test_left_ms=left,
        test_by=status.test_by if status.test_by and caller.sees_people else None,
        faults=_faults(parts, found.id, found.point.device, found.place),
    )


def latched_zones(state: State) -> set[str]:
    """The fire zones that nobody has reset yet (A3)."""
    return {latch.id for latch in state.all(FireLatch) if latch.latched}


def _fire_zone(parts: Gateway, zone: FireZone) -> FireZoneShown:
    latch = parts.views.state.get(FireLatch, zone.id) or FireLatch(zone.id, False, False)
    return FireZoneShown(
        id=zone.id,
        place=zone.place,
        input=str(zone.input),
        doors=zone.doors,
        latched=latch.latched,
        input_active=latch.input_active,
        since_ms=latch.since_ms if latch.latched else None,
        faults=_faults(parts, zone.id, zone.input.device),
    )


def _faults(parts: Gateway, *about: str) -> list[FaultShown]:
    state = parts.views.state
    return [FaultShown.of(fault) for one in about for fault in state.where(Fault, "about", one)]
