"""The unit of work: one writer, one connection, one transaction a batch.

Rules:
- Used from one thread. `open` before anything else; an error closes the store, and it may be
  opened afresh as often as needed (RULES X1). No write and no fsync is ever tried again on a
  connection that failed: `open` reads what the disk really holds.
- The numbers of records are given here, from the head that `open` found: no gap, no sequence.
- A commit that failed may yet have reached the disk. So after `open` the same batch, by its
  number, is handed in again: if the chain's head is the one that batch would have made (the hash
  covers its salts, so no other batch makes it), it is there and is not written twice. A batch
  without records is simply written again.
- A full disk is no error yet: the ballast goes first, once (see `ballast`).
- Cursors of readers ride with the next transaction.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import structlog
from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from gateway.domain.entity import Entity
from gateway.domain.errors import StoreError
from gateway.domain.records import Position, chain_start
from gateway.domain.state import Change, Put
from gateway.ports import Batch, Loaded
from gateway.store import schema
from gateway.store.ballast import BALLAST_BYTES, Ballast
from gateway.store.database import (
    cause,
    compiled,
    connect_writer,
    disk_full,
    forget_cached,
    reader_engine,
    storage_errors,
)
from gateway.store.entities import EntityCodec, Row
from gateway.store.journal import Cursors, SqliteJournal, last_row
from gateway.store.rows import Head, seal
from gateway.store.tables import cursor, entity, epoch, journal, meta

log = structlog.get_logger()

Work = Sequence[tuple[str, Sequence[tuple[Any, ...]]]]  # statements, each with its rows


def _upsert(table: Table) -> str:
    statement = sqlite.insert(table)
    keys = list(table.primary_key)
    rest = {c.name: statement.excluded[c.name] for c in table.columns if c not in keys}
    return compiled(statement.on_conflict_do_update(index_elements=keys, set_=rest))


_APPEND = compiled(insert(journal))
_PUT = _upsert(entity)
_DROP = compiled(delete(entity).where(entity.c.kind == "", entity.c.id == ""))
_META = _upsert(meta)
_CURSOR = _upsert(cursor)


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What a store may be told. `machine` is this machine's id, "" where it has none (RULES U1)."""

    machine: str = ""
    randomness: Callable[[int], bytes] = secrets.token_bytes
    ballast_bytes: int = BALLAST_BYTES


class _Attempt(NamedTuple):
    """A commit whose outcome is not known: its batch, and the chain it makes."""

    number: int
    chain: bytes


