"""The holder of a booking came (RULES B5)."""

from dataclasses import replace

from gateway.core import overlaps, passage
from gateway.core.draft import Draft
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.records import Fact

_WAITING = (BookingStatus.ENFORCED, BookingStatus.NO_SHOW)  # a late holder comes back to life (B6)


def came(draft: Draft, booking: Booking) -> None:
    """The holder is in: check-in, and free passage where the door's mode says so (A8)."""
    if check_in(draft, booking):
        passage.begin(draft, draft.site.facilities[booking.facility], booking.terms.end_ms)


def check_in(draft: Draft, booking: Booking) -> bool:
    """The booking is used; False where it is not its time, or it was checked in before."""
    if booking.status not in _WAITING or not booking.covers(draft.now.wall_ms):
        return False
    wall = draft.now.wall_ms
    draft.put(replace(booking, status=BookingStatus.CHECKED_IN, checked_in_ms=wall))
    draft.record(
        Fact.BOOKING_CHECKED_IN,
        booking=booking.id,
        facility=booking.facility,
        revision=booking.terms.revision,
    )
    overlaps.resolve(draft, booking.facility)
    return True
