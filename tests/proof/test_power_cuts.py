"""The plug pulled at any instant: what was said outside is on the card, whole (RULES U1, E1, A4).

A real gateway under load is recorded: every write and sync of its files, and every message that
left it, in one order. The card is then cut at instants of that order, and what is left of it is
opened by the real store.
"""

import asyncio
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from end_to_end.court import Court, court
from fixtures import card
from fixtures.broker import Broker
from fixtures.card import Entry
from fixtures.sizes import size
from proof.load import Load
from proof.promises import Held, Listener, Promise, Promised, told
from proof.replay import Card

from gateway.domain.errors import StoreError
from gateway.security.credentials import KEY_FILE
from gateway.store.folder import machine_id
from gateway.store.store import SqliteStore, StoreOptions

CUTS = size("cuts", 5_000)
CUTS_A_RECORDING = 10_000
LIFE_BYTES = 2_800_000  # recorded a life: two fill the log of the database once and more
RECOVERY_MAX_S = 5.0
KINDS = ("record", "fact", "revision", "press", "release")
WEAKENED = Path(__file__).with_name("weakened.py")
SHARDS = 2  # processes that replay


@dataclass(frozen=True, slots=True)
class Recording:
    """The log of a card, and who was at the other ends of the gateway's sockets."""

    log: Path
    listener: Listener


@dataclass(slots=True)
class Outcome:
    """What the cuts left."""

    cuts: int = 0
    lost: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)
    promises: Counter[str] = field(default_factory=Counter)  # of one recording, by kind
    checkpoints: int = 0  # how often the log was copied into the database meanwhile
    slowest_s: float = 0.0

    def add(self, other: "Outcome") -> None:
        self.cuts += other.cuts
        self.lost += other.lost
        self.corrupt += other.corrupt
        self.ways += other.ways
        self.promises = max(self.promises, other.promises, key=Counter.total)
        self.checkpoints = max(self.checkpoints, other.checkpoints)
        self.slowest_s = max(self.slowest_s, other.slowest_s)

    def __str__(self) -> str:
        found = f"{len(self.lost)} lost, {len(self.corrupt)} corrupt"
        slowest = f"slowest recovery {self.slowest_s * 1000:.0f} ms"
        return f"{self.cuts:,} cuts, {self.promises.total():,} promises: {found}, {slowest}"


async def record(folder: Path, broker: Broker, seed: int, *under: str, lives: int = 2) -> Recording:
    """A gateway under load on such a card, killed and started again in the midst of it."""
    folder.mkdir()
    log = folder / "card.log"
    async with court(folder, broker) as here:
        around = card.environment(here.data, log)
        around["RUNTIME_DIRECTORY"] = str(folder)  # where the latch lies: no card
        load = Load(here, Random(seed), pace_s=0.01)
        for life in range(lives):
            await here.start(*under, **around)
            await here.ready()
            if life == 0:
                await load.prepare()
            async with load.running():
                enough = (life + 1) * LIFE_BYTES
                await here.until(lambda: log.stat().st_size > enough, 90, "little is recorded")  # noqa: B023
            await here.kill()
        brokers = {broker.port, *_ports(here, "mqtt")}
        return Recording(log, Listener(frozenset(brokers), _ports(here, "modbus_tcp")))


def _ports(here: Court, driver: str) -> frozenset[int]:
    """Where the links of a driver lead."""
    links = here.town.site.equipment.links.values()
    return frozenset(link.binding["port"] for link in links if link.driver == driver)


def cut_often(recording: Recording, seed: int, cuts: int) -> Outcome:
    """Cut at that many instants, and look what is left."""
    chance = Random(seed)
    order = told(card.Log(recording.log), recording.listener)
    instants = sorted(chance.randrange(1, len(order) + 1) for _ in range(cuts))
    found, disk, promised, done = Outcome(cuts), Card(), Promised(), 0
    found.promises.update(one.kind for one in order if isinstance(one, Promise))
    found.checkpoints = sum(isinstance(one, Entry) and _is_checkpoint(one) for one in order)
    with tempfile.TemporaryDirectory(dir=_memory()) as scratch:
        for instant in instants:
            for step in order[done:instant]:
                if isinstance(step, Promise):
                    promised.add(step)
                else:
                    disk.apply(step)
            done = instant
            folder = Path(scratch) / "cut"
            folder.mkdir()
            way = disk.cut(folder, chance)
            found.ways[way] += 1
            where = f"seed {seed}, instant {instant} of {len(order)}, {way}"
            _examine(folder, promised, where, found)
            shutil.rmtree(folder)
    return found


def _is_checkpoint(entry: Entry) -> bool:
    return entry.op == "S" and entry.name.endswith("gateway.db")


def _memory() -> str | None:
    """A file system in memory, where there is one: only contents matter here."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _examine(folder: Path, promised: Promised, where: str, found: Outcome) -> None:
    """Open what is left with the real store, and compare."""
    began = time.perf_counter()
    store = SqliteStore(folder / "gateway.db", StoreOptions(machine_id(), ballast_bytes=0))
    try:
        store.open()
        found.slowest_s = max(found.slowest_s, time.perf_counter() - began)
        held = Held.of(store.path)
    except (StoreError, sqlite3.Error) as error:
        found.corrupt.append(f"{where}: {error}")
        return
    finally:
        store.close()
    if held.damages:
        found.corrupt.append(f"{where}: {held.damages}")
    if broken := promised.broken(held):
        found.lost.append(f"{where}: {broken[:3]}")
    if promised.revisions and not (folder / KEY_FILE).is_file():
        found.lost.append(f"{where}: the key that every PIN is kept by")


def cut(recording: Recording, seed: int, cuts: int) -> Outcome:
    """The same, by all processors."""
    whole = Outcome()
    with ProcessPoolExecutor(SHARDS) as pool:
        shares = [cuts // SHARDS + (n < cuts % SHARDS) for n in range(SHARDS)]
        for one in [
            pool.submit(cut_often, recording, seed * SHARDS + n, share)
            for n, share in enumerate(shares)
        ]:
            whole.add(one.result())
    return whole


@pytest.mark.timeout(3_600)
async def test_whatever_instant_the_power_goes_nothing_that_was_said_is_lost(
    tmp_path: Path, broker: Broker
) -> None:
    whole, left, seed = Outcome(), CUTS, 0
    while left:
        share = min(left, CUTS_A_RECORDING)
        recording = await record(tmp_path / f"recording-{seed}", broker, seed)
        outcome = await asyncio.to_thread(cut, recording, seed, share)
        assert min(outcome.promises[kind] for kind in KINDS) > 5, outcome.promises
        assert outcome.checkpoints > 1, "one is made of the empty database"
        whole.add(outcome)
        left, seed = left - share, seed + 1
    print(whole)
    assert whole.lost == []
    assert whole.corrupt == []
    assert whole.slowest_s <= RECOVERY_MAX_S
    assert len(whole.ways) == 4


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ["NORMAL", "OFF", "early"])
async def test_a_gateway_without_one_guard_is_found_out(
    tmp_path: Path, broker: Broker, what: str
) -> None:
    """So the proof above can fail: commits left to the kernel, and an answer before the commit."""
    under = (sys.executable, str(WEAKENED), what)
    recording = await record(tmp_path / "weak", broker, 0, *under, lives=1)
    outcome = await asyncio.to_thread(cut, recording, 0, 400)
    print(what, outcome)
    assert outcome.lost, "nothing was found"
