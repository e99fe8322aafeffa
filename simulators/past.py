"""The past of a site, lived in virtual time by the real core and kept by the real store.

`live_past` fills the data folder of a gateway that has not run yet, so that it starts like one that
has been there for days: reports have something to say, and the journal's chain goes on.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from gateway.domain.bookings import Terms
from gateway.domain.events import (
    BookingItem,
    ChangesReceived,
    Started,
    Stream,
    SyncItem,
)
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS
from gateway.domain.records import Position
from gateway.domain.site import BookingPolicy, Facility, Site
from gateway.domain.subjects import Credential, CredentialKind, Role, Subject
from gateway.ports import Batch, Loaded
from gateway.runtime.clock import SystemClock, VouchedTime
from gateway.security.credentials import KeyedCredentials, load_key
from gateway.security.files import PRIVATE
from gateway.store.folder import DataFolder, machine_id
from gateway.store.store import SqliteStore, StoreOptions
from simulators.parking import Parking, ParkingHabits, plan_parking
from simulators.residents import Habits, plan, stay_of
from simulators.virtual.gateway import VirtualGateway
from simulators.virtual.people import Guest, Motorist
from simulators.virtual.schedule import Schedule
from simulators.virtual.site import VirtualSite

Window = tuple[int, int]
EPOCH = "past"
QUARTER_MS = 15 * MINUTE_MS
ENDS_BEFORE_MS = 75 * MINUTE_MS  # the last stay is over so long before the past is
PACE_MS = 5 * MINUTE_MS  # how often registers and sessions are looked at: nothing here is in danger
OPENS, CLOSES = 8, 22  # local hours in which people come
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
    gateway.round_ms = place.links.drift_ms = PACE_MS
    gateway.start(place.links, Started("past"), lambda: None)
    place.links.begin(gateway)
    _Life(place, credentials, people, random).plan(now_ms)
    schedule.run(now_ms)
    gateway.stop("the past is over")
    _keep_clock(store)
    return Past(store.journal.head().seq, events)


def _keep_clock(store: SqliteStore) -> None:
    """The clock was trusted until now: what comes next is known to be a short absence."""
    kept = SystemClock(EPOCH, VouchedTime(True)).keep()
    if kept is not None:
        store.set_meta(kept)


class _Life:
    """Who books what, and comes for it."""

    def __init__(
        self,
        place: VirtualSite,
        credentials: KeyedCredentials,
        people: Mapping[str, str],
        random: Random,
    ) -> None:
        self._place = place
        self._credentials = credentials
        self._people = people
        self._random = random
        self._revisions = dict.fromkeys(Stream, 0)
        self._zone = ZoneInfo(place.site.zone)
        self._busy: dict[tuple[str, bool], list[Window]] = {}  # a parked car waits alone

    def plan(self, until_ms: int) -> None:
        """All days up to then, and what each of them needs to be told at its beginning."""
        self._introduce()
        at = datetime.fromtimestamp(self._place.now_ms / 1000, self._zone)
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        while (begins_ms := _ms(day)) < until_ms:
            asked: list[SyncItem] = []
            for facility in self._place.site.facilities.values():
                for window in self._windows(day, until_ms - ENDS_BEFORE_MS):
                    asked += self._use(facility, window)
            told_ms = max(begins_ms, self._place.now_ms) + MINUTE_MS
            self._place.schedule.at(told_ms, partial(self._change, Stream.BOOKINGS, asked))
            day = (day + timedelta(hours=30)).replace(hour=0)

    def _windows(self, day: datetime, last_ms: int) -> Iterator[Window]:
        """When a facility is wanted on a day: whole quarters of an hour, one after another."""
        at_ms = _ms(day.replace(hour=OPENS)) + self._random.randrange(16) * QUARTER_MS
        closes_ms = min(_ms(day.replace(hour=CLOSES)), last_ms)
        while (ends_ms := at_ms + self._random.randint(3, 10) * QUARTER_MS) <= closes_ms:
            if at_ms > self._place.now_ms + 2 * HOUR_MS:
                yield at_ms, ends_ms
            at_ms = ends_ms + self._random.randint(0, 16) * QUARTER_MS

    def _use(self, facility: Facility, window: Window) -> list[SyncItem]:
        """Somebody who has nothing else to do comes; what the platform says of it, if anything."""
        inside = facility.kind == "room"
        busy = {who: self._busy.setdefault((who, inside), []) for who in self._people}
        free = [who for who, taken in busy.items() if not _overlaps(window, taken)]
        if not free:
            return []
        who = self._random.choice(free)
        busy[who].append((window[0] - HOUR_MS, window[1] + HOUR_MS))
        walks_in = facility.booking is BookingPolicy.NONE or (
            facility.booking is BookingPolicy.OPTIONAL and self._random.random() < 0.5
        )
        if facility.outlet is None:
            stay = stay_of(self._place.site, facility.id, who, self._people[who], window)
            guest = Guest(self._place, stay, self._credentials.pin, self._random)
            guest.live(plan(stay, HABITS, self._random))
        else:
            self._charge(facility, who, window)
        return [] if walks_in else [self._booking(facility, who, window)]

    def _charge(self, facility: Facility, who: str, window: Window) -> None:
        kinds = ("ebike",) if facility.kind == "socket" else ("car", "small_car")
        vehicle, percent = self._random.choice(kinds), self._random.uniform(10, 60)
        pin = self._people[who]
        parking = Parking(who, pin, facility.id, *window, vehicle=vehicle, percent=percent)
        motorist = Motorist(self._place, parking, self._credentials.pin)
        motorist.live(plan_parking(parking, ParkingHabits(), self._random))

    def _booking(self, facility: Facility, who: str, window: Window) -> BookingItem:
        created_ms, revision = window[0] - DAY_MS, self._revisions[Stream.BOOKINGS] + 1
        terms = Terms(facility.id, (who,), *window, created_ms=created_ms, revision=revision)
        return BookingItem(f"{EPOCH}-{facility.id}-{window[0] // QUARTER_MS}", terms)

    def _introduce(self) -> None:
        """The platform tells of people and their PINs."""
        items: list[SyncItem] = []
        for who, pin in self._people.items():
            digest = self._credentials.pin(pin).digest
            assert digest is not None
            items.append(Subject(who, (Role.RESIDENT,)))
            items.append(Credential(f"{who}-pin", who, CredentialKind.PIN, digest))
        self._change(Stream.SUBJECTS, items)

    def _change(self, stream: Stream, put: list[SyncItem]) -> None:
        self._revisions[stream] += 1
        assert self._place.gateway is not None
        event = ChangesReceived(stream, EPOCH, self._revisions[stream], tuple(put), ())
        self._place.gateway.tell(event)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _overlaps(window: Window, others: list[Window]) -> bool:
    return any(window[0] < end and start < window[1] for start, end in others)
