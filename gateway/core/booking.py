"""The life of bookings, and which stand when they overlap (RULES B2, B4–B7).

enforced ── holder enters ──▶ checked_in ──▶ ended
   │  ▲                                        ▲
   │  └─ the other gave way ─ conflicted ──────┤
   └── grace over, nobody came ─▶ no_show ─────┘
"""

from dataclasses import replace

from gateway.core import occupancy
from gateway.core.draft import Draft
from gateway.domain.bookings import Booking, BookingStatus, Origin, Terms
from gateway.domain.events import BookingItem, ExtensionAsked, WalkInAsked
from gateway.domain.now import MINUTE_MS
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import BookingPolicy, BookingSettings, Facility
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role
from gateway.domain.visits import RoomStatus, Visit

OWN_PRIORITY = 1_000_000  # below every platform booking created earlier (B4)


def put(draft: Draft, item: BookingItem) -> None:
    """A booking of the platform is now so; what became of it here stays where it still can."""
    old = draft.get(Booking, item.id)
    if old is None:
        draft.put(Booking(item.id, item.terms))
    elif old.terms != item.terms:
        changed = replace(old, terms=item.terms, warned=False)
        moved = old.terms.facility != item.terms.facility or not _touches(old.terms, item.terms)
        if moved:
            changed = Booking(item.id, item.terms)
        elif old.status in (BookingStatus.NO_SHOW, BookingStatus.ENDED):
            over = item.terms.end_ms <= draft.now.wall_ms
            again = old.status is BookingStatus.ENDED and not over
            status = _status_again(old) if again else old.status
            changed = replace(changed, status=status)
        draft.put(changed)
        if moved:
            resolve(draft, old.facility)
    else:
        return
    draft.record(
        Fact.BOOKING_APPLIED,
        personal={"subjects": ",".join(item.terms.subjects)},
        booking=item.id,
        facility=item.terms.facility,
        start_ms=item.terms.start_ms,
        end_ms=item.terms.end_ms,
        revision=item.terms.revision,
    )


def remove(draft: Draft, id_: str, why: str) -> None:
    """A booking is revoked. A person inside is not put out by it: the desk is told (B4)."""
    booking = draft.get(Booking, id_)
    if booking is None:
        return
    inside = draft.where(Visit, "booking", id_)
    draft.drop(Booking, id_)
    draft.record(
        Fact.BOOKING_REMOVED,
        booking=id_,
        facility=booking.facility,
        cause=why,
        somebody_inside=True if inside else None,
    )


def resolve(draft: Draft, facility_id: str) -> None:
    """Which bookings stand: checked-in ones, then by rank, up to the capacity (B2)."""
    facility = draft.site.facilities.get(facility_id)
    if facility is None:
        return
    found = draft.where(Booking, "facility", facility_id)
    kept = [b for b in found if b.status is BookingStatus.CHECKED_IN]
    judged = [b for b in found if b.status in (BookingStatus.ENFORCED, BookingStatus.CONFLICTED)]
    for booking in sorted(judged, key=lambda b: b.rank):
        others = _in_the_way(booking, kept, facility.capacity)
        if others:
            _conflict(draft, booking, others)
        else:
            kept.append(booking)
            _stand(draft, booking)


def due(draft: Draft, booking: Booking) -> None:
    """Time passed for a booking. Nothing ends or expires on a clock nobody trusts (DESIGN §6)."""
    facility = draft.site.facilities.get(booking.facility)
    if facility is None or not draft.now.trusted:
        return
    _warn(draft, booking)
    _check_no_show(draft, draft.get(Booking, booking.id) or booking, facility)
    _end(draft, draft.get(Booking, booking.id) or booking, facility)
    _forget(draft, draft.get(Booking, booking.id) or booking)


def due_wall_ms(booking: Booking, settings: BookingSettings) -> int:
    """When `due` is next worth asking (wall time)."""
    terms = booking.terms
    match booking.status:
        case BookingStatus.ENFORCED if booking.grace_observed:
            return min(terms.start_ms + settings.no_show_grace_ms, terms.end_ms)
        case BookingStatus.CHECKED_IN:
            warn_ms = terms.end_ms - settings.warn_before_end_ms
            return terms.end_ms if booking.warned else warn_ms
        case BookingStatus.ENDED:
            return terms.end_ms + settings.keep_ended_ms
        case _:
            return terms.end_ms


