"""What the gateway grants alone: extensions and walk-ins, up to 60 min (RULES B4).

Each has an id of its own, stands below every booking of the platform, and goes up as a proposal
with the booking revision it saw; the platform's answer is a new revision. Their time is held of who
asks, for no booking of the platform has counted it.
"""

from gateway.core import grounds, overlaps, quotas
from gateway.core.draft import Draft
from gateway.core.quotas import Most
from gateway.domain.bookings import Booking, Origin, Terms
from gateway.domain.events import Actor, ExtensionAsked, WalkInAsked
from gateway.domain.now import MINUTE_MS
from gateway.domain.quotas import Counted
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Fact
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role, Subject

OWN_PRIORITY = 1_000_000  # below every booking of the platform


def extend(draft: Draft, event: ExtensionAsked) -> Reply:
    """Let a booking go on; what was already prolonged counts."""
    booking = draft.get(Booking, event.booking)
    if booking is None:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="booking", id=event.booking))
    if not _may_ask(event.by, booking.subjects):
        return Reply(Result.REJECTED, reason("no_right"))
    if not booking.live:
        return Reply(Result.EXPIRED, reason("ended"))
    start_ms = booking.terms.end_ms
    before_ms = _prolonged_ms(draft, booking)
    problem = _problem(draft, event.minutes, before_ms)
    if problem is not None:
        return Reply(Result.REJECTED, problem)
    terms = _terms(draft, booking.facility, booking.subjects, start_ms, event.minutes)
    who = event.by.name if event.by.name in booking.subjects else booking.subjects[0]
    return _propose(draft, terms, who, booking)


def walk_in(draft: Draft, event: WalkInAsked) -> Reply:
    """Give a free facility to somebody now."""
    facility = draft.site.facilities.get(event.facility)
    if facility is None:
        return Reply(Result.UNKNOWN, reason("unknown_facility", facility=event.facility))
    if not _may_ask(event.by, (event.subject,)):
        return Reply(Result.REJECTED, reason("no_right"))
    problem = _problem(draft, event.minutes, 0)
    if problem is not None:
        return Reply(Result.REJECTED, problem)
    if grounds.taken_by_other(draft, facility, event.subject):
        return Reply(Result.CONCURRENT, reason("in_use"))
    subject = draft.get(Subject, event.subject)
    if subject is None or not subject.active:
        return Reply(Result.UNKNOWN, reason("unknown_subject", subject=event.subject))
    now = draft.now.wall_ms
    terms = _terms(draft, facility.id, (event.subject,), now, event.minutes)
    return _propose(draft, terms, event.subject, None)


def _may_ask(by: Actor, subjects: tuple[str, ...]) -> bool:
    return by.role is not Role.RESIDENT or by.name in subjects


def _problem(draft: Draft, minutes: int, before_ms: int) -> Reason | None:
    if not draft.now.trusted:
        return reason("clock_untrusted")
    longest_ms = draft.site.settings.booking.offline_extension_ms - before_ms
    if not 0 < minutes * MINUTE_MS <= longest_ms:
        why = f"minutes: expected 1 to {longest_ms // MINUTE_MS}, found {minutes}"
        return reason("malformed", why=why)
    return None


def _prolonged_ms(draft: Draft, booking: Booking) -> int:
    """How long the booking, and those right before it of the same people, are our own grant."""
    prolonged = 0
    at: Booking | None = booking
    while at is not None and at.terms.origin is Origin.GATEWAY:
        prolonged += at.terms.end_ms - at.terms.start_ms
        at = _before(draft, at)
    return prolonged


def _before(draft: Draft, booking: Booking) -> Booking | None:
    for other in draft.where(Booking, "facility", booking.facility):
        if other.terms.end_ms == booking.terms.start_ms and other.subjects == booking.subjects:
            return other
    return None


def _terms(
    draft: Draft, facility: str, subjects: tuple[str, ...], start_ms: int, minutes: int
) -> Terms:
    return Terms(
        facility=facility,
        subjects=subjects,
        start_ms=start_ms,
        end_ms=start_ms + minutes * MINUTE_MS,
        priority=OWN_PRIORITY,
        created_ms=draft.now.wall_ms,
        origin=Origin.GATEWAY,
    )


def _propose(draft: Draft, terms: Terms, who: str, seen: Booking | None) -> Reply:
    booking = Booking(draft.new_id("own"), terms)
    facility = draft.site.facilities[terms.facility]
    standing = [b for b in draft.where(Booking, "facility", terms.facility) if b.live]
    if overlaps.in_the_way(booking, standing, facility.capacity):
        return Reply(Result.CONCURRENT, reason("in_use"))
    wanted = (Most(Counted.TIME, terms.end_ms - terms.start_ms),)
    shortage = quotas.refusal(draft, who, facility, wanted)
    if shortage is not None:
        return Reply(Result.NO_CREDIT, shortage)
    draft.put(booking)
    draft.record(
        Fact.BOOKING_PROPOSED,
        personal={"subjects": ",".join(terms.subjects)},
        booking=booking.id,
        facility=terms.facility,
        start_ms=terms.start_ms,
        end_ms=terms.end_ms,
        created_ms=terms.created_ms,
        held=quotas.hold(draft, booking.id, who, facility, wanted),
        seen_booking=seen.id if seen else None,
        seen_revision=seen.terms.revision if seen else None,
    )
    return Reply(Result.ACCEPTED, reason("done"), {"booking": booking.id, "end_ms": terms.end_ms})
