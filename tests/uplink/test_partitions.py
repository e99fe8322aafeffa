"""Gateway, broker and platform cut off from one another in every way: then both sides are the same.

Each schedule is a seed: what is done on both sides, and meanwhile lines that are cut, silent, late,
lose things, hand them over twice or out of order, and a broker that dies (RULES U1, B1, B8). In
one half of the schedules that befalls MQTT messages, on their way through a proxy; in the other
packets, between network namespaces, where the machine allows them.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bad_network import Executor
from between import Between, Ground, grounds
from fixtures.sizes import size
from structlog.testing import capture_logs
from uplink_rig import GATEWAY, Rig, gateway, window

from gateway.domain.bookings import Authority, Booking
from gateway.domain.calls import CallOrigin
from gateway.domain.events import Actor, CallRequested, DoorOverridden
from gateway.domain.subjects import Role, StandingRight, Subject
from simulators.platform import Address, Platform
from simulators.platform.service import Times

SCHEDULES = size("schedules", 200)
AT_ONCE = 8
ACTIONS = 24
ALIKE_WITHIN_S = 60.0
LOOK_S = 0.05
DORA = Actor("Dora", Role.DESK)


@dataclass(slots=True)
class Schedule:
    """Two sides, what lies between them, and what is done to all of it."""

    chance: Random
    between: Between
    rig: Rig
    desk: Platform
    number: int = 0
    told: int = 0  # releases asked here

    async def run(self) -> None:
        """All of it, at random."""
        for line in self.between.lines:
            line.trouble = 0.3
        for _ in range(ACTIONS):
            self.number += 1
            await self.chance.choice((self._gateway_acts, self._platform_acts, self._line_fails))()
            await asyncio.sleep(self.chance.uniform(0, 0.1))

    async def heal(self) -> None:
        """From now on everything passes."""
        for line in self.between.lines:
            line.trouble = 0.0
            line.flow()
            await line.mend()

    async def _gateway_acts(self) -> None:
        for _ in range(self.chance.randint(1, 8)):
            if self.chance.random() < 0.3:
                self.rig.engine.tell(CallRequested("study_room", CallOrigin.PAGE, DORA))
            else:
                self.rig.engine.tell(DoorOverridden("study_room_door", DORA, "a parcel"))
                self.told += 1

    async def _platform_acts(self) -> None:
        desk, name = self.desk, f"n{self.number}"
        what = self.chance.randrange(5)
        if what == 0:
            desk.book(name, "study", [self._subject()], window())
        elif what == 1 and desk.feeds["bookings"].items:
            desk.cancel(self.chance.choice(sorted(desk.feeds["bookings"].items)))
        elif what == 2:
            desk.subject(self._subject(), pin=str(self.chance.randrange(100_000, 1_000_000)))
        elif what == 3:
            desk.right(name, self._subject(), ["study"])
        else:
            desk.command("release_door", "study_room_door", by="Ms Chen", why="a parcel")

    async def _line_fails(self) -> None:
        line, what = self.chance.choice(self.between.lines), self.chance.randrange(6)
        if what == 0:
            await line.cut()
        elif what == 1:
            line.hush()
        elif what == 2:
            self.between.broker.kill()
            await self.between.start()
        else:
            line.flow()
            await line.mend()

    def _subject(self) -> str:
        return self.chance.choice(("ann", "bob", "cem"))

    # --- in the end ---------------------------------------------------------------------------

    def differences(self) -> list[str]:
        """What is not the same on both sides yet."""
        desk, state, wrong = self.desk, self.rig.state, []
        here = [(record.position, record.chain.hex()) for record in self.rig.store.journal.read(0)]
        there = [((one.epoch, one.seq), one.chain) for one in desk.records]
        if here != there:
            wrong.append(f"{len(here)} records here, {len(there)} there")
        kinds: dict[str, type[Any]] = {
            "bookings": Booking,
            "subjects": Subject,
            "rights": StandingRight,
        }
        for stream, of in kinds.items():
            feed = desk.feeds[stream]
            told = {
                id_ for id_, item in feed.items.items() if item.get("kind") in (None, "subject")
            }
            if (held := {entity.id for entity in state.all(of)}) != told:
                wrong.append(f"{stream}: {sorted(held)} here, {sorted(told)} there")
            if feed.under_way or feed.changes:
                wrong.append(f"{stream}: not all is answered")
        if desk.commands.under_way:
            wrong.append("a command is not answered")
        if (granted := self.granted()["desk"]) != self.told:
            wrong.append(f"{self.told} releases asked here, {granted} there")
        return wrong

    def granted(self) -> Counter[str]:
        """The releases that the platform knows of, by how they were asked."""
        return Counter(one.data["how"] for one in self.desk.facts("access.granted"))

    def held(self) -> list[str]:
        """Streams of which a snapshot waits for a person, as it would remove most of them (B1)."""
        return [one.id for one in self.rig.state.all(Authority) if one.held_digest]

    async def alike(self) -> None:
        """Wait until both sides are the same; nothing that may never happen did."""
        try:
            async with asyncio.timeout(ALIKE_WITHIN_S):
                while self.differences():
                    for stream in self.held():
                        await self.desk.snapshot(stream, by="Ms Chen")
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(self.differences()) from None
        assert self.desk.problems == []
        assert self.rig.uplink.health.failures == 0
        answers = [one.data for one in self.desk.facts("command.answered") if "name" in one.data]
        assert self.granted()["platform"] == sum(one["result"] == "Accepted" for one in answers)
        assert len({one["command"] for one in answers}) == len(answers), "B8: at most once"


async def schedule(ground: Ground, folder: Path, seed: int) -> Counter[str]:
    """One schedule from its seed; what the platform holds in the end, by kind of fact."""
    async with AsyncExitStack() as stack:
        between = await stack.enter_async_context(ground(folder, seed))
        with between.platform.here():
            address = Address(between.platform.port, between.platform.host)
            desk = Platform(address, GATEWAY, Times(repeat_s=0.3))
            await stack.enter_async_context(desk)
        with between.gateway.here():
            at = {"port": between.gateway.port, "host": between.gateway.host}
            rig = await stack.enter_async_context(gateway(folder, **at))
        here = Schedule(Random(seed), between, rig, desk)
        await here.run()
        await here.heal()
        await here.alike()
        return Counter(one.fact for one in desk.records)


@pytest.mark.timeout(1_800)
async def test_after_any_partition_both_sides_are_the_same(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_default_executor(Executor())
    gate, on = asyncio.Semaphore(AT_ONCE), grounds()

    async def one(seed: int) -> Counter[str]:
        async with gate:
            ground = on[seed % len(on)]
            try:
                return await schedule(ground, tmp_path / f"{seed}", seed)
            except Exception as error:
                raise AssertionError(f"schedule {seed}, {ground.__name__}") from error

    with capture_logs():  # every cut is told of
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(seed)) for seed in range(SCHEDULES)]
    facts = sum((task.result() for task in tasks), Counter[str]())
    ways = " and ".join(ground.__name__ for ground in on)
    print(f"{SCHEDULES} schedules, {facts.total():,} records, {ways}: both sides are the same")
    assert facts.total() > 20 * SCHEDULES
    assert facts["command.answered"] > SCHEDULES
    assert facts["booking.applied"] > SCHEDULES
