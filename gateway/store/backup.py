"""Backup into one file, and restore.

A backup is a zip of the database, as it was at one instant, other files of the data folder that
were asked for, and `manifest.json`, which has their digests. A restored gateway begins a new epoch
(RULES U1): the platform may have had later records of the old one. It holds what credentials hold,
so it is readable by its owner alone, like the database.
"""

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter
from sqlalchemy import insert

from gateway.domain.errors import StoreError
from gateway.domain.records import Position
from gateway.store import schema
from gateway.store.database import connect_writer, storage_errors
from gateway.store.epochs import begin_epoch
from gateway.store.folder import DataFolder
from gateway.store.journal import SqliteJournal
from gateway.store.tables import SCHEMA_VERSION, meta

_FORMAT = 1
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds: where its journal ends, and each file's digest by its name."""

    format: int
    schema: str
    epoch: str
    seq: int
    made_ms: int
    files: Mapping[str, str]

    @property
    def head(self) -> Position:
        """The last record in it."""
        return Position(self.epoch, self.seq)


def backup(folder: DataFolder, target: Path, made_ms: int, beside: Sequence[str] = ()) -> Manifest:
    """Write a backup of a folder, also of a running gateway's. Raises StoreError.

    `beside` names other files of the folder to take along, if they exist.
    """
    if target.exists():
        raise StoreError(f"{target} exists already: name a new file")
    with storage_errors("back up to", target), TemporaryDirectory(dir=target.parent) as scratch:
        copy = Path(scratch) / folder.database.name
        _copy_database(folder.database, copy)
        files = [copy, *(folder.path / name for name in beside if (folder.path / name).is_file())]
        head = SqliteJournal(copy).head()
        digests = {file.name: _digest(file) for file in files}
        manifest = Manifest(_FORMAT, SCHEMA_VERSION, *head, made_ms, digests)
        packed = Path(scratch) / "packed"
        _pack(packed, manifest, files)
        os.rename(packed, target)
        _sync(target.parent)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """What a backup says it holds. Raises StoreError when it is none."""
    with storage_errors("read backup", source), _unzipped(source) as packed:
        return _manifest(packed, source)


def restore(
    source: Path,
    folder: DataFolder,
    *,
    replace: bool = False,
    randomness: Callable[[int], bytes] = secrets.token_bytes,
) -> Manifest:
    """Put a backup into a folder that no gateway holds, as the start of a new epoch.

    What is there already is replaced only if told to, and kept beside with the ending `.replaced`.
    Raises StoreError, and FolderInUse when a gateway runs there.
    """
    with folder.held(), storage_errors("restore", source), _unzipped(source) as packed:
        manifest = _manifest(packed, source)
        if folder.database.exists() and not replace:
            raise StoreError(
                f"{folder.path} has a journal already: name an empty folder, "
                "or have it replaced (--replace)"
            )
        with TemporaryDirectory(dir=folder.path) as scratch:
            for name, digest in manifest.files.items():
                _unpack(packed, name, digest, Path(scratch))
            fresh = Path(scratch) / folder.database.name
            _begin_epoch(fresh, manifest, randomness)
            for name in manifest.files:
                _put_aside(folder.path / name)
                os.replace(Path(scratch) / name, folder.path / name)
        _sync(folder.path)
    return manifest


def _copy_database(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writing = sqlite3.connect(target)
    try:
        reading.backup(writing)  # in one step: one snapshot, and the writer need not wait
        writing.execute("PRAGMA journal_mode=DELETE")
        _check_integrity(writing, source)
    finally:
        reading.close()
        writing.close()


def _check_integrity(database: sqlite3.Connection, what: Path) -> None:
    found = [row[0] for row in database.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise StoreError(f"{what} is damaged: {'; '.join(found)}")


def _pack(target: Path, manifest: Manifest, files: Sequence[Path]) -> None:
    handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w+b") as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=2))
            for file in files:
                archive.write(file, file.name)
        packed.flush()
        os.fsync(packed.fileno())


@contextmanager
def _unzipped(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as packed:
            yield packed
    except zipfile.BadZipFile as error:
        raise StoreError(f"{source} is no backup, or a damaged one: {error}") from error


def _manifest(packed: zipfile.ZipFile, source: Path) -> Manifest:
    try:
        manifest = TypeAdapter(Manifest).validate_json(packed.read(_MANIFEST))
    except (KeyError, ValueError) as error:
        raise StoreError(f"{source} is no backup of a gateway: {error}") from error
    if manifest.format != _FORMAT or manifest.schema > SCHEMA_VERSION:
        raise StoreError(
            f"{source} was made by a newer version (format {manifest.format}, "
            f"schema {manifest.schema}): install that version first"
        )
    return manifest


def _unpack(packed: zipfile.ZipFile, name: str, digest: str, into: Path) -> None:
    target = into / Path(name).name
    handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with packed.open(name) as reading, os.fdopen(handle, "wb") as writing:
        shutil.copyfileobj(reading, writing)
        writing.flush()
        os.fsync(writing.fileno())
    found = _digest(target)
    if found != digest:
        raise StoreError(f"{name} in the backup is damaged: expected {digest}, found {found}")


def _begin_epoch(database: Path, manifest: Manifest, randomness: Callable[[int], bytes]) -> None:
    connection = connect_writer(database)
    try:
        schema.prepare(connection)
        with connection.begin():
            begin_epoch(connection, "restored", randomness)
            came_from = f"{manifest.epoch}/{manifest.seq}"
            connection.execute(meta.delete().where(meta.c.name == "restored_from"))
            connection.execute(insert(meta).values(("restored_from", came_from)))
    finally:
        connection.close()


def _put_aside(file: Path) -> None:
    """Keep a file that is about to be replaced, and its log, beside it."""
    kept, log = file.with_name(f"{file.name}.replaced"), file.with_name(f"{file.name}-wal")
    for old in (kept, kept.with_name(f"{kept.name}-wal")):
        old.unlink(missing_ok=True)
    if file.exists():
        try:
            os.link(file, kept)
        except OSError:  # a file system without links
            shutil.copy2(file, kept)
    if log.exists():  # a log must never meet another database than its own
        os.replace(log, kept.with_name(f"{kept.name}-wal"))
    file.with_name(f"{file.name}-shm").unlink(missing_ok=True)


def _digest(file: Path) -> str:
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
