"""The event stream: resumable, alive, and the desk's way to say that a call is shown (E4, X1)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from api.api_rig import Rig
from fixtures.waiting import until

from gateway.api import events
from gateway.domain.errors import GatewayError
from gateway.domain.site import Channel, ChannelKind
from gateway.ports import Notification

API = "/api/v1/events"
CHANNEL = Channel("desk", ChannelKind.DESK, offline=True)


@dataclass
class Stream:
    """An open stream, read event by event."""

    lines: AsyncIterator[str]

    async def next(self) -> dict[str, str]:
        """The next event's fields; a comment is a field without a name."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(5):
            async for line in self.lines:
                if not line:
                    return fields
                name, _, value = line.partition(": ")
                fields[name] = value
        raise AssertionError("the stream ended")

    async def record(self) -> dict[str, Any]:
        """The next record, over what else there is."""
        while "id" not in (found := await self.next()):
            pass
        data = json.loads(found["data"])
        assert found["id"] == str(data["seq"])
        assert found["event"] == data["type"]
        return dict(data)


@asynccontextmanager
async def follow(rig: Rig, query: str = "", role: str = "desk", **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {rig.tokens[role]}", **headers}
    async with rig.client.stream("GET", f"{API}?{query}", headers=sent) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(aiter(answer.aiter_lines()))
        assert await stream.next() == {"retry": "2000"}
        yield stream


async def call(rig: Rig) -> str:
    return str((await rig.post("/api/v1/calls", {"place": "study_room"})).json()["call"])


def notification(id_: str) -> Notification:
    return Notification(id_, 0, CHANNEL, {"place": "study_room"})


async def test_what_happens_is_told_as_it_happens(rig: Rig) -> None:
    async with follow(rig) as stream:
        await rig.booking()
        first, second = await stream.record(), await stream.record()
    assert (first["type"], second["type"]) == ("booking.applied", "sync.answered")
    assert second["seq"] == first["seq"] + 1
    assert first["personal"] == {"subjects": "ada"}


async def test_a_stream_resumes_after_the_last_event_without_gap_or_repeat(rig: Rig) -> None:
    await rig.booking()
    async with follow(rig, "after=0") as stream:
        seen = await stream.record()
    await call(rig)
    async with follow(rig, **{"Last-Event-ID": str(seen["seq"])}) as stream:
        rest = [(await stream.record())["seq"] for _ in range(rig.engine.head.seq - seen["seq"])]
    assert rest == list(range(seen["seq"] + 1, rig.engine.head.seq + 1))


async def test_urgent_records_come_alone_when_asked_for(rig: Rig) -> None:
    async with follow(rig, "after=0&urgent=true") as stream:
        await rig.booking()
        await call(rig)
        assert [(await stream.record())["type"] for _ in range(2)] == ["call.raised", "call.step"]


async def test_a_technician_follows_without_personal_fields(rig: Rig) -> None:
    async with follow(rig, role="technician") as stream:
        await rig.booking()
        record = await stream.record()
    assert "personal" not in record
    assert rig.desk.pages == 0


async def test_a_quiet_line_says_that_it_is_alive(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    async with follow(rig) as stream:
        assert await stream.next() == {"": "alive"}


@pytest.mark.parametrize("headers", [{"Last-Event-ID": "99999"}, {"Last-Event-ID": "x"}])
async def test_a_cursor_that_cannot_be_is_a_problem(rig: Rig, headers: dict[str, str]) -> None:
    refused = await rig.get(API, headers=headers)
    assert refused.status_code in (409, 422)
    assert refused.headers["content-type"] == "application/problem+json"


async def test_a_page_that_goes_is_forgotten(rig: Rig) -> None:
    async with follow(rig):
        assert rig.desk.pages == 1
    await until(lambda: rig.desk.pages == 0)


async def test_a_call_is_delivered_once_a_live_page_confirms_it(rig: Rig) -> None:
    """RULES E4: that it was sent proves nothing."""
    id_ = await call(rig)
    async with follow(rig) as stream:
        delivering = asyncio.create_task(rig.desk.deliver(notification(id_)))
        told = await stream.next()
        assert told["event"] == "call"
        assert "id" not in told
        assert json.loads(told["data"]) == {
            "call": id_,
            "step": 0,
            "channel": "desk",
            "place": "study_room",
        }
        assert not delivering.done()
        seen = await rig.post(f"/api/v1/calls/{id_}/seen")
        assert seen.json() == {"confirmed": True}
        assert (await delivering).startswith("desk page ")
    assert (await rig.post(f"/api/v1/calls/{id_}/seen")).json() == {"confirmed": False}


async def test_no_page_or_a_silent_one_delivers_nothing(rig: Rig) -> None:
    with pytest.raises(GatewayError, match="no desk page is open"):
        await rig.desk.deliver(notification("call-x"))
    async with follow(rig):
        with pytest.raises(GatewayError, match="within 1 s"):
            await rig.desk.deliver(notification("call-x"))


async def test_a_call_reaches_the_desk_while_the_store_is_lost(rig: Rig) -> None:
    """RULES X1."""
    rig.break_store()
    async with follow(rig) as stream:
        id_ = await call(rig)
        delivering = asyncio.create_task(rig.desk.deliver(notification(id_)))
        assert (await stream.next())["event"] == "call"
        await rig.post(f"/api/v1/calls/{id_}/seen")
        assert await delivering


async def test_a_stop_ends_every_stream_at_once(rig: Rig) -> None:
    async with follow(rig) as stream:
        began = asyncio.get_running_loop().time()
        await rig.server.stop()
        assert asyncio.get_running_loop().time() - began < 1.5
        with pytest.raises(AssertionError, match="the stream ended"):
            await stream.next()
