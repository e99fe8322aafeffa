"""Commits: numbers without gaps, exact bytes, the chain, entities in the same transaction."""

import hashlib
import json
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from store.samples import at, batch, call, granted, presence

from gateway.domain.bookings import Booking, Terms
from gateway.domain.errors import StoreError
from gateway.domain.now import Trust
from gateway.domain.records import (
    NO_PERSONAL,
    Fact,
    Record,
    chain_next,
    chain_start,
    personal_digest,
)
from gateway.domain.state import drop, put
from gateway.domain.subjects import Subject
from gateway.store.store import SqliteStore, StoreOptions

OPTIONS = StoreOptions(machine="machine-1", ballast_bytes=0)


def test_a_new_folder_holds_nothing_and_has_an_epoch(path: Path) -> None:
    loaded = SqliteStore(path, OPTIONS).open()
    assert loaded.entities == ()
    assert len(loaded.head.epoch) == 16
    assert loaded.head.seq == 0


def test_numbers_follow_without_gaps_over_batches_and_restarts(path: Path) -> None:
    store = SqliteStore(path, OPTIONS)
    epoch = store.open().head.epoch
    assert store.commit(batch(1, [granted(), granted()])) == (epoch, 2)
    assert store.commit(batch(2)) == (epoch, 2)
    store.close()
    again = SqliteStore(path, OPTIONS)
    assert again.open().head == (epoch, 2)
    assert again.commit(batch(1, [call()])) == (epoch, 3)
    assert [r.position.seq for r in again.journal.read(0)] == [1, 2, 3]


def test_a_payload_is_canonical_and_its_exact_bytes_are_hashed(store: SqliteStore) -> None:
    now = at(wall_ms=1_000, mono_ms=7, trust=Trust.UNTRUSTED)
    store.commit(
        batch(1, [Record(Fact.FIRE, {"zone": "z", "名": "厨房", "n": [1, None]})], now=now)
    )
    (record,) = store.journal.read(0)
    assert (
        record.payload
        == (
            '{"at_ms":1000,"boot":"boot-1","data":{"n":[1,null],"zone":"z","名":"厨房"},'
            '"mono_ms":7,"timeline":0,"trust":"untrusted","type":"fire.latched"}'
        ).encode()
    )
    assert record.payload_digest == hashlib.sha256(record.payload).digest()
    assert (record.at_ms, record.personal_digest) == (1_000, NO_PERSONAL)


def test_the_chain_runs_from_the_epoch_over_both_digests(store: SqliteStore) -> None:
    store.commit(batch(1, [granted(), presence(), call()]))
    chain = chain_start(store.journal.head().epoch)
    for record in store.journal.read(0):
        chain = chain_next(
            chain, record.position.seq, record.payload_digest, record.personal_digest
        )
        assert record.chain == chain


def test_personal_fields_lie_apart_with_a_salt(path: Path) -> None:
    salts = iter(range(1, 9))
    store = SqliteStore(path, replace(OPTIONS, randomness=lambda size: bytes([next(salts)]) * size))
    store.open()
    store.commit(batch(1, [granted("s-7"), presence()]))
    with_person, without = store.journal.read(0)
    assert with_person.payload is not None
    assert b"s-7" not in with_person.payload
    assert with_person.personal == b'{"subject":"s-7"}'
    assert with_person.salt == bytes([2]) * 16
    assert with_person.personal_digest == personal_digest(bytes([2]) * 16, b'{"subject":"s-7"}')
    assert (without.personal, without.salt) == (None, None)


@pytest.mark.parametrize(
    ("odd", "written"),
    [
        (21.5, b'"21.5"'),
        ([{"deep": float("inf")}], b'[{"deep":"inf"}]'),
        ("half \ud83d pair", b'"half ? pair"'),
        (frozenset({2, 1}), b"[1,2]"),
        (Trust.HOLDOVER, b'"holdover"'),
        (2**80, b"1208925819614629174706176"),
    ],
)
def test_nothing_a_record_holds_can_stop_a_commit(
    store: SqliteStore, odd: object, written: bytes
) -> None:
    store.commit(batch(1, [Record(Fact.FAULT_OPENED, {"odd": odd}, {"person": "\udc80"})]))
    (record,) = store.journal.read(0)
    assert record.payload is not None
    assert b'"data":{"odd":' + written + b"}" in record.payload
    assert record.personal == b'{"person":"?"}'


def test_entities_are_put_and_dropped_with_their_records(path: Path) -> None:
    store = SqliteStore(path, OPTIONS)
    store.open()
    one, two = Subject("s-1"), Subject("s-2", active=False)
    store.commit(batch(1, [granted()], [put(one), put(two), put(Subject("s-3"))]))
    store.commit(batch(2, [], [put(replace(one, active=False)), put(one), drop(Subject, "s-3")]))
    store.commit(batch(3, [], [drop(Subject, "s-9"), drop(Subject, "s-2"), put(two)]))
    store.close()
    assert set(SqliteStore(path, OPTIONS).open().entities) == {one, two}


def test_a_failed_batch_leaves_nothing_of_itself(store: SqliteStore, path: Path) -> None:
    store.commit(batch(1, [granted()]))
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON entity BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    with pytest.raises(StoreError, match="no"):
        store.commit(batch(2, [granted(), call()], [put(Subject("s-1"))]))
    with pytest.raises(StoreError, match="not open"):
        store.commit(batch(3, [granted()]))
    loaded = store.open()
    assert (loaded.head.seq, loaded.entities) == (1, ())


def test_meta_is_kept(path: Path) -> None:
    store = SqliteStore(path, OPTIONS)
    store.open()
    store.set_meta({"floor_ms": "12", "boot": "b"})
    store.set_meta({"floor_ms": "13"})
    store.close()
    meta = SqliteStore(path, OPTIONS).open().meta
    assert (meta["floor_ms"], meta["boot"]) == ("13", "b")


def test_the_file_is_its_owners_alone(store: SqliteStore, path: Path) -> None:
    store.commit(batch(1, [granted()]))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_booking_reads_as_json_in_the_table(store: SqliteStore, path: Path) -> None:
    booking = Booking("b-1", Terms("study", ("s-1",), 1, 2))
    store.commit(batch(1, [], [put(booking)]))
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as other:
        ((version, body),) = other.execute("SELECT version, body FROM entity WHERE id='b-1'")
    assert version == 1
    assert json.loads(body)["terms"]["subjects"] == ["s-1"]
