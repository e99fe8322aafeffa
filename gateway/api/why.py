"""Why: the core's own answer to a question that commits nothing, beside what is wanted and read."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from gateway.api import charging, devices, doors, facilities, judge, people, setpoints
from gateway.api.actions import problems
from gateway.api.auth import Anybody, Caller
from gateway.api.charging import OutletShown
from gateway.api.common import Asked, ReasonShown, Shown
from gateway.api.devices import PointShown
from gateway.api.doors import DoorShown
from gateway.api.facilities import FacilityInDetail, FacilityShown
from gateway.api.parts import Gateway, Parts
from gateway.api.people import CredentialShown
from gateway.api.problems import ProblemError, forbidden
from gateway.domain.charging import ChargingSession
from gateway.domain.reasons import reason
from gateway.domain.subjects import Role

router = APIRouter(tags=["why"])

_Id = Annotated[str, Field(max_length=256)]


class Wondering(Asked):
    """About what: a door, a facility or a point; with whose or which credential's right.

    A credential alone is judged at every door. A resident asks for themself.
    """

    door: _Id = ""
    facility: _Id = ""
    point: Annotated[_Id, Field(description="device/point")] = ""
    subject: _Id = ""
    credential: Annotated[_Id, Field(description="Its id, never what it is.")] = ""


class Because(Shown):
    """Why something is as it is. Only the parts that were asked about are there."""

    reason: ReasonShown
    door: DoorShown | None = None
    outlet: OutletShown | None = None
    facility: FacilityInDetail | None = None
    point: PointShown | None = None
    credential: CredentialShown | None = None
    judged: tuple[judge.Judged, ...] = ()


@router.get("/why", responses=problems(403, 404), summary="Why is it so, or would it be")
async def why(parts: Parts, caller: Anybody, asked: Annotated[Wondering, Query()]) -> Because:
    """Asks the core what it would decide now; moves nothing, counts nothing, records nothing."""
    _check(asked, caller)
    if asked.point:
        return _why_point(parts, asked.point, caller)
    if asked.credential:
        return _why_credential(parts, asked)
    if asked.door:
        return _why_door(parts, asked, caller)
    return await _why_facility(parts, asked, caller)


def _check(asked: Wondering, caller: Caller) -> None:
    """One thing is asked about, and the caller may know it. Raises ProblemError."""
    things = [bool(asked.door), bool(asked.facility), bool(asked.point)]
    alone = bool(asked.credential) and not any(things)
    whose = bool(asked.subject) and bool(asked.credential)
    if (sum(things) != 1 and not alone) or whose or (asked.point and asked.subject):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid",
            "The question is about nothing, or about too much.",
            expected="one of door, facility, point or credential; "
            "with a door or facility, one of subject or credential may be named",
        )
    if caller.role is Role.RESIDENT and (asked.point or asked.subject or asked.credential):
        raise forbidden(reason("role_needed", role="desk, platform"), "a door or facility, alone")
    if (asked.subject or asked.credential) and not caller.sees_people:
        raise forbidden(reason("role_needed", role="desk, platform"), "a role that sees people")


def _why_point(parts: Gateway, text: str, caller: Caller) -> Because:
    point = devices.point(parts, devices.known_point(parts, text), caller, setpoints.wanted(parts))
    because = point.setpoint.reason if point.setpoint else ReasonShown.of(reason("ok"))
    return Because(reason=because, point=point)


def _why_credential(parts: Gateway, asked: Wondering) -> Because:
    found = people.known_credential(parts, asked.credential)
    shown = CredentialShown(id=found.id, type=found.type, blocked=found.blocked)
    if asked.facility:
        facilities.known(parts, asked.facility)
    if asked.door:
        doors.known(parts, asked.door)
    at = [judge.Question(door=asked.door, facility=asked.facility)]
    if not (asked.door or asked.facility):
        at = [judge.Question(door=door) for door in parts.views.site.doors]
    judged = [judge.credential(parts, found, one) for one in at]
    best = next((one for one in judged if one.allowed), judged[0])
    return Because(reason=best.reason, credential=shown, judged=tuple(judged))


def _why_door(parts: Gateway, asked: Wondering, caller: Caller) -> Because:
    shown = doors.show(parts, doors.known(parts, asked.door), caller, setpoints.wanted(parts))
    judged = _judged(parts, asked, caller)
    because = shown.setpoints[0].reason if shown.setpoints else ReasonShown.of(reason("ok"))
    if judged:
        because = judged[0].reason
    return Because(reason=because, door=shown, judged=tuple(judged))


async def _why_facility(parts: Gateway, asked: Wondering, caller: Caller) -> Because:
    found = facilities.known(parts, asked.facility)
    may = await facilities.may_enter(parts, found, caller)
    facts = facilities.facts(parts, found, caller)
    outlet = None
    if found.outlet is not None:
        outlet = charging.show(parts, found, caller, setpoints.wanted(parts))
    asks = bool(found.doors or outlet) and not _is_theirs(parts, asked, caller)
    judged = _judged(parts, asked, caller) if asks else []
    because = outlet.reason if outlet is not None else FacilityShown(**facts).reason
    return Because(
        reason=judged[0].reason if judged else because,
        outlet=outlet,
        facility=FacilityInDetail(**facts, may_enter=may),
        judged=tuple(judged),
    )


def _is_theirs(parts: Gateway, asked: Wondering, caller: Caller) -> bool:
    """Whoever it is about charges here: they wonder about their power, not whether they may."""
    who = caller.subject if caller.role is Role.RESIDENT else asked.subject
    here = parts.views.state.where(ChargingSession, "facility", asked.facility)
    return any(one.running and one.subject == who for one in here if who)


def _judged(parts: Gateway, asked: Wondering, caller: Caller) -> list[judge.Judged]:
    who = caller.subject if caller.role is Role.RESIDENT else asked.subject
    if not who:
        return []
    if caller.role is not Role.RESIDENT:
        people.known(parts, who)
    return [judge.subject(parts, who, judge.Question(door=asked.door, facility=asked.facility))]
