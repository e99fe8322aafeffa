"""People who live by their bookings, the same day for the same seed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from random import Random

import aiomqtt
import pytest
from fixtures.broker import Broker
from simulation.sites import small_site

from gateway.domain.site import Egress
from simulators.devices import SimulatedSite
from simulators.residents import Act, Deed, Habits, Resident, Stay, plan, stay_of

HOUR_MS = 3_600_000
STAY = Stay("ada", "4821", "study_room", ("study_room_door",), 0, HOUR_MS, "help")
NEVER = Habits(0, 0, 0, 0, 0, 0, 0)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def deeds(acts: tuple[Act, ...]) -> list[Deed]:
    return [act.deed for act in acts]


def test_the_same_seed_plans_the_same_stay() -> None:
    assert plan(STAY, Habits(), Random(7)) == plan(STAY, Habits(), Random(7))
    plans = {plan(STAY, Habits(), Random(seed)) for seed in range(50)}
    assert len(plans) > 40


def test_a_person_of_no_bad_habit_comes_in_time_and_leaves_before_the_end() -> None:
    acts = plan(STAY, NEVER, Random(1))
    assert acts[0].deed is Deed.COME_IN
    assert acts[-1].deed is Deed.GO_OUT
    assert 0 < acts[0].at_ms < acts[-1].at_ms < HOUR_MS
    assert all(one.at_ms <= two.at_ms for one, two in pairwise(acts))


def test_every_habit_shows_when_it_is_certain() -> None:
    sure = Habits(0, 1, 1, 0, 1, 1, 1)
    for seed in range(200):
        acts = plan(STAY, sure, Random(seed))
        assert {Deed.MISTYPE, Deed.CALL, Deed.PROP} <= set(deeds(acts))
        assert deeds(acts).count(Deed.COME_IN) == 2
        last_out = max(act.at_ms for act in acts if act.deed is Deed.GO_OUT)
        assert last_out > HOUR_MS
        assert max(act.at_ms for act in acts if act.deed is Deed.COME_IN) < last_out


def test_nobody_comes_to_a_forgotten_booking() -> None:
    assert plan(STAY, Habits(no_show=1), Random(1)) == ()


def test_a_stay_knows_its_doors_and_its_call_point() -> None:
    stay = stay_of(small_site(), "study", "ada", "4821", (0, HOUR_MS))
    assert stay == STAY


@pytest.fixture
async def world(broker: Broker) -> AsyncIterator[SimulatedSite]:
    site = small_site(egress=Egress.MECHANICAL)
    async with SimulatedSite(site, brokers={"mqtt": (broker.host, broker.port)}) as served:
        yield served


async def letting_in(
    world: SimulatedSite, broker: Broker, pins: list[str], ready: asyncio.Event
) -> None:
    """Stands in for a gateway: the right PIN moves the strike."""
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe("commons/+/presented")
        ready.set()
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            pins.append(json.loads(message.payload)["pin"])
            if pins[-1] == STAY.pin:
                world.town.strike("study_room_door").flash(True, 500, world.now_ms())


async def test_a_resident_mistypes_comes_in_sits_calls_and_goes(
    world: SimulatedSite, broker: Broker
) -> None:
    pins: list[str] = []
    ready = asyncio.Event()
    gateway = asyncio.create_task(letting_in(world, broker, pins, ready))
    resident = Resident(world, STAY, wall_ms)
    await ready.wait()
    for deed in (Deed.MISTYPE, Deed.COME_IN):
        await resident.do(deed)
    assert resident.inside
    assert pins == ["4822", "4821"]
    await resident.do(Deed.SIT_STILL)
    assert not world.town.rooms["study_room"].moving(world.now_ms())
    await resident.do(Deed.CALL)
    assert world.town.buttons["help"].active(world.now_ms())
    await resident.do(Deed.GO_OUT)
    assert not resident.inside
    assert world.town.whereabouts == {"ada": "compound"}
    await resident.do(Deed.PROP)
    assert world.door("study_room_door").opened
    gateway.cancel()


async def test_acts_come_at_their_times_and_a_person_outside_cannot_call(
    world: SimulatedSite,
) -> None:
    begin = wall_ms()
    acts = (Act(begin - 5_000, Deed.CALL), Act(begin + 120, Deed.GO_OUT))
    await Resident(world, STAY, wall_ms).live(acts)
    assert wall_ms() - begin >= 119
    assert not world.town.buttons["help"].presses
