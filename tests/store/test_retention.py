"""What leaves the journal, and when (RULES U1, U4); persons and payloads erased."""

import shutil
import sqlite3
import time
from pathlib import Path

from store.samples import DAY_MS, WALL_MS, at, batch, call, data, granted, presence

from gateway.domain.now import Now, Trust
from gateway.domain.records import Fact, Position, Record
from gateway.store.erasure import erase_payloads, erase_person, find_mentions
from gateway.store.retention import Housekeeping, RetentionPolicy
from gateway.store.store import SqliteStore, StoreOptions
from gateway.store.verify import verify

NO_RESERVE = RetentionPolicy(reserve_bytes=0)
NOON_MS = WALL_MS // DAY_MS * DAY_MS + DAY_MS // 2


def day(number: int, trust: Trust = Trust.SYNCHRONISED) -> Now:
    return at(NOON_MS + number * DAY_MS, trust=trust)


def seqs(store: SqliteStore) -> list[int]:
    return [record.position.seq for record in store.journal.read(0, limit=10_000)]


def dropped(store: SqliteStore) -> list[dict[str, object]]:
    return [
        data(r.payload) for r in store.journal.read(0, 10_000) if r.fact is Fact.RECORDS_DROPPED
    ]


def tidy(store: SqliteStore, now: Now, policy: RetentionPolicy = NO_RESERVE) -> None:
    housekeeping = Housekeeping(store, policy)
    while housekeeping.tidy(now):
        pass


def test_a_class_is_dropped_at_its_time_and_the_chain_still_verifies(
    store: SqliteStore, path: Path
) -> None:
    store.commit(batch(1, [presence(), call(), presence(), presence(), granted()], now=day(0)))
    store.commit(batch(2, [presence()], now=day(1)))
    store.journal.set_cursor("platform", 6)
    tidy(store, day(30))
    assert seqs(store) == [1, 2, 3, 4, 5, 6]  # a whole day more, so that drops come once a day
    tidy(store, day(31))
    assert seqs(store) == [2, 5, 6, 7]
    assert dropped(store) == [
        {
            "why": "retention",
            "class": "telemetry",
            "records": 3,
            "epoch": store.journal.head().epoch,
            "first": 1,
            "last": 4,
        }
    ]
    verdict = verify(path)
    assert (verdict.whole, verdict.dropped, verdict.records) == (True, 3, 4)


def test_buckets_go_with_the_records_they_were_added_up_of(store: SqliteStore) -> None:
    """U4: not before the last of them."""
    bucket = {"facility": "study", "start_ms": 0}
    first = [
        Record(Fact.BUCKET_CLOSED, {**bucket, "start_ms": ms, "spent_ms": {"idle": 900_000}})
        for ms in (0, 900_000)
    ]
    store.commit(batch(1, first, now=day(0)))
    store.commit(batch(2, [Record(Fact.BUCKET_AMENDED, {**bucket, "no_shows": 1})], now=day(9)))
    store.journal.set_cursor("platform", 3)
    tidy(store, day(2 * 365))
    assert len(store.utilization.changed("").buckets) == 2
    tidy(store, day(2 * 365 + 2))
    assert [one.start_ms for one in store.utilization.changed("").buckets] == [0]
    store.commit(batch(3, [call()], now=day(2 * 365 + 20)))
    store.journal.set_cursor("platform", 5)
    tidy(store, day(2 * 365 + 20))
    assert store.utilization.changed("").buckets == []


def test_nothing_goes_before_the_platforms_own_acknowledgement(store: SqliteStore) -> None:
    """RULES U1."""
    store.commit(batch(1, [presence(), presence(), presence()], now=day(0)))
    store.commit(batch(2, [call()], now=day(400)))
    tidy(store, day(400))
    assert seqs(store) == [1, 2, 3, 4]
    store.journal.set_cursor("platform", 2)
    tidy(store, day(400))
    assert seqs(store) == [3, 4, 5]


def test_without_a_platform_records_go_at_their_time(store: SqliteStore) -> None:
    store.commit(batch(1, [presence()], now=day(0)))
    store.commit(batch(2, [presence()], now=day(40)))
    tidy(store, day(40), RetentionPolicy(reader=None, reserve_bytes=0))
    assert seqs(store) == [2, 3]


