"""A platform that pulls every quarter of an hour, through outages of days (RULES U1, U2).

The real core, engine, store, API and uplink on a clock that leaps from quarter to quarter; what the
platform pulled over HTTP, and what it added up of the journal, are the gateway's own buckets.
"""

import copy
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from api.api_rig import Rig, served
from core.garage import charger
from core.sites import court
from fixtures.broker import Broker
from fixtures.clock import MachineClock
from uplink_rig import uplinked

from gateway.domain.bookings import Terms
from gateway.domain.events import (
    SUPERVISION,
    BookingItem,
    CredentialPresented,
    DeadlineReached,
    Started,
    Stream,
)
from gateway.domain.now import HOUR_MS, MINUTE_MS
from gateway.domain.power import Circuit
from gateway.domain.records import Position
from gateway.domain.secret import Secret
from gateway.domain.site import Site
from gateway.domain.subjects import CredentialKind, Presented
from gateway.domain.utilization import BUCKET_MS, STATES
from gateway.store.backup import backup, restore
from gateway.store.folder import DataFolder
from simulators.platform import Address, Entry, Platform, Puller, added_up
from simulators.platform.usage import Bucket, Key

QUARTERS = 96  # of a day
SENSORS = ("pir/study", "radar/music", "pir/gym", "pir/lounge", "pir/terrace")


def site() -> Site:
    """The standard court with a charger; a no-show is judged so late that its bucket is closed."""
    feeder = Circuit("garage", "building", (40_000,) * 3)
    found = court(facilities=[charger("car1")], circuits=[feeder])
    booking = replace(found.settings.booking, no_show_grace_ms=50 * MINUTE_MS)
    return replace(found, id="small", settings=replace(found.settings, booking=booking))


@dataclass
class Life:
    """What happens at the site, by one seed; it goes on whatever becomes of the gateway."""

    chance: random.Random
    clock: MachineClock
    register_wh: int = 5_000
    revision: int = 0

    def begin(self, rig: Rig) -> None:
        """The first look at what is read."""
        for sensor in SENSORS:
            rig.read(sensor, False)
        rig.read("car1/limit", 0)
        rig.read("car1/state", "available")
        rig.read("car1/energy", self.register_wh)

    async def quarter(self, rig: Rig) -> None:
        """A quarter of an hour passes, with what people do in it."""
        chance, now_ms = self.chance, self.clock.wall_ms()
        for sensor in SENSORS:
            if chance.random() < 0.2:
                rig.read(sensor, chance.random() < 0.5)
        if chance.random() < 0.3:
            self.register_wh += chance.randint(1, 700)
            rig.read("car1/energy", self.register_wh)
        if chance.random() < 0.05:
            pin = Presented(CredentialKind.PIN, Secret("nobody's"))
            await rig.engine.ask(CredentialPresented(None, pin, door="store"))
        if chance.random() < 0.05:
            self.revision += 1
            terms = Terms("study", ("ann",), now_ms + HOUR_MS, now_ms + 3 * HOUR_MS)
            booking = BookingItem(f"b{self.revision}", terms)
            await rig.sync(Stream.BOOKINGS, self.revision, booking)
        self.clock.ahead_ms += BUCKET_MS
        for _ in range(2):  # what is due is decided after the first, and durable with the second
            await rig.tell(DeadlineReached(SUPERVISION, ""))


@dataclass
class Story:
    """A gateway on a folder, its life, and the platform that pulls and listens."""

    folder: Path
    life: Life
    desk: Platform
    port: int
    puller: Puller = field(default_factory=lambda: Puller(limit=40))
    failed: int = 0

    @property
    def clock(self) -> MachineClock:
        return self.life.clock

    @asynccontextmanager
    async def gateway(self, away_ms: int | None = None) -> AsyncIterator[Rig]:
        """The gateway runs."""
        self.clock.boot = f"{self.clock.boot}+"
        async with (
            served(self.folder, site(), self.clock, Started("test", away_ms=away_ms)) as rig,
            uplinked(rig.engine, rig.store, self.clock, self.port),
        ):
            self.life.begin(rig)
            yield rig

    async def goes_on(self, rig: Rig, days: float, *, pulling: bool = True) -> None:
        """Days pass; the platform pulls each quarter of an hour; some answers are lost, or late."""
        for _ in range(int(days * QUARTERS)):
            await self.life.quarter(rig)
            if pulling:
                chance, faults = self.life.chance, self.puller.faults
                faults.lost, faults.late = chance.random() < 0.05, chance.random() < 0.05
                await self.pull(rig)

    async def pull(self, rig: Rig) -> None:
        """Ask, three times if need be."""
        rig.client.headers["Authorization"] = f"Bearer {rig.tokens['platform']}"
        for _ in range(3):
            try:
                await self.puller.pull(rig.client)
                break
            except httpx.TransportError:
                self.failed += 1


