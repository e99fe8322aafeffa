"""Doors over HTTP: present, release, and what is shown of them (RULES A)."""

from api.api_rig import PIN, Rig

API = "/api/v1/doors"
PRESENT = f"{API}/study_room_door/present"


def pin(text: str, **more: str) -> dict[str, object]:
    return {"credential": {"kind": "pin", "pin": text, **more}}


async def test_a_right_pin_is_granted_and_the_door_shows_the_grant(rig: Rig) -> None:
    """RULES A1."""
    await rig.booking()
    answer = await rig.post(PRESENT, pin(PIN))
    assert answer.status_code == 200
    assert answer.headers["commons-durable"] == "true"
    body = answer.json()
    assert body["result"] == "Accepted"
    assert body["durable"] is True
    assert body["reason"] == {"code": "granted", "zh": "请进。", "en": "Please come in."}
    door = (await rig.get(f"{API}/study_room_door")).json()
    assert door["grant"]["token"] == body["grant"]
    assert door["grant"]["basis"] == "b1"
    assert door["grant"]["subject"] == "ada"


async def test_a_technician_sees_the_grant_and_not_whose(rig: Rig) -> None:
    await rig.booking()
    await rig.post(PRESENT, pin(PIN))
    for role, subject in (("technician", None), ("resident", "ada"), ("platform", "ada")):
        door = (await rig.get(f"{API}/study_room_door", role)).json()
        assert door["grant"]["subject"] == subject, role


async def test_a_refusal_is_a_problem_with_the_reason_in_both_languages(rig: Rig) -> None:
    refused = await rig.post(PRESENT, pin("0000"))
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["commons-durable"] == "true"
    body = refused.json()
    assert body["type"] == "urn:commons-gateway:problem:refused"
    assert body["title"] == "Forbidden"
    assert body["status"] == 403
    assert body["result"] == "Invalid"
    assert body["reason"]["code"] == "not_recognised"
    assert body["reason"]["zh"].startswith("未识别")
    assert body["detail"] == body["reason"]["en"]


async def test_wrong_pins_slow_the_reader_and_the_answer_says_how_long(rig: Rig) -> None:
    """RULES A5."""
    await rig.post(PRESENT, pin("0000"))
    slowed = await rig.post(PRESENT, pin("0001"))
    assert slowed.status_code == 429
    assert slowed.headers["retry-after"] == "1"
    assert slowed.json()["retry_after_s"] == 1


async def test_a_resident_opens_remotely_for_themself_alone(rig: Rig) -> None:
    """The token says who: nothing in the body can name another."""
    await rig.booking("bob")
    remote = {"credential": {"kind": "remote"}}
    assert (await rig.post(PRESENT, remote, "resident")).status_code == 403
    named = {"credential": {"kind": "remote", "identifier": "bob"}}
    assert (await rig.post(PRESENT, named, "resident")).status_code == 422
    await rig.booking("ada", revision=2)
    granted = await rig.post(PRESENT, remote, "resident")
    assert granted.status_code == 200
    grant = rig.door_status().grant
    assert grant is not None
    assert grant.subject == "ada"


async def test_a_resident_types_no_pin_here_and_staff_are_nobody_remotely(rig: Rig) -> None:
    assert (await rig.post(PRESENT, pin(PIN), "resident")).status_code == 403
    assert (await rig.post(PRESENT, {"credential": {"kind": "remote"}})).status_code == 403


async def test_a_release_needs_a_reason_and_records_person_and_reason(rig: Rig) -> None:
    """RULES A1: an override names a person and a reason."""
    where = f"{API}/study_room_door/release"
    for wrong in ({}, {"why": ""}, {"why": "   "}, {"why": "plumber" + " " * 500}):
        bad = await rig.post(where, wrong)
        assert bad.status_code == 422
        assert bad.json()["errors"][0]["field"] == "body.why"
    done = await rig.post(where, {"why": " plumber ", "person": "Li Wei"}, "technician")
    assert done.status_code == 200
    records = (await rig.get("/api/v1/journal")).json()["records"]
    granted = next(one for one in records if one["type"] == "access.granted")
    assert granted["personal"] == {"person": "Li Wei (technician one)", "why": "plumber"}
    assert granted["data"]["basis"] == "override"


async def test_an_unknown_door_is_named_with_the_nearest_there_is(rig: Rig) -> None:
    missing = await rig.get(f"{API}/study_rom_door")
    assert missing.status_code == 404
    assert missing.json()["nearest"] == "study_room_door"
    assert missing.json()["expected"] == "the id of a door"


async def test_an_unknown_facility_to_use_is_named_too(rig: Rig) -> None:
    asked = {**pin(PIN), "facility": "studdy"}
    missing = await rig.post(PRESENT, asked)
    assert missing.status_code == 404
    assert missing.json()["nearest"] == "study"
