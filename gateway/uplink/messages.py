"""What the platform sends, understood: wire messages to domain events, item by item.

An item that makes no sense is rejected by itself, with the reason; a message that makes none is
`Nonsense`, which says what was expected. Neither ever repeats a value that was sent, for it may be
a PIN (RULES U5, X2).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar, assert_never

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from gateway.domain.bookings import Terms
from gateway.domain.errors import MalformedError
from gateway.domain.events import (
    Actor,
    BookingItem,
    ChangesReceived,
    CommandReceived,
    QuotaItem,
    Rejection,
    SnapshotReceived,
    Stream,
    SyncItem,
)
from gateway.domain.hours import WeeklyHours
from gateway.domain.quotas import Counted, QuotaTerms
from gateway.domain.reasons import reason
from gateway.domain.subjects import Credential, CredentialKind, Role, StandingRight, Subject
from gateway.ports import Credentials
from gateway.uplink import wire

SECRETS = frozenset({"pin", "card"})
_PROBLEMS_MAX = 5

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that the platform asked: the event, and what to call it in the answer."""

    about: dict[str, Any]
    event: SnapshotReceived | ChangesReceived | CommandReceived


class NonsenseError(MalformedError):
    """A message that makes no sense: what it was about, and what was expected."""

    def __init__(self, about: dict[str, Any], expected: tuple[str, ...]) -> None:
        super().__init__("; ".join(expected))
        self.about = about
        self.expected = expected


def decode(payload: bytes, about: dict[str, Any]) -> dict[str, Any]:
    """A JSON object. Raises NonsenseError."""
    try:
        found = from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        raise NonsenseError(about, (f"expected JSON in UTF-8: {error}",)) from None
    if not isinstance(found, dict):
        raise NonsenseError(about, (f"expected a JSON object, found {type(found).__name__}",))
    return found


def acknowledgement(payload: bytes) -> wire.Acknowledgement:
    """How far the platform has got. Raises NonsenseError."""
    about = {"topic": "ack"}
    return _shaped(_ACK, decode(payload, about), about)


def command(payload: bytes) -> Asked:
    """A remote command. Raises NonsenseError."""
    about: dict[str, Any] = {"topic": "command"}
    raw = decode(payload, about)
    if isinstance(raw.get("id"), str):
        about["id"] = raw["id"][:128]
    said = _shaped(_COMMAND, raw, about)
    event = CommandReceived(
        said.id, said.name, said.target, said.expires_ms, dict(said.arguments), _actor(said.by)
    )
    return Asked(about, event)


def sync(stream: Stream, payload: bytes, retained: bool, credentials: Credentials) -> Asked:
    """A snapshot, or changes, of a stream (RULES B1, B3). Raises NonsenseError."""
    about: dict[str, Any] = {"topic": stream.value}
    raw = decode(payload, about)
    for member, kind in (("type", str), ("epoch", str), ("revision", int)):
        if type(raw.get(member)) is kind:
            about[member] = raw[member][:64] if kind is str else raw[member]
    said = _shaped(wire.SYNC, raw, about)
    items = _Items(stream, said.revision, credentials)
    if isinstance(said, wire.Snapshot):
        return Asked(about, _snapshot(said, items, retained))
    if retained:
        raise NonsenseError(about, ("expected a live message, found a retained one",))
    put = items.understood(said.put)
    removed = tuple(items.identifiers(said.remove))
    rejected = tuple(items.rejected)
    return Asked(about, ChangesReceived(stream, said.epoch, said.revision, put, removed, rejected))


def _snapshot(said: wire.Snapshot, items: "_Items", retained: bool) -> SnapshotReceived:
    understood = items.understood(said.items)
    by = said.confirmed_by
    return SnapshotReceived(
        items.stream,
        said.epoch,
        said.revision,
        (said.window.from_ms, said.window.until_ms),
        said.count,
        said.digest,
        digest(said.items),
        understood,
        tuple(items.rejected),
        retained,
        _actor(by) if by is not None else None,
    )


def _actor(by: wire.WirePerson) -> Actor:
    """Whoever the platform names acts with the platform's rights, and is not on site (E4, A3)."""
    return Actor(by.name, Role.PLATFORM, on_site=False)


