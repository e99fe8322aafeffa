"""Facilities: presence, bookings, who may enter now, and walk-ins (RULES A, B)."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from gateway.api import bookings, judge
from gateway.api.actions import ACTION, act
from gateway.api.auth import Anybody, Caller
from gateway.api.bookings import BookingShown, DeskOrSelf
from gateway.api.common import Asked, FaultShown, NameShown, Person, ReasonShown, Shown, each
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.domain.bookings import Booking
from gateway.domain.events import WalkInAsked
from gateway.domain.faults import Fault
from gateway.domain.reasons import Reason, reason
from gateway.domain.site import BookingPolicy, Facility
from gateway.domain.subjects import Role, Subject
from gateway.domain.visits import RoomStatus, Visit

router = APIRouter(prefix="/facilities", tags=["facilities"])


class FacilityState(StrEnum):
    """A facility at this moment."""

    OCCUPIED = "occupied"  # somebody is in, or is seen
    BOOKED = "booked"  # nobody is in; a booking holds it
    FREE = "free"
    UNKNOWN = "unknown"  # no living sensor, no booking, no visit


class Presence(Shown):
    """What sensors and doors say: None where no sensor lives."""

    present: bool | None
    since_ms: int | None
    visits: int
    overstay_of: str | None


class FacilityShown(Shown):
    """A facility as it is now."""

    id: str
    name: NameShown
    place: str
    booking: BookingPolicy
    capacity: int
    doors: tuple[str, ...]
    way: tuple[str, ...]
    state: FacilityState
    reason: ReasonShown
    presence: Presence
    current: list[BookingShown]
    next: BookingShown | None
    faults: list[FaultShown]


class MayEnter(Shown):
    """Who the core would let in now. `you` for a resident; `subjects` for who may see people."""

    count: int
    walk_in: bool
    you: judge.Judged | None = None
    subjects: list[judge.Judged] | None = None


class FacilityInDetail(FacilityShown):
    """A facility, and who may enter it now."""

    may_enter: MayEnter


class WalkIn(Asked):
    """Who wants to use a free facility now, for how long. A resident is the subject themself."""

    minutes: Annotated[int, Field(ge=1, le=24 * 60)]
    subject: Annotated[str, Field(max_length=128)] = ""
    person: Person = ""


@router.get("", summary="Every facility, as it is now")
async def facilities(parts: Parts, caller: Anybody) -> list[FacilityShown]:
    """Facilities in the order of the site."""
    found = parts.views.site.facilities.values()
    return await each(found, lambda one: FacilityShown(**facts(parts, one, caller)))


@router.get("/{facility}", summary="One facility in detail")
async def facility_of(facility: str, parts: Parts, caller: Anybody) -> FacilityInDetail:
    """With who may enter it now, asked of the core itself."""
    found = known(parts, facility)
    may = await may_enter(parts, found, caller)
    return FacilityInDetail(**facts(parts, found, caller), may_enter=may)


@router.post("/{facility}/walk-in", **ACTION, summary="Use a free facility now, as a proposal")
async def walk_in(facility: str, asked: WalkIn, parts: Parts, caller: DeskOrSelf) -> JSONResponse:
    """Up to 60 min, below every platform booking (B4)."""
    known(parts, facility)
    who = caller.subject if caller.role is Role.RESIDENT else asked.subject
    state = parts.views.state
    if state.get(Subject, who) is None:
        raise unknown("subject", who, (one.id for one in state.all(Subject) if caller.sees_people))
    event = WalkInAsked(facility, who, asked.minutes, caller.actor(asked.person))
    return await act(parts, event)


def known(parts: Gateway, facility: str) -> Facility:
    """The facility of that id. Raises ProblemError."""
    found = parts.views.site.facilities.get(facility)
    if found is None:
        raise unknown("facility", facility, parts.views.site.facilities)
    return found


def facts(parts: Gateway, facility: Facility, caller: Caller) -> dict[str, Any]:
    """The members of a FacilityShown as the caller may see it."""
    state, wall_ms = parts.views.state, parts.views.now().wall_ms
    live = [one for one in state.where(Booking, "facility", facility.id) if one.live]
    live.sort(key=lambda one: (one.terms.start_ms, one.id))
    current = [one for one in live if one.covers(wall_ms)]
    coming = next((one for one in live if one.terms.start_ms > wall_ms), None)
    room = state.get(RoomStatus, facility.id) or RoomStatus(facility.id)
    visits = len(state.where(Visit, "facility", facility.id))
    word, why = _state(facility, room, visits, bool(current))
    return {
        "id": facility.id,
        "name": NameShown.of(facility.name),
        "place": facility.place,
        "booking": facility.booking,
        "capacity": facility.capacity,
        "doors": facility.doors,
        "way": facility.way,
        "state": word,
        "reason": ReasonShown.of(why),
        "presence": Presence(
            present=room.present,
            since_ms=room.since_ms if room.present is not None else None,
            visits=visits,
            overstay_of=room.overstay_of,
        ),
        "current": [bookings.show(one, caller) for one in current],
        "next": bookings.show(coming, caller) if coming else None,
        "faults": _faults(parts, facility),
    }


async def may_enter(parts: Gateway, facility: Facility, caller: Caller) -> MayEnter:
    """Who may enter: the core's answer for each who has a booking or right here."""
    at = judge.Question(facility=facility.id)
    booked = parts.views.state.where(Booking, "facility", facility.id)
    whom = {one for booking in booked for one in booking.subjects}
    whom |= judge.right_holders(parts, facility)
    asked = bool(facility.doors) or facility.outlet is not None
    judged = await judge.subjects(parts, sorted(whom), at) if asked else []
    allowed = [one for one in judged if one.allowed]
    own = caller.role is Role.RESIDENT and asked
    return MayEnter(
        count=len(allowed),
        walk_in=judge.may_walk_in(parts, facility),
        you=judge.subject(parts, caller.subject, at) if own else None,
        subjects=allowed if caller.sees_people else None,
    )


def _state(
    facility: Facility, room: RoomStatus, visits: int, booked: bool
) -> tuple[FacilityState, Reason]:
    if room.overstay_of is not None:
        return FacilityState.OCCUPIED, reason("overstay", facility=facility.name.en)
    if visits or room.present:
        return FacilityState.OCCUPIED, reason("in_use")
    if booked:
        return FacilityState.BOOKED, reason("booking")
    if facility.sensors and room.present is None:
        return FacilityState.UNKNOWN, reason("ok")
    return FacilityState.FREE, reason("ok")


def _faults(parts: Gateway, facility: Facility) -> list[FaultShown]:
    """Faults of the facility, its doors and its sensors."""
    sensors = [sensor.point for sensor in facility.sensors]
    about = {facility.id, *facility.doors, *(str(one) for one in sensors)}
    about |= {one.device for one in sensors}
    state = parts.views.state
    return [FaultShown.of(f) for one in sorted(about) for f in state.where(Fault, "about", one)]
