"""What the platform says, and what the gateway answers (RULES B1, B3, B8, X2)."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures.broker import Broker
from fixtures.waiting import until
from uplink_rig import HOUR_MS, Rig, gateway, platform, prefill, window

from gateway.domain.bookings import Authority, Booking
from gateway.domain.calls import Call
from gateway.domain.events import PointEdge
from gateway.domain.points import PointRef
from gateway.domain.subjects import Credential, StandingRight, Subject
from simulators.platform import Platform
from simulators.platform.canonical import snapshot_digest


async def test_an_epoch_begins_with_a_snapshot_and_goes_on_with_changes(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        for name in ("b1", "b2", "b3"):
            await desk.book(name, "study", ["ann"], window())
        assert {b.id for b in rig.state.all(Booking)} == {"b1", "b2", "b3"}
        await desk.cancel("b2")
        assert {b.id for b in rig.state.all(Booking)} == {"b1", "b3"}
        sent = [json.loads(sent) for name, sent in desk.seen if name == "down/bookings"]
        kinds = {each["revision"]: each["type"] for each in sent}
        authority = rig.state.get(Authority, "bookings")
    assert kinds == {1: "snapshot", 2: "changes", 3: "changes", 4: "changes"}
    assert authority is not None
    assert (authority.epoch, authority.revision) == (desk.feeds["bookings"].epoch, 4)


async def test_what_was_said_offline_comes_with_the_connection(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk:
        booked = desk.book("b1", "study", ["ann"], window())
        right = desk.right("cleaners", "cleo", ["*"], hours=[[0, 480, 1_500]])
        async with gateway(tmp_path, broker.port) as rig:
            assert (await booked).accepted
            assert (await right).accepted
            standing = rig.state.get(StandingRight, "cleaners")
    assert standing is not None
    assert standing.hours is not None
    assert standing.hours.spans == ((0, 480, 1_500),)


async def test_bad_items_are_rejected_one_by_one_with_the_reason(
    tmp_path: Path, broker: Broker
) -> None:
    start, end = window()
    good = {"id": "good", "facility": "study", "subjects": ["ann"], "start_ms": start}
    good["end_ms"] = end
    bad: list[Any] = [
        {**good, "id": "float", "start_ms": 1.5},
        {**good, "id": "nobody", "subjects": []},
        {**good, "id": "No Identifier"},
        {**good, "id": "nowhere", "facility": "ballroom"},
        {**good, "id": "inverted", "end_ms": start},
        {"id": "bare"},
        ["no", "object"],
        {**good, "priority": 7},  # its id came before
    ]
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        desk.feeds["bookings"].opened = True
        message = {"type": "changes", "epoch": "e1", "revision": 1, "put": [good, *bad]}
        message["remove"] = ["gone", 7]
        await say(desk, "bookings", message)
        answer = await answered(desk)
        assert [b.id for b in rig.state.all(Booking)] == ["good"]
        await desk.until(lambda p: p.facts("sync.answered"))
        desk.seen = [each for each in desk.seen if each[0] != "down/bookings"]  # nonsense, meant so
    why = {each["id"]: each["why"] for each in answer["rejected"]}
    assert set(why) == {
        *("float", "nobody", "No Identifier", "nowhere", "inverted", "bare"),
        *("item.7", "good", "remove.1"),
    }
    assert "start_ms: " in why["float"]
    assert why["nowhere"] == "There is no facility ballroom."
    assert "expected each id once in a message" in why["good"]
    assert (answer["result"], answer["about"]["revision"]) == ("Accepted", 1)


async def test_a_pin_is_repeated_nowhere_whatever_is_wrong_with_it(
    tmp_path: Path, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "314159265358979323846264338327950288"  # longer than a PIN may be
    items = [
        {"kind": "pin", "id": "p1", "subject": "ann", "pin": secret},
        {"kind": secret, "id": "p2", "subject": "ann", "pin": "1234"},
        {"kind": "pin", "id": "p3", "subject": "ann", "pin": int(secret)},
        {"kind": "card", "id": "p4", "subject": "ann", "card": {"uid": secret}},
        {"kind": "pin", "id": "p5", "subject": "ann", "pin": " - - - "},
    ]
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        changes = {"type": "changes", "epoch": "e1", "revision": 1, "put": items}
        await say(desk, "subjects", changes)
        answer = await answered(desk)
        await say(desk, "subjects", {"type": "changes", "epoch": "e1", "pin": secret})
        await answered(desk)
        await desk.until(lambda p: p.facts("sync.answered"))
        assert rig.state.count(Credential) == 0
        up = b"".join(sent for name, sent in desk.seen if name.startswith("up/"))
        desk.seen.clear()
    assert {each["id"] for each in answer["rejected"]} == {"p1", "p2", "p3", "p4", "p5"}
    assert secret.encode() not in up
    assert secret not in capsys.readouterr().out
    assert secret.encode() not in kept(tmp_path)


NONSENSE: list[tuple[str, bytes, str]] = [
    ("bookings", b"", "expected JSON in UTF-8"),
    ("bookings", b"\xff\xfe", "expected JSON in UTF-8"),
    ("bookings", b'{"type": "\\ud800"}', "expected JSON in UTF-8"),
    ("bookings", b"[" * 5_000, "expected JSON in UTF-8"),
    ("bookings", b"[1]", "expected a JSON object, found list"),
    ("bookings", b'{"type": "wish"}', "'type' must be one of 'snapshot', 'changes'"),
    ("rights", b'{"type": "changes", "epoch": "e"}', "changes.revision: Field required"),
    ("rights", b'{"type": "changes", "epoch": "e", "revision": -1}', "changes.revision"),
    ("command", b'{"id": "c1", "name": "release_door"}', "target: Field required"),
    ("command", b'{"id": "c1", "arguments": {"x": 1.5}}', "arguments.x"),
    ("ack", b'{"epoch": "e"}', "seq: Field required"),
    ("weather", b"{}", "expected a topic of ack, command, bookings, subjects, rights"),
]


async def test_nonsense_is_answered_with_what_was_expected(tmp_path: Path, broker: Broker) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        for topic, payload, expected in NONSENSE:
            await say(desk, topic, payload)
            answer = await answered(desk)
            assert answer["result"] == "Invalid"
            assert answer["about"]["topic"] == topic
            assert any(expected in each for each in answer["expected"]), answer
        assert rig.uplink.health.malformed == len(NONSENSE)
        assert (await desk.book("b1", "study", ["ann"], window())).accepted
        desk.seen = [each for each in desk.seen if each[0].startswith("up/")]


async def test_an_acknowledgement_of_what_never_was_is_answered(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 5)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: len(p.records) >= 5)
        epoch = desk.records[0].epoch
        await say(desk, "ack", {"epoch": epoch, "seq": 900})
        answer = await answered(desk)
        assert rig.cursor() <= rig.engine.head.seq
    assert answer["expected"][0].startswith("seq: at most ")


async def test_a_message_too_large_is_refused(tmp_path: Path, broker: Broker) -> None:
    limit = {"message_bytes_max": 4_096, "protocol": "3.1.1"}  # 5.0 has the broker keep it back
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port, **limit):
        await say(desk, "bookings", b'{"filler": "' + b"x" * 5_000 + b'"}')
        answer = await answered(desk)
        desk.seen = [each for each in desk.seen if each[0].startswith("up/")]
    assert answer["expected"] == ["expected at most 4096 bytes, found 5014"]


async def test_a_snapshot_counts_and_proves_what_it_holds(tmp_path: Path, broker: Broker) -> None:
    start, end = window()
    items = [booking(f"b{n}", start, end) for n in range(3)]
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        desk.feeds["bookings"].opened = True
        for wrong in ({"count": 4}, {"digest": snapshot_digest(items[:2])}):
            await say(desk, "bookings", snapshot(items, 1, **wrong))
            answer = await answered(desk)
            assert (answer["result"], answer["reason"]["code"]) == ("Rejected", "digest_mismatch")
            assert rig.state.count(Booking) == 0
        await say(desk, "bookings", snapshot(list(reversed(items)), 1))
        assert (await answered(desk))["result"] == "Accepted"
        assert rig.state.count(Booking) == 3


async def test_a_snapshot_with_a_bad_item_is_believed_for_the_rest(
    tmp_path: Path, broker: Broker
) -> None:
    start, end = window()
    items = [booking("b1", start, end), {"id": "bad"}, booking("b2", start, end)]
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        desk.feeds["bookings"].opened = True
        await say(desk, "bookings", snapshot(items, 1))
        answer = await answered(desk)
        assert {b.id for b in rig.state.all(Booking)} == {"b1", "b2"}
        desk.seen = [each for each in desk.seen if each[0].startswith("up/")]
    assert answer["result"] == "Accepted"
    assert [each["id"] for each in answer["rejected"]] == ["bad"]


async def test_an_empty_snapshot_waits_for_a_second_or_for_a_person(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        for name in ("b1", "b2", "b3"):
            await desk.book(name, "study", ["ann"], window())
        desk.feeds["bookings"].items.clear()
        assert (await desk.snapshot()).result == "Held"
        assert rig.state.count(Booking) == 3
        assert (await desk.snapshot()).accepted
        assert rig.state.count(Booking) == 0
        await desk.book("b4", "study", ["ann"], window())
        desk.feeds["bookings"].items.clear()
        assert (await desk.snapshot(by="Ms Chen, duty desk")).accepted
        assert rig.state.count(Booking) == 0


async def test_a_retained_message_is_no_snapshot_and_no_command(
    tmp_path: Path, broker: Broker
) -> None:
    start, end = window()
    async with platform(broker.port) as desk:
        desk.feeds["bookings"].opened = True
        await desk.publish("bookings", snapshot([booking("b1", start, end)], 1), retain=True)
        await desk.publish("command", command("c1"), retain=True)
        async with gateway(tmp_path, broker.port) as rig:
            first, second = await answered(desk), await answered(desk)
            assert rig.state.count(Booking) == 0
        for topic in ("bookings", "command"):
            await desk.publish(topic, b"", retain=True)
        desk.seen = [each for each in desk.seen if each[1]]
    codes = {answer["about"]["topic"]: answer["reason"]["code"] for answer in (first, second)}
    assert codes == {"bookings": "snapshot_retained", "command": "malformed"}


async def test_an_older_or_repeated_revision_changes_nothing(
    tmp_path: Path, broker: Broker
) -> None:
    start, end = window()
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await say(desk, "bookings", snapshot([booking("b1", start, end)], 5))
        assert (await answered(desk))["reason"]["code"] == "applied"
        away = {"type": "changes", "epoch": "e1", "put": [], "remove": ["b1"]}
        for revision in (5, 3):
            await say(desk, "bookings", {**away, "revision": revision})
            answer = await answered(desk)
            assert (answer["result"], answer["reason"]["code"]) == ("Accepted", "old_revision")
        assert rig.state.count(Booking) == 1


async def test_the_same_bookings_in_another_order_end_the_same(
    tmp_path: Path, broker: Broker
) -> None:
    """RULES B2, over the wire."""
    start, end = window()
    first, second = booking("b1", start, end), booking("b2", start, end)
    first["created_ms"], second["created_ms"] = 1, 2
    stands = []
    for number, order in enumerate(((first, second), (second, first))):
        folder = tmp_path / str(number)
        async with platform(broker.port) as desk, gateway(folder, broker.port) as rig:
            for revision, item in enumerate(order, 1):
                message = {"type": "changes", "epoch": "e1", "revision": revision, "put": [item]}
                await say(desk, "bookings", message)
                await answered(desk)
            stands.append({b.id: b.status for b in rig.state.all(Booking)})
    assert stands[0] == stands[1] == {"b1": "enforced", "b2": "conflicted"}


async def test_a_gateway_that_lost_its_folder_gets_everything_again(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk:
        async with gateway(tmp_path / "old", broker.port):
            await desk.subject("ann", pin="271828", card="04:A1:B2:C3")
            await desk.book("b1", "study", ["ann"], window())
            await desk.until(lambda p: p.facts("booking.applied"))
        async with gateway(tmp_path / "new", broker.port) as rig:
            await until(lambda: rig.state.get(Booking, "b1"))
            await until(lambda: rig.state.count(Credential) == 2)
            assert rig.state.get(Subject, "ann") is not None
            await desk.until(lambda p: len(p.ledger.books) == 2 and p.facts("booking.applied"))
    assert desk.problems == []


async def test_a_command_runs_once_and_is_answered(tmp_path: Path, broker: Broker) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await rig.note(PointEdge(PointRef("board", "input_3"), True))
        call = desk_call(rig)
        answer = await desk.command("acknowledge_call", call, by="Ms Chen", id="c1")
        assert answer.accepted
        again = await desk.command("acknowledge_call", call, by="Ms Chen", id="c1")
        assert again.code == "already_done"
        assert (await desk.command("clear_call", call, by="Ms Chen")).code == "on_site_only"
        assert (await desk.command("open_sesame", call)).result == "Unknown"
        assert (
            await desk.command("release_door", "study_room_door", within_s=-1)
        ).code == "expired"
        await desk.until(lambda p: p.facts("call.acknowledged"))
    assert len(desk.facts("call.acknowledged")) == 1


async def test_a_flood_is_bounded_and_nothing_waits_behind_it(
    tmp_path: Path, broker: Broker
) -> None:
    prefill(tmp_path, 300)
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await say(desk, "bookings", b"{}")
        flood = {"type": "changes", "epoch": "e1", "revision": 1, "put": []}
        body = json.dumps(flood).encode()
        for _ in range(50):
            await asyncio.gather(*(desk.publish("bookings", body) for _ in range(30)))
        assert (await desk.command("open_sesame", "door")).result == "Unknown"
        await desk.until(lambda p: len(p.records) >= 300)
        await until(lambda: rig.cursor() >= 300)
        done = rig.uplink.health
        await until(lambda: done.answered + done.dropped >= 1_501)
        desk.seen = [each for each in desk.seen if each[0].startswith("up/")]


async def test_a_big_snapshot_comes_whole(tmp_path: Path, broker: Broker) -> None:
    start, _ = window()
    hour = HOUR_MS
    items = [booking(f"b{n}", start + n * hour, start + (n + 1) * hour) for n in range(4_000)]
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        desk.feeds["bookings"].opened = True
        await say(desk, "bookings", snapshot(items, 1, until_ms=start + 5_000 * hour))
        assert (await answered(desk))["result"] == "Accepted"
        assert rig.state.count(Booking) == 4_000


# --- what the tests say and hear ----------------------------------------------------------------


def booking(name: str, start: int, end: int) -> dict[str, Any]:
    who = {"id": name, "facility": "study", "subjects": ["ann"]}
    return {**who, "start_ms": start, "end_ms": end, "created_ms": start}


def snapshot(items: list[Any], revision: int, until_ms: int = 0, **more: Any) -> dict[str, Any]:
    start, end = window()
    message = {"type": "snapshot", "epoch": "e1", "revision": revision}
    whole = {"count": len(items), "digest": snapshot_digest(items), "items": items}
    return {**message, "window": {"from_ms": start, "until_ms": until_ms or end}, **whole, **more}


def command(name: str) -> dict[str, Any]:
    expires_ms = time.time_ns() // 1_000_000 + HOUR_MS
    return {
        "id": name,
        "name": "release_door",
        "target": "study_room_door",
        "expires_ms": expires_ms,
    }


def kept(folder: Path) -> bytes:
    """All that the gateway wrote."""
    return b"".join(file.read_bytes() for file in folder.glob("journal*"))


def desk_call(rig: Rig) -> str:
    (call,) = rig.state.all(Call)
    return call.id


async def say(desk: Platform, topic: str, message: Any) -> None:
    """Say something by hand to a gateway that listens, not through the platform's own feeds."""
    await desk.until(lambda p: p.cover.status.get("state") == "online")
    await desk.publish(topic, message)


async def answered(desk: Platform) -> dict[str, Any]:
    """The next answer."""
    heard = getattr(desk, "heard", 0)
    await desk.until(lambda p: len(p.answers) > heard)
    desk.heard = heard + 1  # type: ignore[attr-defined]
    return desk.answers[heard]
