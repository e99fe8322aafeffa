"""The journal at the platform: once, in order, chain verified (RULES U1)."""

from pathlib import Path

from fixtures.broker import Broker
from uplink_rig import gateway, platform, prefill, until, window

from gateway.domain.bookings import Booking
from gateway.domain.subjects import Credential, CredentialKind
from gateway.security.credentials import KeyedCredentials


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
