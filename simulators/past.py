"""The past of a site, lived in virtual time by the real core and kept by the real store.

`live_past` fills the data folder of a gateway that has not run yet, so that it starts like one that
has been there for days: reports have something to say, and the journal's chain goes on.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from gateway.domain.events import (
    ChangesReceived,
    Started,
    Stream,
)
from gateway.domain.now import DAY_MS, MINUTE_MS
from gateway.domain.records import Position
from gateway.domain.site import Site
from gateway.ports import Batch, Loaded
from gateway.runtime.clock import SystemClock, VouchedTime
from gateway.security.credentials import KeyedCredentials, load_key
from gateway.security.files import PRIVATE
from gateway.store.folder import DataFolder, machine_id
from gateway.store.store import SqliteStore, StoreOptions
from simulators.residents import Habits
from simulators.virtual.gateway import VirtualGateway
from simulators.virtual.life import Life, ms
from simulators.virtual.schedule import Schedule
from simulators.virtual.site import VirtualSite

EPOCH = "past"
ENDS_BEFORE_MS = 75 * MINUTE_MS  # the last stay is over so long before the past is
PACE_MS = 5 * MINUTE_MS  # how often registers are looked at: nothing here is in danger
HABITS = Habits(calls_for_help=0.004)


@dataclass(frozen=True, slots=True)
class Past:
    """What was lived: records in the journal, and events that the core decided."""

    records: int
    events: int


class KeptStore:
    """A real store as the disk of a virtual gateway: a commit is done at once."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def open(self) -> Loaded:
        """What it holds."""
        return self._store.open()

    def commit(self, batch: Batch) -> Position:
        """Durably."""
        return self._store.commit(batch)

    def takes_ms(self) -> int:
        """No time passes meanwhile."""
        return 0


def live_past(
    site: Site,
    data: Path,
    people: Mapping[str, str],
    days: int = 7,
    *,
    now_ms: int,
    seed: int = 1,
) -> Past:
    """Live so many days of a site, up to now, into a data folder that holds no journal yet.

    `people` are residents by id, with the PIN they type. They book, come, stay, leave, forget and
    charge as residents do; everybody is out, unplugged and answered when the past ends. What is
    left is what a gateway leaves that was stopped on purpose: same epoch, key, chain and clock, so
    that `python -m gateway` goes on with it. The same seed and `now_ms` live the same days.
    """
    folder = DataFolder(data)
    credentials = KeyedCredentials(load_key(data))
    with folder.held(), TemporaryDirectory(dir=_in_memory()) as scratch:
        lived = Path(scratch) / folder.database.name
        store = SqliteStore(lived, StoreOptions(machine=machine_id(), ballast_bytes=0))
        try:
            past = _live(site, store, credentials, people, (days, now_ms, seed))
        finally:
            store.close()
        shutil.copyfile(lived, folder.database)
        folder.database.chmod(PRIVATE)
    return past


def _in_memory() -> str | None:
    """Where a thousand commits cost no time: what is lived again costs nothing to lose."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of its own is made in it
    return str(memory) if os.access(memory, os.W_OK) else None


def _live(
    site: Site,
    store: SqliteStore,
    credentials: KeyedCredentials,
    people: Mapping[str, str],
    asked: tuple[int, int, int],
) -> Past:
    days, now_ms, seed = asked
    random = Random(seed)  # noqa: S311  # a simulation, to be repeated
    schedule = Schedule(now_ms - days * DAY_MS)
    place = VirtualSite(site, schedule, random)
    gateway = place.gateway = VirtualGateway(site, schedule, KeptStore(store), EPOCH)
    events = 0

    def count(*_: object) -> None:
        nonlocal events
        events += 1

    gateway.heard.append(count)
    place.links.drifting.every_ms = PACE_MS
    gateway.start(place.links, Started("past"), lambda: None)
    place.links.begin(gateway)
    life = Life(place, people, credentials.pin, HABITS, random)
    gateway.tell(ChangesReceived(Stream.SUBJECTS, EPOCH, 1, tuple(life.introduce()), ()))
    begun_ms = schedule.now_ms
    for number, day in enumerate(life.days(now_ms), 1):
        wanted = tuple(life.day(day, now_ms - ENDS_BEFORE_MS))
        told = ChangesReceived(Stream.BOOKINGS, EPOCH, number, wanted, ())
        schedule.at(max(ms(day), begun_ms) + MINUTE_MS, partial(gateway.tell, told))
    schedule.run(now_ms)
    gateway.stop("the past is over")
    _keep_clock(store)
    return Past(store.journal.head().seq, events)


def _keep_clock(store: SqliteStore) -> None:
    """The clock was trusted until now: what comes next is known to be a short absence."""
    kept = SystemClock(EPOCH, VouchedTime(True)).keep()
    if kept is not None:
        store.set_meta(kept)
