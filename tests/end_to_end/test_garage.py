"""A session from plug to stop on every make of charger, by the gateway as a process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker

GARAGE = Path(__file__).parents[1] / "simulation" / "garage"
BAYS = {
    "bay_keba": 1,
    "bay_abb": 1,
    "bay_alfen": 1,
    "bay_heidelberg": 1,
    "bay_charx_1": 1,
    "bay_charx_2": 1,
    "bay_evse": 10,
}
RACKS = {"rack_1": 1, "rack_2": 1, "rack_3": 1}


@pytest.fixture
async def garage(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    async with court(tmp_path, broker, template=GARAGE) as here:
        await here.start()
        await here.ready()
        await here.platform.subject("ada", pin="482913")
        await here.platform.right("ada-charges", "ada", ["*"])
        yield here
        await here.stop()


async def present(here: Court, outlet: str) -> None:
    async with here.api() as api:
        answer = await api.post(
            f"/outlets/{outlet}/present", json={"credential": {"kind": "pin", "pin": "482913"}}
        )
        assert answer.is_success, answer.text


async def session(here: Court, outlet: str, resolution_wh: int, vehicle: str) -> None:
    connector = here.town.town.connector(outlet)
    here.town.plug_in(outlet, vehicle)
    await here.sees(f"/outlets/{outlet}", lambda one: one["status"] in ("Preparing", "Available"))
    before_wh = connector.energy_wh
    await present(here, outlet)
    path = f"/outlets/{outlet}"
    await here.sees(path, lambda one: one["status"] == "Charging", 40)
    if vehicle == "car":
        await here.sees(path, lambda one: one["session"]["energy_wh"] >= 3, 40)
    await present(here, outlet)  # the same person again: stop
    await here.sees(path, lambda one: one["session"] is None, 40)
    await here.until(lambda: ended(here, outlet), what=f"no end at {outlet}")
    (told,) = ended(here, outlet)
    took_wh = connector.energy_wh - before_wh
    assert abs(told["energy_wh"] - took_wh) <= resolution_wh, (outlet, told, took_wh)


def ended(here: Court, outlet: str) -> list[dict[str, Any]]:
    """What the platform was told of the sessions that ended at an outlet."""
    facts = (entry for entry in here.platform.records if entry.fact == "session.ended")
    return [entry.data for entry in facts if entry.data["facility"] == outlet]


async def test_sessions_on_every_make(garage: Court) -> None:
    await asyncio.gather(*(session(garage, bay, wh, "car") for bay, wh in BAYS.items()))
    await asyncio.gather(*(session(garage, rack, wh, "ebike") for rack, wh in RACKS.items()))
    assert garage.facts("meter.") == []
