"""Real devices lie, and say so on the wire; each lie ends right."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from end_to_end.charging import drawn, end_of, facts_at, garage, present, start_session
from end_to_end.court import Court, court
from end_to_end.test_main_job import booked
from fixtures.broker import Broker

from gateway.domain.points import PointRef

MUSIC = Path(__file__).parents[1] / "simulation" / "court"
LIFETIME_WH = 48_211_730
ENERGY = PointRef("keba", "energy")


@pytest.fixture
async def parked(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    async with garage(tmp_path, broker) as served:
        yield served


@pytest.fixture
async def musical(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    """A court whose music room has a battery lock."""
    async with court(tmp_path, broker, None, MUSIC) as served:
        yield served


@pytest.mark.parametrize("lie_wh", [LIFETIME_WH, 0])
async def test_c3_a_register_that_jumps_or_steps_back_bills_nobody_for_it(
    parked: Court, lie_wh: int
) -> None:
    here, path = parked, "/outlets/bay_keba"
    before_wh = drawn(here, "bay_keba")
    await start_session(here, "bay_keba", "car")
    await here.sees(path, lambda one: one["session"]["energy_wh"] >= 3, 40)
    here.town.stick(ENERGY, lie_wh)
    await here.has("meter.segment", 40)
    here.town.unstick(ENERGY)
    await here.until(lambda: len(facts_at(here, "meter.segment", "bay_keba")) >= 2, 40)
    await present(here, "bay_keba")
    told = await end_of(here, "bay_keba")
    took_wh = drawn(here, "bay_keba") - before_wh
    assert 3 <= told["energy_wh"] <= took_wh + 1, (told, took_wh)


async def test_a4_a_lock_that_says_locked_after_its_release_is_a_fault_and_not_asked_again(
    musical: Court,
) -> None:
    here = musical
    await here.start()
    await here.ready()
    here.town.stick(PointRef("lock", "lock_state"), "locked")
    async with here.api() as api:
        (await api.post("/doors/music_door/release", json={"why": "a parcel"})).raise_for_status()
    lock = here.town.town.doors["music_door"].bolt
    assert await here.town.until(lambda: bool(lock.releases), 10)
    await here.sees("/faults", lambda found: [f for f in found if "music_door" in str(f)], 30)
    assert len(lock.releases) == 1
    here.town.unstick(PointRef("lock", "lock_state"))
    async with here.api() as api:
        (await api.post("/doors/music_door/release", json={"why": "again"})).raise_for_status()
    await here.sees("/faults", lambda found: not [f for f in found if "music_door" in str(f)], 30)
    assert len(lock.releases) == 2


async def test_b6_who_sits_still_where_the_sensor_sees_nobody_is_there(here: Court) -> None:
    await booked(here)
    here.town.stick(PointRef("pir", "motion"), False)
    await here.opens("study_door", "482913")
    await here.town.person_enters("study_door", "ada")
    await here.has("access.entered")
    here.town.shut("study_door")
    polls = await polled(here)
    await here.sees("/links/sensors", lambda one: one["counters"]["polls"] > polls + 30)
    assert "visit.closed" not in here.facts()
    assert "booking.no_show" not in here.facts()
    assert await here.town.person_exits("study_door", "ada")
    await here.has("visit.closed")


async def polled(here: Court) -> int:
    """How often the sensors were asked so far."""
    found = await here.sees("/links/sensors", lambda one: one)
    count: int = found["counters"]["polls"]
    return count
