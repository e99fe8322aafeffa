"""On what ground a subject may pass a door or charge now, or why not (RULES A1, B2, B6, B7).

The order of grounds: a booking that covers now, a return after its end, a late arrival; then a
standing right; then a walk-in, where the facility is free to whoever comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.core import calendar
from gateway.core.draft import Draft, zone_of
from gateway.core.layout import layout
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.reasons import Reason, reason
from gateway.domain.site import BookingPolicy, Facility, Site
from gateway.domain.state import Result
from gateway.domain.subjects import (
    Credential,
    CredentialKind,
    PassClaims,
    Presented,
    StandingRight,
    Subject,
)
from gateway.domain.visits import Visit


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a subject may pass: a booking, a right or an open facility. `basis` is its id."""

    subject: Subject
    basis: str
    facility: str | None
    reason: Reason
    uncertain: bool = False  # by a clock that nobody vouches for


@dataclass(frozen=True, slots=True)
class Target:
    """What a credential is presented for: facilities, and the ids by which a right may name it.

    `own` is the facility that a right to all of it uses.
    """

    facilities: tuple[Facility, ...]
    ids: frozenset[str]
    own: str | None

    @property
    def facility_ids(self) -> set[str]:
        """The ids of its facilities."""
        return {facility.id for facility in self.facilities}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, and what would help. `subject` is who it was, where the credential proves it."""

    result: Result
    reason: Reason
    subject: Subject | None = None


@lru_cache(maxsize=1_024)
def at_door(site: Site, door_id: str, facility: str = "") -> Target:
    """What lies behind a door, or the one facility of it that is named."""
    found, door = layout(site), site.doors[door_id]
    behind = tuple(f for f in found.behind[door.id] if facility in ("", f.id))
    ids = frozenset({door.id, "*", *found.above[door.place]})
    return Target(behind, ids, next((f.id for f in behind if door.id in f.doors), None))


def at_outlets(site: Site, facilities: tuple[Facility, ...]) -> Target:
    """Outlets of which one is to be used: those at a reader, or the one that was named."""
    above = layout(site).above
    ids = frozenset({"*", *(id_ for f in facilities for id_ in above[f.place])})
    return Target(facilities, ids, facilities[0].id if len(facilities) == 1 else None)


def subjects_of(draft: Draft, presented: Presented) -> set[str]:
    """Whose credential this is, whatever they may do; nobody's for a pass that does not hold."""
    match presented.type:
        case CredentialKind.PASS:
            return {presented.claims.subject} if presented.claims is not None else set()
        case CredentialKind.REMOTE:
            return {presented.identifier} if presented.identifier else set()
        case _:
            return {
                credential.subject
                for credential in draft.where(Credential, "digest", presented.digest)
                if credential.type is presented.type
                and not credential.blocked
                and presented.identifier in (None, credential.subject)
            }


def judge(draft: Draft, presented: Presented, target: Target) -> Ground | Refusal:
    """The ground on which what was presented serves its target now, or why it does not."""
    match presented.type:
        case CredentialKind.PASS:
            return _judge_pass(draft, presented, target)
        case CredentialKind.REMOTE:
            subject = draft.get(Subject, presented.identifier or "")
            return _not_recognised() if subject is None else of(draft, subject, target)
        case _:
            return _judge_digest(draft, presented, target)


def of(draft: Draft, subject: Subject, target: Target) -> Ground | Refusal:
    """The best ground of a known subject, or the refusal that helps them most."""
    if not subject.active:
        return Refusal(Result.BLOCKED, reason("blocked"), subject)
    bookings = draft.where(Booking, "subjects", subject.id)
    here = target.facility_ids
    ground = (
        _by_booking(draft, subject, [b for b in bookings if b.facility in here])
        or _by_right(draft, subject, target)
        or _by_walk_in(draft, subject, target)
    )
    return ground or _best_refusal(draft, subject, bookings, here)


def taken_by_other(draft: Draft, facility: Facility, subject: str) -> bool:
    """Others have the facility: their bookings now, and their walk-ins inside, fill it."""
    now = draft.now.wall_ms
    bookings = draft.where(Booking, "facility", facility.id)
    booked = sum(1 for b in bookings if b.live and b.covers(now) and subject not in b.subjects)
    visits = draft.where(Visit, "facility", facility.id)
    walked_in = sum(1 for v in visits if v.booking is None and _walked_in(draft, v, subject))
    return booked + walked_in >= facility.capacity


