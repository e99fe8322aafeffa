"""Emergency calls: seen, raised, answered (RULES E). Nothing here slows or limits a call."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from gateway.api.actions import ACTION, act
from gateway.api.auth import Anybody, Caller, OnSite, Staff, only
from gateway.api.common import Asked, Line, NameShown, Person, Shown
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.domain.calls import Call, CallOrigin, CallOutcome, CallState
from gateway.domain.events import (
    CallAcknowledged,
    CallAttended,
    CallCleared,
    CallerFine,
    CallRequested,
)
from gateway.domain.subjects import Role

router = APIRouter(prefix="/calls", tags=["calls"])

Caring = Annotated[Caller, only(Role.DESK, Role.TECHNICIAN, Role.RESIDENT)]
DeskOnly = Annotated[Caller, only(Role.DESK)]


class CallShown(Shown):
    """A call: where, since when, how far it has climbed. `person` for roles that may see it.

    `siren_over`: its siren's time is over, the call is not. `fine`: the person says so.
    """

    id: str
    call_point: str | None
    place: str
    place_name: NameShown
    origin: CallOrigin
    state: CallState
    test: bool
    presses: int
    first_ms: int
    last_ms: int
    raises: int
    raised_for_ms: int
    step: int
    fine: bool
    siren_over: bool
    person: str | None = None


class CallAsked(Asked):
    """Help, asked for from a page or with a pass; opens nothing (E6)."""

    place: Annotated[str, Field(max_length=128)]
    origin: Literal["page", "pass"] = "page"


class Acknowledging(Asked):
    """Somebody has the call."""

    person: Person = ""


class Attending(Asked):
    """Somebody is at the place: `responder`, or whoever says so."""

    responder: Line = ""
    person: Person = ""


class Clearing(Asked):
    """What the call was."""

    outcome: CallOutcome
    note: Line = ""
    person: Person = ""


class Confirmed(BaseModel):
    """Whether a notification waited for this confirmation."""

    confirmed: bool


@router.get("", summary="Calls, the newest first")
async def calls(
    parts: Parts,
    caller: Staff,
    every: Annotated[
        bool, Query(alias="all", description="Cleared ones of a day too, the last 100.")
    ] = False,
) -> list[CallShown]:
    """The calls that are open, or all that are kept."""
    found = [call for call in parts.views.state.all(Call) if every or call.open]
    found.sort(key=lambda call: call.presses.first_ms, reverse=True)
    return [show(parts, call, caller) for call in found]


@router.post("", **ACTION, summary="Ask for help from a page or with a pass")
async def raise_call(asked: CallAsked, parts: Parts, caller: Anybody) -> JSONResponse:
    """Raises a call, or joins the one that such a page has raised at the place (E1, E6)."""
    places = parts.views.site.places
    if asked.place not in places:
        raise unknown("place", asked.place, places)
    event = CallRequested(asked.place, CallOrigin(asked.origin), caller.actor())
    return await act(parts, event)


@router.get("/{call}", summary="One call")
async def call_of(call: str, parts: Parts, caller: Staff) -> CallShown:
    """The call; a cleared one is kept for a day, while it is among the last 100."""
    return show(parts, known(parts, call), caller)


@router.post("/{call}/acknowledge", **ACTION, summary="A named person has the call")
async def acknowledge(call: str, asked: Acknowledging, parts: Parts, caller: Staff) -> JSONResponse:
    """Stops siren and escalation, until somebody attends or 10 min are over (E4)."""
    known(parts, call)
    return await act(parts, CallAcknowledged(call, caller.actor(asked.person)))


@router.post("/{call}/attend", **ACTION, summary="A responder is at the place")
async def attend(call: str, asked: Attending, parts: Parts, caller: Staff) -> JSONResponse:
    """Named here, or seen by their card at the place (E4)."""
    known(parts, call)
    actor = caller.actor(asked.person)
    return await act(parts, CallAttended(call, actor, asked.responder or actor.name))


@router.post("/{call}/clear", **ACTION, summary="The call is over, with what it was")
async def clear(call: str, asked: Clearing, parts: Parts, caller: OnSite) -> JSONResponse:
    """On site alone, never by the platform (E4)."""
    known(parts, call)
    actor = caller.actor(asked.person)
    return await act(parts, CallCleared(call, actor, asked.outcome, asked.note))


@router.post("/{call}/fine", **ACTION, summary="The person says they are fine")
async def fine(call: str, parts: Parts, caller: Caring) -> JSONResponse:
    """Recorded and shown; the escalation goes on (E4)."""
    known(parts, call, hint=caller.role is not Role.RESIDENT)
    return await act(parts, CallerFine(call))


@router.post("/{call}/seen", summary="A live desk page shows the call")
async def seen(call: str, parts: Parts, caller: DeskOnly) -> Confirmed:
    """Confirms the delivery to the desk, which the step of its escalation waits for (E4)."""
    known(parts, call)
    return Confirmed(confirmed=parts.desk.confirm(call, caller.token))


def known(parts: Gateway, call: str, *, hint: bool = True) -> Call:
    """The call of that id. Raises ProblemError."""
    state = parts.views.state
    found = state.get(Call, call)
    if found is None:
        raise unknown("call", call, (one.id for one in state.all(Call)) if hint else ())
    return found


def show(parts: Gateway, call: Call, caller: Caller) -> CallShown:
    """A call as the caller may see it."""
    climb, presses = call.climb, call.presses
    return CallShown(
        id=call.id,
        call_point=call.call_point or None,
        place=call.place,
        place_name=NameShown.of(parts.views.site.places[call.place].name),
        origin=call.origin,
        state=call.state,
        test=call.test,
        presses=presses.count,
        first_ms=presses.first_ms,
        last_ms=presses.last_ms,
        raises=climb.raises,
        raised_for_ms=climb.raised.at(parts.views.now()),
        step=climb.step,
        fine=climb.fine,
        siren_over=climb.silenced,
        person=call.person if call.person and caller.sees_people else None,
    )
