"""Who may pass a door now, and on what ground (RULES A1, A5, B2, B6, B7).

The order of grounds: a booking that covers now, then a standing right, then a return after the
end, then a late arrival, then a walk-in where the facility is open to all and free.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core import calendar
from gateway.core.draft import Draft, zone_of
from gateway.core.faults import close_fault, open_fault
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.events import CredentialPresented, DoorOverridden
from gateway.domain.now import HOUR_MS, SECOND_MS, Elapsed
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Fact
from gateway.domain.site import BookingPolicy, Door, DoorMode, Facility
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import (
    Credential,
    CredentialKind,
    PassClaims,
    Presented,
    Role,
    StandingRight,
    Subject,
)
from gateway.domain.uses import Use, uses
from gateway.domain.visits import DoorStatus, Grant, ReaderStatus, Visit


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a subject may pass: a booking, a right or an open facility. `basis` is its id."""

    subject: Subject
    basis: str
    facility: str | None
    reason: Reason
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, and what would help."""

    result: Result
    reason: Reason
    subject: str | None = None


def present(draft: Draft, event: CredentialPresented) -> Reply:
    """Decide on a credential at a door; a refusal says what would help (A1)."""
    door = _door_of(draft, event)
    if door is None:
        named = event.door or event.facility or str(event.reader)
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="door", id=named))
    reader = str(event.reader) if event.reader else f"terminal:{door.id}"
    wait_ms = _wait_left(draft, _slowed(event.presented, reader))
    if wait_ms:
        seconds = -(-wait_ms // SECOND_MS)
        return Reply(
            Result.REJECTED, reason("slow_down", seconds=seconds), {"retry_after_s": seconds}
        )
    found = judge(draft, event.presented, door, event.facility)
    if isinstance(found, Ground):
        _forgive(draft, _slowed(event.presented, reader))
        return grant(draft, door, found, event.presented.type)
    return _refuse(draft, door, reader, event.presented, found)


def judge(draft: Draft, presented: Presented, door: Door, facility: str = "") -> Ground | Refusal:
    """The ground on which what was presented opens the door now, or why it does not."""
    if presented.type is CredentialKind.PASS:
        return _judge_pass(draft, presented, door)
    if presented.type is CredentialKind.REMOTE:
        subject = draft.get(Subject, presented.identifier or "")
        if subject is None:
            return _not_recognised()
        return ground_of(draft, subject, door, facility)
    return _judge_digest(draft, presented, door, facility)


def ground_of(draft: Draft, subject: Subject, door: Door, facility: str = "") -> Ground | Refusal:
    """The best ground of a known subject at a door, or the refusal that helps them most."""
    if not subject.active:
        return Refusal(Result.BLOCKED, reason("blocked"), subject.id)
    behind = [f for f in facilities_behind(draft, door) if facility in ("", f.id)]
    bookings = [
        booking
        for booking in draft.where(Booking, "subjects", subject.id)
        if booking.status is not BookingStatus.ENDED or _may_return(draft, booking)
    ]
    here = {f.id for f in behind}
    grounds = (
        _by_booking(draft, subject, [b for b in bookings if b.facility in here])
        or _by_right(draft, subject, door, behind)
        or _by_walk_in(draft, subject, behind)
    )
    return grounds or _best_refusal(draft, subject, bookings, here)


def grant(draft: Draft, door: Door, ground: Ground, how: CredentialKind) -> Reply:
    """Grant passage: one release with a token (A4), one fact."""
    now = draft.now
    status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
    token = now.new_id("grant")
    given = Grant(
        token=token,
        subject=ground.subject.id,
        basis=ground.basis,
        facility=ground.facility,
        given_wall_ms=now.wall_ms,
        until_mono_ms=now.mono_ms + door.rules.release_ms,
        boot=now.boot,
    )
    draft.put(replace(status, grant=given))
    draft.record(
        Fact.GRANTED,
        personal={"subject": ground.subject.id},
        why=ground.reason,
        door=door.id,
        place=door.place,
        facility=ground.facility,
        basis=ground.basis,
        grant=token,
        how=how.value,
        clock_uncertain=ground.uncertain or None,
    )
    data = {"door": door.id, "grant": token, "facility": ground.facility, "basis": ground.basis}
    if ground.uncertain:
        data["clock_uncertain"] = "true"
    return Reply(Result.ACCEPTED, reason("granted"), data)


def override(draft: Draft, event: DoorOverridden) -> Reply:
    """Release a door on a named person's word and reason (A1)."""
    door = draft.site.doors.get(event.door)
    if door is None:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="door", id=event.door))
    if not event.by.name.strip() or not event.why.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    if event.by.role is Role.RESIDENT:
        return Reply(Result.REJECTED, reason("role_needed", role=Role.DESK.value))
    why = reason("override", person=event.by.name, why=event.why)
    now = draft.now
    token = now.new_id("grant")
    given = Grant(
        token=token,
        subject=None,
        basis="override",
        facility=None,
        given_wall_ms=now.wall_ms,
        until_mono_ms=now.mono_ms + door.rules.release_ms,
        boot=now.boot,
    )
    status = draft.get(DoorStatus, door.id) or DoorStatus(door.id)
    draft.put(replace(status, grant=given))
    draft.record(
        Fact.GRANTED,
        personal={"person": event.by.name, "why": event.why},
        why=reason("override", person="–", why="–"),
        door=door.id,
        place=door.place,
        basis="override",
        grant=token,
        how=event.by.role.value,
    )
    return Reply(Result.ACCEPTED, why, {"door": door.id, "grant": token})


