"""The simulated platform sees what is wrong: a judge that never finds anything is none."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.broker import Broker
from uplink_rig import GATEWAY, gateway, prefill

from gateway.store.store import SqliteStore, StoreOptions
from gateway.uplink.envelope import fill
from simulators.platform import Ledger

Event = dict[str, Any]


@pytest.fixture
def events(tmp_path: Path) -> list[Event]:
    """Ten records on the wire; the third has a personal part, the fourth is urgent."""
    prefill(tmp_path, 10, lambda n: n == 4)
    store = SqliteStore(tmp_path / "journal.db", StoreOptions(ballast_bytes=0))
    store.open()
    _, batch = fill(GATEWAY, store.journal.read(0), 1_000_000, 0)
    store.close()
    found: list[Event] = json.loads(batch)
    return found


def take(ledger: Ledger, events: list[Event], urgent: bool = False) -> dict[str, Any] | None:
    return ledger.take(json.dumps(events).encode(), urgent=urgent)


def test_records_in_order_are_booked_and_acknowledged(events: list[Event]) -> None:
    ledger = Ledger(GATEWAY)
    ack = take(ledger, events)
    assert ack is not None
    assert (ack["seq"], ack["also"], len(ledger.records)) == (10, [], 10)
    assert ledger.problems == []


def test_what_comes_twice_counts_once(events: list[Event]) -> None:
    ledger = Ledger(GATEWAY)
    take(ledger, events)
    take(ledger, events[5:])
    assert (len(ledger.records), ledger.duplicates, ledger.problems) == (10, 5, [])


def test_a_gap_is_not_booked_and_not_acknowledged(events: list[Event]) -> None:
    ledger = Ledger(GATEWAY)
    ack = take(ledger, [*events[:4], *events[6:]])
    assert ack is not None
    assert (ack["seq"], ledger.gaps, len(ledger.records)) == (4, 4, 4)
    take(ledger, events[4:])
    assert (len(ledger.records), ledger.problems) == (10, [])


def test_an_urgent_record_is_had_and_moves_nothing(events: list[Event]) -> None:
    ledger = Ledger(GATEWAY)
    ack = take(ledger, [events[3]], urgent=True)
    assert ack is not None
    assert (ack["seq"], ack["also"]) == (0, [4])
    take(ledger, events)
    assert [entry.urgent for entry in ledger.records] == [n == 4 for n in range(1, 11)]
    assert ledger.problems == []


def change(path: str, value: Any) -> Callable[[Event], None]:
    def do(event: Event) -> None:
        *way, last = path.split(".")
        for part in way:
            event = event[part]
        event[last] = value

    return do


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (change("data.record.data.n", 99), "its payload does not have its digest"),
        (change("data.personal.subject", "eve"), "its personal part does not have its digest"),
        (change("data.salt", "00"), "its personal part does not have its digest"),
        (change("data.chain", "00" * 32), "the chain breaks here"),
        (change("data.seq", 4), "its envelope does not fit it"),
        (change("type", "commons.call.raised"), "its type is another in the envelope"),
        (change("source", "/commons/another"), "it comes from /commons/another"),
        (change("data", {}), "an event makes no sense"),
    ],
)
def test_harm_is_seen(events: list[Event], harm: Callable[[Event], None], problem: str) -> None:
    ledger = Ledger(GATEWAY)
    harm(events[2])
    take(ledger, events)
    assert any(problem in each for each in ledger.problems), ledger.problems
    assert len(ledger.records) < 10


def test_a_record_that_comes_again_as_another_is_seen(events: list[Event]) -> None:
    ledger = Ledger(GATEWAY)
    take(ledger, events)
    take(ledger, [{**events[4], "data": {**events[4]["data"], "chain": "00" * 32}}])
    assert ledger.problems == [f"{ledger.records[4].epoch}:5: came again as another"]


async def test_as_a_process_it_tells_and_obeys(tmp_path: Path, broker: Broker) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators.platform"),
        *("--port", str(broker.port), "--gateway", GATEWAY),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with gateway(tmp_path, broker.port):
        process.stdin.write(b'dance\nsubject ["ann", ["staff"], "271828"]\n')
        seen: set[str] = set()
        async with asyncio.timeout(15):
            while not {"answer", "record", "error"} <= seen:
                seen |= json.loads(await process.stdout.readline()).keys()
    process.stdin.close()
    assert await process.wait() == 0
