"""Outlets and sessions over HTTP (RULES C)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from api.api_rig import PIN, Rig, api_site, served
from fixtures.waiting import until

from gateway.domain.charging import ChargingSession, Outlet, OutletPoints
from gateway.domain.events import QuotaItem, Stream
from gateway.domain.points import PointRef
from gateway.domain.power import Circuit, Load, LoadKind
from gateway.domain.quotas import Counted, QuotaTerms
from gateway.domain.site import BookingPolicy, Facility, Name

API = "/api/v1"
SOCKET = f"{API}/outlets/socket"
RELAY = "board/relay_7"
ENERGY = Counted.ENERGY


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


def energy(left_wh: int, **more: object) -> dict[str, object]:
    told = {"kind": "energy_quota", "id": "ada-kwh", "subject": "ada", "left_wh": left_wh}
    return {"type": "changes", "epoch": "p1", "revision": 2, "put": [{**told, **more}]}


async def test_what_is_left_is_shown_held_and_refused(shed: Rig) -> None:
    """RULES B3: pushed by the platform, asked beyond by a resident, seen by those who may."""
    quota = energy(8_000, used_wh=41_200, until_ms=shed.clock.wall_ms() + 86_400_000)
    assert (await shed.post(f"{API}/sync/subjects", quota, "platform")).status_code == 200
    remote = {"credential": {"kind": "remote"}}
    beyond = await shed.post(f"{SOCKET}/present", {**remote, "needed_wh": 10_000}, "resident")
    assert (beyond.status_code, beyond.json()["result"]) == (403, "NoCredit")
    assert beyond.json()["reason"]["en"] == ("You asked for 10.0 kWh; your quota has 8.0 kWh left.")
    wrong = await shed.post(f"{SOCKET}/present", {**remote, "most_wh": -1}, "resident")
    assert wrong.status_code == 422
    asked = {**remote, "most_wh": 3_000, "needed_wh": 2_500}
    assert (await shed.post(f"{SOCKET}/present", asked, "resident")).status_code == 200
    (mine,) = (await shed.get(f"{API}/sessions", "resident")).json()
    assert (mine["needed_wh"], mine["most_wh"], mine["price_class"]) == (2_500, 3_000, "")
    (shown,) = (await shed.get(f"{API}/quotas", "resident")).json()
    assert (shown["left"], shown["held"], shown["used"]) == (8_000, 3_000, 41_200)
    assert (await shed.get(f"{API}/quotas", "technician")).json() == []
    person = (await shed.get(f"{API}/subjects/ada")).json()
    assert person["quotas"] == [shown]


async def test_why_has_an_outlet_the_power_it_has(shed: Rig) -> None:
    """Refused, before; once it runs: as authorised, and never as if it were asked to stop."""
    why = f"{API}/why?facility=socket"
    assert (await shed.get(why)).json()["reason"]["code"] == "no_charge"
    quota = energy(100)
    assert (await shed.post(f"{API}/sync/subjects", quota, "platform")).status_code == 200
    refused = (await shed.get(f"{why}&subject=ada")).json()
    assert refused["reason"]["en"] == "Your quota is used up: 0.1 kWh left."
    assert refused["judged"][0]["result"] == "NoCredit"
    await shed.sync(Stream.SUBJECTS, 3, QuotaItem("ada-kwh", QuotaTerms("ada", ENERGY, 9_000)))
    await shed.post(f"{SOCKET}/present", {"credential": {"kind": "remote"}}, "resident")
    mine = (await shed.get(why, "resident")).json()
    assert (mine["reason"]["code"], mine["outlet"]["granted_ma"]) == ("charging", 5_000)
    assert mine["judged"] == []