def right_is_live(draft: Draft, right: StandingRight) -> bool:
    """A standing right holds now; while the clock is untrusted it works in full (DESIGN §6)."""
    if not draft.now.trusted:
        return True
    wall = draft.now.wall_ms
    if right.from_ms is not None and wall < right.from_ms:
        return False
    if right.until_ms is not None and wall >= right.until_ms:
        return False
    return calendar.within(right.hours, wall, zone_of(draft.site.zone))


# --- the grounds ------------------------------------------------------------------------------


def _by_booking(draft: Draft, subject: Subject, bookings: Sequence[Booking]) -> Ground | None:
    now = draft.now
    for booking in bookings:
        if booking.live and booking.covers(now.wall_ms):
            return Ground(subject, booking.id, booking.facility, reason("booking"), not now.trusted)
    if not now.trusted:
        return _by_uncertain_clock(draft, subject, bookings)
    for booking in bookings:
        if _may_return(draft, booking, subject) or _may_come(draft, booking, subject):
            return Ground(subject, booking.id, booking.facility, reason("booking"))
    return None


def _by_uncertain_clock(
    draft: Draft, subject: Subject, bookings: Sequence[Booking]
) -> Ground | None:
    # DESIGN §6: a clock nobody vouches for must not shut a holder out in the rain.
    slack = draft.site.settings.access.clock_uncertain_ms
    wall = draft.now.wall_ms
    near = [
        booking
        for booking in bookings
        if booking.live and booking.terms.start_ms - slack <= wall < booking.terms.end_ms + slack
    ]
    if not near:
        return None
    nearest = min(near, key=lambda b: (abs(b.terms.start_ms - wall), b.id))
    return Ground(subject, nearest.id, nearest.facility, reason("booking"), uncertain=True)


def _may_return(draft: Draft, booking: Booking, subject: Subject) -> bool:
    """B7: back in for what was forgotten, unless others have checked in and filled the room.

    An outlet is not gone back into: whoever is booked next has it (C7).
    """
    if booking.checked_in_ms is None or booking.status is BookingStatus.NO_SHOW:
        return False
    wall = draft.now.wall_ms
    until = booking.terms.end_ms + draft.site.settings.booking.return_after_end_ms
    if not booking.terms.end_ms <= wall < until:
        return False
    facility = draft.site.facilities[booking.facility]
    if facility.outlet is not None:
        return not taken_by_other(draft, facility, subject.id)
    others = sum(
        1
        for other in draft.where(Booking, "facility", booking.facility)
        if other.status is BookingStatus.CHECKED_IN and other.covers(wall)
    )
    return others < facility.capacity


def _may_come(draft: Draft, booking: Booking, subject: Subject) -> bool:
    """A late holder (B6), or one who is early by what the site allows, while nobody has it."""
    wall = draft.now.wall_ms
    late = booking.status is BookingStatus.NO_SHOW and booking.covers(wall)
    opens_ms = booking.terms.start_ms - draft.site.settings.access.early_ms
    early = booking.live and opens_ms <= wall < booking.terms.start_ms
    facility = draft.site.facilities[booking.facility]
    return (late or early) and not taken_by_other(draft, facility, subject.id)


def _by_right(draft: Draft, subject: Subject, target: Target) -> Ground | None:
    for right in draft.where(StandingRight, "subject", subject.id):
        named = target.facility_ids.intersection(right.targets)
        if (named or target.ids.intersection(right.targets)) and right_is_live(draft, right):
            facility = min(named) if named else target.own
            return Ground(subject, right.id, facility, reason("standing_right"))
    return None


def _by_walk_in(draft: Draft, subject: Subject, target: Target) -> Ground | None:
    for facility in target.facilities:
        open_to_all = facility.booking is not BookingPolicy.REQUIRED
        if open_to_all and not taken_by_other(draft, facility, subject.id):
            return Ground(subject, "walk_in", facility.id, reason("granted"))
    return None


def _walked_in(draft: Draft, visit: Visit, subject: str) -> bool:
    """Somebody else uses the facility without a booking; who cleans or mends it does not."""
    if visit.subject is None or visit.subject == subject:
        return False
    visitor = draft.get(Subject, visit.subject)
    return visitor is None or not visitor.staff


