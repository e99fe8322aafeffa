"""What the platform says is so, by revision, applied whole or not at all (RULES B1, B3).

| what comes | is |
|---|---|
| an older or repeated revision of changes | answered, and changes nothing |
| changes of the epoch we follow | applied atomically; senseless items are rejected one by one |
| changes of another epoch | refused: it starts with a snapshot, or with its first revision |
| a snapshot that is retained, older, of a former epoch, or not as it states itself | refused |
| a snapshot that would remove more than half of the next 24 h | adds; removes once confirmed |
| a snapshot with an item whose very id makes no sense | adds; removes once it makes sense |

A held snapshot is confirmed by a person, or by a newer revision that removes nothing beyond it: the
same revision sent again is no second word. What was sent and made no sense is never taken as gone.
"""

from collections.abc import Iterable
from dataclasses import replace

from gateway.core import booking as bookings
from gateway.core import overlaps, quotas
from gateway.core.draft import Draft
from gateway.domain.bookings import Authority, Booking, Origin
from gateway.domain.entity import Entity
from gateway.domain.events import (
    BookingItem,
    ChangesReceived,
    QuotaItem,
    Rejection,
    SnapshotReceived,
    Stream,
    SyncItem,
)
from gateway.domain.now import DAY_MS
from gateway.domain.quotas import Quota
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Fact
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Credential, StandingRight, Subject

FORMER_KEPT = 16
_TYPES: dict[Stream, tuple[type[Entity], ...]] = {
    Stream.BOOKINGS: (Booking,),
    Stream.SUBJECTS: (Subject, Credential, Quota),
    Stream.RIGHTS: (StandingRight,),
}
_Key = tuple[type[Entity], str]


def changes_received(draft: Draft, event: ChangesReceived) -> Reply:
    """Apply one revision of a stream, atomically."""
    authority = _authority(draft, event.stream)
    first = not authority.epoch and event.revision <= 1  # nothing can have come before it
    if event.epoch != authority.epoch and not first:
        why = reason("malformed", why="a new epoch starts with a snapshot")
        return _answer(draft, event, Result.REJECTED, why)
    if event.revision <= authority.revision:
        why = reason("old_revision", revision=event.revision)
        return _answer(draft, event, Result.ACCEPTED, why)
    # Revocation beats grant: what is both put and removed is removed.
    gone = [(type_, id_) for type_ in _TYPES[event.stream] for id_ in event.removed]
    rejections = _apply(draft, event.put, gone, "removed")
    draft.put(replace(authority, epoch=event.epoch, revision=event.revision))
    return _answer(draft, event, Result.ACCEPTED, reason("applied"), rejections)


def snapshot_received(draft: Draft, event: SnapshotReceived) -> Reply:
    """Make a stream what the snapshot says within its window, if it may be believed."""
    authority = _authority(draft, event.stream)
    problem = _snapshot_problem(event, authority)
    if problem is not None:
        return _answer(draft, event, Result.REJECTED, problem)
    gone = _gone(draft, event)
    doubt = _doubt(draft, event, gone)
    if doubt is not None and not _confirmed(event, authority, gone):
        # What it adds is safe to believe at once; only the removals wait.
        held = tuple(sorted(id_ for _, id_ in gone))
        draft.put(
            replace(authority, held_digest=event.digest, held_revision=event.revision, held=held)
        )
        rejections = _apply(draft, event.items, (), "")
        return _answer(draft, event, Result.HELD, doubt, rejections)
    rejections = _apply(draft, event.items, gone, "snapshot")
    draft.put(_following(event, authority))
    return _answer(draft, event, Result.ACCEPTED, reason("applied"), rejections)


# --- may a snapshot be believed? ----------------------------------------------------------------


def _snapshot_problem(event: SnapshotReceived, authority: Authority) -> Reason | None:
    if event.retained:
        return reason("snapshot_retained")
    older = event.epoch == authority.epoch and event.revision < authority.revision
    if older or event.epoch in authority.former:
        return reason("old_revision", revision=event.revision)
    found = len(event.items) + len(event.rejected)
    if event.count != found or event.digest != event.digest_found:
        return reason("digest_mismatch")
    if event.window_ms[0] >= event.window_ms[1]:
        return reason("inverted_window")
    return None


def _confirmed(event: SnapshotReceived, authority: Authority, gone: list[_Key]) -> bool:
    if event.confirmed_by is not None and event.confirmed_by.name.strip():
        return True
    second = bool(authority.held) and event.revision != authority.held_revision
    return second and _is_legible(event) and {id_ for _, id_ in gone} <= set(authority.held)


def _doubt(draft: Draft, event: SnapshotReceived, gone: list[_Key]) -> Reason | None:
    """Why its removals wait, None if it may be believed at once."""
    if gone and not _is_legible(event):
        return reason("snapshot_illegible")
    return reason("snapshot_held") if _removes_too_much(draft, event, gone) else None


def _is_legible(event: SnapshotReceived) -> bool:
    """Every item that was rejected has said at least which one it is."""
    return all(rejection.identified for rejection in event.rejected)


def _removes_too_much(draft: Draft, event: SnapshotReceived, gone: list[_Key]) -> bool:
    """More than half of what the next 24 h hold would go; of people and rights, of them all."""
    if event.stream is not Stream.BOOKINGS:
        return len(gone) * 2 > sum(len(draft.all(type_)) for type_ in _TYPES[event.stream])
    wall = draft.now.wall_ms
    coming = {
        (Booking, booking.id)
        for booking in draft.all(Booking)
        if booking.terms.start_ms < wall + DAY_MS
        and booking.terms.end_ms > wall
        and booking.terms.origin is Origin.PLATFORM
    }
    return len(coming.intersection(gone)) * 2 > len(coming)


