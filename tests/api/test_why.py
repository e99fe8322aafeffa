"""Why: a question through the core that commits nothing and moves nothing (DESIGN §5)."""

from typing import Any

import pytest
from api.api_rig import HOUR_MS, Rig
from fixtures.waiting import until

from gateway.domain.events import Stream
from gateway.domain.faults import Fault
from gateway.domain.secret import Secret
from gateway.domain.subjects import Credential, CredentialKind

API = "/api/v1/why"
DOOR = f"{API}?door=study_room_door"


async def ask(rig: Rig, query: str, role: str = "desk") -> dict[str, Any]:
    answer = await rig.get(f"{API}?{query}", role)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_question_about_a_subject_is_answered_and_leaves_no_trace(rig: Rig) -> None:
    await rig.booking()
    head, state = rig.engine.head, list(rig.engine.state.entities())
    answer = await ask(rig, "door=study_room_door&subject=ada")
    assert answer["reason"]["code"] == "granted"
    (judged,) = answer["judged"]
    assert (judged["allowed"], judged["basis"], judged["facility"]) == (True, "b1", "study")
    assert rig.engine.head == head
    assert list(rig.engine.state.entities()) == state
    assert answer["door"]["grant"] is None


async def test_a_refusal_says_what_would_help(rig: Rig) -> None:
    start = rig.clock.wall_ms() + HOUR_MS
    await rig.booking(start_ms=start)
    answer = await ask(rig, "facility=study&subject=ada")
    assert answer["reason"]["code"] == "too_early"
    assert answer["facility"]["next"]["id"] == "b1"
    assert answer["judged"][0]["result"] == "NotAtThisTime"


async def test_a_credential_is_judged_by_its_id_at_every_door(rig: Rig) -> None:
    """RULES A5: at the door a bare PIN learns nothing; the desk is told why."""
    start = rig.clock.wall_ms() + HOUR_MS
    await rig.booking(start_ms=start)
    answer = await ask(rig, "credential=ada-pin")
    assert answer["credential"] == {"id": "ada-pin", "type": "pin", "blocked": False}
    assert [one["door"] for one in answer["judged"]] == ["study_room_door"]
    assert answer["reason"]["code"] == "too_early"
    blocked = Credential("ada-card", "ada", CredentialKind.CARD, Secret("x"), blocked=True)
    await rig.sync(Stream.SUBJECTS, 2, blocked)
    answer = await ask(rig, "credential=ada-card&door=study_room_door")
    assert answer["reason"]["code"] == "blocked"


async def test_a_resident_asks_for_themself_alone(rig: Rig) -> None:
    await rig.booking("bob")
    answer = await ask(rig, "door=study_room_door", "resident")
    assert [one["subject"] for one in answer["judged"]] == ["ada"]
    assert answer["reason"]["code"] == "no_right"
    for query in ("door=study_room_door&subject=bob", "point=board/relay_1", "credential=ada-pin"):
        refused = await rig.get(f"{API}?{query}", "resident")
        assert refused.status_code == 403, query
    technician = await rig.get(f"{DOOR}&subject=ada", "technician")
    assert technician.status_code == 403


async def test_a_setpoint_is_shown_with_what_is_read_since_when(rig: Rig) -> None:
    rig.read("board/relay_1", False)
    point = (await ask(rig, "point=board/relay_1", "technician"))["point"]
    assert point["uses"] == [{"use": "hold", "owner": "study_room_door"}]
    setpoint = point["setpoint"]
    assert (setpoint["kind"], setpoint["wanted"], setpoint["agrees"]) == ("level", False, True)
    assert point["read"]["value"] is False
    assert point["read"]["quality"] == "good"
    assert 0 <= point["read"]["age_ms"] < 5_000
    await rig.press("board/input_4")
    answer = await ask(rig, "point=board/relay_1", "technician")
    assert answer["reason"]["code"] == "fire_release"
    assert answer["point"]["setpoint"]["wanted"] is True
    assert answer["point"]["setpoint"]["agrees"] is False


async def test_a_lamp_names_who_has_the_call_only_to_those_who_may_see_people(rig: Rig) -> None:
    await rig.press("board/input_3")
    (call,) = (await rig.get("/api/v1/calls")).json()
    await rig.post(f"/api/v1/calls/{call['id']}/acknowledge", {"person": "Li Wei"})
    desk = await ask(rig, "point=board/signal_3")
    assert "Li Wei" in desk["reason"]["en"]
    technician = await rig.get(f"{API}?point=board/signal_3", "technician")
    assert technician.json()["point"]["setpoint"]["wanted"] == "on"
    assert "Li Wei" not in technician.text


async def test_a_readers_value_is_never_shown(rig: Rig) -> None:
    """RULES U5: it may be what somebody typed."""
    rig.read("keypad/credential", "271828")
    shown = await rig.get(f"{API}?point=keypad/credential")
    assert shown.status_code == 200
    assert "271828" not in shown.text
    assert "271828" not in (await rig.get("/api/v1/devices/keypad")).text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "door=study_room_door&facility=study",
        "subject=ada",
        "point=board/relay_1&subject=ada",
        "door=study_room_door&subject=ada&credential=ada-pin",
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_question_about_nothing_or_too_much_says_what_was_expected(
    shared: Rig, query: str
) -> None:
    bad = await shared.get(f"{API}?{query}")
    assert bad.status_code == 422
    assert "one of door, facility, point or credential" in bad.json()["expected"]


@pytest.mark.parametrize(
    ("query", "nearest"),
    [
        ("door=study_door", "study_room_door"),
        ("facility=studdy", "study"),
        ("door=study_room_door&subject=adda", "ada"),
        ("credential=ada_pin", "ada-pin"),
        ("point=bord/relay_1", "board"),
        ("point=board/relay1", "relay_1"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_not_there_is_named_with_the_nearest(
    shared: Rig, query: str, nearest: str
) -> None:
    missing = await shared.get(f"{API}?{query}")
    assert missing.status_code == 404
    assert missing.json()["nearest"] == nearest


async def test_a_door_that_is_refused_by_its_board_says_so(rig: Rig) -> None:
    await rig.post("/api/v1/doors/study_room_door/release", {"why": "test"})
    await until(lambda: rig.engine.state.get(Fault, "pulse_refused:study_room_door"))
    answer = await ask(rig, "door=study_room_door")
    assert [one["reason"]["code"] for one in answer["door"]["faults"]] == ["pulse_refused"]
