"""Whatever is asked, what goes wrong is a problem that says what was expected (RFC 9457)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from api.api_rig import Rig

API = "/api/v1"


def is_problem(body: dict[str, Any], status: int) -> bool:
    kind = body["type"].startswith("urn:commons-gateway:problem:")
    return kind and body["status"] == status and bool(body["title"]) and bool(body["detail"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", f"{API}/", 404),
        ("DELETE", f"{API}/doors", 405),
        ("GET", f"{API}/doors/..%2f..%2fetc", 404),
        ("GET", f"{API}/doors/%00", 404),
        ("GET", f"{API}/calls/\u547c\u53eb", 404),
        ("GET", f"{API}/devices/{'x' * 5000}", 404),
    ],
)
async def test_a_path_that_leads_nowhere(shared: Rig, method: str, path: str, status: int) -> None:
    answer = await shared.request(method, path, "desk")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert is_problem(answer.json(), status)
    assert len(answer.content) < 1_000


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "role", "kibibytes"), [("calls", "desk", 65), ("sync/bookings", "platform", 16385)]
)
async def test_a_body_without_end_is_not_read_to_its_end(
    shared: Rig, path: str, role: str, kibibytes: int
) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(kibibytes):
            yield b" " * 1024

    json = {"Content-Type": "application/json"}
    where = f"{API}/{path}"
    answer = await shared.request("POST", where, role, content=body(), headers=json)
    assert answer.status_code == 413
    assert is_problem(answer.json(), 413)


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_long_is_read_from_who_is_not_known(shared: Rig) -> None:
    """The platform's messages may be long: they are read once it is known who sends them."""
    denied = await shared.request("POST", f"{API}/sync/bookings", content=b" " * 1_000_000)
    assert denied.status_code == 401


@pytest.mark.asyncio(loop_scope="module")
async def test_garbage_on_the_wire_ends_that_connection_alone(shared: Rig) -> None:
    """RULES X2."""
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.server.port)
    writer.write(b"\x00\xff\x16\x03\x01 garbage\r\n\r\n")
    assert b"400" in await reader.readline()
    writer.close()
    assert (await shared.get(f"{API}/doors")).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_a_head_without_end_ends_that_connection_alone(shared: Rig) -> None:
    """X2: it is not kept; its answer, sent before all was read, may be lost with the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.server.port)
    writer.write(b"GET /api/v1/utilization?facility=")
    with suppress(ConnectionError):
        for _ in range(64):
            writer.write(b"a" * 64 * 1024)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 20)
        assert not answer or b" 400 " in answer
    writer.close()
    assert (await shared.get(f"{API}/doors")).status_code == 200


async def test_a_journal_that_cannot_be_read_is_a_problem_and_nothing_else_suffers(
    rig: Rig,
) -> None:
    """RULES X1."""
    rig.hide_journal()
    refused = await rig.get(f"{API}/journal")
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:commons-gateway:problem:storage-lost"
    status = await rig.get(f"{API}/status")
    assert status.json()["journal"]["head"] is None
    assert (await rig.get(f"{API}/doors")).status_code == 200
    assert (await rig.get("/metrics")).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("content", [b'{"place": "\xff"}', b"[" * 50_000])
async def test_a_body_that_no_reader_of_json_takes_is_told_like_any_other(
    shared: Rig, content: bytes
) -> None:
    """X2: bytes that are no text, and brackets without end."""
    json = {"Content-Type": "application/json"}
    answer = await shared.request("POST", f"{API}/calls", "desk", content=content, headers=json)
    assert answer.status_code == 422
    assert is_problem(answer.json(), 422)
    assert answer.json()["errors"][0]["field"].startswith("body")
