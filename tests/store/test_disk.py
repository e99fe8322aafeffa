"""Full, failing and read-only disks (RULES X1): real ones, small."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.disk import fill, small_disk
from store.samples import batch, call, granted

from gateway.domain.errors import StoreError
from gateway.domain.state import put
from gateway.domain.subjects import Subject
from gateway.store import schema
from gateway.store.database import connect_writer
from gateway.store.store import SqliteStore, StoreOptions
from gateway.store.verify import verify

KIB = 1024
OPTIONS = StoreOptions(machine="m", ballast_bytes=0)


@pytest.fixture(name="small_disk")
def disk_of_8_mib(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 8) as disk:
        yield disk


@contextmanager
def files_up_to(size_bytes: int) -> Iterator[None]:
    """Every write past that size of a file fails, as an I/O error and not for want of space."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def commit_until_lost(store: SqliteStore, first: int = 1) -> int:
    """Commit until the store is lost; how many were acknowledged."""
    for number in range(first, 10_000):
        try:
            store.commit(batch(number, [granted(door="d" * 500)] * 10))
        except StoreError:
            return number - first
    raise AssertionError("the disk never filled")


def test_a_full_disk_releases_the_ballast_and_commits_go_on(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "gateway.db", replace(OPTIONS, ballast_bytes=1024 * KIB))
    store.open()
    assert store.ballast.held
    hog = fill(small_disk, left_bytes=512 * KIB)
    commits = 0
    while store.ballast.held:
        commits += 1
        store.commit(batch(commits, [granted(door="d" * 500)] * 10))
    more = commit_until_lost(store, commits + 1)
    assert more > commits / 2  # the ballast was twice the room there was
    hog.unlink()
    assert store.open().head.seq == 10 * (commits + more)
    assert verify(small_disk / "gateway.db").whole
    assert store.commit(batch(1, [call()])).seq == 10 * (commits + more) + 1
    store.close()


def test_a_start_on_a_full_disk_releases_the_ballast(small_disk: Path) -> None:
    options = replace(OPTIONS, ballast_bytes=1024 * KIB)
    store = SqliteStore(small_disk / "gateway.db", options)
    store.open()
    store.commit(batch(1, [call()]))
    store.close()
    fill(small_disk, left_bytes=0)
    again = SqliteStore(small_disk / "gateway.db", options)
    assert again.open().head.seq == 1
    assert not again.ballast.held
    assert again.commit(batch(1, [call()])).seq == 2
    again.close()


def test_the_ballast_comes_back_only_when_there_is_room_to_spare(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "gateway.db", replace(OPTIONS, ballast_bytes=1024 * KIB))
    store.open()
    assert store.ballast.release()
    hog = fill(small_disk, left_bytes=2048 * KIB)
    store.ballast.take()
    assert not store.ballast.held
    hog.unlink()
    store.ballast.take()
    assert store.ballast.held
    assert (small_disk / "ballast").stat().st_blocks * 512 >= 1024 * KIB  # real room, not a hole
    store.close()


def test_a_disk_without_room_for_the_ballast_is_no_error(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "gateway.db", replace(OPTIONS, ballast_bytes=64 * 1024 * KIB))
    store.open()
    assert not store.ballast.held
    assert store.commit(batch(1, [call()])).seq == 1
    store.close()


def test_an_io_error_closes_the_store_at_once_and_checkpoints_nothing(path: Path) -> None:
    """Never retry an fsync: what a failed disk caches must not be copied into the database."""
    store = SqliteStore(path, replace(OPTIONS, ballast_bytes=KIB))
    store.open()
    store.commit(batch(1, [granted()], [put(Subject("s-1"))]))
    log = path.with_name("gateway.db-wal")
    before, logged = path.read_bytes(), log.stat().st_size
    with files_up_to(logged):
        with pytest.raises(StoreError, match="IOERR"):
            store.commit(batch(2, [granted()], [put(Subject("s-2"))]))
        with pytest.raises(StoreError, match="not open"):
            store.commit(batch(3, [granted()]))
        assert path.read_bytes() == before
        assert log.stat().st_size == logged
    assert store.ballast.held  # it is for full disks
    loaded = store.open()
    assert (loaded.head.seq, loaded.entities) == (1, (Subject("s-1"),))
    assert "batch" not in loaded.meta
    assert store.commit(batch(2, [granted()])).seq == 2
    store.close()


