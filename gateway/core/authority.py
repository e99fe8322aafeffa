"""What the platform says is so, by revision, applied whole or not at all (RULES B1, B3).

| what comes | is |
|---|---|
| an older or repeated revision | answered, and changes nothing |
| changes of the epoch we follow | applied atomically; senseless items are rejected one by one |
| changes of another epoch | refused: a new epoch starts with a snapshot |
| a snapshot whose count or digest does not hold, or a retained one | refused |
| a snapshot that would remove more than half of the next 24 h | adds; removes once confirmed |
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core import booking as bookings
from gateway.core.draft import Draft
from gateway.domain.bookings import Authority, Booking, Origin
from gateway.domain.entity import Entity
from gateway.domain.events import (
    BookingItem,
    ChangesReceived,
    SnapshotReceived,
    Stream,
    SyncItem,
)
from gateway.domain.now import DAY_MS
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Fact
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Credential, StandingRight, Subject

_TYPES: dict[Stream, tuple[type[Entity], ...]] = {
    Stream.BOOKINGS: (Booking,),
    Stream.SUBJECTS: (Subject, Credential),
    Stream.RIGHTS: (StandingRight,),
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """An item that was not applied, and why."""

    id: str
    reason: Reason


def changes_received(draft: Draft, event: ChangesReceived) -> Reply:
    """Apply one revision of a stream, atomically."""
    authority = _authority(draft, event.stream)
    if authority.epoch and event.epoch != authority.epoch:
        why = "a new epoch starts with a snapshot"
        return _answer(event, Result.REJECTED, reason("malformed", why=why), (), draft)
    if event.revision <= authority.revision:
        why_old = reason("old_revision", revision=event.revision)
        return Reply(Result.ACCEPTED, why_old, _applied(authority, ()))
    rejections = [Rejection(id_, reason("malformed", why=why)) for id_, why in event.rejected]
    rejections += _put_all(draft, event.put)
    # Revocation beats grant: what is both put and removed is removed.
    for id_ in event.removed:
        _remove(draft, event.stream, id_)
    _after(draft, event.stream)
    draft.put(replace(authority, epoch=event.epoch, revision=event.revision, held_digest=""))
    return _answer(event, Result.ACCEPTED, reason("applied"), rejections, draft)


def snapshot_received(draft: Draft, event: SnapshotReceived) -> Reply:
    """Make a stream what the snapshot says within its window, if it may be believed."""
    authority = _authority(draft, event.stream)
    problem = _snapshot_problem(event, authority)
    if problem is not None:
        return _answer(event, Result.REJECTED, problem, (), draft)
    rejections = _put_all(draft, event.items)
    gone = _gone(draft, event)
    if _removes_too_much(draft, event, gone) and not _confirmed(event, authority):
        # What it adds is safe to believe at once; only the removals wait.
        draft.put(replace(authority, held_digest=event.digest))
        _after(draft, event.stream)
        return _answer(event, Result.HELD, reason("snapshot_held"), rejections, draft)
    for type_, id_ in gone:
        _remove_one(draft, type_, id_, "snapshot")
    _after(draft, event.stream)
    draft.put(replace(authority, epoch=event.epoch, revision=event.revision, held_digest=""))
    return _answer(event, Result.ACCEPTED, reason("applied"), rejections, draft)


def _snapshot_problem(event: SnapshotReceived, authority: Authority) -> Reason | None:
    if event.retained:
        return reason("snapshot_retained")
    if event.epoch == authority.epoch and event.revision < authority.revision:
        return reason("old_revision", revision=event.revision)
    if event.count != len(event.items) or event.digest != event.digest_found:
        return reason("digest_mismatch")
    if event.window_ms[0] >= event.window_ms[1]:
        return reason("inverted_window")
    return None


def _confirmed(event: SnapshotReceived, authority: Authority) -> bool:
    return event.confirmed_by is not None or authority.held_digest == event.digest


def _removes_too_much(
    draft: Draft, event: SnapshotReceived, gone: list[tuple[type[Entity], str]]
) -> bool:
    """More than half of what the next 24 h hold would go."""
    if event.stream is not Stream.BOOKINGS:
        kept = sum(len(draft.all(type_)) for type_ in _TYPES[event.stream])
        return len(gone) * 2 > kept
    horizon = draft.now.wall_ms + DAY_MS
    removed = {id_ for _, id_ in gone}
    coming = [
        booking.id
        for booking in draft.all(Booking)
        if booking.terms.start_ms < horizon
        and booking.terms.end_ms > draft.now.wall_ms
        and booking.terms.origin is Origin.PLATFORM
    ]
    added = {item.id for item in event.items}
    before = [id_ for id_ in coming if id_ not in added or draft.state.get(Booking, id_)]
    return sum(id_ in removed for id_ in before) * 2 > len(before)


def _gone(draft: Draft, event: SnapshotReceived) -> list[tuple[type[Entity], str]]:
    """What is here and not in the snapshot, within its window; our own proposals stay."""
    named = {(_type_of(item), item.id) for item in event.items}
    gone: list[tuple[type[Entity], str]] = []
    for type_ in _TYPES[event.stream]:
        for entity in draft.all(type_):
            inside = not isinstance(entity, Booking) or _inside(entity, event.window_ms)
            if inside and (type_, entity.id) not in named:
                gone.append((type_, entity.id))
    return gone


def _inside(booking: Booking, window_ms: tuple[int, int]) -> bool:
    terms = booking.terms
    overlaps = terms.start_ms < window_ms[1] and window_ms[0] < terms.end_ms
    return overlaps and terms.origin is Origin.PLATFORM


def _type_of(item: SyncItem) -> type[Entity]:
    return Booking if isinstance(item, BookingItem) else type(item)


def _put_all(draft: Draft, items: Iterable[SyncItem]) -> list[Rejection]:
    rejections = []
    for item in items:
        problem = _item_problem(draft, item)
        if problem is not None:
            rejections.append(Rejection(item.id, problem))
        elif isinstance(item, BookingItem):
            bookings.put(draft, item)
        else:
            draft.put(item)
    return rejections


def _item_problem(draft: Draft, item: SyncItem) -> Reason | None:
    if not isinstance(item, BookingItem):
        return None
    if item.terms.facility not in draft.site.facilities:
        return reason("unknown_facility", facility=item.terms.facility)
    if item.terms.end_ms <= item.terms.start_ms:
        return reason("inverted_window")
    return None


def _remove(draft: Draft, stream: Stream, id_: str) -> None:
    for type_ in _TYPES[stream]:
        _remove_one(draft, type_, id_, "removed")


def _remove_one(draft: Draft, type_: type[Entity], id_: str, why: str) -> None:
    if type_ is Booking:
        bookings.remove(draft, id_, why)
        return
    draft.drop(type_, id_)
    if type_ is Subject:
        for credential in draft.where(Credential, "subject", id_):
            draft.drop(Credential, credential.id)
        for right in draft.where(StandingRight, "subject", id_):
            draft.drop(StandingRight, right.id)


def _after(draft: Draft, stream: Stream) -> None:
    if stream is Stream.BOOKINGS:
        for facility in draft.site.facilities:
            bookings.resolve(draft, facility)


def _answer(
    event: ChangesReceived | SnapshotReceived,
    result: Result,
    why: Reason,
    rejections: Iterable[Rejection],
    draft: Draft,
) -> Reply:
    named = [{"id": r.id, "code": r.reason.code, "why": r.reason.en} for r in rejections]
    draft.record(
        Fact.SYNC_ANSWERED,
        why=why,
        stream=event.stream.value,
        platform_epoch=event.epoch,
        revision=event.revision,
        result=result.value,
        rejected=named or None,
    )
    authority = _authority(draft, event.stream)
    return Reply(result, why, _applied(authority, named))


def _applied(authority: Authority, rejected: Iterable[dict[str, str]]) -> dict[str, object]:
    return {
        "stream": authority.id,
        "platform_epoch": authority.epoch,
        "revision": authority.revision,
        "rejected": list(rejected),
    }


def _authority(draft: Draft, stream: Stream) -> Authority:
    return draft.get(Authority, stream.value) or Authority(stream.value)
