"""Buckets as the journal's facts add them up (RULES U2)."""

from collections.abc import Mapping
from typing import Any

from store.samples import batch, granted

from gateway.domain.records import Fact, Record
from gateway.domain.utilization import BUCKET_MS, STATES, Bucket, Changed, Counts, Total
from gateway.store.store import SqliteStore

START = 1_750_000_500_000 // BUCKET_MS * BUCKET_MS


def closed(at: int, facility: str = "study", **data: Any) -> Record:
    spent = data.pop("spent_ms", {"idle": BUCKET_MS})
    return Record(
        Fact.BUCKET_CLOSED,
        {"facility": facility, "start_ms": START + at * BUCKET_MS, "spent_ms": spent, **data},
    )


def amended(at: int, **data: Any) -> Record:
    return Record(
        Fact.BUCKET_AMENDED, {"facility": "study", "start_ms": START + at * BUCKET_MS, **data}
    )


def spent(**states: int) -> tuple[int, ...]:
    return tuple(states.get(state.value, 0) for state in STATES)


def ms(total: Total) -> Mapping[str, int]:
    return {s.value: v for s, v in zip(STATES, total.spent, strict=True) if v}


def test_a_closed_bucket_and_what_came_later_are_one_row(store: SqliteStore) -> None:
    half = {"in_use_booked": BUCKET_MS // 2, "idle": BUCKET_MS // 2}
    first = closed(0, spent_ms=half, energy_wh=100, visits=1, refused={"in_use": 2})
    store.commit(batch(1, [granted(), first]))
    store.commit(batch(2, [amended(0, energy_wh=40, no_shows=1)]))
    assert store.utilization.changed("").buckets == [
        Bucket(
            "study",
            START,
            2,
            spent(in_use_booked=BUCKET_MS // 2, idle=BUCKET_MS // 2),
            Counts(140, 0, 1, 1, (("in_use", 2),)),
        )
    ]


def test_a_quarter_that_is_closed_again_has_the_later_times_and_the_sum_of_all_counts(
    store: SqliteStore,
) -> None:
    """U2: after a clock that had been wrong; it never holds more than a quarter of an hour."""
    store.commit(batch(1, [closed(0, visits=1, refused={"in_use": 2})]))
    again = closed(
        0, spent_ms={"held": BUCKET_MS}, energy_wh=5, refused={"in_use": 1, "expired": 1}
    )
    store.commit(batch(2, [again]))
    store.commit(batch(3, [amended(0, refused={"expired": 1})]))
    (found,) = store.utilization.changed("").buckets
    counts = Counts(5, 0, 1, 0, (("expired", 2), ("in_use", 3)))
    assert found == Bucket("study", START, 3, spent(held=BUCKET_MS), counts)


def test_whoever_pulls_gets_what_changed_since_and_each_change_once(store: SqliteStore) -> None:
    """U1, U2: also what was amended after it had been pulled."""
    store.commit(batch(1, [closed(0), closed(1)]))
    epoch = store.journal.head().epoch
    first = store.utilization.changed("", 1)
    second = store.utilization.changed(first.cursor)
    starts = [one.start_ms for one in first.buckets + second.buckets]
    assert starts == [START, START + BUCKET_MS]
    assert store.utilization.changed(second.cursor) == Changed([], epoch, second.cursor)
    store.commit(batch(2, [amended(0, energy_wh=7)]))
    (again,) = store.utilization.changed(second.cursor).buckets
    assert (again.start_ms, again.revision, again.counts.energy_wh) == (START, 2, 7)


def test_a_cursor_of_another_journal_begins_anew(store: SqliteStore) -> None:
    store.commit(batch(1, [closed(0)]))
    epoch = store.journal.head().epoch
    for strange in ("another:5", "nonsense", "", f"{epoch}:x", f"{epoch}:2"):  # of two records
        found = store.utilization.changed(strange)
        assert len(found.buckets) == 1
        assert store.utilization.changed(found.cursor).buckets == []


def test_totals_are_by_period_and_facility(store: SqliteStore) -> None:
    records = [closed(n, refused={"in_use": 1, "slow_down": n}) for n in range(4)]
    store.commit(batch(1, [*records, closed(0, "gym", spent_ms={"closed": BUCKET_MS})]))
    hours = [(START + n * 2 * BUCKET_MS, START + (n + 1) * 2 * BUCKET_MS) for n in range(3)]
    groups = [["study"], ["gym"], ["nowhere"], ["study", "gym"]]
    found, gym, nowhere, both = store.utilization.totals(groups, hours)
    assert set(found) == {0, 1}
    assert ms(found[1]) == {"idle": 2 * BUCKET_MS}
    assert found[1].counts.refused == (("in_use", 2), ("slow_down", 5))
    assert ms(gym[0]) == {"closed": BUCKET_MS}
    assert nowhere == {}
    assert ms(both[0]) == {"idle": 2 * BUCKET_MS, "closed": BUCKET_MS}
    (again,) = store.utilization.totals([["gym"]], hours[1:])  # other periods, the same connection
    assert again == {}
