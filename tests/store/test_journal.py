"""The journal as its readers see it."""

import timeit
from collections.abc import Callable
from pathlib import Path

import pytest
from store.samples import batch, call, granted, presence

from gateway.domain.errors import StoreError
from gateway.store.journal import SqliteJournal
from gateway.store.store import SqliteStore, StoreOptions


def test_reads_page_through_in_order(store: SqliteStore) -> None:
    store.commit(batch(1, [granted(door=f"d{n}") for n in range(7)]))
    pages, after = [], 0
    while page := store.journal.read(after, limit=3):
        after = page[-1].position.seq
        pages.append([record.position.seq for record in page])
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]


def test_a_read_costs_the_same_however_long_the_journal_is(store: SqliteStore) -> None:
    def cost(read: Callable[[], object]) -> float:
        return min(timeit.repeat(read, number=1, repeat=30))

    def costs(head: int) -> list[float]:
        journal = store.journal
        reads = (
            lambda: journal.read(head - 1),
            lambda: journal.read_urgent(0, 1),
            journal.head,
        )
        return [cost(read) for read in reads]

    short = costs(store.commit(batch(1, [granted(), granted()])).seq)
    for number in range(2, 4):
        store.commit(batch(number, [presence("f" * 500)] * 6_000))
    long = costs(store.journal.head().seq)
    assert all(after < 5 * before for before, after in zip(short, long, strict=True)), (short, long)


def test_urgent_records_are_read_ahead_of_the_backlog(store: SqliteStore) -> None:
    store.commit(batch(1, [granted(), call(), presence(), call("bath")]))
    assert [r.position.seq for r in store.journal.read_urgent(0)] == [2, 4]
    assert [r.position.seq for r in store.journal.read_urgent(2)] == [4]
    assert store.journal.read_urgent(4) == []


def test_a_cursor_is_seen_at_once_and_kept_with_the_next_transaction(path: Path) -> None:
    options = StoreOptions(machine="m", ballast_bytes=0)
    store = SqliteStore(path, options)
    store.open()
    assert store.journal.cursor("platform") == 0
    store.commit(batch(1, [granted(), granted()]))
    store.journal.set_cursor("platform", 2)
    assert store.journal.cursor("platform") == 2
    elsewhere = SqliteJournal(path)
    assert elsewhere.cursor("platform") == 0
    store.commit(batch(2, [granted()]))
    assert elsewhere.cursor("platform") == 2
    store.journal.set_cursor("platform", 3)
    store.close()
    store.open()
    assert store.journal.cursor("platform") == 3


def test_another_machine_begins_an_epoch_and_the_old_one_is_read_to_its_end(path: Path) -> None:
    """RULES U1: a copied card must not number on in the other machine's epoch."""
    first = SqliteStore(path, StoreOptions(machine="m-1", ballast_bytes=0))
    old = first.open().head.epoch
    first.commit(batch(1, [granted(), call(), presence()]))
    first.journal.set_cursor("platform", 1)
    first.set_meta({"machine_rtc": "True", "clock_floor_ms": "7"})
    first.close()
    moved = SqliteStore(path, StoreOptions(machine="m-2", ballast_bytes=0))
    loaded = moved.open()
    assert loaded.head.epoch != old
    assert loaded.head.seq == 0
    assert loaded.meta == {"epoch_origin": "moved", "clock_floor_ms": "7"}
    assert moved.commit(batch(1, [granted()])).seq == 1
    assert [r.position for r in moved.journal.read(0)] == [(loaded.head.epoch, 1)]
    (earlier,) = moved.journal.earlier("platform")
    assert earlier.head() == (old, 3)
    assert [r.position for r in earlier.read(earlier.cursor("platform"))] == [(old, 2), (old, 3)]
    assert [r.position for r in earlier.read_urgent(0)] == [(old, 2)]
    earlier.set_cursor("platform", 3)
    assert moved.journal.earlier("platform") == []
    assert moved.journal.cursor("platform") == 0


def test_the_same_machine_goes_on_in_its_epoch_also_when_its_id_cannot_be_read(path: Path) -> None:
    epochs = set()
    for machine in ("m-1", "", "m-1"):
        store = SqliteStore(path, StoreOptions(machine=machine, ballast_bytes=0))
        epochs.add(store.open().head.epoch)
        store.close()
    assert len(epochs) == 1


def test_reading_without_a_database_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        SqliteJournal(tmp_path / "none.db").head()
