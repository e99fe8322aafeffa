"""The journal as its readers see it: from any thread, or another process, over own connections.

Rules: a reader sees only what is committed. A cursor is kept in memory at once and on disk with
the writer's next transaction: losing one costs a repeat, which is counted once by its position
(RULES U1), and so no reader ever waits for the disk or makes the writer wait. Records of earlier
epochs that a reader has not had are read through `earlier()`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, select

from gateway.domain.records import JournalRecord, Position
from gateway.store.database import reader_engine, storage_errors
from gateway.store.epochs import Span, spans
from gateway.store.rows import JournalRow, record_of
from gateway.store.tables import cursor, gap, journal


class Cursors:
    """How far each reader has got, by (reader, epoch); what is not yet on disk is `unsaved`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unsaved: dict[tuple[str, str], int] = {}

    def get(self, reader: str, epoch_id: str) -> int | None:
        """What was set and not yet saved."""
        return self._unsaved.get((reader, epoch_id))

    def set(self, reader: str, epoch_id: str, seq: int) -> None:
        """A reader has everything up to seq."""
        with self._lock:
            self._unsaved[reader, epoch_id] = seq

    def unsaved(self) -> dict[tuple[str, str], int]:
        """What the next transaction has to save."""
        return dict(self._unsaved)

    def saved(self, written: dict[tuple[str, str], int]) -> None:
        """These are on disk now."""
        with self._lock:
            for key, seq in written.items():
                if self._unsaved.get(key) == seq:
                    del self._unsaved[key]


class SqliteJournal:
    """A JournalReader over one epoch: the newest, unless another is named."""

    def __init__(self, path: Path, cursors: Cursors | None = None, epoch_id: str = "") -> None:
        self._path = path
        self._cursors = cursors or Cursors()
        self._epoch = epoch_id
        self._engine = reader_engine(path)
        self._span: Span | None = None  # found once; no epoch begins while a store is open

    def head(self) -> Position:
        """The last record committed. Raises StoreError, as all of these do."""
        with self._reading() as (connection, span):
            ends = [
                connection.execute(
                    select(column).where(span.holds(column)).order_by(column.desc()).limit(1)
                ).scalar()
                for column in (journal.c.number, gap.c.last)
            ]
        return Position(span.epoch, max(end or span.base for end in ends) - span.base)

    def read(self, after: int, limit: int = 500) -> list[JournalRecord]:
        """Records with a greater seq, in order."""
        return self._records(select(journal), after, limit)

    def read_urgent(self, after: int, limit: int = 100) -> list[JournalRecord]:
        """Urgent records with a greater seq, in order."""
        return self._records(select(journal).where(journal.c.urgent), after, limit)

    def cursor(self, reader: str) -> int:
        """How far a named reader has got; 0 if never."""
        with self._reading() as (connection, span):
            unsaved = self._cursors.get(reader, span.epoch)
            return unsaved if unsaved is not None else _saved_cursor(connection, reader, span)

    def set_cursor(self, reader: str, seq: int) -> None:
        """A reader has everything up to seq; on disk with the next transaction."""
        with self._reading() as (_, span):
            self._cursors.set(reader, span.epoch, seq)

    def earlier(self, reader: str) -> "list[SqliteJournal]":
        """Earlier epochs of which the reader has not had everything, oldest first.

        They end by a restore or a move to another machine (RULES U1), and are read to their end
        like the newest, by position `(epoch, seq)`.
        """
        with self._reading() as (connection, _):
            older = spans(connection)[:-1]
        journals = [SqliteJournal(self._path, self._cursors, span.epoch) for span in older]
        return [one for one in journals if one.cursor(reader) < one.head().seq]

    def close(self) -> None:
        """Close the connections; they open again when used."""
        self._span = None
        self._engine.dispose()

    def _records(
        self, rows: Select[tuple[Any, ...]], after: int, limit: int
    ) -> list[JournalRecord]:
        with self._reading() as (connection, span):
            number = journal.c.number
            wanted = rows.where(span.holds(number, after)).order_by(number).limit(limit)
            found = connection.execute(wanted).all()
        return [record_of(JournalRow(*row), span.epoch, span.base) for row in found]

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, Span]]:
        with storage_errors("read", self._path), self._engine.connect() as connection:
            span = self._span or self._find_span(connection)
            self._span = span
            yield connection, span

    def _find_span(self, connection: Connection) -> Span:
        found = spans(connection)
        if not self._epoch:
            return found[-1]
        return next(span for span in found if span.epoch == self._epoch)


def _saved_cursor(connection: Connection, reader: str, span: Span) -> int:
    found = connection.execute(
        select(cursor.c.seq).where(cursor.c.reader == reader, cursor.c.epoch == span.epoch)
    ).scalar()
    return found or 0
