"""A past lived in virtual time is one that a gateway goes on from (RULES U1, U2)."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from config.site import load_site
from drivers.registry import kinds
from gateway.domain.charging import ChargingSession
from gateway.domain.faults import Fault
from gateway.domain.now import DAY_MS, HOUR_MS
from gateway.domain.site import Site
from gateway.domain.visits import Visit
from gateway.store.folder import DataFolder
from gateway.store.store import SqliteStore
from gateway.store.verify import verify
from simulators.past import live_past

ROOT = Path(__file__).parents[2]
PEOPLE = {"ada": "48291357", "bo": "73950162", "chen": "61837402", "dana": "20594873"}
DAYS = 2


@pytest.fixture(params=["config/sites/demo", "tests/simulation/garage"], scope="module")
def site(request: pytest.FixtureRequest) -> Site:
    return load_site(ROOT / request.param, kinds(), demo=True)


@pytest.fixture(scope="module")
def lived(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lived")
    past = live_past(site, folder, PEOPLE, DAYS, now_ms=now_ms())
    assert past.records > 100
    return folder


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_past_is_whole_and_leaves_nobody_behind(lived: Path) -> None:
    """Its chain verifies; nobody is inside, nothing charges, nothing is wrong."""
    database = DataFolder(lived).database
    assert verify(database).whole
    store = SqliteStore(database)
    loaded = store.open()
    store.close()
    assert not [e for e in loaded.entities if isinstance(e, Visit | ChargingSession | Fault)]
    assert int(loaded.meta["clock_floor_ms"]) > now_ms() - HOUR_MS


def test_every_facility_was_accounted_for_and_used(site: Site, lived: Path) -> None:
    """Each quarter of an hour that is over has its bucket, and people were there (U2)."""
    store = SqliteStore(DataFolder(lived).database)
    store.open()
    try:
        for facility in site.facilities:
            end = now_ms() - HOUR_MS
            totals = list(store.utilization.totals((facility,), [(end - DAY_MS, end)]))
            assert len(totals) == 1
            spent = totals[0][0].spent
            assert sum(spent) >= DAY_MS - HOUR_MS
        counts = Counter(record.fact.value for record in store.journal.read(0, 100_000))
    finally:
        store.close()
    assert counts["session.ended"] == counts["session.started"]
    assert counts["visit.opened"] == counts["visit.closed"]
    assert counts["session.ended"] + counts["visit.closed"] >= 4


def test_the_same_seed_lives_the_same_days(tmp_path: Path) -> None:
    site, at = load_site(ROOT / "config/sites/demo", kinds(), demo=True), now_ms()
    one, same, other = (
        lives(site, tmp_path / str(n), at, seed) for n, seed in enumerate((1, 1, 2))
    )
    assert one == same
    assert one != other


def lives(site: Site, folder: Path, at: int, seed: int) -> list[object]:
    folder.mkdir()
    live_past(site, folder, PEOPLE, 1, now_ms=at, seed=seed)
    store = SqliteStore(DataFolder(folder).database)
    store.open()
    try:
        return [json.loads(record.payload or b"") for record in store.journal.read(0, 100_000)]
    finally:
        store.close()
