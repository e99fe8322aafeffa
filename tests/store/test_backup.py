"""Backup into one file, and restore as the start of a new epoch (RULES U1)."""

import stat
import zipfile
from pathlib import Path

import pytest
from store.samples import batch, call, granted

from gateway.domain.errors import StoreError
from gateway.domain.state import put
from gateway.domain.subjects import Subject
from gateway.store.backup import backup, read_manifest, restore
from gateway.store.folder import DataFolder, FolderInUse
from gateway.store.store import SqliteStore, StoreOptions
from gateway.store.verify import verify

OPTIONS = StoreOptions(machine="m", ballast_bytes=0)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


@pytest.fixture
def running(folder: DataFolder) -> SqliteStore:
    store = SqliteStore(folder.database, OPTIONS)
    store.open()
    store.commit(batch(1, [granted(), call()], [put(Subject("s-1"))]))
    (folder.path / "key").write_text("k")
    return store


def test_a_backup_of_a_running_gateway_restores_as_a_new_epoch(
    running: SqliteStore, folder: DataFolder, tmp_path: Path
) -> None:
    file = tmp_path / "one.backup"
    with folder.held():
        made = backup(folder, file, made_ms=7, beside=("key", "none"))
    running.commit(batch(2, [granted()]))
    assert made.head == (running.journal.head().epoch, 2)
    assert (made.made_ms, set(made.files)) == (7, {"gateway.db", "key"})
    assert read_manifest(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    elsewhere = DataFolder(tmp_path / "new")
    restore(file, elsewhere)
    assert (elsewhere.path / "key").read_text() == "k"
    store = SqliteStore(elsewhere.database, StoreOptions(machine="another", ballast_bytes=0))
    loaded = store.open()
    assert loaded.entities == (Subject("s-1"),)
    assert loaded.head.epoch != made.epoch
    assert loaded.head.seq == 0
    assert loaded.meta["epoch_origin"] == "restored"
    assert loaded.meta["restored_from"] == f"{made.epoch}/2"
    assert store.commit(batch(1, [call()])).seq == 1
    (earlier,) = store.journal.earlier("platform")
    assert earlier.head() == made.head
    assert verify(elsewhere.database).whole
    store.close()


def test_a_running_gateways_folder_is_not_overwritten(
    running: SqliteStore, folder: DataFolder, tmp_path: Path
) -> None:
    backup(folder, tmp_path / "b", made_ms=0)
    with folder.held(), pytest.raises(FolderInUse):
        restore(tmp_path / "b", DataFolder(folder.path), replace=True)


def test_what_is_there_is_replaced_only_when_told_and_kept_beside(
    running: SqliteStore, folder: DataFolder, tmp_path: Path
) -> None:
    backup(folder, tmp_path / "b", made_ms=0)
    running.commit(batch(2, [granted()]))
    old = running.journal.head()  # still open, as after a crash: its log must not meet the new file
    with pytest.raises(StoreError, match="has a journal already"):
        restore(tmp_path / "b", folder)
    restore(tmp_path / "b", folder, replace=True)
    fresh = SqliteStore(folder.database, OPTIONS)
    assert fresh.open().head.epoch != old.epoch
    fresh.close()
    kept = SqliteStore(folder.path / "gateway.db.replaced", OPTIONS)
    assert kept.open().head == old
    kept.close()


def test_a_damaged_backup_is_refused_and_changes_nothing(
    running: SqliteStore, folder: DataFolder, tmp_path: Path
) -> None:
    backup(folder, tmp_path / "b", made_ms=0)
    with zipfile.ZipFile(tmp_path / "b") as whole, zipfile.ZipFile(tmp_path / "c", "w") as other:
        other.writestr("manifest.json", whole.read("manifest.json"))
        other.writestr("gateway.db", whole.read("gateway.db")[:-1] + b"!")
    running.close()
    with pytest.raises(StoreError, match=r"gateway\.db in the backup is damaged"):
        restore(tmp_path / "c", folder, replace=True)
    (tmp_path / "d").write_bytes(b"PK nothing")
    with pytest.raises(StoreError, match="is no backup"):
        restore(tmp_path / "d", folder, replace=True)
    assert running.open().head.seq == 2
    assert sorted(one.name for one in folder.path.iterdir() if "wal" not in one.name) == [
        "gateway.db",
        "gateway.db-shm",
        "key",
    ]


def test_a_backup_never_overwrites_a_file(
    running: SqliteStore, folder: DataFolder, tmp_path: Path
) -> None:
    (tmp_path / "b").touch()
    with pytest.raises(StoreError, match="exists already"):
        backup(folder, tmp_path / "b", made_ms=0)
