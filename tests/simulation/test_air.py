"""Messages that are late and come twice, as the simulated world has them (QoS 1)."""

from random import Random

import pytest

from gateway.domain.events import PointEdge
from gateway.domain.now import HOUR_MS, SECOND_MS
from gateway.domain.points import PointRef
from gateway.domain.records import Fact
from gateway.domain.site import Wiring
from simulators.virtual.air import LATE_MOST_MS, SETTLE_MS, Air
from simulators.virtual.schedule import Schedule
from simulators.world import World

HELP = PointRef("sos1", "pressed")


def said(chance: int, messages: int = 40, every_ms: int = 700) -> list[tuple[int, int]]:
    """What arrives of a device's messages while they are late: when, and which."""
    schedule, arrived = Schedule(0), []
    air = Air(schedule, Random(chance))
    end = air.slow(["contact"])
    for number in range(messages):
        arrives = lambda number=number: arrived.append((schedule.now_ms, number))  # noqa: E731
        schedule.at(number * every_ms, lambda arrives=arrives: air.say("contact", arrives))
    schedule.at(messages * every_ms, end)
    schedule.run(HOUR_MS)
    assert not air.late("contact")
    return arrived


@pytest.mark.parametrize("chance", range(20))
def test_every_message_arrives_in_order_late_or_twice_and_the_last_one_last(chance: int) -> None:
    arrived = said(chance)
    numbers = [number for _, number in arrived]
    assert list(dict.fromkeys(numbers)) == list(range(40))
    assert numbers[-1] == 39
    assert len(numbers) > 40
    assert max(at_ms - number * 700 for at_ms, number in arrived) > SECOND_MS


def test_what_is_not_late_arrives_at_once() -> None:
    arrived: list[int] = []
    Air(Schedule(0), Random(1)).say("contact", lambda: arrived.append(1))
    assert arrived == [1]


def pressed() -> World:
    """A world without other troubles in which somebody has pressed a button on the air."""
    for seed in range(30):
        world = World(seed, 0.2)
        buttons = world.site.safety.call_points.values()
        if any(one.wiring is Wiring.MESSAGE and one.point == HELP for one in buttons):
            world.troubles.kinds = ()
            return world
    raise AssertionError("no seed has one")


def calls(world: World) -> list[str]:
    """Calls that were raised, and pressed again."""
    facts = (Fact.CALL_RAISED, Fact.CALL_PRESSED)
    return [one.record.fact for one in world.disk.stamped if one.record.fact in facts]


@pytest.mark.parametrize("away", ["cut", "dead"])
def test_a_press_that_nobody_could_hear_is_heard_later_once(away: str) -> None:
    """E1: the broker keeps it while the link is down, or the gateway away."""
    world = pressed()
    links, schedule = world.place.links, world.schedule

    def strike() -> None:
        if away == "cut":
            links.cut_link("radio")
            schedule.after(HOUR_MS, lambda: links.mend_link("radio"))
        else:
            world.crash(HOUR_MS)
        schedule.after(10 * 60_000, lambda: links.says(PointEdge(HELP, True)))
        schedule.after(HOUR_MS - SECOND_MS, lambda: silent.append(not calls(world)))

    silent: list[bool] = []
    schedule.after(HOUR_MS, strike)
    lived = world.run()
    assert lived.breach is None
    assert silent == [True]
    assert calls(world) == [Fact.CALL_RAISED]


def test_a_press_is_told_again_to_the_next_process_until_it_is_durable() -> None:
    """E1: a crash between press and commit; on a disk that takes longer, its 2 s are over first."""
    world = pressed()
    world.commit_ms = (SETTLE_MS // 2, SETTLE_MS // 2)
    told: list[str] = []

    def press() -> None:
        world.place.links.says(PointEdge(HELP, True))
        gateway = world.place.gateway
        assert gateway is not None
        world._die(gateway, SECOND_MS, None)
        told.append(gateway.boot)

    world.heard.append(lambda event, _decision, now: hears(event, now.boot))

    def hears(event: object, boot: str) -> None:
        if isinstance(event, PointEdge) and event.ref == HELP:
            told.append(boot)

    world.schedule.after(HOUR_MS, press)
    assert world.run().breach is None
    assert told == ["boot1", "boot1", "boot2"]
    assert LATE_MOST_MS < 10 * SECOND_MS, "a credential is taken as long as it is no older"
