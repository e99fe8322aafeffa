"""The unit of work: one writer, one connection, one transaction a batch.

Rules:
- Used from one thread. `open` before anything else; an error closes the store, and it may be
  opened afresh as often as needed (RULES X1). No write and no fsync is ever tried again on a
  connection that failed: `open` reads what the disk really holds.
- The numbers of records are given here, from the head that `open` found: no gap, no sequence.
- A commit that failed may yet have reached the disk. `open` compares the chain's head with the one
  that the failed batch would have made (the hash covers its salts, so no other batch makes it);
  where they are the same, `Loaded.meta["batch"]` is that batch's number, and handing it in again
  writes nothing. So nothing is kept on disk for it. A batch without records may be written again.
- A full disk is no error yet: the ballast goes first, once (see `ballast`).
- Cursors of readers ride with the next transaction.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import structlog
from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from gateway.domain.entity import Entity
from gateway.domain.errors import StoreError
from gateway.domain.records import Position
from gateway.domain.state import Change
from gateway.ports import Batch, Loaded, Stamped
from gateway.store import buckets, schema
from gateway.store.ballast import BALLAST_BYTES, Ballast, free_bytes
from gateway.store.database import (
    BUSY_MS,
    cause,
    compiled,
    connect_writer,
    disk_full,
    forget_cached,
    reader_engine,
    storage_errors,
)
from gateway.store.entities import EntityCodec, Row
from gateway.store.epochs import ensure_epoch, find_head, origin_of
from gateway.store.journal import Cursors, SqliteJournal
from gateway.store.rows import Head, seal
from gateway.store.tables import cursor, entity, journal, meta

log = structlog.get_logger()

_START_BYTES = 1024 * 1024
T = TypeVar("T")
_DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error)
Work = Sequence[tuple[str, Sequence[tuple[Any, ...]]]]  # statements, each with its rows


def _upsert(table: Table) -> str:
    statement = sqlite.insert(table)
    keys = list(table.primary_key)
    rest = {c.name: statement.excluded[c.name] for c in table.columns if c not in keys}
    return compiled(statement.on_conflict_do_update(index_elements=keys, set_=rest))


_APPEND = compiled(insert(journal))
_ONE_ROW = _APPEND[_APPEND.index("VALUES") + len("VALUES ") :]
_APPEND_SO_MANY = {count: _APPEND + f", {_ONE_ROW}" * (count - 1) for count in (64, 16, 4, 2, 1)}
_PUT = _upsert(entity)
_DROP = compiled(delete(entity).where(entity.c.kind == "", entity.c.id == ""))
_META = _upsert(meta)
_CURSOR = _upsert(cursor)


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What a store may be told. `machine` is this machine's id, "" where it has none (RULES U1).

    `before_open` has the folder to itself, or raises StoreError.
    """

    machine: str = ""
    randomness: Callable[[int], bytes] = secrets.token_bytes
    ballast_bytes: int = BALLAST_BYTES
    before_open: Callable[[], None] = lambda: None


class _Attempt(NamedTuple):
    """A commit whose outcome is not known: its batch, and where the journal ends with it."""

    number: int
    head: Head


