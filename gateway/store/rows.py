"""Records as journal rows, and back: canonical bytes, digests, and the chain over them.

A payload is canonical JSON: sorted keys, no spaces, UTF-8, whole numbers only. Its exact bytes are
hashed, kept and sent. Nothing that a record holds can stop a commit: what JSON does not know is
written as text.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from pydantic_core import PydanticSerializationError, to_json

from gateway.domain.records import (
    NO_PERSONAL,
    Fact,
    JournalRecord,
    Position,
    chain_next,
    personal_digest,
    retention_of,
)
from gateway.ports import Stamped

SALT_BYTES = 16

# canonical as it stands, its keys sorted: only what a rule stated is left to be sorted
_PAYLOAD = b'{"at_ms":%d,"boot":%b,"data":%b,"mono_ms":%d,"timeline":%d,"trust":"%b","type":"%b"}'
_COLUMNS = {fact: (fact.value, retention_of(fact).value) for fact in Fact}


class JournalRow(NamedTuple):
    """One row of the journal, its columns in the order of the table."""

    number: int
    fact: str
    retention: str
    at_ms: int
    trusted: bool
    urgent: bool
    payload: bytes | None
    payload_digest: bytes
    personal: bytes | None
    salt: bytes | None
    personal_digest: bytes | None
    chain: bytes


class Head(NamedTuple):
    """The end of the journal: its epoch and base, the last number, the hash of the last record."""

    epoch: str
    base: int
    number: int
    chain: bytes

    @property
    def position(self) -> Position:
        """The position of the last record."""
        return Position(self.epoch, self.number - self.base)


def seal(
    records: Iterable[Stamped], head: Head, salt: Callable[[int], bytes]
) -> tuple[list[JournalRow], Head]:
    """The rows of records that follow the head, and the head after them."""
    rows: list[JournalRow] = []
    number, chain = head.number, head.chain
    sealed = tuple(records)
    salts = salt(SALT_BYTES * len(sealed))  # once: the interpreter's lock is let go of for each
    for index, stamped in enumerate(sealed):
        number += 1
        own = salts[index * SALT_BYTES : (index + 1) * SALT_BYTES]
        rows.append(_seal_one(stamped, number, number - head.base, chain, own))
        chain = rows[-1].chain
    return rows, head._replace(number=number, chain=chain)


def record_of(row: JournalRow, epoch: str, base: int) -> JournalRecord:
    """The record of a row."""
    return JournalRecord(
        position=Position(epoch, row.number - base),
        fact=Fact(row.fact),
        at_ms=row.at_ms,
        payload=row.payload,
        payload_digest=row.payload_digest,
        personal=row.personal,
        salt=row.salt,
        personal_digest=row.personal_digest or NO_PERSONAL,
        chain=row.chain,
        urgent=bool(row.urgent),
    )


def canonical(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON bytes of an object; a fraction is text, for it would read differently."""
    ordered = _ordered(value)
    try:
        return to_json(ordered)  # half the time that `json` takes with sorting, and the same bytes
    except PydanticSerializationError:  # half a surrogate pair, which no encoding takes
        text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def _ordered(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same with sorted keys, and as text what canonical JSON does not have."""
    return {key: one if type(one := value[key]) in _PLAIN else _plain(one) for key in sorted(value)}


_PLAIN = frozenset({str, int, bool, type(None)})


def _plain(value: Any) -> Any:
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 (dict: 20 times as fast)
        return _ordered(value)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return [_plain(inner) for inner in sorted(value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return repr(value)
    return value if isinstance(value, str | int | None) else str(value)


def _seal_one(stamped: Stamped, number: int, seq: int, previous: bytes, salt: bytes) -> JournalRow:
    record, now = stamped.record, stamped.now
    fact, retention = _COLUMNS[record.fact]
    payload = _PAYLOAD % (
        now.wall_ms,
        to_json(now.boot),
        canonical(record.data),
        now.mono_ms,
        now.timeline,
        now.trust.encode(),
        fact.encode(),
    )
    personal = personal_salt = of_personal = None
    if record.personal:
        personal = canonical(record.personal)
        personal_salt = salt
        of_personal = personal_digest(salt, personal)
    digest = hashlib.sha256(payload).digest()
    chain = chain_next(previous, seq, digest, of_personal or NO_PERSONAL)
    columns = (number, fact, retention, now.wall_ms, now.trusted, record.urgent, payload, digest)
    return JournalRow(*columns, personal, personal_salt, of_personal, chain)
