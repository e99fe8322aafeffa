"""The journal at the platform: once, in order, chain verified (RULES U1)."""

import time
from pathlib import Path

from fixtures.broker import Broker
from fixtures.waiting import until
from uplink_rig import Rig, drop, gateway, platform, prefill, window

from gateway.domain.bookings import Booking
from gateway.domain.events import PointEdge, Stopping
from gateway.domain.points import PointRef
from gateway.domain.records import Position
from gateway.domain.subjects import Credential, CredentialKind
from gateway.security.credentials import KeyedCredentials


async def note(rig: Rig, why: str) -> int:
    return await rig.note(Stopping(why))


async def test_records_come_once_in_order_and_the_platforms_word_moves_the_cursor(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 450)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: len(p.records) == 450)
        await until(lambda: rig.cursor() == 450)
    assert [record.seq for record in desk.records] == list(range(1, 451))
    assert desk.records[2].data == {
        "n": 3,
        "door": "study_room_door",
        "note": '开门 "quoted" \n line',
        "subject": "s3",
    }
    assert desk.problems == []


async def test_a_brokers_word_moves_nothing(tmp_path: Path, broker: Broker) -> None:
    prefill(tmp_path, 50)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        desk.faults.silent = True
        await desk.until(lambda p: len(p.records) == 50)
        await desk.until(lambda p: p.ledger.duplicates >= 50)
        assert rig.cursor() == 0
        desk.faults.silent = False
        await until(lambda: rig.cursor() == 50)
    assert desk.problems == []


async def test_bookings_and_pins_come_down_as_changes_and_are_answered(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        assert (await desk.subject("ann", pin="271828")).accepted
        assert (await desk.book("b1", "study", ["ann"], window())).accepted
        booking = rig.state.get(Booking, "b1")
        credential = rig.state.get(Credential, "ann-pin")
        await desk.until(lambda p: p.facts("booking.applied"))
    assert booking is not None
    assert booking.subjects == ("ann",)
    assert credential is not None
    expected = KeyedCredentials(bytes(range(32))).pin("271828").digest
    assert (credential.type, credential.digest) == (CredentialKind.PIN, expected)
    assert desk.facts("booking.applied")[0].data["subjects"] == "ann"
    assert not any(b"271828" in sent for name, sent in desk.seen if name.startswith("up/"))
    assert desk.problems == []


async def test_after_an_outage_every_record_is_there_once(tmp_path: Path, broker: Broker) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        first = await note(rig, "before")
        await desk.until(lambda p: len(p.records) >= first)
        broker.stop()
        await until(lambda: not rig.uplink.health.connected)
        for number in range(20):
            last = await note(rig, f"meanwhile {number}")
        assert len(desk.records) < last
        broker.start()
        await desk.until(lambda p: len(p.records) >= last)
        await until(lambda: rig.cursor() >= last)
    causes = [each.data["cause"] for each in desk.facts("gateway.stopped")]
    assert causes == ["before", *(f"meanwhile {number}" for number in range(20))]
    assert desk.problems == []


async def test_a_platform_that_was_away_says_where_to_go_on(tmp_path: Path, broker: Broker) -> None:
    prefill(tmp_path, 300)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: len(p.records) == 300)
        await desk.offline()
        last = await note(rig, "while the platform was away")
        await desk.online()
        await desk.until(lambda p: len(p.records) == last)
        assert rig.uplink.health.connections == 1
    assert desk.problems == []


async def test_lost_late_and_doubled_acknowledgements_cost_repeats_alone(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 600)
    async with (
        platform(broker.port) as desk,
        gateway(tmp_path, broker.port, batch_records=50, window_records=200) as rig,
    ):
        desk.faults.drop = 3
        desk.faults.twice = True
        await desk.until(lambda p: len(p.records) >= 200)
        desk.faults.delay_s = 0.05
        await desk.until(lambda p: len(p.records) == 600)
        await until(lambda: rig.cursor() == 600)
    assert [record.seq for record in desk.records] == list(range(1, 601))
    assert desk.ledger.duplicates > 0
    assert desk.problems == []


