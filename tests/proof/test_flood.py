"""A flooded broker: calls sound all the same, and memory stays what it was (RULES E1, X2)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker
from fixtures.sizes import size
from proof.flooding import flooded
from proof.watching import peak

from benchmarks.call_latency import Watched, press, site_with_plugs

PER_S = 5_000
SIREN_MS_MAX = 250
GROWS_MB_MAX = 50
REARM_S = 1.6  # a button counts again once it was let go for a second (E1)


@pytest.fixture
async def plugged(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    """The court with twenty metering plugs, where nobody need come to a call."""
    quiet = {"settings": {"emergency": {"attend_within_s": 600}}}
    template = site_with_plugs(tmp_path / "template")
    async with court(tmp_path, broker, quiet, template) as served:
        yield served


@pytest.mark.timeout(600)
async def test_under_a_flood_with_giants_calls_sound_and_memory_stays(
    plugged: Court, broker: Broker
) -> None:
    here, took = plugged, []
    face = here.town.lines.buses["relays"]
    unit, faults = face.units[1]
    board = Watched(unit)
    face.units = {**face.units, 1: (board, faults)}
    await here.start()
    await here.ready()
    async with here.api() as api:
        for kind in ("wired", "radio"):  # once before: whatever is loaded late is loaded now
            await press(here, board, kind, api)
        async with peak(here) as before:
            await asyncio.sleep(REARM_S)
        async with flooded(broker.port, PER_S, "giants"), peak(here) as after:
            for number in range(size("flood_calls", 20)):
                took.append(await press(here, board, ("wired", "radio")[number % 2], api))
                await asyncio.sleep(REARM_S / 2)
    took.sort()
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    grew = after.rss_mb - before.rss_mb
    print(f"{len(took)} calls under {PER_S} messages/s and giants of up to 8 MB: siren after")
    print(f"{took[len(took) // 2]:.0f} ms, p99 {p99:.0f} ms; memory grew by {grew:.1f} MB")
    assert p99 <= SIREN_MS_MAX
    assert grew <= GROWS_MB_MAX
    assert not here.platform.problems
    assert await here.stop() == 0
