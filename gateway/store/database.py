"""One SQLite file: how it is opened for its one writer and for readers, and what errors mean."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.sql import ClauseElement

from gateway.domain.errors import StoreError

_WAL_BYTES_KEPT = 16 * 1024 * 1024
_CACHE_KIB = 500  # what is written again and again; full within minutes of any use
BUSY_MS = 10_000  # another process may hold a lock for a moment

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)  # the log's index finds no room

_WRITER_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA journal_size_limit={_WAL_BYTES_KEPT}",
    "PRAGMA secure_delete=ON",  # what is erased is overwritten
    "PRAGMA cell_size_check=ON",
    f"PRAGMA cache_size=-{_CACHE_KIB}",
)


def connect_writer(path: Path) -> Connection:
    """The one connection that writes; the file is made if missing, readable by its owner alone."""
    _make_private(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": BUSY_MS / 1000,
        },
    )
    event.listen(engine, "connect", _prepare_writer)
    event.listen(engine, "begin", _begin)
    return engine.connect()


def reader_engine(path: Path, *, alone: bool = False, pooled: bool = True) -> Engine:
    """Read-only connections, for any thread; alone: nobody writes, nor can anything be written."""
    how = "mode=ro"
    if alone:  # the log's index is then kept in memory, for a full disk has no room for it
        how = "mode=ro&readonly_shm=1" if log_of(path).exists() else "immutable=1"
    where = f"file:{quote(str(path))}?{how}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            where, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
        )

    if not pooled:
        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    return create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=2, max_overflow=8
    )


def compiled(statement: ClauseElement) -> str:
    """A statement as SQLite's driver takes it, compiled once: per row it then costs no Python."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))


@contextmanager
def storage_errors(doing: str, path: Path) -> Iterator[None]:
    """Errors of the database or its files become StoreError, saying what was being done, where."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise StoreError(f"{doing} {path}: {cause(error)}") from error


def cause(error: BaseException) -> str:
    """What the database or system itself said, without the statement and its values (RULES U5)."""
    origin = _origin(error)
    name = getattr(origin, "sqlite_errorname", "")
    return f"{origin} ({name})" if name else str(origin)


def disk_full(error: BaseException) -> bool:
    """True when a write failed for want of space, and nothing else is wrong."""
    return getattr(_origin(error), "sqlite_errorcode", None) in _FULL


def forget_cached(path: Path) -> None:
    """Drop what the kernel has cached of the file and its log, so that the disk itself is read.

    After a failed fsync the kernel may hold as clean what never reached the disk.
    """
    for file in (path, log_of(path)):
        try:
            handle = os.open(file, os.O_RDONLY)
        except OSError:
            continue
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def log_of(path: Path) -> Path:
    """The write-ahead log beside a database."""
    return path.with_name(path.name + "-wal")


def _origin(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def _make_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _prepare_writer(connection: Any, _record: Any) -> None:
    for pragma in _WRITER_PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