def facilities_behind(draft: Draft, door: Door) -> list[Facility]:
    """The facilities whose own door this is, or on whose way it lies."""
    return [f for f in draft.site.facilities.values() if door.id in f.doors or door.id in f.way]


def taken_by_other(draft: Draft, facility: Facility, subject: str) -> bool:
    """Somebody else has the facility: its capacity is in use by others' bookings or visits."""
    others = 0
    for booking in draft.where(Booking, "facility", facility.id):
        mine = subject in booking.subjects
        if not mine and booking.live and booking.covers(draft.now.wall_ms):
            others += 1
    visits = draft.where(Visit, "facility", facility.id)
    walk_ins = sum(1 for visit in visits if visit.booking is None and visit.subject != subject)
    return others + walk_ins >= facility.capacity


# --- the grounds ------------------------------------------------------------------------------


def _by_booking(draft: Draft, subject: Subject, bookings: list[Booking]) -> Ground | None:
    now = draft.now
    early_ms = draft.site.settings.access.early_ms
    for booking in bookings:
        starts = booking.terms.start_ms - early_ms
        if booking.live and (starts <= now.wall_ms < booking.terms.end_ms):
            return Ground(subject, booking.id, booking.facility, reason("booking"), not now.trusted)
    if not now.trusted:
        return _by_uncertain_clock(draft, subject, bookings)
    for booking in bookings:
        if _may_return(draft, booking) or _may_come_late(draft, booking, subject):
            return Ground(subject, booking.id, booking.facility, reason("booking"))
    return None


def _by_uncertain_clock(draft: Draft, subject: Subject, bookings: list[Booking]) -> Ground | None:
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


def _may_return(draft: Draft, booking: Booking) -> bool:
    """B7: back in for what was forgotten, unless someone else has checked in."""
    if booking.checked_in_ms is None or booking.status is BookingStatus.NO_SHOW:
        return False
    until = booking.terms.end_ms + draft.site.settings.booking.return_after_end_ms
    if not booking.terms.end_ms <= draft.now.wall_ms < until:
        return False
    return not any(
        other.status is BookingStatus.CHECKED_IN and other.id != booking.id
        for other in draft.where(Booking, "facility", booking.facility)
    )


def _may_come_late(draft: Draft, booking: Booking, subject: Subject) -> bool:
    """B6: a late holder is let in if nobody else has the facility."""
    facility = draft.site.facilities.get(booking.facility)
    return (
        booking.status is BookingStatus.NO_SHOW
        and booking.covers(draft.now.wall_ms)
        and facility is not None
        and not taken_by_other(draft, facility, subject.id)
    )


def _by_right(draft: Draft, subject: Subject, door: Door, behind: list[Facility]) -> Ground | None:
    targets = {door.id, "*", *_places_up(draft, door.place)}
    facilities = {f.id for f in behind}
    for right in draft.where(StandingRight, "subject", subject.id):
        named = facilities.intersection(right.targets)
        if (named or targets.intersection(right.targets)) and right_is_live(draft, right):
            facility = min(named) if named else _own_facility(door, behind)
            return Ground(subject, right.id, facility, reason("standing_right"))
    return None


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


