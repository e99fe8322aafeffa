"""Walks the journal and says whether it is whole, and if not, exactly where and how.

Erased payloads and personal fields are no damage: their digests stand for them in the chain. Rows
dropped at their time leave a gap that keeps the hash of its last row, from which the chain goes
on. After a damage the walk goes on both from what is stored and from what should be, so each is
told once, where it is.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from gateway.domain.now import Trust
from gateway.domain.records import (
    NO_PERSONAL,
    Position,
    chain_next,
    chain_start,
    personal_digest,
)
from gateway.store.database import cause, reader_engine, storage_errors
from gateway.store.epochs import Span, spans
from gateway.store.rows import JournalRow
from gateway.store.tables import cursor, gap, journal


class DamageKind(StrEnum):
    """How a journal can be damaged."""

    PAYLOAD = "payload"  # the bytes are not those that were hashed
    PERSONAL = "personal"  # the same of personal fields
    COLUMN = "column"  # a column says something else than the payload
    CHAIN = "chain"  # a digest or hash was changed
    GAP = "gap"  # rows are missing
    END = "end"  # the last rows are missing: a reader has had more than there is
    FILE = "file"  # the database itself cannot be read further


@dataclass(frozen=True, slots=True)
class Damage:
    """One damage: where, how, what was expected and what was found."""

    position: Position
    kind: DamageKind
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"{self.position.epoch}/{self.position.seq}"
        return f"{where}: {self.kind}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Verdict:
    """What the walk found. `dropped` and `erased` went in good order."""

    records: int = 0
    erased: int = 0
    dropped: int = 0
    damages: list[Damage] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Nothing is damaged."""
        return not self.damages


class _Gap(NamedTuple):
    first: int
    last: int
    chain: bytes


def verify(path: Path) -> Verdict:
    """Walk every epoch of a database, also one in use. Raises StoreError if it cannot be opened."""
    verdict = Verdict()
    engine = reader_engine(path)
    try:
        with storage_errors("verify", path), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")  # one snapshot, however long it takes
            for span in spans(connection):
                _Walk(span, verdict).run(connection)
    finally:
        engine.dispose()
    return verdict


class _Walk:
    """One epoch's walk: the number it has come to, and the hashes the next row may follow.

    There are none right after missing rows, and two after a damaged one.
    """

    def __init__(self, span: Span, verdict: Verdict) -> None:
        self._span = span
        self._verdict = verdict
        self._number = span.base
        self._previous = [chain_start(span.epoch)]

    def run(self, connection: Connection) -> None:
        try:
            for item in _items(connection, self._span):
                if isinstance(item, _Gap):
                    self._pass_gap(item)
                else:
                    self._check(item)
        except (SQLAlchemyError, sqlite3.DatabaseError) as error:
            self._damage(self._number + 1, DamageKind.FILE, "a readable row", cause(error))
            return
        self._check_end(connection)

    def _pass_gap(self, gap_: _Gap) -> None:
        self._check_number(gap_.first)
        self._verdict.dropped += gap_.last - gap_.first + 1
        self._number, self._previous = gap_.last, [gap_.chain]

    def _check(self, row: JournalRow) -> None:
        self._verdict.records += 1
        self._verdict.erased += row.payload is None
        self._check_number(row.number)
        self._check_payload(row)
        self._check_personal(row)
        self._check_chain(row)
        self._number = row.number

    def _check_chain(self, row: JournalRow) -> None:
        seq = row.number - self._span.base
        digests = row.payload_digest, row.personal_digest or NO_PERSONAL
        expected = [chain_next(previous, seq, *digests) for previous in self._previous]
        self._previous = [row.chain]
        if expected and row.chain not in expected:
            self._compare(row.number, DamageKind.CHAIN, expected[-1], row.chain)
            self._previous.append(expected[-1])

    def _check_number(self, found: int) -> None:
        expected = self._number + 1
        if found != expected:
            seq = expected - self._span.base
            missing = f"seq {found - self._span.base}"
            self._damage(expected, DamageKind.GAP, f"seq {seq}", missing)
            self._previous = []

    def _check_payload(self, row: JournalRow) -> None:
        if row.payload is None:
            return
        digest = hashlib.sha256(row.payload).digest()
        if self._compare(row.number, DamageKind.PAYLOAD, row.payload_digest, digest):
            self._check_columns(row, row.payload)

    def _check_columns(self, row: JournalRow, payload: bytes) -> None:
        said = json.loads(payload)
        expected = (said["type"], said["at_ms"], said["trust"] != Trust.UNTRUSTED)
        found = (row.fact, row.at_ms, bool(row.trusted))
        if expected != found:
            self._damage(row.number, DamageKind.COLUMN, str(expected), str(found))

    def _check_personal(self, row: JournalRow) -> None:
        if row.personal is not None:
            digest = personal_digest(row.salt or b"", row.personal)
            expected = row.personal_digest or NO_PERSONAL
            self._compare(row.number, DamageKind.PERSONAL, expected, digest)

    def _check_end(self, connection: Connection) -> None:
        """No reader can have had more than there is."""
        furthest = select(func.max(cursor.c.seq)).where(cursor.c.epoch == self._span.epoch)
        had = connection.execute(furthest).scalar() or 0
        expected_end = self._span.base + had if self._span.end is None else self._span.end
        if self._number < expected_end:
            expected = f"records up to seq {expected_end - self._span.base}"
            self._damage(self._number + 1, DamageKind.END, expected, "the end")

    def _compare(self, number: int, kind: DamageKind, expected: bytes, found: bytes) -> bool:
        if expected != found:
            self._damage(number, kind, expected.hex(), found.hex())
        return expected == found

    def _damage(self, number: int, kind: DamageKind, expected: str, found: str) -> None:
        position = Position(self._span.epoch, number - self._span.base)
        self._verdict.damages.append(Damage(position, kind, expected, found))


def _items(connection: Connection, span: Span) -> Iterator[JournalRow | _Gap]:
    """Rows and gaps of an epoch in the order of their numbers."""
    number = journal.c.number
    streamed = connection.execution_options(yield_per=1000)
    rows = streamed.execute(select(journal).where(span.holds(number)).order_by(number))
    gaps = streamed.execute(
        select(gap.c.first, gap.c.last, gap.c.chain)
        .where(span.holds(gap.c.last))
        .order_by(gap.c.last)
    )
    return merge(
        (_read_as_bytes(JournalRow(*row)) for row in rows),
        (_Gap(*row) for row in gaps),
        key=lambda item: item[0],
    )


_BYTES = ("payload", "payload_digest", "personal", "salt", "personal_digest", "chain")


def _read_as_bytes(row: JournalRow) -> JournalRow:
    """Whatever lies where bytes belong is judged by its bytes: who edits by hand leaves text."""
    odd: dict[str, Any] = {
        name: str(value).encode()
        for name in _BYTES
        if (value := getattr(row, name)) is not None and not isinstance(value, bytes)
    }
    return row._replace(**odd) if odd else row