class SqliteStore:
    """A Store in one SQLite file; `journal` reads it from any thread."""

    def __init__(self, path: Path, options: StoreOptions | None = None) -> None:
        self.path = path
        self._options = options or StoreOptions()
        self._codec = EntityCodec()
        self._cursors = Cursors()
        self._connection: Connection | None = None
        self._keeper: Connection | None = None
        self._head = Head("", 0, 0, b"")
        self._attempt: _Attempt | None = None
        self._arrived: _Attempt | None = None  # one that failed, and was found on the disk
        self._failed = False
        self._fold = False
        self.ballast = Ballast(path.with_name("ballast"), self._options.ballast_bytes)
        self.journal = SqliteJournal(path, self._cursors)
        self.utilization = buckets.SqliteUtilization(path)

    def open(self) -> Loaded:
        """Open or make the database, migrate it, and load everything."""
        self.close()
        self._options.before_open()
        try:
            with storage_errors("open", self.path):
                return self._open_with_room()
        except BaseException:
            self._abandon()
            raise

    def peek(self) -> Loaded:
        """What a store holds that cannot be opened for writing: its disk takes nothing.

        With it a gateway that starts on such a disk knows its people and calls (RULES X1).
        """
        engine = reader_engine(self.path, alone=True)
        try:
            with storage_errors("read", self.path), engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                schema.check(connection)
                return self._load(connection, {})
        finally:
            engine.dispose()

    def commit(self, batch: Batch) -> Position:
        """Commit a batch in one transaction, durably; the position of its last record."""
        self._opened()
        if self._arrived is not None and self._arrived.number == batch.number:
            return self._arrived.head.position
        rows, head = seal(batch.records, self._head, self._options.randomness)
        puts, drops = self._last_words(batch.changes)
        self._attempt = _Attempt(batch.number, head) if rows else None
        added = buckets.rows_of(batch.records, rows)
        work: Work = [(_APPEND, rows), (_PUT, puts), (_DROP, drops), (buckets.ADD_UP, added)]
        self._run(lambda connection: _execute(connection, work))
        self._attempt = None
        self._head = head
        return head.position

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Keep small facts of the gateway itself (last trusted time, boot)."""
        self._run(lambda connection: _execute(connection, [(_META, list(values.items()))]))

    def amend(self, change: Callable[[Connection], Iterable[Stamped]]) -> Position:
        """Let `change` alter rows; the records it returns, which tell of it, are appended with it.

        It may be called twice, when the first transaction found the disk full.
        """

        def amend(connection: Connection) -> Head:
            rows, head = seal(change(connection), self._head, self._options.randomness)
            _execute(connection, [(_APPEND, rows)])
            return head

        self._head = self._run(amend)
        return self._head.position

    def erased(self) -> None:
        """Rows were erased: what the log still holds of them has to go."""
        self._fold = True
        self.fold_log()

    def fold_log(self) -> None:
        """Empty the log into the database, if something was erased and no reader is in its midst.

        Never waits for a reader; the next call does it then.
        """
        if self._connection is None or not self._fold:
            return
        driver = self._connection.connection.driver_connection
        assert driver is not None
        try:
            driver.execute("PRAGMA busy_timeout=0")
            (busy, _, _) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            driver.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        except sqlite3.Error as error:
            self._lose(error)
        self._fold = bool(busy)

    def close(self) -> None:
        """Close the database, saving the readers' cursors. May be opened again."""
        if self._connection is None:
            return
        with suppress(StoreError):
            self._save_cursors()
        self.journal.close()
        self.utilization.close()
        for connection in (self._keeper, self._connection):
            if connection is not None:  # the writer last: it tidies the log away
                with suppress(SQLAlchemyError):
                    connection.close()
        self._connection = self._keeper = None

    def _save_cursors(self) -> None:
        if self._cursors.unsaved():
            self._run(lambda _: None)

    # --- opening

    def _open_with_room(self) -> Loaded:
        """A start needs a little room too: for the log and its index."""
        try:
            return self._open()
        except (*_DATABASE_ERRORS, OSError):
            if free_bytes(self.path.parent) > _START_BYTES or not self.ballast.release():
                raise
            self._abandon()
            return self._open()

    def _open(self) -> Loaded:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._failed:
            forget_cached(self.path)
        self._connection = connection = connect_writer(self.path)
        schema.prepare(connection)
        with connection.begin():
            options = self._options
            self._head = ensure_epoch(connection, options.machine, options.randomness)
            loaded = self._load(connection, self._settle_attempt())
        self._keeper = reader_engine(self.path, pooled=False).connect()
        find_head(self._keeper)  # a connection is one to SQLite from its first read on
        self._failed = False
        self.journal.close()  # it may have looked into another epoch
        self.ballast.take()
        return loaded

    def _settle_attempt(self) -> dict[str, str]:
        """Whether the commit that failed had reached the disk, now that its end is known."""
        attempt, self._attempt = self._attempt, None
        if attempt is None or attempt.head != self._head:
            return {}
        self._arrived = attempt
        return {"batch": str(attempt.number)}

    def _load(self, connection: Connection, told: Mapping[str, str]) -> Loaded:
        head = find_head(connection)
        if head is None:  # a first start came no further than the tables
            raise StoreError(f"{self.path} holds no journal yet")
        found = connection.execute(select(meta.c.name, meta.c.value)).all()
        known = {row.name: row.value for row in found}
        known["epoch_origin"] = origin_of(connection)
        return Loaded(tuple(self._entities(connection)), head.position, {**known, **told})

    def _entities(self, connection: Connection) -> Iterable[Entity]:
        for row in connection.execute(select(entity)):
            try:
                yield self._codec.entity(row.kind, row.version, row.body)
            except StoreError as error:
                # left in its row: one that cannot be read must not keep all others from starting
                log.error("entity_unreadable", kind=row.kind, id=row.id, why=str(error))

    # --- writing

    def _opened(self) -> Connection:
        if self._connection is None:
            raise StoreError(f"{self.path} is not open")
        return self._connection

    def _last_words(self, changes: Iterable[Change]) -> tuple[list[Row], list[tuple[str, str]]]:
        """What to write of changes: the last of each entity."""
        last = {(type_.kind, id_): entity for type_, id_, entity in changes}
        puts = [self._codec.row(entity) for entity in last.values() if entity is not None]
        return puts, [key for key, entity in last.items() if entity is None]

    def _run(self, action: Callable[[Connection], T]) -> T:
        """Do it in one transaction, with the cursors; after an error the store is closed."""
        connection, cursors = self._opened(), self._cursors.unsaved()
        try:
            try:
                done = _transact(connection, action, cursors)
            except _DATABASE_ERRORS as error:
                if not (disk_full(error) and self.ballast.release()):
                    raise
                done = _transact(connection, action, cursors)
        except (*_DATABASE_ERRORS, OSError) as error:
            self._lose(error)
        self._cursors.saved(cursors)
        return done

    def _lose(self, error: Exception) -> NoReturn:
        self._abandon()
        raise StoreError(f"commit to {self.path}: {cause(error)}") from error

    def _abandon(self) -> None:
        """Close after an error, so that nothing more is written: no checkpoint either.

        SQLite checkpoints when its last connection closes, from pages that a failed disk may hold
        in its cache alone. The keeper, which cannot write, closes after the writer.
        """
        self._failed = True
        self.journal.close()
        self.utilization.close()
        for connection in (self._connection, self._keeper):
            if connection is not None:
                with suppress(SQLAlchemyError):
                    connection.close()
        self._connection = self._keeper = None


def _transact(
    connection: Connection,
    action: Callable[[Connection], T],
    cursors: Mapping[tuple[str, str], int],
) -> T:
    with connection.begin():
        _execute(connection, [(_CURSOR, [(*key, seq) for key, seq in cursors.items()])])
        return action(connection)


def _execute(connection: Connection, work: Work) -> None:
    """Straight through the driver, in SQLAlchemy's transaction: half the time of a small commit.

    Rows go many to a statement: the driver lets go of the interpreter's lock once for each, and
    has to wait to get it back while the event loop is busy.
    """
    through = connection.connection.cursor()
    for statement, rows in work:
        if statement is not _APPEND:
            if rows:
                through.executemany(statement, rows)
            continue
        done = 0
        for count, many in _APPEND_SO_MANY.items():
            while len(rows) - done >= count:
                through.execute(many, [*chain.from_iterable(rows[done : done + count])])
                done += count
    through.close()
