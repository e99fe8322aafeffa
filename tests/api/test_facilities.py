"""Facilities and places: what is the matter, who may enter now, who may know it."""

from typing import Any

from api.api_rig import HOUR_MS, Rig

from gateway.domain.events import Stream
from gateway.domain.subjects import Role, StandingRight, Subject

API = "/api/v1/facilities"


async def study(rig: Rig, role: str = "desk") -> dict[str, Any]:
    found = await rig.get(f"{API}/study", role)
    assert found.status_code == 200, found.text
    return dict(found.json())


async def enter(rig: Rig) -> None:
    """Ada presents herself, and the door opens."""
    granted = await rig.post(
        "/api/v1/doors/study_room_door/present", {"credential": {"kind": "remote"}}, "resident"
    )
    assert granted.status_code == 200, granted.text
    await rig.press("board/input_1")


async def test_a_facility_says_what_is_booked_now_and_next(rig: Rig) -> None:
    now_ms = rig.clock.wall_ms()
    await rig.booking(revision=1)
    await rig.booking("bob", revision=2, id="b2", start_ms=now_ms + HOUR_MS)
    shown = await study(rig)
    assert shown["state"] == "booked"
    assert shown["reason"]["code"] == "booking"
    assert [one["id"] for one in shown["current"]] == ["b1"]
    assert shown["next"]["id"] == "b2"
    assert shown["current"][0]["subjects"] == ["ada"]


async def test_who_may_enter_is_the_cores_own_answer(rig: Rig) -> None:
    """RULES A1: the holder and a cleaner with a standing right, not the next booker."""
    now_ms = rig.clock.wall_ms()
    await rig.booking(revision=1)
    await rig.booking("bob", revision=2, id="b2", start_ms=now_ms + HOUR_MS)
    await rig.sync(Stream.SUBJECTS, 2, Subject("mei", (Role.CLEANER,)))
    await rig.sync(Stream.RIGHTS, 1, StandingRight("r1", "mei", ("study_room",)))
    may = (await study(rig))["may_enter"]
    assert [(one["subject"], one["basis"]) for one in may["subjects"]] == [
        ("ada", "b1"),
        ("mei", "r1"),
    ]
    assert may["count"] == 2
    assert may["walk_in"] is False


async def test_only_roles_that_may_see_people_are_told_who(rig: Rig) -> None:
    await rig.booking("bob")
    for role in ("platform", "desk"):
        shown = await study(rig, role)
        assert shown["may_enter"]["subjects"][0]["subject"] == "bob"
        assert shown["current"][0]["subjects"] == ["bob"]
    for role in ("technician", "resident"):
        text = (await rig.get(f"{API}/study", role)).text
        assert "bob" not in text, role
    you = (await study(rig, "resident"))["may_enter"]["you"]
    assert you["subject"] == "ada"
    assert you["allowed"] is False
    assert you["reason"]["code"] == "no_right"


async def test_somebody_inside_is_seen_and_the_questions_leave_no_trace(rig: Rig) -> None:
    await rig.booking()
    await enter(rig)
    head = rig.engine.head.seq
    shown = await study(rig)
    assert shown["state"] == "occupied"
    assert shown["presence"]["present"] is True
    assert shown["presence"]["visits"] == 1
    assert shown["current"][0]["status"] == "checked_in"
    assert rig.engine.head.seq == head
    assert rig.door_status().grant is None


async def test_a_walk_in_takes_a_free_facility_and_is_a_proposal(rig: Rig) -> None:
    """RULES B4."""
    assert (await study(rig))["may_enter"]["walk_in"] is True
    taken = await rig.post(f"{API}/study/walk-in", {"minutes": 30}, "resident")
    assert taken.status_code == 200
    booking = (await rig.get(f"/api/v1/bookings/{taken.json()['booking']}")).json()
    assert (booking["origin"], booking["subjects"]) == ("gateway", ["ada"])
    again = await rig.post(f"{API}/study/walk-in", {"minutes": 30, "subject": "bob"})
    assert again.status_code == 409
    assert again.json()["reason"]["code"] == "in_use"


async def test_a_walk_in_is_for_somebody_known_and_not_for_long(rig: Rig) -> None:
    nobody = await rig.post(f"{API}/study/walk-in", {"minutes": 30, "subject": "adda"})
    assert nobody.status_code == 404
    assert nobody.json()["nearest"] == "ada"
    long = await rig.post(f"{API}/study/walk-in", {"minutes": 61, "subject": "bob"})
    assert long.status_code == 422
    assert "1 to 60" in long.json()["detail"]
    none = await rig.post(f"{API}/study/walk-in", {"minutes": 0, "subject": "bob"})
    assert none.json()["errors"][0]["found"] == "0"


async def test_places_are_a_tree_that_shows_the_worst_below(rig: Rig) -> None:
    async def states() -> tuple[str, str]:
        (root,) = (await rig.get("/api/v1/places", "resident")).json()
        assert root["id"] == "compound"
        (room,) = root["places"]
        assert (room["doors"], room["facilities"]) == (["study_room_door"], ["study"])
        return root["state"], room["state"]

    assert await states() == ("ok", "ok")
    await rig.press("board/input_3")
    assert await states() == ("call", "call")
    await rig.press("board/input_4")
    assert await states() == ("fire", "call")
    only = (await rig.get("/api/v1/places/study_room")).json()
    assert only["calls"] == 1
    missing = await rig.get("/api/v1/places/studyroom")
    assert missing.json()["nearest"] == "study_room"
