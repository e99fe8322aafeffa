"""What a reader is answered, and when: through the real engine, on a real store (A1, X1)."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fixtures.waiting import until
from simulation.sites import ref, small_site

from gateway.domain.bookings import Booking, Terms
from gateway.domain.events import CredentialPresented
from gateway.domain.feedback import Feedback
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.state import Result
from gateway.domain.subjects import Credential, CredentialKind, Presented, Subject
from gateway.domain.visits import DoorStatus
from gateway.ports import Loaded
from gateway.runtime.clock import SystemClock
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.sink import LinkSink
from gateway.runtime.step import Step
from gateway.store.store import SqliteStore, StoreOptions

PIN = Secret("digest")
DOOR = "study_room_door"


class Keypad:
    """A reader's side of a sink."""

    def __init__(self, engine: Engine, store: SqliteStore) -> None:
        self.engine = engine
        self.store = store
        self.shown: list[Feedback] = []
        self.sink = LinkSink("mqtt", engine, lambda _: lambda: None)

    def present(self, digest: Secret, answer: Callable[[Feedback], None] | None = None) -> None:
        presented = Presented(CredentialKind.PIN, digest)
        event = CredentialPresented(ref("keypad/credential"), presented)
        self.sink.presented(event, answer or self.shown.append)

    def facts(self) -> list[str]:
        """What the journal on disk holds."""
        return [entry.fact for entry in self.store.journal.read(0)]


@asynccontextmanager
async def served(folder: Path, lost: str = "") -> AsyncIterator[Keypad]:
    """An engine that runs, with ada's booking of the study."""
    clock = SystemClock("boot")
    readings = Readings()
    store = SqliteStore(folder / "gateway.db", StoreOptions(machine="m", ballast_bytes=0))
    head = store.open().head
    now = clock.wall_ms()
    people = (
        Subject("ada"),
        Credential("pin", "ada", CredentialKind.PIN, PIN),
        Booking("b", Terms("study", ("ada",), now - 1_000, now + 3_600_000)),
    )
    step = Step(small_site(), Loaded(people, head, {}), readings, lost=lost)
    spec_of = step.site.equipment.spec_of
    reconciler = Reconciler(lambda point: spec_of(point).setpoint, clock.mono_ms())
    engine = Engine(step, reconciler, readings, store, clock)
    engine.start(head, {})
    task = asyncio.create_task(engine.run())
    try:
        yield Keypad(engine, store)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.stop()


async def test_a_grants_answer_leaves_only_once_its_record_is_durable(tmp_path: Path) -> None:
    """A1"""
    async with served(tmp_path) as keypad:
        held: list[list[str]] = []
        with sqlite3.connect(tmp_path / "gateway.db", isolation_level=None) as busy:
            busy.execute("BEGIN IMMEDIATE")  # the disk takes its time
            keypad.present(
                PIN, lambda feedback: held.append([feedback.reason.code, *keypad.facts()])
            )
            state = keypad.engine.state
            await until(lambda: (at := state.get(DoorStatus, DOOR)) and at.grant)
            for _ in range(20):  # turns of the loop, in which it could have left
                await asyncio.sleep(0)
            assert held == []
            busy.execute("ROLLBACK")
        await until(lambda: held)
    assert held[0][0] == "granted"
    assert Fact.GRANTED in held[0]


async def test_while_the_store_is_lost_the_answer_goes_at_once(tmp_path: Path) -> None:
    """X1"""
    async with served(tmp_path, lost="no disk") as keypad:
        keypad.present(PIN)
        await until(lambda: keypad.shown)
        assert keypad.shown[0].result is Result.ACCEPTED
        assert Fact.GRANTED not in keypad.facts()


async def test_a_reader_learns_what_was_decided_and_nothing_more(tmp_path: Path) -> None:
    """A5, U5: no grant, booking or person goes to a display that anybody may read."""
    async with served(tmp_path) as keypad:
        keypad.present(Secret("wrong"))
        await until(lambda: len(keypad.shown) == 1)
        keypad.present(Secret("wrong"))
        await until(lambda: len(keypad.shown) == 2)
    refused, slowed = keypad.shown
    assert (refused.result, refused.reason.code) == (Result.INVALID, "not_recognised")
    assert (slowed.reason.code, slowed.retry_after_s) == ("slow_down", 1)
    assert {one.door for one in keypad.shown} == {DOOR}


async def test_a_drivers_bug_in_taking_an_answer_does_not_end_the_engine(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def fails(_: Feedback) -> None:
        raise RuntimeError("a third party's bug")

    async with served(tmp_path) as keypad:
        keypad.present(Secret("wrong"), fails)
        await until(lambda: told)
        keypad.present(Secret("wrong"))
        await until(lambda: keypad.shown)
    assert "a third party's bug" in str(told[0]["exception"])
