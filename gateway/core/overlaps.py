"""Which bookings of a facility stand when they overlap (RULES B2).

Checked-in ones first, then the lower `(priority, created, id)`, as long as there is room; the rest
are conflicted, and judged again at every change. The outcome hangs on nothing but the bookings.
"""

from collections.abc import Iterable
from dataclasses import replace

from gateway.core import grace, passage
from gateway.core.draft import Draft
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.now import DAY_MS
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.visits import Visit

LONG_DAYS = 31
_JUDGED = (BookingStatus.CHECKED_IN, BookingStatus.ENFORCED, BookingStatus.CONFLICTED)


def resolve(draft: Draft, facility_id: str) -> None:
    """Make the bookings of a facility stand or give way."""
    facility = draft.site.facilities.get(facility_id)
    if facility is None:
        return
    kept = _Kept()
    found = draft.where(Booking, "facility", facility_id)
    for booking in sorted((b for b in found if b.status in _JUDGED), key=_order):
        others = in_the_way(booking, kept.near(booking), facility.capacity)
        if others:
            _give_way(draft, booking, others)
        else:
            kept.add(booking)
            _stand(draft, booking)
    passage.settle(draft, facility)


def in_the_way(booking: Booking, kept: Iterable[Booking], capacity: int) -> list[Booking]:
    """The kept bookings that leave no room at some instant of this one; empty if it fits."""
    others = [other for other in kept if booking.overlaps(other)]
    if len(others) < capacity:
        return []
    for instant in sorted({booking.terms.start_ms, *(o.terms.start_ms for o in others)}):
        if booking.covers(instant):
            there = [other for other in others if other.covers(instant)]
            if len(there) >= capacity:
                return there
    return []


class _Kept:
    """Bookings that stand, found by the days they touch: thousands are judged in one go.

    A long one is near to all: one until the year 58,000 has touched more days than memory holds.
    """

    def __init__(self) -> None:
        self._long: dict[str, Booking] = {}
        self._days: dict[int, dict[str, Booking]] = {}

    def add(self, booking: Booking) -> None:
        days = _days(booking)
        if len(days) > LONG_DAYS:
            self._long[booking.id] = booking
            return
        for day in days:
            self._days.setdefault(day, {})[booking.id] = booking

    def near(self, booking: Booking) -> Iterable[Booking]:
        days = _days(booking)
        touched = self._days if len(days) > LONG_DAYS else days
        found = dict(self._long)
        for day in touched:
            found |= self._days.get(day, {})
        return found.values()


def _days(booking: Booking) -> range:
    return range(booking.terms.start_ms // DAY_MS, (booking.terms.end_ms - 1) // DAY_MS + 1)


def standing(booking: Booking) -> BookingStatus:
    """What a booking is while nothing is in its way."""
    came = booking.checked_in_ms is not None
    return BookingStatus.CHECKED_IN if came else BookingStatus.ENFORCED


def somebody_inside(draft: Draft, booking: str) -> bool:
    """Somebody is in by that booking: they are not put out, the desk is told (B4)."""
    return bool(draft.where(Visit, "booking", booking))


def _order(booking: Booking) -> tuple[bool, tuple[int, int, str]]:
    return (booking.checked_in_ms is None, booking.rank)


def _give_way(draft: Draft, booking: Booking, others: list[Booking]) -> None:
    if booking.status is BookingStatus.CONFLICTED:
        return
    inside = somebody_inside(draft, booking.id)
    draft.put(replace(booking, status=BookingStatus.CONFLICTED))
    draft.record(
        Fact.BOOKING_CONFLICTED,
        why=reason("overlap", booking=others[0].id),
        urgent=inside,
        booking=booking.id,
        facility=booking.facility,
        with_bookings=sorted(other.id for other in others),
        somebody_inside=inside or None,
    )


def _stand(draft: Draft, booking: Booking) -> None:
    if booking.status is BookingStatus.CONFLICTED:
        draft.put(grace.began(draft, replace(booking, status=standing(booking))))
        draft.record(Fact.BOOKING_RESTORED, booking=booking.id, facility=booking.facility)
