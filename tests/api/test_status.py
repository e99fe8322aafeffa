"""Status for people, health and readiness for machines; and what stays when the disk does not."""

import asyncio
import contextlib
import re

import pytest
from api.api_rig import PIN, Rig
from fastapi import FastAPI

from gateway.api.server import ApiServer
from gateway.cli.status import duration, layout
from gateway.domain.errors import GatewayError
from gateway.domain.events import ClockChanged
from gateway.domain.faults import Health
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


async def test_the_status_says_how_far_the_clock_is_trusted_why_and_since_when(rig: Rig) -> None:
    """DESIGN §6."""
    clock = (await rig.get(f"{API}/status")).json()["clock"]
    assert (clock["trust"], clock["why"]["code"]) == ("synchronised", "clock_kernel")
    assert clock["since_ms"] <= clock["wall_ms"]
    assert (clock["at_start"], clock["error_ms"], clock["synchronised_ms"]) == (True, None, None)
    rig.clock.trust = Trust.UNTRUSTED
    clock = (await rig.get(f"{API}/status")).json()["clock"]
    assert (clock["trust"], clock["why"]["code"]) == ("untrusted", "clock_nobody")
    assert clock["why"]["en"] == "No time source has vouched for it yet."


async def laid_out(rig: Rig) -> dict[str, str]:
    """What `commons status` prints, by its heads; the verdict at ""."""
    status, faults = [(await rig.get(f"{API}/{name}")).json() for name in ("status", "faults")]
    verdict, *lines = layout(status, faults)
    found, head = {"": verdict}, ""
    for line in lines:
        head = line[:10].strip() or head
        found[head] = f"{found[head]}\n{line[10:]}" if head in found else line[10:]
    return found


async def test_a_technician_reads_what_is_wrong_first(rig: Rig) -> None:
    shown = await laid_out(rig)
    assert shown[""] == "small: not every link is up"
    assert shown["calls"] == "none open"
    assert shown["links"] == "bus UNKNOWN, mqtt UNKNOWN"
    assert re.match(r"synchronised since \d{4}-.* \(the gateway's start\)\. The", shown["clock"])
    assert shown["platform"].startswith(f"{rig.engine.head.seq} records wait for it\n")
    await rig.press("board/input_3")
    rig.sinks["bus"].link_health(Health.SILENT)
    rig.sinks["mqtt"].link_health(Health.ONLINE)
    rig.clock.trust = Trust.UNTRUSTED
    await rig.tell(ClockChanged(0, "nobody", trusted_before=True))
    shown = await laid_out(rig)
    assert shown[""].startswith("small: SOMEBODY CALLS FOR HELP, ")
    assert shown[""].endswith("the clock is not trusted, not every link is up, faults")
    assert shown["calls"] == "1 raised"
    assert "clock: The wall clock is not trusted. (repair within " in shown["faults"]
    assert shown["links"] == "bus SILENT, mqtt online"
    assert "No time source has vouched for it yet." in shown["clock"]
    assert "nobody can tell how far that is off" in shown["clock"]


async def test_a_fire_comes_before_all_else(rig: Rig) -> None:
    """A3: until a person resets it, also after its input is quiet."""
    assert (await laid_out(rig))["fire"] == "none"
    await rig.press("board/input_4")
    shown = await laid_out(rig)
    assert shown[""].startswith("small: FIRE, ")
    assert shown["fire"] == "fire"


async def test_a_lost_store_is_shouted(rig: Rig) -> None:
    """RULES X1."""
    rig.break_store()
    await rig.post(f"{API}/calls", {"place": "study_room"})
    shown = await laid_out(rig)
    assert "the store is lost" in shown[""]
    assert shown["store"].startswith("LOST, nothing is kept: ")


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, ""), (-5, ""), (7, "7 min"), (61, "1 h 1 min"), (1500, "1 d 1 h")]
)
def test_a_length_of_time_is_said_in_its_two_greatest_units(minutes: int, said: str) -> None:
    assert duration(minutes * 60_000) == said


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
