"""No PIN, card, pass or token in any answer, log, metric or record (RULES U5)."""

import logging
from typing import Any

import pytest
import structlog
from api.api_rig import Rig

API = "/api/v1"
DOOR = f"{API}/doors/study_room_door/present"
SECRET = "31415926"

# Wrong in every way that a body can be wrong, each with the secret in it.
BODIES: list[Any] = [
    {"credential": {"kind": "pin", "pin": SECRET, "identifier": 7}},
    {"credential": {"kind": "pin", "pin": int(SECRET)}},
    {"credential": {"kind": "pin", "pni": SECRET}},
    {"credential": {"kind": "pin", "pin": SECRET * 10}},
    {"credential": {"kind": SECRET}},
    {"credential": {"kind": "card", "card": [SECRET]}},
    {"credential": {"kind": "pass", "token": {"text": SECRET}}},
    {"credential": SECRET},
    {"credential": {"kind": "pin", "pin": "1"}, "facility": [SECRET]},
    {"credential": {"kind": "pin", "pin": "1"}, "why": SECRET},
    [SECRET],
    SECRET,
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.asyncio(loop_scope="module")
async def test_a_senseless_body_is_never_repeated(shared: Rig, body: Any) -> None:
    refused = await shared.post(DOOR, body)
    assert refused.status_code == 422
    assert refused.json()["errors"]
    assert SECRET not in refused.text


async def test_broken_json_is_never_repeated(rig: Rig) -> None:
    broken = {
        "content": f'{{"credential": {SECRET}',
        "headers": {"Content-Type": "application/json"},
    }
    refused = await rig.request("POST", DOOR, "desk", **broken)
    assert refused.status_code == 422
    assert SECRET not in refused.text
    assert "JSON" in refused.json()["errors"][0]["expected"]


async def test_what_is_presented_is_seen_nowhere_afterwards(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        for credential in (
            {"kind": "pin", "pin": SECRET, "identifier": "0802"},
            {"kind": "card", "card": SECRET},
            {"kind": "pass", "token": SECRET},
        ):
            refused = await rig.post(DOOR, {"credential": credential})
            assert refused.status_code == 403
            assert SECRET not in refused.text
        bad = {"Authorization": f"Bearer commons_{SECRET}"}
        denied = await rig.client.get(f"{API}/status", headers=bad)
        assert SECRET not in denied.text
    seen = [str(logs), caplog.text]
    for path in ("/metrics", f"{API}/journal?exact=true", f"{API}/doors", f"{API}/devices"):
        seen.append((await rig.get(path)).text)
    assert all(SECRET not in text for text in seen)
    assert all(token not in text for text in seen for token in rig.tokens.values())


async def test_a_bug_answers_without_a_word_of_what_was_asked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(rig.parts.gateway.credentials, "pin", broken)
    failed = await rig.post(DOOR, {"credential": {"kind": "pin", "pin": SECRET}})
    assert failed.status_code == 500
    assert failed.headers["content-type"] == "application/problem+json"
    assert failed.json()["type"] == "urn:commons-gateway:problem:internal"
    assert SECRET not in failed.text
    assert "broken on purpose" not in failed.text
    assert SECRET not in caplog.text
    assert "RuntimeError: broken on purpose" in caplog.text
