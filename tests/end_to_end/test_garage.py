"""A session from plug to stop on every make of charger, by the gateway as a process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker

from simulators.models.connectors import Charger

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
WAKES_MS = 8_000  # a register is opened before its vehicle draws


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
    connector, path = here.town.town.connector(outlet), f"/outlets/{outlet}"
    before_wh = connector.energy_wh
    await start_session(here, outlet, vehicle, WAKES_MS)
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


async def start_session(here: Court, outlet: str, vehicle: str, wakes_ms: int = 1_000) -> None:
    """Plugged in, authorised, charging."""
    here.town.plug_in(outlet, vehicle)
    plugged = here.town.town.connector(outlet).vehicle
    assert plugged is not None
    plugged.wakes_ms = wakes_ms
    known = ("Preparing", "Available")
    await here.sees(f"/outlets/{outlet}", lambda one: one["status"] in known)
    await present(here, outlet)
    await here.sees(f"/outlets/{outlet}", lambda one: one["status"] == "Charging", 40)


async def test_a_restart_amid_sessions_moves_no_contactor(garage: Court) -> None:
    """C1, C3: killed, started again, and nobody notices."""
    here = garage
    vehicles = {"bay_keba": "car", "bay_heidelberg": "car", "rack_1": "ebike"}
    before = {outlet: here.town.town.connector(outlet).energy_wh for outlet in vehicles}
    for outlet, vehicle in vehicles.items():
        await start_session(here, outlet, vehicle, WAKES_MS)
    connectors = [here.town.town.connector(outlet) for outlet in vehicles]
    moved: list[str] = []

    async def watch() -> None:
        flows = [any(one.amps(here.town.now_ms())) for one in connectors]
        offers = [one.offered_a() for one in connectors]
        while True:
            for outlet, one, flowed, offered in zip(
                vehicles, connectors, flows, offers, strict=True
            ):
                if any(one.amps(here.town.now_ms())) != flowed or one.offered_a() != offered:
                    moved.append(outlet)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    await here.kill()
    await here.start()
    await here.ready()
    for outlet in vehicles:
        path = f"/outlets/{outlet}"
        await here.sees(path, lambda one: one["status"] == "Charging", 40)
        await here.sees(path, lambda one: one["session"]["state"] == "active", 40)
    assert moved == []
    watching.cancel()
    for outlet in vehicles:
        await present(here, outlet)
        await here.until(lambda o=outlet: ended(here, o), 40, f"no end at {outlet}")  # type: ignore[misc]
        (told,) = ended(here, outlet)
        took_wh = here.town.town.connector(outlet).energy_wh - before[outlet]
        assert abs(told["energy_wh"] - took_wh) <= 1, (outlet, told, took_wh)


async def test_a_charger_that_started_by_itself_is_stopped_and_its_energy_told(
    garage: Court,
) -> None:
    """C5, C6: its line is cut for longer than it waits, and its failsafe current 6 A again."""
    here = garage
    keba = here.town.town.connectors["keba"]
    assert isinstance(keba, Charger)
    await here.until(lambda: not keba.failsafe_ma, what="its failsafe current was not written")
    here.town.plug_in("bay_keba")
    await here.sees("/outlets/bay_keba", lambda one: one["status"] == "Preparing")
    await here.town.cut_link("keba_host")
    keba.silence_ms, keba.failsafe_ma = 500, 6_000
    await here.until(lambda: keba.watts(here.town.now_ms()) > 0, what="it did not start")
    await here.until(lambda: keba.energy_wh > 3)
    keba.silence_ms = 30_000
    await here.town.mend_link("keba_host")
    await here.until(lambda: keba.offered_a() == 0, what="it was not stopped")
    took_wh = keba.energy_wh
    await here.sees("/outlets/bay_keba", lambda one: one["status"] == "Preparing")
    await start_session(here, "bay_keba", "car", WAKES_MS)
    told = await here.has("meter.unattributed")
    assert abs(told.data["energy_wh"] - took_wh) <= 1
    await here.until(lambda: not keba.failsafe_ma, what="its failsafe current was not mended")


async def test_a_charger_that_will_not_stop_is_told_of(garage: Court) -> None:
    """C6"""
    here = garage
    here.town.misbehave("bay_abb", "leaks")
    here.town.plug_in("bay_abb")
    shown = await here.sees("/outlets/bay_abb", lambda one: one["faults"])
    assert [fault["reason"]["code"] for fault in shown["faults"]] == ["unauthorised_energy"]
    here.town.misbehave("bay_abb", "none")
    await here.sees("/outlets/bay_abb", lambda one: not one["faults"])


async def test_smoke_in_the_shed_switches_every_outlet_off(garage: Court) -> None:
    """C2, A3: each is read back."""
    here = garage
    for rack in RACKS:
        await start_session(here, rack, "ebike")
    here.town.fire("shed_smoke")
    outlets = [here.town.town.connector(rack) for rack in RACKS]
    await here.until(lambda: not any(one.offered_a() for one in outlets), 5, "not off")
    for rack in RACKS:
        await here.until(lambda o=rack: ended(here, o), what=f"no end at {rack}")  # type: ignore[misc]
        assert ended(here, rack)[0]["stop_reason"] == "EmergencyStop"
