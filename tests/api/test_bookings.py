"""Bookings, people and rights: read by filter, put by revision (RULES B1, B3, B4)."""

import json
from typing import Any

import pytest
from api.api_rig import HOUR_MS, PIN, Rig

from gateway.domain.bookings import Booking
from gateway.domain.subjects import Credential, StandingRight
from gateway.uplink.messages import digest

API = "/api/v1/bookings"
SYNC = "/api/v1/sync"


def item(id_: str, start_ms: int, **more: Any) -> dict[str, Any]:
    """A booking as the platform says it."""
    said = {"id": id_, "facility": "study", "subjects": ["ada"], "start_ms": start_ms}
    return said | {"end_ms": start_ms + HOUR_MS} | more


def changes(revision: int, *put: Any, **more: Any) -> dict[str, Any]:
    return {"type": "changes", "epoch": "p1", "revision": revision, "put": list(put)} | more


def snapshot(revision: int, window: tuple[int, int], *items: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": "snapshot",
        "epoch": "p1",
        "revision": revision,
        "window": {"from_ms": window[0], "until_ms": window[1]},
        "count": len(items),
        "digest": digest(items),
        "items": list(items),
    } | more


async def put(rig: Rig, stream: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = await rig.post(f"{SYNC}/{stream}", body, "platform")
    return answer.status_code, answer.json()


async def test_changes_are_applied_and_answered_with_what_was_rejected(rig: Rig) -> None:
    """RULES B1."""
    now_ms = rig.clock.wall_ms()
    body = changes(
        1, item("b1", now_ms), item("b2", now_ms, facility="sauna"), item("b3", now_ms, end_ms=1)
    )
    status, answer = await put(rig, "bookings", body)
    assert status == 200
    assert (answer["revision"], answer["platform_epoch"]) == (1, "p1")
    assert answer["durable"] is True
    assert {one["id"]: one["code"] for one in answer["rejected"]} == {
        "b2": "unknown_facility",
        "b3": "inverted_window",
    }
    assert [one.id for one in rig.engine.state.all(Booking)] == ["b1"]


async def test_an_old_revision_is_answered_and_changes_nothing(rig: Rig) -> None:
    now_ms = rig.clock.wall_ms()
    await put(rig, "bookings", changes(1, item("b1", now_ms)))
    await put(rig, "bookings", changes(2, item("b2", now_ms)))
    status, answer = await put(rig, "bookings", changes(1, remove=["b1"]))
    assert (status, answer["reason"]["code"], answer["revision"]) == (200, "old_revision", 2)
    assert rig.engine.state.get(Booking, "b1") is not None


async def test_a_snapshot_that_would_empty_the_day_is_held(rig: Rig) -> None:
    """RULES B1."""
    now_ms = rig.clock.wall_ms()
    window = (now_ms - HOUR_MS, now_ms + 24 * HOUR_MS)
    await put(rig, "bookings", changes(1, item("b1", now_ms), item("b2", now_ms + 2 * HOUR_MS)))
    status, answer = await put(rig, "bookings", snapshot(2, window))
    assert (status, answer["result"]) == (202, "Held")
    assert rig.engine.state.get(Booking, "b1") is not None
    applied = (await rig.get("/api/v1/status")).json()["applied"]["bookings"]
    assert applied == {"epoch": "p1", "revision": 1, "held": True}
    status, answer = await put(rig, "bookings", snapshot(2, window))
    assert (status, answer["result"]) == (202, "Held")  # the same one again is no second word
    status, answer = await put(rig, "bookings", snapshot(3, window))
    assert (status, answer["result"]) == (200, "Accepted")
    assert rig.engine.state.get(Booking, "b1") is None


async def test_a_snapshot_whose_digest_does_not_hold_is_refused(rig: Rig) -> None:
    now_ms = rig.clock.wall_ms()
    body = snapshot(1, (0, now_ms), item("b1", now_ms), digest="0" * 64)
    status, answer = await put(rig, "bookings", body)
    assert (status, answer["reason"]["code"]) == (409, "digest_mismatch")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{", "JSON"),
        ("[]", "a JSON object"),
        (json.dumps({"type": "changes", "epoch": "p1"}), "revision: Field required"),
        (json.dumps({"type": "news", "epoch": "p1", "revision": 1}), "'snapshot', 'changes'"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_message_that_makes_no_sense_is_a_problem(
    shared: Rig, body: str, expected: str
) -> None:
    answer = await shared.request("POST", f"{SYNC}/bookings", "platform", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert expected in answer.json()["expected"]


async def test_people_come_with_pins_that_nobody_ever_sees_again(rig: Rig) -> None:
    """RULES B3, U5."""
    body = changes(
        2,
        {"kind": "subject", "id": "eve"},
        {"kind": "pin", "id": "eve-pin", "subject": "eve", "pin": "271828"},
        {"kind": "pin", "id": "bad-pin", "subject": "eve", "pin": "31"},
    )
    status, answer = await put(rig, "subjects", body)
    assert status == 200
    assert [one["id"] for one in answer["rejected"]] == ["bad-pin"]
    assert rig.engine.state.get(Credential, "eve-pin") is not None
    shown = await rig.get("/api/v1/subjects/eve")
    assert shown.json()["credentials"] == [{"id": "eve-pin", "type": "pin", "blocked": False}]
    kept = rig.engine.state.get(Credential, "eve-pin")
    assert kept is not None
    for secret in ("271828", kept.digest.reveal()):
        assert secret not in shown.text
        assert secret not in (await rig.get("/api/v1/journal?exact=true", "platform")).text


async def test_rights_are_put_and_shown(rig: Rig) -> None:
    body = changes(
        1, {"id": "r1", "subject": "bob", "targets": ["study"], "hours": [[0, 480, 1080]]}
    )
    assert (await put(rig, "rights", body))[0] == 200
    assert rig.engine.state.get(StandingRight, "r1") is not None
    (right,) = (await rig.get("/api/v1/rights")).json()
    assert (right["subject"], right["hours"]) == ("bob", [[0, 480, 1080]])
    people = (await rig.get("/api/v1/subjects")).json()
    assert {one["id"]: len(one["rights"]) for one in people} == {"ada": 0, "bob": 1}


async def test_bookings_are_found_by_window_facility_subject_and_status(rig: Rig) -> None:
    now_ms = rig.clock.wall_ms()
    later = now_ms + 3 * HOUR_MS
    items = [item("b1", now_ms), item("b2", later, subjects=["bob"])]
    await put(rig, "bookings", changes(1, *items))

    async def found(query: str, role: str = "desk") -> list[str]:
        return [one["id"] for one in (await rig.get(f"{API}?{query}", role)).json()["bookings"]]

    assert await found("") == ["b1", "b2"]
    assert await found("subject=bob") == ["b2"]
    assert await found(f"from_ms={later}") == ["b2"]
    assert await found(f"until_ms={later}") == ["b1"]
    assert await found("status=ended") == []
    assert await found("facility=study&limit=1") == ["b1"]
    assert (await rig.get(f"{API}?limit=1")).json()["more"] is True
    missing = await rig.get(f"{API}?facility=studio")
    assert (missing.status_code, missing.json()["nearest"]) == (404, "study")
    bad = await rig.get(f"{API}?status=gone")
    assert bad.json()["errors"][0]["found"] == "gone"
    assert "'enforced'" in bad.json()["errors"][0]["expected"]


async def test_a_resident_sees_their_own_bookings_alone(rig: Rig) -> None:
    now_ms = rig.clock.wall_ms()
    items = [item("b1", now_ms), item("b2", now_ms + 2 * HOUR_MS, subjects=["bob"])]
    await put(rig, "bookings", changes(1, *items))
    mine = (await rig.get(API, "resident")).json()["bookings"]
    assert [one["id"] for one in mine] == ["b1"]
    other = await rig.get(f"{API}/b2", "resident")
    assert other.status_code == 404
    assert other.json()["nearest"] == "b1"
    technician = (await rig.get(f"{API}/b2", "technician")).json()
    assert technician["subjects"] is None


async def test_the_holder_extends_and_a_stranger_does_not(rig: Rig) -> None:
    """RULES B4."""
    now_ms = rig.clock.wall_ms()
    items = [item("b1", now_ms), item("b2", now_ms + 3 * HOUR_MS, subjects=["bob"])]
    await put(rig, "bookings", changes(1, *items))
    longer = await rig.post(f"{API}/b1/extension", {"minutes": 30}, "resident")
    assert longer.status_code == 200
    assert longer.json()["end_ms"] == now_ms + HOUR_MS + 30 * 60_000
    assert (await rig.post(f"{API}/b2/extension", {"minutes": 30}, "resident")).status_code == 404
    assert (await rig.post(f"{API}/b1/extension", {"minutes": 600})).status_code == 422


async def test_a_booking_put_over_http_opens_the_door(rig: Rig) -> None:
    now_ms = rig.clock.wall_ms()
    await put(rig, "bookings", changes(1, item("b1", now_ms)))
    granted = await rig.post(
        "/api/v1/doors/study_room_door/present", {"credential": {"kind": "pin", "pin": PIN}}
    )
    assert granted.json()["basis"] == "b1"