def _by_walk_in(draft: Draft, subject: Subject, behind: list[Facility]) -> Ground | None:
    for facility in behind:
        open_to_all = facility.booking is not BookingPolicy.REQUIRED
        if open_to_all and not taken_by_other(draft, facility, subject.id):
            return Ground(subject, "walk_in", facility.id, reason("granted"))
    return None


def _own_facility(door: Door, behind: Iterable[Facility]) -> str | None:
    return next((f.id for f in behind if door.id in f.doors), None)


def _places_up(draft: Draft, place: str) -> list[str]:
    found: list[str] = []
    at: str | None = place
    while at is not None and at not in found:
        found.append(at)
        at = draft.site.places[at].parent
    return found


# --- what was presented -----------------------------------------------------------------------


def _judge_digest(
    draft: Draft, presented: Presented, door: Door, facility: str
) -> Ground | Refusal:
    candidates = [
        credential
        for credential in draft.where(Credential, "digest", presented.digest)
        if credential.type is presented.type and presented.identifier in (None, credential.subject)
    ]
    refusal = _not_recognised()
    # A5: a bare PIN is compared only with those valid now here, so a guess learns nothing.
    explains = presented.type is CredentialKind.CARD or presented.identifier is not None
    for credential in candidates:
        subject = draft.get(Subject, credential.subject)
        if subject is None:
            continue
        if credential.blocked:
            found: Ground | Refusal = Refusal(Result.BLOCKED, reason("blocked"), subject.id)
        else:
            found = ground_of(draft, subject, door, facility)
        if isinstance(found, Ground):
            return found
        if explains:
            refusal = found
    return refusal


def _judge_pass(draft: Draft, presented: Presented, door: Door) -> Ground | Refusal:
    claims = presented.claims
    if claims is None:
        why = presented.problem or "unreadable"
        return Refusal(Result.INVALID, reason("pass_invalid", why=why))
    booking = draft.get(Booking, claims.booking)
    problem = _pass_problem(draft, claims, booking)
    if problem is not None:
        return Refusal(Result.INVALID, problem, claims.subject)
    subject = draft.get(Subject, claims.subject) or Subject(claims.subject)
    assert booking is not None
    return ground_of(draft, subject, door, booking.facility)


def _pass_problem(draft: Draft, claims: PassClaims, booking: Booking | None) -> Reason | None:
    """A1: verified, for a known booking, of one of its subjects, not older than what is applied."""
    if booking is None:
        return reason("pass_invalid", why="its booking is not known here")
    if claims.subject not in booking.subjects:
        return reason("pass_invalid", why="the booking is another's")
    if claims.revision < booking.terms.revision:
        return reason("pass_superseded")
    if draft.now.trusted and draft.now.wall_ms >= claims.expires_ms:
        return reason("pass_invalid", why="it has expired")
    return None


# --- refusals ---------------------------------------------------------------------------------


def _not_recognised() -> Refusal:
    return Refusal(Result.INVALID, reason("not_recognised"))


def _best_refusal(
    draft: Draft, subject: Subject, bookings: list[Booking], here: set[str]
) -> Refusal:
    wall = draft.now.wall_ms
    mine = sorted((b for b in bookings if b.facility in here), key=lambda b: b.terms.start_ms)
    for booking in mine:
        if booking.covers(wall) and booking.status is BookingStatus.CONFLICTED:
            return Refusal(Result.CONCURRENT, reason("booking_conflicted"), subject.id)
        if booking.covers(wall) and booking.status is BookingStatus.NO_SHOW:
            return Refusal(Result.CONCURRENT, reason("booking_released"), subject.id)
    coming = next((b for b in mine if b.terms.start_ms > wall), None)
    if coming is not None:
        start = draft.local_time(coming.terms.start_ms)
        return Refusal(Result.NOT_AT_THIS_TIME, reason("too_early", start=start), subject.id)
    for booking in bookings:
        elsewhere = draft.site.facilities.get(booking.facility)
        if booking.live and booking.covers(wall) and elsewhere is not None:
            why = Reason(
                "wrong_facility",
                reason("wrong_facility", facility=elsewhere.name.zh).zh,
                reason("wrong_facility", facility=elsewhere.name.en).en,
            )
            return Refusal(Result.NOT_AT_THIS_LOCATION, why, subject.id)
    if mine:
        end = draft.local_time(mine[-1].terms.end_ms)
        return Refusal(Result.EXPIRED, reason("too_late", end=end), subject.id)
    return Refusal(Result.NOT_AT_THIS_LOCATION, reason("no_right"), subject.id)