def digest(items: Iterable[Any]) -> str:
    """The canonical digest of a snapshot's items, the same at both ends whatever their order.

    SHA-256, in hex, over each item's canonical JSON (RFC 8785) without its `pin` and `card`, sorted
    by bytes, each followed by a line feed. The secrets are left out, so that a digest which is
    kept tests no guess of a PIN.
    """
    lines = sorted(_canonical(item) for item in items)
    return sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def _canonical(item: Any) -> bytes:
    if isinstance(item, dict):
        item = {name: value for name, value in item.items() if name not in SECRETS}
    return json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class _Items:
    """Understands the items of one message one by one, and keeps what it rejected."""

    def __init__(self, stream: Stream, revision: int, credentials: Credentials) -> None:
        self.stream = stream
        self.rejected: list[Rejection] = []
        self._revision = revision
        self._credentials = credentials
        self._seen: set[str] = set()

    def understood(self, raws: list[Any]) -> tuple[SyncItem, ...]:
        """The items that make sense, in order."""
        found = (self._item(index, raw) for index, raw in enumerate(raws))
        return tuple(item for item in found if item is not None)

    def identifiers(self, raws: list[Any]) -> Iterable[str]:
        """The ids that make sense."""
        for index, raw in enumerate(raws):
            try:
                yield _IDENTIFIER.validate_python(raw)
            except ValidationError as error:
                self._reject(f"remove.{index}", "; ".join(expectations(error)))

    def _item(self, index: int, raw: Any) -> SyncItem | None:
        name = raw.get("id") if isinstance(raw, dict) else None
        name = name[:128] if isinstance(name, str) else f"item.{index}"
        try:
            said = wire.ITEMS[self.stream].validate_python(raw)
        except ValidationError as error:
            self._reject(name, "; ".join(expectations(error)))
            return None
        if said.id in self._seen:
            self._reject(name, "expected each id once in a message")
            return None
        self._seen.add(said.id)
        return self._domain(said)

    def _reject(self, name: str, why: str) -> None:
        self.rejected.append(Rejection(name, reason("malformed", why=why), _is_identifier(name)))

    def _domain(self, said: wire.WireItem) -> SyncItem | None:
        match said:
            case wire.WireBooking():
                return _booking(said, self._revision)
            case wire.WireSubject():
                return Subject(said.id, tuple(said.roles), said.active)
            case wire.WirePin():
                return self._credential(said, CredentialKind.PIN)
            case wire.WireCard():
                return self._credential(said, CredentialKind.CARD)
            case wire.WireEnergyQuota() | wire.WireTimeQuota():
                return _quota(said)
            case wire.WireRight():
                return _right(said)
        assert_never(said)

    def _credential(
        self, said: wire.WirePin | wire.WireCard, kind: CredentialKind
    ) -> SyncItem | None:
        """The keyed digest takes the secret's place here, at the edge (RULES B3)."""
        if isinstance(said, wire.WirePin):
            presented = self._credentials.pin(said.pin.get_secret_value())
        else:
            presented = self._credentials.card(said.card.get_secret_value())
        if presented.digest is None:
            self._reject(said.id, f"{kind.value}: expected one that says something")
            return None
        return Credential(said.id, said.subject, kind, presented.digest, said.blocked)


def _booking(said: wire.WireBooking, revision: int) -> BookingItem:
    terms = Terms(
        facility=said.facility,
        subjects=tuple(said.subjects),
        start_ms=said.start_ms,
        end_ms=said.end_ms,
        priority=said.priority,
        created_ms=said.created_ms,
        revision=revision if said.revision is None else said.revision,
        needed_wh=said.needed_wh,
    )
    return BookingItem(said.id, terms)


def _quota(said: wire.WireQuota) -> QuotaItem:
    if isinstance(said, wire.WireEnergyQuota):
        counts, left, used = Counted.ENERGY, said.left_wh, said.used_wh
    else:
        counts, left, used = Counted.TIME, said.left_ms, said.used_ms
    terms = QuotaTerms(
        said.subject, counts, left, used, tuple(said.targets), said.from_ms, said.until_ms
    )
    return QuotaItem(said.id, terms)


def _right(said: wire.WireRight) -> StandingRight:
    hours = None
    if said.hours is not None:
        hours = WeeklyHours(tuple((day, start, end) for day, start, end in said.hours))
    return StandingRight(
        said.id, said.subject, tuple(said.targets), hours, said.from_ms, said.until_ms
    )


def _is_identifier(name: str) -> bool:
    try:
        _IDENTIFIER.validate_python(name)
    except ValidationError:
        return False
    return True


def _shaped(adapter: TypeAdapter[M], raw: Any, about: dict[str, Any]) -> M:
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise NonsenseError(about, expectations(error)) from None


def expectations(error: ValidationError) -> tuple[str, ...]:
    """What was expected, and where; never what was found."""
    found = error.errors(include_url=False, include_input=False)
    return tuple(
        f"{'.'.join(str(part)[:64] for part in each['loc']) or 'message'}: {_expected(each)}"
        for each in found[:_PROBLEMS_MAX]
    )


def _expected(problem: ErrorDetails) -> str:
    if problem["type"] == "union_tag_invalid":  # its own words repeat what was found
        return f"{problem['ctx']['discriminator']} must be one of {problem['ctx']['expected_tags']}"
    return problem["msg"]


_ACK = TypeAdapter(wire.Acknowledgement)
_COMMAND = TypeAdapter(wire.Command)
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(wire.Identifier)
