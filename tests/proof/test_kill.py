"""`kill -9` at random moments under load: the platform's own ledger has every record, each once.

And no output stays on that should be off: not while the gateway is dead, not once all is over.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker
from fixtures.sizes import size
from proof.load import OUTLET, Load, site_with_outlet
from proof.promises import Held

SECONDS = size("kill_s", 180)
SEED = size("kill_seed", 1)
DEAD_AT_MOST_S = 15.0  # a strike's longest pulse here is 12 s, a siren's 6


@pytest.fixture
async def here(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    async with court(tmp_path, broker, template=site_with_outlet(tmp_path / "template")) as served:
        yield served


def relays_on(here: Court) -> list[tuple[str, int]]:
    """Strikes, sirens and lamps that are on."""
    relays = here.town.town.relays
    return [which for which, relay in relays.items() if relay.on(here.town.now_ms())]


async def all_off(here: Court) -> None:
    """Wait until every output is."""
    if not await here.town.until(lambda: not relays_on(here), DEAD_AT_MOST_S):
        raise AssertionError(f"these stay on: {relays_on(here)}")


async def killed_often(here: Court, chance: Random) -> int:
    """Kill it and start it again until the time is over; how often."""
    kills, ends = 0, time.monotonic() + SECONDS
    while time.monotonic() < ends:
        if chance.random() < 0.3:  # in the midst of a start
            await asyncio.sleep(chance.uniform(0.0, 0.8))
        else:
            await here.until((here.data / "listening").exists, 60, "it does not start")
            await asyncio.sleep(chance.uniform(0.0, 4.0))
        await here.kill()
        kills += 1
        if chance.random() < 0.05:
            await all_off(here)
        await here.start()
    return kills


@pytest.mark.timeout(SECONDS + 300)
async def test_killed_at_random_moments_it_loses_nothing_and_doubles_nothing(here: Court) -> None:
    await here.start()
    await here.ready()
    load = Load(here, Random(SEED), pace_s=0.1)
    await load.prepare()
    async with load.running():
        kills = await killed_often(here, Random(SEED))
        await here.ready()
    await load.drained()
    await all_off(here)
    assert here.town.town.connector(OUTLET).offered_a() == 0, "nobody charges, and it is on"
    assert await here.stop() == 0

    held, ledger = Held.of(here.data / "gateway.db"), here.platform.ledger
    (book,) = ledger.books.values()
    print(
        f"{kills} kills in {SECONDS} s: {book.seq:,} records at the platform, "
        f"{load.presses} calls, {len(load.told)} answers, {load.sessions} plugs; "
        f"{ledger.duplicates} came again"
    )
    assert ledger.problems == []
    assert held.damages == []
    assert {(one.epoch, one.seq): one.chain for one in book.entries}.items() <= held.chains.items()
    facts = Counter((entry.fact, of) for entry in book.entries for of in _about(entry.data))
    assert load.told <= facts.keys() & held.facts
    once = {fact: n for fact, n in facts.items() if fact[0] in ("access.granted", "call.raised")}
    assert set(once.values()) == {1}
    assert sum(fact == "call.raised" for fact, _ in once) >= load.presses > 0
    assert kills >= SECONDS / 20


def _about(data: dict[str, object]) -> list[str]:
    return [str(data[key]) for key in ("grant", "call") if key in data]
