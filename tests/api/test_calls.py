"""Emergency calls over HTTP, from raised to cleared (RULES E)."""

import pytest
from api.api_rig import Rig

from gateway.domain.calls import Call, CallState

API = "/api/v1/calls"


async def raised(rig: Rig, role: str = "resident") -> str:
    answer = await rig.post(API, {"place": "study_room"}, role)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["call"])


async def test_a_call_lives_from_raised_to_cleared(rig: Rig) -> None:
    """RULES E4."""
    call = await raised(rig)
    shown = (await rig.get(f"{API}/{call}")).json()
    assert (shown["state"], shown["origin"], shown["presses"]) == ("raised", "page", 1)
    assert (await rig.post(f"{API}/{call}/fine", role="resident")).status_code == 200
    for action, body, state in (
        ("acknowledge", {"person": "Li Wei"}, "acknowledged"),
        ("attend", {"responder": "Chen"}, "attended"),
        ("clear", {"outcome": "genuine", "note": "a fall"}, "cleared"),
    ):
        done = await rig.post(f"{API}/{call}/{action}", body)
        assert done.status_code == 200, done.text
        assert done.json()["state"] == state
    assert (await rig.get(API)).json() == []
    kept = (await rig.get(f"{API}?all=true")).json()
    assert [(one["id"], one["state"], one["fine"]) for one in kept] == [(call, "cleared", True)]
    types = [r["type"] for r in (await rig.get("/api/v1/journal?urgent=true")).json()["records"]]
    assert types == [
        "call.raised",
        "call.step",
        "call.person_says_fine",
        "call.acknowledged",
        "call.attended",
        "call.cleared",
    ]


async def test_asking_again_joins_the_call(rig: Rig) -> None:
    """RULES E1."""
    first, second = await raised(rig), await raised(rig, "desk")
    assert first == second
    assert (await rig.get(f"{API}/{first}")).json()["presses"] == 2


async def test_who_answered_is_shown_to_those_who_may_see_people(rig: Rig) -> None:
    call = await raised(rig)
    await rig.post(f"{API}/{call}/acknowledge", {"person": "Li Wei"})
    seen = {
        role: (await rig.get(f"{API}/{call}", role)).json()["person"]
        for role in ("desk", "platform", "technician")
    }
    assert seen == {
        "desk": "Li Wei (desk one)",
        "platform": "Li Wei (desk one)",
        "technician": None,
    }


async def test_the_platform_acknowledges_by_a_named_person_and_never_clears(rig: Rig) -> None:
    """RULES E4."""
    call = await raised(rig)
    nameless = await rig.post(f"{API}/{call}/acknowledge", {}, "platform")
    assert nameless.status_code == 403
    assert nameless.json()["reason"]["code"] == "person_needed"
    named = await rig.post(f"{API}/{call}/acknowledge", {"person": "Zhao"}, "platform")
    assert named.status_code == 200
    refused = await rig.post(f"{API}/{call}/clear", {"outcome": "false"}, "platform")
    assert refused.status_code == 403


async def test_a_call_nobody_acknowledged_is_not_cleared(rig: Rig) -> None:
    call = await raised(rig)
    refused = await rig.post(f"{API}/{call}/clear", {"outcome": "false"})
    assert refused.status_code == 409
    assert refused.json()["reason"]["code"] == "call_not_acknowledged"
    kept = rig.engine.state.get(Call, call)
    assert kept is not None
    assert kept.state is CallState.RAISED


async def test_a_cleared_call_is_over(rig: Rig) -> None:
    call = await raised(rig)
    await rig.post(f"{API}/{call}/acknowledge", {})
    await rig.post(f"{API}/{call}/clear", {"outcome": "test"})
    late = await rig.post(f"{API}/{call}/acknowledge", {})
    assert late.status_code == 409
    assert late.json()["reason"]["code"] == "call_not_open"


@pytest.mark.parametrize(
    ("body", "field", "found"),
    [
        ({}, "body.place", "nothing"),
        ({"place": "study_room", "origin": "fixed"}, "body.origin", "fixed"),
        ({"place": 7}, "body.place", "7"),
        ({"place": "study_room", "door": "x"}, "body.door", "a member of that name"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_senseless_request_names_field_found_and_expected(
    shared: Rig, body: dict[str, object], field: str, found: str
) -> None:
    bad = await shared.post(API, body)
    assert bad.status_code == 422
    (error,) = bad.json()["errors"]
    assert (error["field"], error["found"]) == (field, found)
    assert error["expected"]


async def test_no_call_is_asked_for_at_a_place_that_is_not_there(rig: Rig) -> None:
    missing = await rig.post(API, {"place": "studyroom"})
    assert missing.status_code == 404
    assert missing.json()["nearest"] == "study_room"
