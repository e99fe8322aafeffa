"""Verification says exactly where a journal is damaged, and how."""

import json
import sqlite3
from pathlib import Path

import pytest
from store.samples import at, batch, call, granted, presence

from gateway.domain.now import Trust
from gateway.store.export import Selection, export
from gateway.store.store import SqliteStore, StoreOptions
from gateway.store.verify import DamageKind, verify


@pytest.fixture
def filled(store: SqliteStore) -> SqliteStore:
    store.commit(batch(1, [granted(), call(), presence()]))
    store.commit(batch(2, [granted("s-2"), presence()], now=at(5, trust=Trust.UNTRUSTED)))
    return store


def test_a_whole_journal_is_whole_also_in_use(filled: SqliteStore, path: Path) -> None:
    verdict = verify(path)
    assert (verdict.whole, verdict.records, verdict.erased) == (True, 5, 0)


def test_erased_payloads_and_persons_leave_the_chain_whole(filled: SqliteStore, path: Path) -> None:
    change(path, "UPDATE journal SET payload=NULL WHERE number IN (2, 3)")
    change(path, "UPDATE journal SET personal=NULL, salt=NULL")
    verdict = verify(path)
    assert (verdict.whole, verdict.erased) == (True, 2)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            "UPDATE journal SET payload=replace(payload, 'hall', 'bath') WHERE number=2",
            [(2, "payload")],
        ),
        ('UPDATE journal SET personal=\'{"subject":"x"}\' WHERE number=4', [(4, "personal")]),
        ("UPDATE journal SET salt=NULL WHERE number=1", [(1, "personal")]),
        ("UPDATE journal SET fact='access.refused' WHERE number=1", [(1, "column")]),
        ("UPDATE journal SET at_ms=9 WHERE number=5", [(5, "column")]),
        ("UPDATE journal SET trusted=1 WHERE number=5", [(5, "column")]),
        ("UPDATE journal SET chain=zeroblob(32) WHERE number=3", [(3, "chain")]),
        (
            "UPDATE journal SET payload=NULL, payload_digest=zeroblob(32) WHERE number=3",
            [(3, "chain")],
        ),
        (
            "UPDATE journal SET chain=zeroblob(32), salt=7 WHERE number IN (1, 4)",
            [(1, "personal"), (1, "chain"), (4, "personal"), (4, "chain")],
        ),
        ("DELETE FROM journal WHERE number IN (2, 3)", [(2, "gap")]),
        ("DELETE FROM journal WHERE number=1", [(1, "gap")]),
        ("DELETE FROM journal WHERE number>3", [(4, "end")]),
        ("DELETE FROM journal", [(1, "end")]),
    ],
)
def test_each_damage_is_told_once_where_it_is(
    filled: SqliteStore, path: Path, damage: str, expected: list[tuple[int, str]]
) -> None:
    filled.journal.set_cursor("platform", 5)
    filled.close()
    change(path, damage)
    verdict = verify(path)
    assert [(d.position.seq, d.kind.value) for d in verdict.damages] == expected
    assert not verdict.whole


def test_a_damage_says_what_was_expected_and_found(filled: SqliteStore, path: Path) -> None:
    change(path, "DELETE FROM journal WHERE number IN (2, 3)")
    (damage,) = verify(path).damages
    assert str(damage) == f"{filled.journal.head().epoch}/2: gap: expected seq 2, found seq 4"


def test_a_file_that_cannot_be_read_further_is_a_damage(path: Path) -> None:
    store = SqliteStore(path, StoreOptions(ballast_bytes=0))
    store.open()
    store.commit(batch(1, [granted(door="x" * 900) for _ in range(2000)]))
    store.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    damages = verify(path).damages
    assert [damage.kind for damage in damages] == [DamageKind.FILE]
    assert 1 < damages[0].position.seq <= 2000


def test_an_export_is_one_json_object_a_record(filled: SqliteStore, path: Path) -> None:
    lines = [json.loads(line) for line in export(path)]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[1]["payload"]["data"] == {"call": "call-1", "place": "hall"}
    assert lines[0]["payload_digest"] == filled.journal.read(0)[0].payload_digest.hex()
    assert not any("personal" in line for line in lines)


@pytest.mark.parametrize(
    ("selection", "seqs"),
    [
        (Selection(facts=("call.",)), [2]),
        (Selection(facts=("presence.", "access.granted")), [1, 3, 4, 5]),
        (Selection(to_ms=6), [4, 5]),
        (Selection(from_ms=6, facts=("access.",)), [1]),
        (Selection(after=3), [4, 5]),
        (Selection(facts=("c_ll",)), []),
    ],
)
def test_an_export_holds_what_was_selected(
    filled: SqliteStore, path: Path, selection: Selection, seqs: list[int]
) -> None:
    assert [json.loads(line)["seq"] for line in export(path, selection)] == seqs


def test_an_export_with_persons_proves_them(filled: SqliteStore, path: Path) -> None:
    first = json.loads(next(export(path, Selection(personal=True))))
    assert first["personal"] == {"subject": "s-1"}
    assert len(first["salt"]) == 32


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement)
