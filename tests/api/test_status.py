"""Status for people, health and readiness for machines; and what stays when the disk does not."""

import asyncio
import contextlib

import pytest
from api.api_rig import PIN, Rig
from fastapi import FastAPI

from gateway.api.server import ApiServer
from gateway.domain.errors import GatewayError
from gateway.domain.events import ClockChanged
from gateway.domain.now import Trust

API = "/api/v1"


async def test_the_status_says_boot_clock_storage_journal_and_platform(rig: Rig) -> None:
    rig.store.journal.set_cursor("platform", 1)
    await rig.booking()
    status = (await rig.get(f"{API}/status")).json()
    assert status["site"] == "small"
    assert status["boot"] == "boot"
    assert status["clock"]["trust"] == "synchronised"
    assert status["storage"] == {"lost": False, "why": ""}
    assert status["journal"]["head"] == rig.engine.head.seq
    assert status["journal"]["platform"] == 1
    assert status["journal"]["distance"] == rig.engine.head.seq - 1
    assert status["applied"]["bookings"] == {"epoch": "p1", "revision": 1, "held": False}
    assert status["links"] == {"bus": "unknown", "mqtt": "unknown"}


async def test_a_clock_that_lost_its_trust_says_since_when(rig: Rig) -> None:
    clock = (await rig.get(f"{API}/status")).json()["clock"]
    assert (clock["trust"], clock["since_ms"]) == ("synchronised", None)
    before_ms = rig.clock.wall_ms()
    rig.clock.trust = Trust.UNTRUSTED
    rig.engine.clock_changed(ClockChanged(0, "nobody", trusted_before=True))
    clock = (await rig.get(f"{API}/status")).json()["clock"]
    assert clock["trust"] == "untrusted"
    assert before_ms <= clock["since_ms"] <= rig.clock.wall_ms()


async def test_a_dead_engine_is_not_healthy(rig: Rig) -> None:
    assert (await rig.client.get("/healthz")).json() == {"alive": True}
    rig.engine_task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await rig.engine_task
    sick = await rig.client.get("/healthz")
    assert sick.status_code == 503
    assert sick.json() == {"alive": False}


async def test_the_probe_commits_nothing(rig: Rig) -> None:
    head = rig.engine.head.seq
    await rig.client.get("/healthz")
    await rig.client.get("/readyz")
    assert rig.engine.head.seq == head
    assert rig.engine.step.idle


async def test_with_the_store_lost_doors_open_and_say_that_it_is_not_durable(
    rig: Rig,
) -> None:
    """RULES X1."""
    await rig.booking()
    rig.break_store()
    door = f"{API}/doors/study_room_door/present"
    granted = await rig.post(door, {"credential": {"kind": "pin", "pin": PIN}})
    assert granted.status_code == 200
    assert granted.json()["durable"] is False
    assert granted.headers["commons-durable"] == "false"
    refused = await rig.post(door, {"credential": {"kind": "pin", "pin": "0000"}})
    assert refused.status_code == 403
    assert refused.json()["durable"] is False
    called = await rig.post(f"{API}/calls", {"place": "study_room"})
    assert called.json()["durable"] is False
    ready = await rig.client.get("/readyz")
    assert ready.status_code == 503
    assert "storage lost" in ready.json()["reasons"][0]
    assert (await rig.client.get("/healthz")).status_code == 200
    status = (await rig.get(f"{API}/status")).json()
    assert status["storage"]["lost"] is True


async def test_two_servers_cannot_share_a_port_and_the_error_says_which(rig: Rig) -> None:
    listen = f"127.0.0.1:{rig.server.port}"
    with pytest.raises(GatewayError, match=listen):
        await ApiServer(FastAPI(), listen).start()


@pytest.mark.parametrize("listen", ["8080", "localhost", "::1:x"])
async def test_an_address_that_is_none_is_named(listen: str) -> None:
    with pytest.raises(GatewayError, match=f"expected host:port, found '{listen}'"):
        await ApiServer(FastAPI(), listen).start()