def own(rig: Rig) -> dict[Key, Bucket]:
    """The gateway's buckets, as its store has them."""
    found: dict[Key, Bucket] = {}
    for one in rig.store.utilization.changed("", 1_000_000).buckets:
        spent = {s.value: ms for s, ms in zip(STATES, one.spent, strict=True) if ms}
        counts: dict[str, Any] = {
            name: getattr(one.counts, name)
            for name in ("energy_wh", "sessions", "visits", "no_shows")
        }
        counts["refused"] = dict(one.counts.refused)
        key = {"facility": one.facility, "start_ms": one.start_ms, "revision": one.revision}
        found[one.facility, one.start_ms] = {**key, "spent_ms": spent, "counts": counts}
    return found


async def delivered(story: Story, rig: Rig) -> list[Entry]:
    """The journal as the platform holds it, once it has all of it."""
    head = rig.store.journal.head()
    await story.desk.until(lambda p: p.ledger.position(head.epoch) >= head.seq, 60)
    return story.desk.ledger.books[head.epoch].entries


@pytest.fixture
async def story(tmp_path: Path, broker: Broker) -> AsyncIterator[Story]:
    async with Platform(Address(broker.port), "small") as desk:
        life = Life(random.Random(6), MachineClock())
        yield Story(tmp_path / "data", life, desk, broker.port)


async def test_through_outages_of_days_the_platform_ends_with_the_gateway_s_buckets(
    story: Story,
) -> None:
    """U1, U2: revision by revision, and the same as it adds up of the journal."""
    async with story.gateway() as rig:
        await story.goes_on(rig, 1.5)
        assert story.puller.kept.keys() == own(rig).keys()
        await story.desk.offline()
        await story.goes_on(rig, 3, pulling=False)  # the platform is away
        await story.desk.online()
        await story.goes_on(rig, 0.5)
        crashed = shutil.copytree(story.folder, story.folder.with_name("crashed"))
        older = copy.deepcopy(story.puller)
    shutil.rmtree(story.folder)  # killed: what a stop would have written is not there
    crashed.rename(story.folder)
    story.clock.ahead_ms += 3 * HOUR_MS
    async with story.gateway(away_ms=3 * HOUR_MS) as rig:
        await story.goes_on(rig, 0.5)
        story.puller = older  # the platform is restored from an older copy of its own
        await story.goes_on(rig, 0.5)
        await story.pull(rig)
        mine = own(rig)
        assert {key: kept.bucket for key, kept in story.puller.kept.items()} == mine
        assert added_up(await delivered(story, rig)) == mine
    assert story.desk.problems == []
    assert story.failed > 10
    assert story.puller.repeats > 50
    revised = [bucket for bucket in mine.values() if bucket["revision"] > 1]
    assert sum(bucket["counts"]["no_shows"] for bucket in revised) >= 1
    assert sum(bucket["counts"]["energy_wh"] for bucket in mine.values()) > 10_000
    assert all(sum(bucket["spent_ms"].values()) == BUCKET_MS for bucket in mine.values())
    starts = {start for facility, start in mine if facility == "store"}
    assert len(starts) < (max(starts) - min(starts)) // BUCKET_MS  # it was off for a while


async def test_after_a_restore_the_platform_follows_the_gateway_and_keeps_what_that_lost(
    story: Story, tmp_path: Path
) -> None:
    """U1: a new epoch; revisions count again from what the backup held."""
    folder = DataFolder(story.folder)
    async with story.gateway() as rig:
        await story.goes_on(rig, 0.5)
        made = backup(folder, tmp_path / "backup", story.clock.wall_ms())
        await story.goes_on(rig, 1)
        await story.pull(rig)
        before, first_epoch = own(rig), await delivered(story, rig)
    restore(tmp_path / "backup", folder, replace=True)
    story.clock.ahead_ms += HOUR_MS
    async with story.gateway() as rig:
        await story.goes_on(rig, 1)
        await story.pull(rig)
        mine = own(rig)
        restored = first_epoch[: made.seq]
        assert added_up([*restored, *await delivered(story, rig)]) == mine
        position = rig.store.journal.head()
    assert position.epoch != made.epoch
    assert position > Position(position.epoch, 0)
    kept = {key: one.bucket for key, one in story.puller.kept.items()}
    assert {key: kept[key] for key in mine} == mine
    lost = kept.keys() - mine.keys()
    assert {key: kept[key] for key in lost} == {key: before[key] for key in lost}
    assert len(lost) > QUARTERS
    assert story.desk.problems == []