def test_an_untrusted_clock_drops_nothing(store: SqliteStore) -> None:
    store.commit(batch(1, [presence()], now=day(0)))
    store.journal.set_cursor("platform", 1)
    tidy(store, day(9000, Trust.UNTRUSTED))
    assert seqs(store) == [1]


def test_a_record_of_an_untrusted_time_is_as_young_as_the_next_trusted_one(
    store: SqliteStore,
) -> None:
    in_1970 = at(5_000, trust=Trust.UNTRUSTED)
    store.commit(batch(1, [presence()], now=day(0)))
    store.commit(batch(2, [presence(), presence()], now=in_1970))
    store.commit(batch(3, [presence()], now=day(20)))
    store.commit(batch(4, [presence()], now=in_1970))
    store.journal.set_cursor("platform", 5)
    tidy(store, day(45))
    assert seqs(store)[:4] == [2, 3, 4, 5]
    tidy(store, day(51))
    assert seqs(store)[0] == 5  # the next trusted one is of day 45
    tidy(store, day(80))
    assert 5 not in seqs(store)


def test_a_time_in_the_future_does_not_keep_others_for_ever(store: SqliteStore) -> None:
    store.commit(batch(1, [presence()], now=day(0)))
    store.commit(batch(2, [presence()], now=day(5000)))  # a time server was wrong for a while
    store.commit(batch(3, [presence()], now=day(1)))
    store.journal.set_cursor("platform", 3)
    tidy(store, day(40))
    assert seqs(store) == [4]


def test_gaps_that_touch_become_one_and_a_journal_can_be_dropped_to_its_end(
    store: SqliteStore, path: Path
) -> None:
    policy = RetentionPolicy(days={"call": 10, "telemetry": 10, "audit": 20}, reserve_bytes=0)
    store.commit(batch(1, [call(), granted(), presence()] * 40, now=day(0)))
    store.journal.set_cursor("platform", 120)
    tidy(store, day(11), policy)
    assert verify(path).whole
    assert seqs(store)[:3] == [2, 5, 8]
    store.journal.set_cursor("platform", store.journal.head().seq)
    tidy(store, day(21), policy)
    head = store.journal.head()
    store.journal.set_cursor("platform", head.seq)
    tidy(store, day(42), policy)
    assert [record.fact for record in store.journal.read(0)] == [Fact.RECORDS_DROPPED]
    assert verify(path).whole
    store.close()
    assert store.open().head == store.journal.head()
    store.commit(batch(2, [call()]))
    verdict = verify(path)
    assert (verdict.whole, verdict.dropped) == (True, store.journal.head().seq - 2)


def test_an_earlier_epoch_is_tidied_too(path: Path) -> None:
    for machine in ("a", "b"):
        store = SqliteStore(path, StoreOptions(machine=machine, ballast_bytes=0))
        store.open()
        store.commit(batch(1, [presence(), call(), presence()], now=day(0)))
        store.journal.set_cursor("platform", 3)
        store.close()
    store.open()
    store.commit(batch(2, [granted()], now=day(40)))
    tidy(store, day(40))
    verdict = verify(path)
    assert (verdict.whole, verdict.dropped) == (True, 4)
    assert seqs(store)[0] == 2
    store.close()


def test_a_turn_is_bounded_and_says_when_there_is_more(store: SqliteStore, path: Path) -> None:
    store.commit(batch(1, [presence() for _ in range(4500)], now=day(0)))
    store.commit(batch(2, [call()], now=day(40)))
    store.journal.set_cursor("platform", 4500)
    housekeeping = Housekeeping(store, NO_RESERVE)
    left = []
    more = True
    while more:
        more = housekeeping.tidy(day(40))
        left.append(sum(1 for s in seqs(store) if s <= 4500))
    assert left[:3] == [2500, 500, 0]
    assert verify(path).whole


# --- want of space (U4)