def _gone(draft: Draft, event: SnapshotReceived) -> list[_Key]:
    """What is here and not in the snapshot, within its window; our own proposals stay."""
    named = {(_type_of(item), item.id) for item in event.items}
    named |= {(type_, said.id) for said in event.rejected for type_ in _TYPES[event.stream]}
    return [
        (type_, entity.id)
        for type_ in _TYPES[event.stream]
        for entity in draft.all(type_)
        if (type_, entity.id) not in named
        and (not isinstance(entity, Booking) or _is_inside(entity, event.window_ms))
    ]


def _is_inside(booking: Booking, window_ms: tuple[int, int]) -> bool:
    terms = booking.terms
    touches = terms.start_ms < window_ms[1] and window_ms[0] < terms.end_ms
    return touches and terms.origin is Origin.PLATFORM


def _following(event: SnapshotReceived, authority: Authority) -> Authority:
    former = authority.former
    if authority.epoch and authority.epoch != event.epoch:
        former = (*former, authority.epoch)[-FORMER_KEPT:]
    return Authority(authority.id, event.epoch, event.revision, former=former)


# --- applying -----------------------------------------------------------------------------------


def _apply(
    draft: Draft, items: Iterable[SyncItem], gone: Iterable[_Key], why: str
) -> list[Rejection]:
    """Put, then remove, then judge what now overlaps."""
    rejections: list[Rejection] = []
    touched: set[str] = set()
    for item in sorted(items, key=lambda item: isinstance(item, Credential | QuotaItem)):
        problem = _item_problem(draft, item)
        if problem is not None:
            rejections.append(Rejection(item.id, problem))
        elif isinstance(item, BookingItem):
            touched |= bookings.put(draft, item)
        elif isinstance(item, QuotaItem):
            quotas.put(draft, item)
        else:
            draft.put(item)
    for type_, id_ in gone:
        if type_ is Booking:
            touched |= bookings.remove(draft, id_, why)
        else:
            _remove(draft, type_, id_)
    for facility in sorted(touched):
        overlaps.resolve(draft, facility)
    return rejections


def _item_problem(draft: Draft, item: SyncItem) -> Reason | None:
    match item:
        case BookingItem():
            return _booking_problem(draft, item)
        case Credential() if draft.get(Subject, item.subject) is None:
            return reason("unknown_subject", subject=item.subject)
        case StandingRight():
            return _targets_problem(draft, item.targets)
        case QuotaItem():
            return _quota_problem(draft, item)
        case _:
            return None


def _booking_problem(draft: Draft, item: BookingItem) -> Reason | None:
    if item.terms.facility not in draft.site.facilities:
        return reason("unknown_facility", facility=item.terms.facility)
    if item.terms.end_ms <= item.terms.start_ms:
        return reason("inverted_window")
    if not item.terms.subjects:
        return reason("malformed", why="subjects: expected at least one")
    return None


def _quota_problem(draft: Draft, item: QuotaItem) -> Reason | None:
    terms = item.terms
    if draft.get(Subject, terms.subject) is None:
        return reason("unknown_subject", subject=terms.subject)
    if terms.until_ms is not None and terms.until_ms <= (terms.from_ms or 0):
        return reason("inverted_window")
    return _targets_problem(draft, terms.targets)


def _targets_problem(draft: Draft, targets: tuple[str, ...]) -> Reason | None:
    site = draft.site
    known = {"*", *site.facilities, *site.doors, *site.places}
    strange = next((target for target in targets if target not in known), None)
    if strange is not None:
        return reason("unknown_target", kind="facility, door or place", id=strange)
    return None


def _remove(draft: Draft, type_: type[Entity], id_: str) -> None:
    if type_ is Quota:
        quotas.remove(draft, id_)
        return
    draft.drop(type_, id_)
    if type_ is Subject:
        for credential in draft.where(Credential, "subject", id_):
            draft.drop(Credential, credential.id)
        for quota in draft.where(Quota, "subject", id_):
            quotas.remove(draft, quota.id)


def _type_of(item: SyncItem) -> type[Entity]:
    match item:
        case BookingItem():
            return Booking
        case QuotaItem():
            return Quota
        case _:
            return type(item)


# --- answering ----------------------------------------------------------------------------------


def _answer(
    draft: Draft,
    event: ChangesReceived | SnapshotReceived,
    result: Result,
    why: Reason,
    rejections: Iterable[Rejection] = (),
) -> Reply:
    rejected = [
        {"id": one.id, "code": one.reason.code, "why": one.reason.en}
        for one in (*event.rejected, *rejections)
    ]
    draft.record(
        Fact.SYNC_ANSWERED,
        why=why,
        stream=event.stream.value,
        platform_epoch=event.epoch,
        revision=event.revision,
        result=result.value,
        rejected=rejected or None,
    )
    authority = _authority(draft, event.stream)
    data = {
        "stream": authority.id,
        "platform_epoch": authority.epoch,
        "revision": authority.revision,
        "rejected": rejected,
    }
    return Reply(result, why, data)


def _authority(draft: Draft, stream: Stream) -> Authority:
    return draft.get(Authority, stream.value) or Authority(stream.value)
