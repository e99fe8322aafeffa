"""Outlets and sessions over HTTP (RULES C)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from api.api_rig import PIN, Rig, api_site, served
from fixtures.waiting import until

from gateway.domain.charging import ChargingSession, Outlet, OutletPoints
from gateway.domain.points import PointRef
from gateway.domain.power import Circuit, Load, LoadKind
from gateway.domain.site import BookingPolicy, Facility, Name

API = "/api/v1"
SOCKET = f"{API}/outlets/socket"
RELAY = "board/relay_7"


@pytest.fixture
async def shed(tmp_path: Path) -> AsyncIterator[Rig]:
    """The small site with one switched outlet that is seen to be off."""
    site = api_site()
    load = Load("feeder", LoadKind.SWITCHED, (1,), minimum_ma=5_000, maximum_ma=5_000)
    outlet = Outlet(OutletPoints(switch=PointRef.parse(RELAY)), load)
    name, free = Name("插座", "Socket"), BookingPolicy.NONE
    socket = Facility("socket", "compound", name, free, outlet=outlet)
    feeder = Circuit("feeder", "compound", (16_000,) * 3)
    facilities = {**site.facilities, socket.id: socket}
    site = replace(site, facilities=facilities, circuits={feeder.id: feeder})
    async with served(tmp_path, site) as running:
        await running.people()
        running.read(RELAY, False)
        yield running


def pin(text: str) -> dict[str, object]:
    return {"credential": {"kind": "pin", "pin": text}}


async def test_a_session_from_start_to_stop(shed: Rig) -> None:
    started = await shed.post(f"{SOCKET}/present", pin(PIN))
    assert (started.status_code, started.json()["reason"]["code"]) == (200, "charging_started")
    session = started.json()["session"]
    shown = (await shed.get(SOCKET)).json()
    assert (shown["granted_ma"], shown["setpoint"]["wanted"]) == (5_000, True)
    assert (shown["session"]["id"], shown["session"]["state"]) == (session, "starting")
    shed.read(RELAY, True)
    assert await until(lambda: next(iter(shed.engine.state.all(ChargingSession))).progress.lasted)
    listed = (await shed.get(f"{API}/sessions")).json()
    assert [(one["id"], one["subject"]) for one in listed] == [(session, "ada")]
    stopped = await shed.post(f"{API}/sessions/{session}/stop", {})
    assert (stopped.status_code, stopped.json()["reason"]["code"]) == (200, "charging_stopped")
    assert (await shed.get(SOCKET)).json()["setpoint"]["wanted"] is False


async def test_a_resident_starts_for_themself_and_sees_no_other(shed: Rig) -> None:
    remote = {"credential": {"kind": "remote"}}
    started = await shed.post(f"{SOCKET}/present", remote, "resident")
    assert started.status_code == 200
    mine = (await shed.get(f"{API}/sessions", "resident")).json()
    assert [one["subject"] for one in mine] == ["ada"]
    assert (await shed.get(SOCKET, "technician")).json()["session"]["subject"] is None


async def test_what_is_in_use_unseen_or_no_outlet_is_a_problem(shed: Rig) -> None:
    none = await shed.get(f"{API}/outlets/study")
    assert (none.status_code, none.json()["title"]) == (404, "Not Found")
    wrong = await shed.post(f"{SOCKET}/present", pin("0000"))
    assert wrong.json()["reason"]["code"] == "not_recognised"
    nobody = await shed.post(f"{API}/sessions/session-none/stop", {})
    assert nobody.status_code == 404


async def test_an_outlet_that_was_never_read_starts_nothing(shed: Rig) -> None:
    """RULES C1."""
    shed.engine.step.readings.forget_device("board")  # type: ignore[attr-defined]
    refused = await shed.post(f"{SOCKET}/present", pin(PIN))
    assert refused.status_code == 503
    assert refused.json()["reason"]["code"] == "outlet_unseen"


async def test_a_hazard_is_reset_by_a_person_with_the_role(shed: Rig) -> None:
    assert (await shed.post(f"{SOCKET}/reset", {}, "resident")).status_code == 403
    unchanged = await shed.post(f"{SOCKET}/reset", {}, "technician")
    assert unchanged.json()["reason"]["code"] == "unchanged"