def extend(draft: Draft, event: ExtensionAsked) -> Reply:
    """Let a booking go on, up to 60 min, as a proposal of our own (B4)."""
    booking = draft.get(Booking, event.booking)
    if booking is None or booking.status is BookingStatus.ENDED:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="booking", id=event.booking))
    if event.by.role is Role.RESIDENT and event.by.name not in booking.subjects:
        return Reply(Result.REJECTED, reason("no_right"))
    start = booking.terms.end_ms
    return _propose(draft, booking.facility, booking.subjects, start, event.minutes, booking)


def walk_in(draft: Draft, event: WalkInAsked) -> Reply:
    """Give a free facility to somebody now, up to 60 min, as a proposal of our own (B4)."""
    facility = draft.site.facilities.get(event.facility)
    if facility is None:
        why = reason("unknown_facility", facility=event.facility)
        return Reply(Result.UNKNOWN, why)
    if facility.booking is BookingPolicy.REQUIRED and event.by.role is Role.RESIDENT:
        standing = any(
            b.live and b.covers(draft.now.wall_ms)
            for b in draft.where(Booking, "facility", facility.id)
        )
        if standing:
            return Reply(Result.CONCURRENT, reason("in_use"))
    return _propose(draft, facility.id, (event.subject,), draft.now.wall_ms, event.minutes, None)


def live_now(draft: Draft, facility: str) -> list[Booking]:
    """The bookings that stand and cover this instant."""
    found = draft.where(Booking, "facility", facility)
    return [b for b in found if b.live and b.covers(draft.now.wall_ms)]


# --- overlaps -----------------------------------------------------------------------------------


def _in_the_way(booking: Booking, kept: list[Booking], capacity: int) -> list[Booking]:
    """The kept bookings that leave no room at some instant of this one; empty if it fits."""
    others = [other for other in kept if booking.overlaps(other)]
    if len(others) < capacity:
        return []
    for instant in {booking.terms.start_ms, *(o.terms.start_ms for o in others)}:
        if booking.covers(instant):
            there = [other for other in others if other.covers(instant)]
            if len(there) >= capacity:
                return there
    return []


def _conflict(draft: Draft, booking: Booking, others: list[Booking]) -> None:
    if booking.status is BookingStatus.CONFLICTED:
        return
    draft.put(replace(booking, status=BookingStatus.CONFLICTED))
    draft.record(
        Fact.BOOKING_CONFLICTED,
        why=reason("overlap", booking=others[0].id),
        booking=booking.id,
        facility=booking.facility,
        with_bookings=sorted(other.id for other in others),
    )


def _stand(draft: Draft, booking: Booking) -> None:
    if booking.status is BookingStatus.CONFLICTED:
        draft.put(replace(booking, status=BookingStatus.ENFORCED))
        draft.record(Fact.BOOKING_RESTORED, booking=booking.id, facility=booking.facility)


# --- time ---------------------------------------------------------------------------------------


def _warn(draft: Draft, booking: Booking) -> None:
    """B7: ten minutes before the end, unless the same subjects have the next booking too."""
    before_ms = draft.site.settings.booking.warn_before_end_ms
    wall = draft.now.wall_ms
    if booking.warned or booking.status is not BookingStatus.CHECKED_IN:
        return
    if not booking.terms.end_ms - before_ms <= wall < booking.terms.end_ms:
        return
    draft.put(replace(booking, warned=True))
    if _next_of_same(draft, booking) is None:
        draft.record(
            Fact.BOOKING_ENDING,
            booking=booking.id,
            facility=booking.facility,
            end_ms=booking.terms.end_ms,
        )


def _check_no_show(draft: Draft, booking: Booking, facility: Facility) -> None:
    """B6: only a grace time that was wholly seen, by living sensors, with no sign of anybody."""
    grace_ms = draft.site.settings.booking.no_show_grace_ms
    if booking.status is not BookingStatus.ENFORCED:
        return
    if not booking.covers(draft.now.wall_ms):
        return
    if draft.now.wall_ms < booking.terms.start_ms + grace_ms or not booking.grace_observed:
        return
    if not _can_judge(draft, facility, booking):
        return
    draft.put(replace(booking, status=BookingStatus.NO_SHOW))
    draft.record(
        Fact.BOOKING_NO_SHOW,
        why=reason("no_show"),
        booking=booking.id,
        facility=booking.facility,
        revision=booking.terms.revision,
        proposal=True,
    )
    resolve(draft, facility.id)


def _can_judge(draft: Draft, facility: Facility, booking: Booking) -> bool:
    if draft.where(Visit, "facility", facility.id):
        return False  # an entering without a leaving, or an overstay, stops the clock (B5, B6)
    room = draft.get(RoomStatus, facility.id)
    if room is not None and room.overstay_of is not None:
        return False
    if facility.sensors:
        if not occupancy.living_sensors(draft, facility) or room is None or room.present:
            return False
        # Somebody was seen in the grace time, even if they have gone.
        return room.vacant_since_ms is not None and (room.vacant_since_ms <= booking.terms.start_ms)
    return bool(facility.doors)