# --- what was presented -----------------------------------------------------------------------


def _judge_digest(draft: Draft, presented: Presented, target: Target) -> Ground | Refusal:
    refusal = _not_recognised()
    # A5: a bare PIN is compared only with those valid now here, so a guess learns nothing.
    explains = presented.type is CredentialKind.CARD or presented.identifier is not None
    for credential in draft.where(Credential, "digest", presented.digest):
        if credential.type is not presented.type:
            continue
        if presented.identifier not in (None, credential.subject):
            continue
        found = _judge_credential(draft, credential, target)
        if isinstance(found, Ground):
            return found
        if explains:
            refusal = found
    return refusal


def _judge_credential(draft: Draft, credential: Credential, target: Target) -> Ground | Refusal:
    subject = draft.get(Subject, credential.subject)
    if subject is None:
        return _not_recognised()
    if credential.blocked:
        return Refusal(Result.BLOCKED, reason("blocked"), subject)
    return of(draft, subject, target)


def _judge_pass(draft: Draft, presented: Presented, target: Target) -> Ground | Refusal:
    """A1: a pass opens for its own booking, and for nothing else that its subject may do."""
    claims = presented.claims
    if claims is None:
        why = presented.problem or "unreadable"
        return Refusal(Result.INVALID, reason("pass_invalid", why=why))
    booking = draft.get(Booking, claims.booking)
    subject = draft.get(Subject, claims.subject)
    if booking is None or subject is None or subject.id not in booking.subjects:
        return Refusal(Result.INVALID, reason("pass_invalid", why="not known here"), subject)
    problem = _pass_problem(draft, claims, booking)
    if problem is not None:
        return Refusal(Result.INVALID, problem, subject)
    if not subject.active:
        return Refusal(Result.BLOCKED, reason("blocked"), subject)
    here = target.facility_ids
    ground = _by_booking(draft, subject, [booking]) if booking.facility in here else None
    return ground or _best_refusal(draft, subject, [booking], here)


def _pass_problem(draft: Draft, claims: PassClaims, booking: Booking) -> Reason | None:
    """A1: not older than the booking as it is applied here, and not expired."""
    if claims.revision < booking.terms.revision:
        return reason("pass_superseded")
    if draft.now.trusted and draft.now.wall_ms >= claims.expires_ms:
        return reason("pass_invalid", why="it has expired")
    return None


# --- refusals ---------------------------------------------------------------------------------


def _not_recognised() -> Refusal:
    return Refusal(Result.INVALID, reason("not_recognised"))


def _best_refusal(
    draft: Draft, subject: Subject, bookings: Sequence[Booking], here: set[str]
) -> Refusal:
    wall = draft.now.wall_ms
    mine = sorted((b for b in bookings if b.facility in here), key=lambda b: b.terms.start_ms)
    for booking in mine:
        code = _LOST.get(booking.status)
        if code is not None and booking.covers(wall):
            return Refusal(Result.CONCURRENT, reason(code), subject)
    coming = next((b for b in mine if b.terms.start_ms > wall), None)
    if coming is not None:
        start = draft.local_time(coming.terms.start_ms)
        return Refusal(Result.NOT_AT_THIS_TIME, reason("too_early", start=start), subject)
    for booking in bookings:
        elsewhere = draft.site.facilities.get(booking.facility)
        if booking.live and booking.covers(wall) and elsewhere and elsewhere.id not in here:
            return Refusal(Result.NOT_AT_THIS_LOCATION, _wrong_facility(elsewhere), subject)
    ended = [b for b in mine if b.terms.end_ms <= wall]
    if ended:
        end = draft.local_time(ended[-1].terms.end_ms)
        return Refusal(Result.EXPIRED, reason("too_late", end=end), subject)
    return Refusal(Result.NOT_AT_THIS_LOCATION, reason("no_right"), subject)


_LOST = {
    BookingStatus.CONFLICTED: "booking_conflicted",
    BookingStatus.NO_SHOW: "booking_released",
}


def _wrong_facility(yours: Facility) -> Reason:
    why = reason("wrong_facility", facility=yours.name.en)
    return Reason(why.code, reason("wrong_facility", facility=yours.name.zh).zh, why.en)
