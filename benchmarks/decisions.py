"""Durable decisions a second: 100 askers, each a PIN with its grant, record and commit."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from simulation.sites import small_site

from benchmarks.figures import Figure, emit
from gateway.domain.bookings import Booking, Terms
from gateway.domain.events import CredentialPresented
from gateway.domain.secret import Secret
from gateway.domain.state import put
from gateway.domain.subjects import Credential, CredentialKind, Presented, Subject
from gateway.ports import Batch
from gateway.runtime.clock import SystemClock
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.recording import RecordedStep
from gateway.runtime.ring import InputRing
from gateway.store.store import SqliteStore

ASKERS = 100
SECONDS = 5


async def measure(seconds: float) -> tuple[float, float]:
    """Decisions a second, and the raw rate of one-row commits of the same store."""
    with tempfile.TemporaryDirectory() as folder:
        site, clock = small_site(), SystemClock("bench")
        store = SqliteStore(Path(folder) / "gateway.db")
        store.open()
        now = clock.wall_ms()
        entities = [Booking("b", Terms("study", ("ada",), now - 1000, now + 3_600_000))]
        digest = Secret("digest")
        people = [Subject("ada"), Credential("c", "ada", CredentialKind.PIN, digest)]
        store.commit(Batch(1, (), tuple(put(entity) for entity in [*entities, *people])))
        loaded = store.open()
        readings = Readings()
        engine = Engine(
            RecordedStep(site, loaded, readings, InputRing(Path(folder), "bench"), lost=""),
            Reconciler(lambda _: None, clock.mono_ms()),
            readings,
            store,
            clock,
        )
        engine.start(loaded.head, {})
        task = asyncio.create_task(engine.run())
        event = CredentialPresented(
            None, Presented(CredentialKind.PIN, digest), door="study_room_door"
        )
        count = 0
        until = time.monotonic() + seconds

        async def ask() -> None:
            nonlocal count
            while time.monotonic() < until:
                reply = await engine.ask(event)
                assert reply.accepted, reply
                count += 1

        began = time.monotonic()
        await asyncio.gather(*(ask() for _ in range(ASKERS)))
        took = time.monotonic() - began
        task.cancel()
        await engine.stop()
        return count / took, engine.head.seq / took


if __name__ == "__main__":
    import uvloop

    from gateway.bootstrap import GIL_S
    from gateway.logs import configure

    configure("error")
    sys.setswitchinterval(GIL_S)  # as the gateway runs

    used = time.process_time()
    rate, records = uvloop.run(measure(SECONDS))
    used = time.process_time() - used
    note = f"{records:,.0f} records/s; {rate * SECONDS / used:,.0f} a CPU second of this process"
    emit(Figure(f"durable decisions, {ASKERS} askers", rate, "/s", at_least=10_000, note=note))