def _end(draft: Draft, booking: Booking, facility: Facility) -> None:
    if booking.status is BookingStatus.ENDED or draft.now.wall_ms < booking.terms.end_ms:
        return
    draft.put(replace(booking, status=BookingStatus.ENDED))
    draft.record(
        Fact.BOOKING_ENDED,
        booking=booking.id,
        facility=booking.facility,
        checked_in_ms=booking.checked_in_ms,
    )
    following = _next_of_same(draft, booking)
    inside = draft.where(Visit, "booking", booking.id)
    if following is not None:
        _carry_over(draft, booking, following, inside)
    elif not facility.sensors:
        for visit in inside:
            occupancy.close_visit(draft, visit, "booking_ended")
    elif inside or (booking.checked_in_ms is not None and _present(draft, facility.id)):
        _overstay(draft, booking, facility)
    resolve(draft, facility.id)


def _carry_over(draft: Draft, booking: Booking, following: Booking, inside: list[Visit]) -> None:
    """B7: adjacent bookings of one subject are one."""
    for visit in inside:
        draft.put(replace(visit, booking=following.id))
    if booking.checked_in_ms is not None:
        occupancy.check_in(draft, following, None)


def _overstay(draft: Draft, booking: Booking, facility: Facility) -> None:
    room = draft.get(RoomStatus, facility.id) or RoomStatus(facility.id)
    if room.overstay_of == booking.id:
        return
    draft.put(replace(room, overstay_of=booking.id))
    draft.record(
        Fact.OVERSTAY,
        why=reason("overstay", facility=facility.name.en),
        booking=booking.id,
        facility=facility.id,
    )


def _forget(draft: Draft, booking: Booking) -> None:
    keep_ms = draft.site.settings.booking.keep_ended_ms
    over = booking.status is BookingStatus.ENDED
    if over and draft.now.wall_ms >= booking.terms.end_ms + keep_ms:
        draft.drop(Booking, booking.id)


def _next_of_same(draft: Draft, booking: Booking) -> Booking | None:
    for other in draft.where(Booking, "facility", booking.facility):
        adjacent = other.terms.start_ms == booking.terms.end_ms
        if adjacent and other.live and set(other.subjects) & set(booking.subjects):
            return other
    return None


def _present(draft: Draft, facility: str) -> bool:
    room = draft.get(RoomStatus, facility)
    return room is not None and bool(room.present)


# --- proposals ----------------------------------------------------------------------------------


def _propose(
    draft: Draft,
    facility: str,
    subjects: tuple[str, ...],
    start_ms: int,
    minutes: int,
    seen: Booking | None,
) -> Reply:
    longest = draft.site.settings.booking.offline_extension_ms
    if not 0 < minutes * MINUTE_MS <= longest:
        why = f"minutes must be 1 to {longest // MINUTE_MS}, found {minutes}"
        return Reply(Result.REJECTED, reason("malformed", why=why))
    terms = Terms(
        facility=facility,
        subjects=subjects,
        start_ms=start_ms,
        end_ms=start_ms + minutes * MINUTE_MS,
        priority=OWN_PRIORITY,
        created_ms=draft.now.wall_ms,
        origin=Origin.GATEWAY,
    )
    booking = Booking(draft.now.new_id("own"), terms)
    draft.put(booking)
    resolve(draft, facility)
    stands = draft.get(Booking, booking.id)
    if stands is None or not stands.live:
        draft.drop(Booking, booking.id)
        return Reply(Result.CONCURRENT, reason("in_use"))
    draft.record(
        Fact.BOOKING_PROPOSED,
        personal={"subjects": ",".join(subjects)},
        booking=booking.id,
        facility=facility,
        start_ms=terms.start_ms,
        end_ms=terms.end_ms,
        seen_booking=seen.id if seen else None,
        seen_revision=seen.terms.revision if seen else None,
    )
    return Reply(Result.ACCEPTED, reason("done"), {"booking": booking.id, "end_ms": terms.end_ms})


def _touches(one: Terms, other: Terms) -> bool:
    return one.start_ms < other.end_ms and other.start_ms < one.end_ms


def _status_again(old: Booking) -> BookingStatus:
    came = old.checked_in_ms is not None
    return BookingStatus.CHECKED_IN if came else BookingStatus.ENFORCED
