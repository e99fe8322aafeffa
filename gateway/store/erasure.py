"""Erases persons, or whole payloads, from the journal; the chain stays whole.

Finding is done by a reader, in any thread, however long it takes; erasing in the writer thread, in
one transaction with the record that tells of it. That record says how many, not which: a list would
still show that they were of one person.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, bindparam, func, null, or_, select, update

from gateway.domain.now import Now
from gateway.domain.records import Fact, Position, Record
from gateway.ports import Stamped
from gateway.store.database import reader_engine, storage_errors
from gateway.store.epochs import spans
from gateway.store.rows import canonical
from gateway.store.store import SqliteStore
from gateway.store.tables import journal


@dataclass(frozen=True, slots=True)
class Mentions:
    """The rows whose personal fields name a subject, among those up to a number."""

    subject: str
    numbers: tuple[int, ...]
    upto: int

    def __repr__(self) -> str:
        return f"Mentions({len(self.numbers)} of somebody)"


def find_mentions(path: Path, subject: str) -> Mentions:
    """Look through the whole journal for a subject, in any thread. Raises StoreError."""
    engine = reader_engine(path)
    try:
        with storage_errors("search", path), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            numbers = tuple(_mentioning(connection, subject, after=0))
            newest = select(journal.c.number).order_by(journal.c.number.desc()).limit(1)
            return Mentions(subject, numbers, connection.execute(newest).scalar() or 0)
    finally:
        engine.dispose()


def erase_person(store: SqliteStore, mentions: Mentions, now: Now, by: str = "") -> Position:
    """Erase the personal fields of all records that name a subject. Raises StoreError."""

    def erase(connection: Connection) -> Iterator[Stamped]:
        newer = _mentioning(connection, mentions.subject, mentions.upto)
        numbers = [*mentions.numbers, *newer]
        yield from _erase(connection, numbers, ("personal", "salt"), now, by)

    return _erased(store, erase)


def erase_payloads(
    store: SqliteStore, positions: Iterable[Position], now: Now, by: str = ""
) -> Position:
    """Erase the payloads and personal fields of records. Raises StoreError."""
    wanted = list(positions)

    def erase(connection: Connection) -> Iterator[Stamped]:
        bases = {span.epoch: span.base for span in spans(connection)}
        numbers = [bases[one.epoch] + one.seq for one in wanted if one.epoch in bases]
        yield from _erase(connection, numbers, ("payload", "personal", "salt"), now, by)

    return _erased(store, erase)


def _mentioning(connection: Connection, subject: str, after: int) -> Iterator[int]:
    needle = canonical({"": subject})[len(b'{"":') : -1]
    rows = connection.execution_options(yield_per=1000).execute(
        select(journal.c.number, journal.c.personal).where(
            journal.c.number > after,
            journal.c.personal.is_not(None),
            func.instr(journal.c.personal, needle) > 0,
        )
    )
    for number, personal in rows:
        if subject in json.loads(personal).values():
            yield number


def _erase(
    connection: Connection, numbers: list[int], columns: tuple[str, ...], now: Now, by: str
) -> Iterator[Stamped]:
    held = journal.c.number == bindparam("which")
    there = or_(*(journal.c[name].is_not(None) for name in columns))
    gone = update(journal).where(held, there).values(dict.fromkeys(columns, null()))
    erased = sum(connection.execute(gone, {"which": number}).rowcount for number in numbers)
    if erased:
        told = {"what": columns[0], "records": erased}
        yield Stamped(Record(Fact.PAYLOAD_ERASED, told, {"person": by} if by else {}), now)


def _erased(store: SqliteStore, erase: Callable[[Connection], Iterator[Stamped]]) -> Position:
    position = store.amend(erase)
    store.erased()
    return position