def _refuse(draft: Draft, door: Door, reader: str, presented: Presented, refusal: Refusal) -> Reply:
    draft.record(
        Fact.REFUSED,
        personal={"subject": refusal.subject} if refusal.subject else None,
        why=refusal.reason,
        door=door.id,
        place=door.place,
        reader=reader,
        how=presented.type.value,
        result=refusal.result.value,
    )
    _count_failure(draft, door, reader, presented, refusal)
    return Reply(refusal.result, refusal.reason, {"door": door.id})


def _count_failure(
    draft: Draft, door: Door, reader: str, presented: Presented, refusal: Refusal
) -> None:
    """A5: a wrong PIN slows whom it was tried for, else the reader; many are tampering."""
    if refusal.result is not Result.INVALID:
        return
    slowed = _slowed(presented, reader)
    if slowed:
        status = draft.get(ReaderStatus, slowed) or ReaderStatus(slowed)
        failures = status.failures + 1
        wait = min(SECOND_MS << min(failures - 1, 10), draft.site.settings.access.slow_max_ms)
        waited = Elapsed.started(draft.now)
        draft.put(replace(status, failures=failures, wait_ms=wait, waited=waited))
    _count_tampering(draft, door, reader)


def _count_tampering(draft: Draft, door: Door, reader: str) -> None:
    allowed = draft.site.settings.access.tamper_failures_per_hour
    status = draft.get(ReaderStatus, reader) or ReaderStatus(reader)
    recent = (*_within_the_hour(draft, status), draft.now.wall_ms)[-allowed:]
    draft.put(replace(status, recent_ms=recent))
    if len(recent) >= allowed:
        open_fault(draft, reader, reason("tamper", reader=reader), (door.place,), urgent=True)


def _within_the_hour(draft: Draft, status: ReaderStatus) -> tuple[int, ...]:
    return tuple(t for t in status.recent_ms if draft.now.wall_ms - HOUR_MS < t)


def _slowed(presented: Presented, reader: str) -> str:
    """What a wrong try slows: cards and passes cannot be guessed and slow nothing."""
    if presented.type is not CredentialKind.PIN:
        return ""
    return f"subject:{presented.identifier}" if presented.identifier else reader


def _wait_left(draft: Draft, reader: str) -> int:
    status = draft.get(ReaderStatus, reader)
    if status is None or status.waited is None:
        return 0
    return max(0, status.wait_ms - status.waited.at(draft.now))


def _forgive(draft: Draft, reader: str) -> None:
    status = draft.get(ReaderStatus, reader)
    if status is not None and (status.failures or status.waited):
        draft.put(replace(status, failures=0, wait_ms=0, waited=None))


def tamper_over(draft: Draft, status: ReaderStatus) -> None:
    """Close the tamper fault of a reader that has been quiet for an hour."""
    if status.recent_ms and not _within_the_hour(draft, status):
        draft.put(replace(status, recent_ms=()))
        close_fault(draft, status.id, "tamper")


def _door_of(draft: Draft, event: CredentialPresented) -> Door | None:
    if event.reader is not None:
        for used in uses(draft.site).get(event.reader, ()):
            if used.use is Use.READER:
                return draft.site.doors[used.owner]
        return None
    if event.door:
        return draft.site.doors.get(event.door)
    facility = draft.site.facilities.get(event.facility)
    return draft.site.doors[facility.doors[0]] if facility and facility.doors else None


def is_open_to_all(door: Door, status: DoorStatus | None, wall_ms: int, draft: Draft) -> bool:
    """A8: scheduled open hours, or free passage after the first person in."""
    if door.rules.mode is DoorMode.SCHEDULED and door.rules.open_hours is not None:
        return draft.now.trusted and calendar.within(
            door.rules.open_hours, wall_ms, zone_of(draft.site.zone)
        )
    until = status.passage_until_ms if status else None
    return until is not None and wall_ms < until
