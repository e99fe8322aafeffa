"""The demo compound as it is shipped: every link, door and call point of it works together."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker

DEMO = Path(__file__).parents[2] / "config" / "sites" / "demo"


@pytest.fixture
async def compound(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    async with court(tmp_path, broker, template=DEMO) as here:
        await here.start()
        await here.has("gateway.started")
        assert (await here.platform.subject("ada", pin="48291357")).accepted
        yield here


async def test_a_resident_studies_cooks_and_calls_for_help(compound: Court) -> None:
    here = compound
    for facility in ("study_room", "kitchen"):
        booked = await here.platform.book(facility, facility, ["ada"], here.window(-5, 60))
        assert booked.accepted
    for door in ("main_door", "study_door"):
        await here.opens(door, "48291357")
        assert await here.town.person_enters(door, "ada")
    await here.until(lambda: here.facts().count("access.entered") == 2, what="two entries")
    await here.has("visit.opened")

    await here.town.present_pin("kitchen_door", "48291357")  # a lock of its own, over the radio
    assert await here.town.person_enters("kitchen_door", "ada")
    await here.until(lambda: here.facts().count("access.entered") == 3, what="the kitchen")

    for number, call_point in enumerate(("study_help", "gym_help", "common_help"), 1):
        assert await here.town.press(call_point)
        await here.until(lambda: here.town.siren(call_point).sounding, what=call_point)  # noqa: B023 (awaited here)
        await here.until(lambda: here.facts().count("call.raised") == number)  # noqa: B023 (awaited here)
    faults = {entry.data["reason"]["code"] for entry in here.platform.facts("fault.opened")}
    assert faults <= {"call_undelivered"}  # no desk page is open; the platform takes the calls
    assert not here.platform.problems


async def test_a3_the_fire_loop_releases_the_doors_it_lists_and_no_other(compound: Court) -> None:
    here = compound
    here.town.fire("clubhouse_fire")
    await here.has("fire.latched")
    for door in ("main_door", "gym_door", "common_door"):
        await here.until(lambda: here.town.door(door).released, what=door)  # noqa: B023 (awaited here)
    assert not here.town.door("study_door").pulses
