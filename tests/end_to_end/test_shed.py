"""The e-bike shed: twelve outlets, plugs swapped, and smoke (RULES A3, C2, C5, C8)."""

import asyncio
from pathlib import Path
from typing import Any

from end_to_end.charging import charges, drawn, end_of, ended, garage, plug_in, present
from end_to_end.court import Court
from fixtures.broker import Broker

from gateway.domain.points import PointRef

RACKS = [f"rack_{n}" for n in range(1, 13)]
SIGNS = {"swap_after_ms": 2_000, "gone_after_ms": 6_000}


async def start(here: Court, rack: str) -> None:
    """First the plug, then the PIN; where it waits for room on the feeder, in its time."""
    await shown(here, rack, status="Available")
    plug_in(here, rack, "ebike", 6_000)  # a register is opened before it draws
    await present(here, rack)
    await charges(here, rack, 60)


async def shown(here: Court, rack: str, **wanted: Any) -> None:
    """Wait until the outlet is shown so."""
    await here.sees(
        f"/outlets/{rack}", lambda one: all(one[key] == value for key, value in wanted.items())
    )


async def swapped(here: Court, rack: str) -> None:
    """Another bike at a running outlet is not authorised."""
    await here.town.swap(rack, away_s=4)
    told = await end_of(here, rack)
    assert told["stop_reason"] == "EVDisconnected"
    await _adds_up(here, rack)


async def gone(here: Court, rack: str) -> None:
    """Taken away, and nothing else came."""
    here.town.unplug(rack)
    told = await end_of(here, rack)
    assert told["stop_reason"] == "EVDisconnected"
    await _adds_up(here, rack)


async def _adds_up(here: Court, rack: str) -> None:
    (told,) = ended(here, rack)
    assert abs(told["energy_wh"] - drawn(here, rack)) <= 1
    assert here.town.town.connector(rack).offered_a() == 0


async def hot(here: Court, rack: str) -> None:
    """C2: off, latched, said why; free again once a named person has looked at it."""
    here.town.stick(PointRef("station", f"temperature_{rack.partition('_')[2]}"), 80.0)
    told = await end_of(here, rack)
    assert told["stop_reason"] == "EmergencyStop"
    here.town.unstick(PointRef("station", f"temperature_{rack.partition('_')[2]}"))
    await shown(here, rack, status="Faulted")
    async with here.api() as api:
        refused = await api.post(f"/outlets/{rack}/present", json=PRESENTED)
        assert refused.json()["reason"]["code"] == "hazard", refused.text
        reset = await api.post(f"/outlets/{rack}/reset", json={"person": "Ms Chen"})
        assert reset.is_success, reset.text
    await shown(here, rack, status="Available", faults=[])
    told = await here.has("outlet.hazard_reset")
    assert told.data["person"] == "Ms Chen (Dora)", "by whose token too"


PRESENTED = {"credential": {"kind": "pin", "pin": "482913"}}


async def test_twelve_outlets_with_swaps_and_then_smoke(tmp_path: Path, broker: Broker) -> None:
    changes = {rack: {"signs": SIGNS} for rack in RACKS}
    async with garage(tmp_path, broker, changes) as here:
        await asyncio.gather(*(start(here, rack) for rack in RACKS))
        await here.until(lambda: all(drawn(here, rack) > 1 for rack in RACKS))
        await asyncio.gather(
            swapped(here, "rack_1"),
            swapped(here, "rack_12"),
            gone(here, "rack_2"),
            hot(here, "rack_4"),
        )
        again = ["rack_1", "rack_2", "rack_4", "rack_12"]
        await asyncio.gather(*(start(here, rack) for rack in again))

        here.town.fire("shed_smoke")
        outlets = [here.town.town.connector(rack) for rack in RACKS]
        await here.until(lambda: not any(one.offered_a() for one in outlets), 5, "not off")
        for rack in RACKS:
            told = await end_of(here, rack, 2 if rack in again else 1)
            assert told["stop_reason"] == "EmergencyStop", (rack, told)
            one = await here.sees(f"/outlets/{rack}", lambda one: one["setpoint"]["agrees"])
            assert one["setpoint"]["read"]["value"] is False, "read back"
            assert one["status"] == "Faulted"
        parts = sum(told["energy_wh"] for rack in RACKS for told in ended(here, rack))
        assert abs(parts - sum(drawn(here, rack) for rack in RACKS)) <= 2 * len(RACKS)
