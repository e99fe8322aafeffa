"""Was the grace time of a booking wholly seen? Only then a no-show is judged (RULES B6).

It was not, once anything happened in it that hides who came: a start, an untrusted clock, a lost
device that sees the room or lets people in, a passing that nobody can name, a booking that came
late. A booking whose grace time was not seen is never judged; its holder keeps it.
"""

from collections.abc import Iterable
from dataclasses import replace

from gateway.core.draft import Draft
from gateway.domain.bookings import Booking, BookingStatus


def not_seen(draft: Draft, facility: str) -> None:
    """Something hid who came to the facility just now."""
    _mark(draft, draft.where(Booking, "facility", facility))


def nothing_seen(draft: Draft) -> None:
    """Something hid who came to any facility."""
    _mark(draft, draft.all(Booking))


def began(draft: Draft, booking: Booking) -> Booking:
    """A booking that begins to stand now: too late, if its time is running already."""
    running = booking.terms.start_ms <= draft.now.wall_ms
    return replace(booking, grace_observed=not running)


def _mark(draft: Draft, bookings: Iterable[Booking]) -> None:
    for booking in bookings:
        waiting = booking.status is BookingStatus.ENFORCED and booking.grace_observed
        if waiting and booking.terms.start_ms <= draft.now.wall_ms:
            draft.put(replace(booking, grace_observed=False))