async def test_acknowledgements_out_of_order_move_the_cursor_forward_only(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 100)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        desk.faults.silent = True
        await desk.until(lambda p: len(p.records) == 100)
        epoch = desk.records[0].epoch
        for seq in (70, 30, 70, 10):
            await desk.publish("ack", {"epoch": epoch, "seq": seq})
        await desk.publish("ack", {"epoch": "another", "seq": 99})
        await until(lambda: rig.uplink.sender.foreign == 1)  # which came last
        assert await until(rig.cursor) == 70


async def test_calls_go_up_ahead_of_a_backlog_and_move_no_cursor(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 3_000)
    async with platform(broker.port) as desk:
        desk.faults.delay_s = 0.05  # a window a round trip: the backlog takes its time
        async with gateway(tmp_path, broker.port, window_records=200, resend_ms=10_000) as rig:
            await desk.until(lambda p: len(p.records) >= 400)
            press = PointEdge(PointRef("board", "input_3"), True)
            head = await rig.note(press)
            began = len(desk.records)
            await desk.until(lambda p: p.ledger.calls_ahead)
            assert len(desk.records) - began <= 400
            raised = desk.ledger.calls_ahead[0]
            assert raised.fact == "call.raised"
            await rig.uplink.acknowledged(Position(raised.epoch, raised.seq))
            assert rig.cursor() < 3_000
            desk.faults.delay_s = 0
            await desk.until(lambda p: len(p.records) >= head, 20)
    assert desk.facts("call.raised") == [raised]
    assert desk.problems == []


async def test_a_restart_of_the_gateway_loses_and_doubles_nothing(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 2_000)
    async with platform(broker.port) as desk:
        desk.faults.delay_s = 0.02
        async with gateway(tmp_path, broker.port, window_records=200):
            await desk.until(lambda p: len(p.records) >= 600)
        async with gateway(tmp_path, broker.port) as rig:
            assert rig.cursor() > 0
            last = await note(rig, "after")
            await desk.until(lambda p: len(p.records) == last)
    assert [record.seq for record in desk.records] == list(range(1, last + 1))
    assert desk.problems == []


async def test_a_platform_restored_from_an_older_copy_gets_what_it_lacks(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 500)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: len(p.records) == 500)
        await until(lambda: rig.cursor() == 500)
        async with platform(broker.port) as restored:
            await desk.offline()
            epoch = desk.records[0].epoch
            await restored.publish("ack", {"epoch": epoch, "seq": 0, "resume": True})
            await restored.until(lambda p: len(p.records) == 500)
    assert restored.problems == []


async def test_the_end_of_an_earlier_epoch_goes_up_too(tmp_path: Path, broker: Broker) -> None:
    prefill(tmp_path, 120, machine="old")
    prefill(tmp_path, 30, machine="new")
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port, machine="new"):
        await desk.until(lambda p: sorted(b.seq for b in p.ledger.books.values()) == [30, 120])
    assert desk.problems == []


async def test_what_was_dropped_at_its_time_is_said(tmp_path: Path, broker: Broker) -> None:
    prefill(tmp_path, 90)
    drop(tmp_path, 11, 40)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: len(p.records) == 90)
        await until(lambda: rig.cursor() == 90)
    assert desk.ledger.dropped == 30
    assert [entry.seq for entry in desk.facts("dropped")] == list(range(11, 41))
    assert desk.problems == []


async def test_a_backlog_drains_fast(tmp_path: Path, broker: Broker) -> None:
    prefill(tmp_path, 8_000)
    async with platform(broker.port) as desk:
        began = time.monotonic()
        async with gateway(tmp_path, broker.port, resend_ms=10_000):
            await desk.until(lambda p: len(p.records) == 8_000)
        took = time.monotonic() - began
    print(f"8,000 records in {took:.1f} s: {8_000 / took:,.0f}/s, verified at the other end")
    assert took < 30
    assert desk.problems == []