class SqliteStore:
    """A Store in one SQLite file; `journal` reads it from any thread."""

    def __init__(self, path: Path, options: StoreOptions | None = None) -> None:
        self._path = path
        self._options = options or StoreOptions()
        self._codec = EntityCodec()
        self._cursors = Cursors()
        self._connection: Connection | None = None
        self._keeper: Connection | None = None
        self._head = Head("", 0, 0, b"")
        self._attempt: _Attempt | None = None
        self._failed = False
        self.ballast = Ballast(path.with_name("ballast"), self._options.ballast_bytes)
        self.journal = SqliteJournal(path, self._cursors)

    def open(self) -> Loaded:
        """Open or make the database, migrate it, and load everything."""
        self.close()
        try:
            with storage_errors("open", self._path):
                return self._open()
        except BaseException:
            self._abandon()
            raise

    def commit(self, batch: Batch) -> Position:
        """Commit a batch in one transaction, durably; the position of its last record."""
        if self._arrived(batch):
            self._attempt = None
            return self._head.position
        rows, head = seal(batch.records, self._head, self._options.randomness)
        puts, drops = self._last_words(batch.changes)
        self._attempt = _Attempt(batch.number, head.chain) if rows else None
        self._write([(_APPEND, rows), (_PUT, puts), (_DROP, drops)])
        self._attempt = None
        self._head = head
        return head.position

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Keep small facts of the gateway itself (last trusted time, boot)."""
        self._write([(_META, list(values.items()))])

    def close(self) -> None:
        """Close the database, saving the readers' cursors. May be opened again."""
        if self._connection is None:
            return
        with suppress(StoreError):
            self._save_cursors()
        self.journal.close()
        for connection in (self._keeper, self._connection):
            if connection is not None:  # the writer last: it tidies the log away
                with suppress(SQLAlchemyError):
                    connection.close()
        self._connection = self._keeper = None

    def _save_cursors(self) -> None:
        if self._cursors.unsaved():
            self._write([])

    # --- opening

    def _open(self) -> Loaded:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._failed:
            forget_cached(self._path)
        self._connection = connection = connect_writer(self._path)
        schema.prepare(connection)
        with connection.begin():
            origin = self._ensure_epoch(connection)
            entities = tuple(self._load_entities(connection))
            found = connection.execute(select(meta.c.name, meta.c.value)).all()
        self._keeper = reader_engine(self._path).connect()
        self._failed = False
        self.ballast.take()
        known = {row.name: row.value for row in found}
        return Loaded(entities, self._head.position, {**known, "epoch_origin": origin})

    def _ensure_epoch(self, connection: Connection) -> str:
        """Find the epoch and its head; begin one in an empty folder or on another machine."""
        newest = connection.execute(select(epoch).order_by(epoch.c.ordinal.desc())).first()
        number, chain = last_row(connection)
        machine = machine_digest(self._options.machine)
        if newest is None or (machine and newest.machine not in ("", machine)):
            begun = self._options.randomness(8).hex()
            ordinal, origin = (newest.ordinal + 1, "moved") if newest else (1, "new")
            connection.execute(insert(epoch).values((ordinal, begun, number, machine, origin)))
            self._head = Head(begun, number, number, chain_start(begun))
            return origin
        if newest.machine != machine and machine:
            mine = update(epoch).where(epoch.c.ordinal == newest.ordinal)
            connection.execute(mine.values(machine=machine))
        if number == newest.base:
            chain = chain_start(newest.epoch)
        self._head = Head(newest.epoch, newest.base, number, chain)
        return str(newest.origin)

    def _load_entities(self, connection: Connection) -> Iterable[Entity]:
        for row in connection.execute(select(entity)):
            try:
                yield self._codec.entity(row.kind, row.version, row.body)
            except StoreError as error:
                # left in its row: one that cannot be read must not keep all others from starting
                log.error("entity_unreadable", kind=row.kind, id=row.id, why=str(error))

    # --- writing

    def _arrived(self, batch: Batch) -> bool:
        """This batch was written by a commit that failed afterwards."""
        return self._attempt == _Attempt(batch.number, self._head.chain)

    def _last_words(self, changes: Iterable[Change]) -> tuple[list[Row], list[tuple[str, str]]]:
        """What to write of changes: the last of each entity."""
        last = {
            (change.entity.kind, change.entity.id)
            if isinstance(change, Put)
            else (change.type.kind, change.id): change
            for change in changes
        }
        puts = [self._codec.row(one.entity) for one in last.values() if isinstance(one, Put)]
        return puts, [key for key, one in last.items() if not isinstance(one, Put)]

    def _write(self, work: Work) -> None:
        """Do the work and save cursors in one transaction; after an error the store is closed."""
        if self._connection is None:
            raise StoreError(f"{self._path} is not open")
        cursors = self._cursors.unsaved()
        saving = [(reader, of, seq) for (reader, of), seq in cursors.items()]
        try:
            try:
                _transact(self._connection, [*work, (_CURSOR, saving)])
            except SQLAlchemyError as error:
                if not (disk_full(error) and self.ballast.release()):
                    raise
                _transact(self._connection, [*work, (_CURSOR, saving)])
        except (SQLAlchemyError, OSError) as error:
            self._lose(error)
        self._cursors.saved(cursors)

    def _lose(self, error: Exception) -> NoReturn:
        self._abandon()
        raise StoreError(f"commit to {self._path}: {cause(error)}") from error

    def _abandon(self) -> None:
        """Close after an error, so that nothing more is written: no checkpoint either.

        SQLite checkpoints when its last connection closes, from pages that a failed disk may hold
        in its cache alone. The keeper, which cannot write, closes after the writer.
        """
        self._failed = True
        self.journal.close()
        for connection in (self._connection, self._keeper):
            if connection is not None:
                with suppress(SQLAlchemyError):
                    connection.close()
        self._connection = self._keeper = None


def machine_digest(machine: str) -> str:
    """What is kept of a machine's id, which is nobody else's business."""
    return hashlib.sha256(f"commons-gateway:{machine}".encode()).hexdigest()[:32] if machine else ""


def _transact(connection: Connection, work: Work) -> None:
    with connection.begin():
        for statement, rows in work:
            if rows:
                connection.exec_driver_sql(statement, list(rows))
