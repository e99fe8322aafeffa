"""Bookings as they stand here, and what the gateway may grant by itself (RULES B)."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from gateway.api.actions import ACTION, act, problems
from gateway.api.auth import Anybody, Caller, only
from gateway.api.common import Asked, Person, Shown, each
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.domain.bookings import Booking, BookingStatus, Origin
from gateway.domain.events import ExtensionAsked
from gateway.domain.subjects import Role

router = APIRouter(prefix="/bookings", tags=["bookings"])

PAGE_MAX = 1_000
DeskOrSelf = Annotated[Caller, only(Role.DESK, Role.RESIDENT)]


class BookingShown(Shown):
    """A booking and what became of it. `subjects` for roles that may see them, and for oneself."""

    id: str
    facility: str
    start_ms: int
    end_ms: int
    status: BookingStatus
    origin: Origin
    priority: int
    revision: int
    created_ms: int
    checked_in_ms: int | None
    subjects: list[str] | None


class BookingsPage(Shown):
    """Bookings by start. `more`: narrow the window, or ask on from the last start."""

    bookings: list[BookingShown]
    more: bool


class Filter(Asked):
    """Which bookings: those that overlap the window, of a facility, subject or status."""

    facility: Annotated[str, Field(max_length=128)] = ""
    subject: Annotated[str, Field(max_length=128)] = ""
    status: BookingStatus | None = None
    from_ms: Annotated[int, Field(ge=0)] = 0
    until_ms: Annotated[int | None, Field(ge=0)] = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 200

    def takes(self, booking: Booking) -> bool:
        """True for a booking that was asked for."""
        terms = booking.terms
        in_window = terms.end_ms > self.from_ms and (
            self.until_ms is None or terms.start_ms < self.until_ms
        )
        return (
            in_window
            and self.facility in ("", terms.facility)
            and (not self.subject or self.subject in terms.subjects)
            and self.status in (None, booking.status)
        )


class Extending(Asked):
    """For how long the booking is to go on."""

    minutes: Annotated[int, Field(ge=1, le=24 * 60)]
    person: Person = ""


@router.get("", responses=problems(404), summary="Bookings; a resident's own")
async def bookings(
    parts: Parts, caller: Anybody, wanted: Annotated[Filter, Query()]
) -> BookingsPage:
    """By start. Those that ended are kept for two days."""
    facilities = parts.views.site.facilities
    if wanted.facility and wanted.facility not in facilities:
        raise unknown("facility", wanted.facility, facilities)
    found = [
        booking
        for booking in parts.views.state.all(Booking)
        if _may_see(booking, caller) and wanted.takes(booking)
    ]
    found.sort(key=lambda booking: (booking.terms.start_ms, booking.id))
    page = await each(found[: wanted.limit], lambda booking: show(booking, caller))
    return BookingsPage(bookings=page, more=len(found) > wanted.limit)


@router.get("/{booking}", summary="One booking")
async def booking_of(booking: str, parts: Parts, caller: Anybody) -> BookingShown:
    """The booking; another's is not there for a resident."""
    return show(known(parts, booking, caller), caller)


@router.post("/{booking}/extension", **ACTION, summary="Let a booking go on, as a proposal")
async def extend(booking: str, asked: Extending, parts: Parts, caller: DeskOrSelf) -> JSONResponse:
    """By its holder or the desk; the platform owns bookings and has the last word (B4)."""
    known(parts, booking, caller)
    event = ExtensionAsked(booking, asked.minutes, caller.actor(asked.person))
    return await act(parts, event)


def known(parts: Gateway, booking: str, caller: Caller) -> Booking:
    """The booking of that id, if the caller may see it. Raises ProblemError."""
    state = parts.views.state
    found = state.get(Booking, booking)
    if found is None or not _may_see(found, caller):
        seen = (one.id for one in state.all(Booking) if _may_see(one, caller))
        raise unknown("booking", booking, seen)
    return found


def show(booking: Booking, caller: Caller) -> BookingShown:
    """A booking as the caller may see it."""
    terms = booking.terms
    subjects = [one for one in terms.subjects if caller.sees(one)]
    return BookingShown(
        id=booking.id,
        facility=terms.facility,
        start_ms=terms.start_ms,
        end_ms=terms.end_ms,
        status=booking.status,
        origin=terms.origin,
        priority=terms.priority,
        revision=terms.revision,
        created_ms=terms.created_ms,
        checked_in_ms=booking.checked_in_ms,
        subjects=subjects or None,
    )


def _may_see(booking: Booking, caller: Caller) -> bool:
    return caller.role is not Role.RESIDENT or caller.subject in booking.subjects