def test_when_space_runs_out_telemetry_goes_first_and_a_record_says_how_much(
    store: SqliteStore, path: Path
) -> None:
    store.commit(batch(1, [presence(), call(), granted(), presence(), presence()], now=day(0)))
    store.journal.set_cursor("platform", 4)
    tidy(store, day(0), RetentionPolicy(reserve_bytes=10**18))
    records = store.journal.read(0)
    assert [r.position.seq for r in records] == [2, 3, 5, 6, 7]
    emptied = records[2]
    assert (emptied.fact, emptied.payload) == (Fact.PRESENCE_BEGAN, None)
    assert [(one["why"], one["records"]) for one in dropped(store)] == [
        ("space", 2),
        ("space_unsent", 1),
    ]
    verdict = verify(path)
    assert (verdict.whole, verdict.erased, verdict.dropped) == (True, 1, 2)


def test_room_is_made_and_used_again(store: SqliteStore, path: Path) -> None:
    wide = Record(Fact.PRESENCE_BEGAN, {"facility": "f" * 2000})
    store.commit(batch(1, [wide for _ in range(1500)]))
    store.journal.set_cursor("platform", 1500)
    store.erased()
    size = path.stat().st_size
    free = shutil.disk_usage(path.parent).free
    tidy(store, at(), RetentionPolicy(reserve_bytes=free + 1024**2))
    store.commit(batch(2, [wide for _ in range(1200)]))
    store.erased()
    assert path.stat().st_size <= size * 1.05


# --- erasing


def test_a_person_is_erased_everywhere_and_the_chain_still_verifies(
    store: SqliteStore, path: Path
) -> None:
    both = Record(Fact.CALL_ACKNOWLEDGED, {"call": "c"}, {"subject": "s-7", "person": "李雷"})
    store.commit(batch(1, [granted("s-7"), granted("s-77"), both, presence()]))
    mentions = find_mentions(path, "s-7")
    assert mentions.numbers == (1, 3)
    assert "s-7" not in repr(mentions)
    store.commit(batch(2, [granted("s-7")]))  # after the search
    position = erase_person(store, mentions, at(), by="desk")
    records = store.journal.read(0)
    assert [r.personal for r in records[:5]] == [None, b'{"subject":"s-77"}', None, None, None]
    assert all(r.salt is None for r in records if r.personal is None)
    told = records[-1]
    assert (told.position, told.fact) == (position, Fact.PAYLOAD_ERASED)
    assert data(told.payload) == {"what": "personal", "records": 3}
    assert told.personal == b'{"person":"desk"}'
    assert verify(path).whole
    assert find_mentions(path, "s-7").numbers == ()


def test_what_was_erased_is_in_no_file_any_more(store: SqliteStore, path: Path) -> None:
    name = "zhang-very-unlikely-name"
    for number in range(1, 30):
        store.commit(batch(number, [granted(f"{name}-{number}"), granted(name)]))
    erase_person(store, find_mentions(path, name), at())
    for number in range(1, 30):
        erase_person(store, find_mentions(path, f"{name}-{number}"), at())
    for file in path.parent.iterdir():
        assert name.encode() not in file.read_bytes(), file


def test_a_reader_in_its_midst_holds_nobody_up_and_the_log_is_emptied_after_it(
    store: SqliteStore, path: Path
) -> None:
    log = path.with_name("gateway.db-wal")
    store.commit(batch(1, [granted("a-person")]))
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM journal").fetchall()
    began = time.monotonic()
    erase_person(store, find_mentions(path, "a-person"), at())
    assert time.monotonic() - began < 1
    assert b"a-person" in log.read_bytes()
    reader.close()
    tidy(store, at())
    assert b"a-person" not in log.read_bytes() + path.read_bytes()


def test_a_payload_is_erased_with_its_persons(store: SqliteStore, path: Path) -> None:
    store.commit(batch(1, [granted(), granted(), call()]))
    epoch = store.journal.head().epoch
    wanted = [Position(epoch, 2), Position("gone", 1), Position(epoch, 99)]
    erase_payloads(store, wanted, at())
    second, last = store.journal.read(0)[1::2]
    assert (second.payload, second.personal, second.salt) == (None, None, None)
    assert data(last.payload) == {"what": "payload", "records": 1}
    assert verify(path).whole
    before = store.journal.head()
    assert erase_payloads(store, wanted, at()) == before  # nothing to tell


def test_quotes_in_a_name_do_not_hide_it(store: SqliteStore, path: Path) -> None:
    odd = 'O"Brien\\ 名'
    store.commit(batch(1, [granted(odd), granted('O"Brien')]))
    assert find_mentions(path, odd).numbers == (1,)
