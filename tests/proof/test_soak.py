"""Everything at once for a while: nothing grows, and nothing holds the loop (DESIGN §5).

A moment in which the machine itself stood still, as those show who do nothing, says nothing of it.

A minute here, an hour in the long proof, which alone is long enough to tell a slope of memory.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker
from fixtures.sizes import size
from proof.flooding import flooded
from proof.sleepers import sleeping
from proof.watching import Look, look

from benchmarks.call_latency import site_with_plugs
from gateway.domain.subjects import Role
from gateway.security.tokens import ApiTokens

SOAK_S = size("soak_s", 50)
HOUR_S = 3_600
WARM_S = min(SOAK_S / 3, 600)
PER_S = 300
CROWD = 16
LONG = SOAK_S >= HOUR_S / 2
HELD_S = "0.1"
GROWS_MB_H = 1.0
GROWS_MB = 8.0  # in a minute, where a slope says nothing


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A runtime directory in memory, as systemd gives it."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
async def busy(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    """The court, where nobody need come to a call, with twenty plugs."""
    quiet = {"settings": {"emergency": {"attend_within_s": 600}}}
    template = site_with_plugs(tmp_path / "template")
    async with court(tmp_path, broker, quiet, template) as served:
        yield served


class Life:
    """What goes on, each in a task of its own."""

    def __init__(self, here: Court) -> None:
        self.here = here
        self.turns = asyncio.Lock()  # a crowd's descriptors are nothing that stays
        self.visits = self.calls = self.asked = self.synced = 0
        tokens = ApiTokens(here.data)
        self.desk = tokens.add("Dora", Role.DESK, here.now_ms())
        self.technician = tokens.add("Theo", Role.TECHNICIAN, here.now_ms())

    def everything(self) -> list[Callable[[], Awaitable[None]]]:
        """All of it."""
        return [self.visit, self.call, self.ask, self.crowd, self.sync]

    async def visit(self) -> None:
        """Somebody opens the door, goes in and comes out."""
        here = self.here
        await here.opens("study_door", "482913")
        await here.town.person_enters("study_door", "ada")
        await asyncio.sleep(0.5)
        here.town.shut("study_door")
        await here.town.person_exits("study_door", "ada")
        await asyncio.sleep(2)
        here.town.shut("study_door")
        self.visits += 1

    async def call(self) -> None:
        """Somebody presses, and is seen to."""
        here, point = self.here, ("study_help", "garden_sos")[self.calls % 2]
        siren = here.town.siren(point)
        assert await here.town.press(point)
        assert await here.town.until(lambda: siren.sounding, 5), here.log.read_text()[-2000:]
        async with here.client(self.desk) as api:
            found = [one for one in (await api.get("/calls")).json() if one["call_point"] == point]
            for step in ({"acknowledge": {}}, {"attend": {}}, {"clear": {"outcome": "test"}}):
                for verb, body in step.items():
                    said = await api.post(f"/calls/{found[0]['id']}/{verb}", json=body)
                    said.raise_for_status()
        here.town.reset_button(point)
        self.calls += 1
        await asyncio.sleep(5)

    async def ask(self) -> None:
        """A page looks at everything."""
        async with self.here.client(self.technician) as api:
            for path in ("/status", "/devices", "/doors", "/faults", "/journal?limit=50", "/why?"):
                answer = await api.get(path + ("door=study_door" if path == "/why?" else ""))
                assert answer.status_code < 500, answer.text
                self.asked += 1
        await asyncio.sleep(1)

    async def crowd(self) -> None:
        """Many pages at once: all of them wait for the few threads there are, and the loop not."""
        async with self.turns, self.here.client(self.technician) as api:
            pages = await asyncio.gather(*(api.get("/journal?limit=50") for _ in range(CROWD)))
        assert all(page.is_success for page in pages)
        self.asked += CROWD
        await asyncio.sleep(3)

    async def sync(self) -> None:
        """The platform books, and books again."""
        self.synced += 1
        window = self.here.window(-5, 60 + self.synced % 7)
        await self.here.platform.book("b1", "study", ["ada"], window)
        await asyncio.sleep(3)


async def again(what: Callable[[], Awaitable[None]], until_s: float) -> None:
    while time.monotonic() < until_s:
        await what()


async def watched(life: Life, until_s: float) -> list[Look]:
    """Looks at the process, some ten seconds apart at most, and no crowd amid one."""
    found: list[Look] = []
    while time.monotonic() < until_s:
        await asyncio.sleep(min(10.0, SOAK_S / 25))
        async with life.turns:
            found.append(await look(life.here, life.technician))
    return found


@pytest.mark.timeout(SOAK_S + 120)
async def test_nothing_grows_and_nothing_holds_the_loop(
    busy: Court, broker: Broker, runtime: Path
) -> None:
    here = busy
    await here.start(RUNTIME_DIRECTORY=str(runtime))
    await here.ready()
    await here.platform.subject("ada", pin="482913")
    life, until_s = Life(here), time.monotonic() + SOAK_S
    async with sleeping() as stood, flooded(broker.port, PER_S), asyncio.TaskGroup() as group:
        for what in life.everything():
            group.create_task(again(what, until_s))
        watching = group.create_task(watched(life, until_s - 4))
    looks = watching.result()
    warm = [one for one in looks if one.at_s >= looks[0].at_s + WARM_S]
    first, last = warm[0], warm[-1]
    slope = statistics.linear_regression([o.at_s for o in warm], [o.rss_mb for o in warm]).slope
    late = last.late[HELD_S] - first.late[HELD_S]
    held = held_within(warm)
    by_itself = [(a_s, b_s) for a_s, b_s in held if not any(a_s < t < b_s for t in stood)]
    print(f"{life.visits} visits, {life.calls} calls, {life.asked} questions in {SOAK_S} s;")
    print(f"memory {first.rss_mb:.1f} → {last.rss_mb:.1f} MB, {slope * HOUR_S:+.2f} MB/h;")
    print(f"descriptors {first.descriptors} → {last.descriptors},", end=" ")
    print(f"tasks {first.tasks} → {last.tasks};")
    print(f"the loop was late by over {HELD_S} s {late} times,")
    print(
        f"and held between {len(held)} looks, {len(by_itself)} of them while the machine went on;"
    )
    print(f"that stood still {len(stood)} times; the longest hold: {last.held_s_max:.3f} s")
    assert life.visits > SOAK_S / 20
    assert life.calls > SOAK_S / 20
    assert flat([one.descriptors for one in warm])
    assert flat([one.tasks for one in warm])
    assert not by_itself, [(a_s - looks[0].at_s, b_s - looks[0].at_s) for a_s, b_s in by_itself]
    if LONG:
        assert slope * HOUR_S < GROWS_MB_H
    assert last.rss_mb - first.rss_mb < GROWS_MB
    assert not here.platform.problems
    assert await here.stop() == 0


def held_within(looks: list[Look]) -> list[tuple[float, float]]:
    """Between which moments the loop was held for too long."""
    return [
        (before.at_s, after.at_s)
        for before, after in pairwise(looks)
        if after.held[HELD_S] > before.held[HELD_S]
    ]


def flat(found: list[int]) -> bool:
    """In the last third as in the first, but for what a request more or less has open."""
    third = max(1, len(found) // 3)
    return abs(statistics.median(found[-third:]) - statistics.median(found[:third])) <= 3
