"""Worlds in virtual time: the gateway's own objects among troubles, and an auditor that knows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from fixtures.sizes import size

from gateway.domain.now import MINUTE_MS
from gateway.domain.points import PointRef
from simulators.models.vehicles import KINDS
from simulators.tally import Tally
from simulators.virtual.premises import draw_site
from simulators.world import World

ROOT = Path(__file__).parents[2]
DAYS = 2.5
FIRST = size("first_seed", 0)
SEEDS = range(FIRST, FIRST + size("seeds", 6))
# Each once broke a rule: a storm of overstays (B7), a register that never agreed (C3), a holder who
# was just opening the door (B6), a visit that nobody saw end (A7), a fault of a former process, a
# session register that fell for a moment (C3), a siren that was told `off` before its last `on`, a
# lamp that failed and was right again with each write on a bad wire, one who followed as a release
# ended (A6), meters that each tell a step late (C4), a room empty before a restart that no sensor
# saw since (U2).
FAILED_ONCE = (
    *((101, 4.0), (103, 4.0), (48, 2.5), (139, 2.5), (34, 2.5), (40, 2.5), (241, 2.5)),
    *((505, 2.5), (760, 2.5), (1675, 2.5), (2842, 2.5)),
)


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Counts while the tests of this module run, and tells at their end."""
    tally = Tally()
    yield tally
    print(f"\n{tally}")


@pytest.mark.parametrize(("seed", "days"), [*((n, DAYS) for n in SEEDS), *FAILED_ONCE])
def test_no_rule_is_broken_and_all_comes_right(seed: int, days: float, tally: Tally) -> None:
    lived = tally.live(World(seed, days))
    assert lived.breach is None, f"commons world --seed {seed} --days {days} --explain"
    assert lived.events > 1_000


def test_the_same_seed_lives_the_same_life_in_any_process() -> None:
    """Over two runs and two orders of hashes; another seed lives another.

    Of the second seed two relays of one moment were once switched in the order of a set.
    """
    lived = {seed: trace(seed, "1") for seed in (7, 10)}
    assert lived == {seed: trace(seed, "2") for seed in lived}
    assert lived[7] != lived[10]


def trace(seed: int, hashes: str) -> str:
    code = f"from simulators.world import World; print(World({seed}, 2.5).run().trace)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_an_auditor_that_is_lied_to_says_so() -> None:
    """It is no decoration: what nobody did is a breach, by its rule."""
    world = World(1, DAYS)
    world.schedule.after(3_600_000, lambda: world.auditor.cries.press_arrived(first_button(world)))
    lived = world.run()
    assert lived.breach is not None
    assert lived.breach.rule in ("E1", "E2")


@pytest.mark.parametrize(("wrong", "rule"), [("kettles", "C4"), ("leaks", "C1")])
def test_what_truly_flows_is_looked_at_between_the_hours(wrong: str, rule: str) -> None:
    """Too much in a feeder whatever the gateway does, and a charger that does not heed it."""
    world = next(w for n in range(20) if "feeder" in (w := World(n, 1.0)).site.equipment.devices)
    world.troubles.kinds = ()
    town, schedule = world.place.town, world.schedule
    began_ms = schedule.now_ms + 10 * MINUTE_MS

    def strike() -> None:
        if wrong == "kettles":
            town.buildings["main"].add((90.0, 90.0, 90.0), schedule.now_ms)
        else:
            town.outlets["bay1"].misbehave("leaks", schedule.now_ms)
            world.place.plug_in("bay1", KINDS["car"](0.2))

    schedule.at(began_ms, strike)
    lived = world.run()
    assert lived.breach is not None
    assert lived.breach.rule == rule
    assert lived.breach.at_ms - began_ms < 5 * MINUTE_MS


def first_button(world: World) -> PointRef:
    return next(iter(world.site.safety.call_points.values())).point


def test_every_seed_draws_premises_that_the_check_takes() -> None:
    assert len({tuple(draw_site(Random(n)).facilities) for n in range(30)}) > 8