def test_a_batch_that_reached_the_disk_though_its_commit_failed_is_not_written_twice(
    path: Path,
) -> None:
    def same_salts() -> StoreOptions:
        numbers = iter(range(1, 256))
        return replace(OPTIONS, randomness=lambda size: bytes([next(numbers)]) * size)

    store = SqliteStore(path, same_salts())
    store.open()
    store.commit(batch(1, [granted()]))
    doubtful = batch(2, [granted(), call()], [put(Subject("s-1"))])
    with files_up_to(path.with_name("gateway.db-wal").stat().st_size), pytest.raises(StoreError):
        store.commit(doubtful)
    with pytest.raises(StoreError, match="not open"):
        store.commit(batch(9, [granted()]))  # changes nothing in what is doubtful
    # what a disk that took the write and failed the acknowledgement would hold
    options = same_salts()
    for _ in range(2):
        options.randomness(1)  # spent on the epoch and the first record
    disk = SqliteStore(path, options)
    disk.open()
    disk.commit(doubtful)
    disk.close()

    loaded = store.open()
    assert (loaded.head.seq, loaded.meta["batch"]) == (3, "2")
    assert store.amend(lambda _: batch(0, [granted()]).records).seq == 4  # comes between
    assert store.commit(doubtful).seq == 3
    assert store.commit(batch(3, [call()])).seq == 5
    assert [record.position.seq for record in store.journal.read(0)] == [1, 2, 3, 4, 5]
    assert verify(path).whole
    store.close()


@pytest.mark.parametrize("left", ["", "-wal -shm", "-wal"], ids=["closed", "killed", "power cut"])
def test_a_disk_that_went_read_only_can_still_be_read_at_a_start(
    small_disk: Path, path: Path, left: str
) -> None:
    store = SqliteStore(path, OPTIONS)
    head = store.open().head
    store.commit(batch(1, [granted()], [put(Subject("s-1"))]))
    if not left:
        store.close()
    for ending in ["", *left.split()]:
        shutil.copy(f"{path}{ending}", small_disk)
    if left == "-wal":  # its index is never synced: a power cut leaves it empty
        (small_disk / "gateway.db-shm").touch()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    found = SqliteStore(small_disk / path.name, OPTIONS)
    with pytest.raises(StoreError):
        found.open()
    loaded = found.peek()
    assert (loaded.head, loaded.entities) == ((head.epoch, 1), (Subject("s-1"),))
    with pytest.raises(StoreError, match="not open"):
        found.commit(batch(1, [granted()]))


@pytest.mark.parametrize("left", ["", "-wal -shm"], ids=["closed", "killed"])
def test_a_disk_that_takes_nothing_can_still_be_read_at_a_start(
    tmp_path: Path, path: Path, left: str
) -> None:
    store = SqliteStore(path, OPTIONS)
    head = store.open().head
    store.commit(batch(1, [granted()], [put(Subject("s-1"))]))
    if not left:
        store.close()
    card = tmp_path / "card"
    card.mkdir()
    for ending in ["", *left.split()]:
        shutil.copy(f"{path}{ending}", card)
    found = SqliteStore(card / path.name, OPTIONS)
    with files_up_to(0):
        with pytest.raises(StoreError):
            found.open()
        loaded = found.peek()
    assert (loaded.head, loaded.entities) == ((head.epoch, 1), (Subject("s-1"),))


def test_a_first_start_that_came_no_further_than_the_tables_holds_nothing(path: Path) -> None:
    """X1: the next start, on a card that takes nothing by then, goes on without it."""
    path.parent.mkdir()
    connection = connect_writer(path)
    schema.prepare(connection)
    connection.close()
    with pytest.raises(StoreError, match="holds no journal yet"):
        SqliteStore(path, OPTIONS).peek()


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"open .*gateway\.db: .*File exists"):
        SqliteStore(tmp_path / "file" / "gateway.db", OPTIONS).open()
