"""Killed amid sessions, and the power gone for minutes (RULES C1, C3, C8, DESIGN §5).

In a power cut the gateway and every device are dark; how long it lasted the gateway's own clock
tells, which is set on by so much while nobody looks.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from end_to_end.charging import charges, drawn, end_of, facts_at, garage, present, start_session
from end_to_end.court import Court
from end_to_end.faketime import LIBRARIES, Time
from fixtures.broker import Broker

from simulators.models.connectors import Charger

RESUMES_S = (2, 10)
VEHICLES = {"bay_keba": "car", "bay_heidelberg": "car", "rack_1": "ebike"}
LIMITED = {
    "bay_alfen": {"most_kwh": 0.06},
    "bay_heidelberg": {"longest_ms": 15_000},
}


@asynccontextmanager
async def contactors_watched(here: Court, outlets: list[str]) -> AsyncIterator[list[str]]:
    """The outlets whose power came, went or was offered otherwise meanwhile."""
    connectors = {outlet: here.town.town.connector(outlet) for outlet in outlets}
    moved: list[str] = []

    def shown() -> dict[str, tuple[bool, float]]:
        now_ms = here.town.now_ms()
        return {id_: (any(c.amps(now_ms)), c.offered_a()) for id_, c in connectors.items()}

    async def watch() -> None:
        before = shown()
        while True:
            now = shown()
            moved.extend(outlet for outlet in now if now[outlet] != before[outlet])
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    try:
        yield moved
    finally:
        watching.cancel()


async def test_killed_amid_sessions_no_contactor_moves_and_energy_is_right(
    tmp_path: Path, broker: Broker
) -> None:
    """C1, C3: killed, started again, and nobody notices."""
    async with garage(tmp_path, broker) as here:
        before = {outlet: drawn(here, outlet) for outlet in VEHICLES}
        await asyncio.gather(*(start_session(here, *one) for one in VEHICLES.items()))
        async with contactors_watched(here, list(VEHICLES)) as moved:
            await here.kill()
            await here.start()
            await here.ready()
            await asyncio.gather(*(charges(here, outlet) for outlet in VEHICLES))
        assert moved == []
        for outlet in VEHICLES:
            await present(here, outlet)
            told = await end_of(here, outlet)
            took_wh = drawn(here, outlet) - before[outlet]
            assert abs(told["energy_wh"] - took_wh) <= 1, (outlet, told, took_wh)


async def test_the_limits_of_a_session_hold_over_a_kill(tmp_path: Path, broker: Broker) -> None:
    """C3: by energy and by time, counted on from where they were."""
    async with garage(tmp_path, broker, LIMITED) as here:
        await asyncio.gather(*(start_session(here, bay, "car", 1_000) for bay in LIMITED))
        for bay in LIMITED:
            await here.sees(f"/outlets/{bay}", lambda one: one["session"]["energy_wh"] >= 10)
        await here.kill()
        await here.start()
        by_energy, by_time = await asyncio.gather(*(end_of(here, bay) for bay in LIMITED))
        assert by_energy["stop_reason"] == "EnergyLimitReached"
        assert 60 <= by_energy["energy_wh"] < 60 + 11_040 * 10 / 3_600
        closed_wh = by_energy["segments"][-1]["closed_wh"]
        assert closed_wh == pytest.approx(drawn(here, "bay_alfen"), abs=1)
        assert by_time["stop_reason"] == "TimeLimitReached"
        assert by_time["duration_ms"] == pytest.approx(15_000, abs=5_000)
        for bay in LIMITED:
            assert not any(here.town.town.connector(bay).amps(here.town.now_ms()))


async def power_cut(
    here: Court, time: Time, minutes: int, racks: Sequence[str] = ()
) -> list[float]:
    """Gateway and devices go dark together, and after so long have power; when racks came on."""
    await here.kill()
    await here.town.cut_power()
    time.later(minutes * 60)
    await here.town.restore_power()
    watching = asyncio.create_task(switched_on(here, racks))
    await here.start(**time.environment())
    await here.ready()
    return await watching


@pytest.mark.skipif(not LIBRARIES, reason="no libfaketime here (apt: faketime)")
async def test_a_power_cut_of_5_minutes_resumes_one_of_30_ends_at_the_racks(
    tmp_path: Path, broker: Broker
) -> None:
    """C8: racks come back 2 to 10 s later, one after another, or end; a car always goes on."""
    time = Time(tmp_path)
    racks = ["rack_1", "rack_2", "rack_3"]
    async with garage(tmp_path, broker, **time.environment()) as here:
        await asyncio.gather(
            start_session(here, "bay_alfen", "car"),
            *(start_session(here, rack, "ebike") for rack in racks),
        )
        outlets = {rack: here.town.town.connector(rack) for rack in racks}
        await power_cut(here, time, 5)
        came = await switched_on(here, racks)
        assert all(one.offered_a() for one in outlets.values())
        apart = [later - first for first, later in pairwise(came)]
        assert all(gap > 0.5 for gap in apart), f"not one after another: {came}"
        for outlet in ("bay_alfen", *racks):
            await charges(here, outlet)
            assert facts_at(here, "session.ended", outlet) == []

        await power_cut(here, time, 30)
        for rack in racks:
            told = await end_of(here, rack)
            assert told["stop_reason"] == "PowerLoss"
            assert abs(told["energy_wh"] - drawn(here, rack)) <= 1
            assert not outlets[rack].offered_a()
        await charges(here, "bay_alfen")
        await present(here, "bay_alfen")
        told = await end_of(here, "bay_alfen")
        assert abs(told["energy_wh"] - drawn(here, "bay_alfen")) <= 1
        car = here.town.town.connector("bay_alfen")
        assert isinstance(car, Charger)
        assert not any(car.amps(here.town.now_ms()))
        closed = await here.has("utilization.bucket")
        assert sum(closed.data["spent_ms"].values()) == 900_000


async def switched_on(here: Court, racks: Sequence[str]) -> list[float]:
    """When each of these outlets came on, in order."""
    came: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 40
    while len(came) < len(racks):
        assert loop.time() < deadline, f"only {came}\n{here.log.read_text()[-3000:]}"
        for rack in racks:
            if rack not in came and here.town.town.connector(rack).offered_a():
                came[rack] = loop.time()
        await asyncio.sleep(0.02)
    return sorted(came.values())
