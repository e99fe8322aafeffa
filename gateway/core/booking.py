"""The life of bookings (RULES B4–B7).

enforced ── holder comes ──▶ checked_in ──▶ ended
   │  ▲                          ▲            ▲
   │  └─ what was in its way is gone ─ conflicted
   └── grace over, nobody came ──▶ no_show ───┘   (late holder: checked_in)
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.core import arrival, grace, occupancy, outlets, overlaps, quotas, timekeeping
from gateway.core.draft import Draft
from gateway.core.durations import LATE_MS
from gateway.domain.bookings import Booking, BookingStatus, Terms
from gateway.domain.events import BookingItem
from gateway.domain.quotas import Counted
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import DoorMode, Facility
from gateway.domain.visits import DoorStatus, RoomStatus, Visit

# --- from the platform --------------------------------------------------------------------------


def put(draft: Draft, item: BookingItem) -> set[str]:
    """A booking of the platform is now so; the facilities it touches, for `overlaps.resolve`.

    What became of it here stays where it still can. A newer revision of a no-show or an ended
    booking is the platform's word that it stands (B4).
    """
    old = draft.get(Booking, item.id)
    if old is not None and old.terms == item.terms:
        return set()
    moved = old is not None and _moved(old.terms, item.terms)
    inside = moved and overlaps.somebody_inside(draft, item.id)
    fresh = grace.began(draft, Booking(item.id, item.terms))
    draft.put(fresh if old is None or moved else _renewed(draft, old, fresh))
    draft.record(
        Fact.BOOKING_APPLIED,
        personal={"subjects": ",".join(item.terms.subjects)},
        urgent=inside,
        booking=item.id,
        facility=item.terms.facility,
        start_ms=item.terms.start_ms,
        end_ms=item.terms.end_ms,
        revision=item.terms.revision,
        somebody_inside=inside or None,
    )
    return {item.terms.facility, old.facility if old else item.terms.facility}


def remove(draft: Draft, id_: str, why: str) -> set[str]:
    """A booking is revoked. A person inside is not put out by it: the desk is told (B4)."""
    booking = draft.get(Booking, id_)
    if booking is None:
        return set()
    inside = overlaps.somebody_inside(draft, id_)
    draft.drop(Booking, id_)
    draft.record(
        Fact.BOOKING_REMOVED,
        urgent=inside,
        booking=id_,
        facility=booking.facility,
        cause=why,
        somebody_inside=inside or None,
        quotas=_settled(draft, booking),
    )
    return {booking.facility}


def _settled(draft: Draft, booking: Booking) -> list[dict[str, Any]] | None:
    """What it took of who asked for it here: its time until now, where it stood."""
    terms = booking.terms
    until_ms = min(draft.now.wall_ms, terms.end_ms) if draft.now.trusted else terms.end_ms
    stood = booking.status is not BookingStatus.CONFLICTED
    taken = max(0, until_ms - terms.start_ms) if stood else 0
    return quotas.settle(draft, booking.id, {Counted.TIME: taken})


def _moved(old: Terms, new: Terms) -> bool:
    apart = new.end_ms <= old.start_ms or old.end_ms <= new.start_ms
    return old.facility != new.facility or apart


def _renewed(draft: Draft, old: Booking, fresh: Booking) -> Booking:
    over = draft.now.trusted and fresh.terms.end_ms <= draft.now.wall_ms
    ended = old.status is BookingStatus.ENDED and not over
    revived = ended or old.status is BookingStatus.NO_SHOW
    anew = revived or old.terms.start_ms != fresh.terms.start_ms
    return replace(
        fresh,
        status=overlaps.standing(old) if revived else old.status,
        checked_in_ms=old.checked_in_ms,
        grace_observed=fresh.grace_observed if anew else old.grace_observed,
        warned=old.warned and old.terms.end_ms == fresh.terms.end_ms,
    )


# --- time ---------------------------------------------------------------------------------------


def due(draft: Draft, booking: Booking) -> None:
    """Time passed for a booking. Nothing ends or expires on a clock nobody trusts (DESIGN §6)."""
    facility = draft.site.facilities.get(booking.facility)
    if facility is None or not draft.now.trusted:
        return
    for look in (_begin, _warn, _check_no_show, _end, _return_over, _forget):
        now = draft.get(Booking, booking.id)
        if now is not None:
            look(draft, now, facility)


def due_in_ms(draft: Draft, booking: Booking) -> int | None:
    """How long until `due` is next worth asking; never on a clock that nobody trusts."""
    if booking.facility not in draft.site.facilities or not draft.now.trusted:
        return None
    return _due_wall_ms(draft, booking) - draft.now.wall_ms


def _due_wall_ms(draft: Draft, booking: Booking) -> int:
    terms, settings = booking.terms, draft.site.settings.booking
    times = [terms.end_ms]
    match booking.status:
        case BookingStatus.ENFORCED:
            coming = terms.start_ms > draft.now.wall_ms - LATE_MS
            inside = coming or overlaps.somebody_inside(draft, booking.id)
            times += [terms.start_ms] if inside else []
            times += [terms.start_ms + settings.no_show_grace_ms] if booking.grace_observed else []
        case BookingStatus.CHECKED_IN:
            times += [] if booking.warned else [terms.end_ms - settings.warn_before_end_ms]
        case BookingStatus.ENDED:
            over_ms = terms.end_ms + settings.return_after_end_ms
            if draft.now.wall_ms < over_ms or _stays_untold(draft, booking):
                return over_ms
            return timekeeping.kept_until_ms(draft, terms.end_ms + settings.keep_ended_ms)
        case _:
            pass
    return min(times)


def _begin(draft: Draft, booking: Booking, _: Facility) -> None:
    """Who was let in early, or by an uncertain clock, is there when the booking begins."""
    if overlaps.somebody_inside(draft, booking.id) and booking.status is BookingStatus.ENFORCED:
        arrival.came(draft, booking)


def _warn(draft: Draft, booking: Booking, _: Facility) -> None:
    """B7: ten minutes before the end, unless the same subjects have the next booking too."""
    before_ms = draft.site.settings.booking.warn_before_end_ms
    wall, end_ms = draft.now.wall_ms, booking.terms.end_ms
    if booking.warned or booking.status is not BookingStatus.CHECKED_IN:
        return
    if not end_ms - before_ms <= wall < end_ms:
        return
    draft.put(replace(booking, warned=True))
    if _next_of_same(draft, booking) is None:
        draft.record(
            Fact.BOOKING_ENDING, booking=booking.id, facility=booking.facility, end_ms=end_ms
        )


def _check_no_show(draft: Draft, booking: Booking, facility: Facility) -> None:
    """B6: judged once, after a grace time that was wholly seen, with no sign of anybody."""
    grace_ms = draft.site.settings.booking.no_show_grace_ms
    waiting = booking.status is BookingStatus.ENFORCED and booking.grace_observed
    if not waiting or not booking.covers(draft.now.wall_ms):
        return
    if draft.now.wall_ms < booking.terms.start_ms + grace_ms or _is_at_the_door(draft, booking):
        return
    if not _nobody_came(draft, booking, facility):
        draft.put(replace(booking, grace_observed=False))
        return
    draft.put(replace(booking, status=BookingStatus.NO_SHOW))
    draft.record(
        Fact.BOOKING_NO_SHOW,
        why=reason("no_show"),
        booking=booking.id,
        facility=booking.facility,
        revision=booking.terms.revision,
        proposal=True,
        quotas=quotas.settle(draft, booking.id, {}),
    )
    overlaps.resolve(draft, facility.id)


def _is_at_the_door(draft: Draft, booking: Booking) -> bool:
    """Somebody was let in by it just now: whether they entered will be seen in a moment."""
    return any(given.basis == booking.id for door in draft.all(DoorStatus) for given in door.grants)


def _nobody_came(draft: Draft, booking: Booking, facility: Facility) -> bool:
    """An entering without a leaving, an overstay, any presence in the time: somebody did."""
    if draft.where(Visit, "facility", facility.id):
        return False
    if facility.outlet is not None:
        plugged = outlets.plugged(draft, facility.outlet)
        return not plugged and outlets.session_at(draft, facility.id) is None
    if not facility.sensors:
        doors = [draft.site.doors[id_] for id_ in facility.doors]
        return bool(doors) and all(
            door.points.shows_opening and door.rules.mode is not DoorMode.SCHEDULED
            for door in doors
        )
    room = draft.get(RoomStatus, facility.id)
    if room is None or room.vacant is None or not occupancy.living_sensors(draft, facility):
        return False
    return room.vacant.at(draft.now) >= draft.now.wall_ms - booking.terms.start_ms


def _end(draft: Draft, booking: Booking, facility: Facility) -> None:
    if booking.status is BookingStatus.ENDED or draft.now.wall_ms < booking.terms.end_ms:
        return
    draft.put(replace(booking, status=BookingStatus.ENDED))
    draft.record(
        Fact.BOOKING_ENDED,
        booking=booking.id,
        facility=booking.facility,
        checked_in_ms=booking.checked_in_ms,
        quotas=_settled(draft, booking),
    )
    inside = draft.where(Visit, "booking", booking.id)
    following = _next_of_same(draft, booking)
    if following is not None:
        _carry_over(draft, booking, following, inside)
    elif occupancy.living_sensors(draft, facility):
        _check_overstay(draft, booking, facility, inside)
    else:
        for visit in inside:
            occupancy.visit_due(draft, visit)
    overlaps.resolve(draft, facility.id)


def _carry_over(
    draft: Draft, booking: Booking, following: Booking, inside: Sequence[Visit]
) -> None:
    """B7: adjacent bookings of one subject are one."""
    for visit in inside:
        draft.put(replace(visit, booking=following.id))
    if booking.checked_in_ms is not None:
        arrival.check_in(draft, following)


def _check_overstay(
    draft: Draft, booking: Booking, facility: Facility, inside: Sequence[Visit]
) -> None:
    """B7: who has not left goes to the desk; the next holder's grant works regardless.

    Who went out just before, and may still be seen by a sensor, is judged when the return is over.
    """
    room = draft.get(RoomStatus, facility.id) or RoomStatus(facility.id)
    leaving = any(visit.leaving for visit in draft.where(Visit, "facility", facility.id))
    stays = booking.checked_in_ms is not None and room.present is True and not leaving
    if not (stays or any(visit.leaving is None for visit in inside)):
        return
    draft.put(replace(room, overstay_of=booking.id))
    draft.put(replace(draft.get(Booking, booking.id) or booking, overstayed=True))
    draft.record(
        Fact.OVERSTAY,
        why=reason("overstay", facility=facility.name.en),
        booking=booking.id,
        facility=facility.id,
    )


def _return_over(draft: Draft, booking: Booking, facility: Facility) -> None:
    """B7: who came back after the end, and is still there when that time is over, overstays."""
    over_ms = booking.terms.end_ms + draft.site.settings.booking.return_after_end_ms
    if booking.status is not BookingStatus.ENDED or draft.now.wall_ms < over_ms:
        return
    if _stays_untold(draft, booking):
        _check_overstay(draft, booking, facility, draft.where(Visit, "booking", booking.id))


def _stays_untold(draft: Draft, booking: Booking) -> bool:
    """Somebody is inside by it, and the desk has not heard that they overstay."""
    return not booking.overstayed and bool(draft.where(Visit, "booking", booking.id))


def _forget(draft: Draft, booking: Booking, _: Facility) -> None:
    until_ms = booking.terms.end_ms + draft.site.settings.booking.keep_ended_ms
    over = booking.status is BookingStatus.ENDED
    if over and draft.now.wall_ms >= timekeeping.kept_until_ms(draft, until_ms):
        draft.drop(Booking, booking.id)


def _next_of_same(draft: Draft, booking: Booking) -> Booking | None:
    following = [
        other
        for other in draft.where(Booking, "facility", booking.facility)
        if other.terms.start_ms == booking.terms.end_ms
        and other.live
        and set(other.subjects) & set(booking.subjects)
    ]
    return min(following, key=lambda other: other.rank, default=None)
