"""A hundred commits of a real engine on a card of which one write or sync fails, for each of them.

`failing_card.py FOLDER CONTROL FIRST STEP BOTH`, with the card's library preloaded: fails the
operation FIRST, in the next run FIRST + STEP and so on, until a run ends before its turn. Prints a
line for whatever is wrong, and in the end how many runs there were and in how many the store was
lost meanwhile.
"""

import asyncio
import errno
import json
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
from fixtures.card import Control
from fixtures.clock import MachineClock
from proof.promises import Held
from simulation.sites import small_site

from gateway.bootstrap import load_store
from gateway.domain.calls import CallOrigin
from gateway.domain.events import Actor, CallRequested, DoorOverridden
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.step import Step
from gateway.store.store import SqliteStore, StoreOptions

COMMITS = 100
REOPEN_MS = 2
ANSWER_S = 5.0
CALL_EACH = 25
BALLAST_BYTES = 64 * 1024
HOWS = (errno.EIO, errno.ENOSPC)
DORA = Actor("Dora", Role.DESK)
SITE = replace(small_site(), settings=replace(small_site().settings, store_reopen_ms=REOPEN_MS))


@dataclass(slots=True)
class Run:
    """What was answered in one run."""

    durable: set[tuple[str, str]] = field(default_factory=set)
    granted: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    was_lost: bool = False

    def take(self, reply: Reply) -> None:
        """An answer."""
        if reply.result is not Result.ACCEPTED:
            self.wrong.append(
                f"refused: {reply.reason.en}"
            )  # X1: people are let in, and called for
        granted = "grant" in reply.data
        fact, key = ("access.granted", "grant") if granted else ("call.raised", "call")
        self.was_lost |= not reply.durable
        if reply.durable:
            self.durable.add((fact, reply.data[key]))
        if granted:
            self.granted.add(reply.data[key])

    def compare(self, held: Held) -> None:
        """What was said, with what is held in the end."""
        self.wrong += held.damages
        self.wrong += [f"acknowledged and lost: {what}" for what in self.durable - held.facts]
        found = {of for fact, of in held.facts if fact == "access.granted"}
        if found != self.granted or held.granted != len(self.granted):
            self.wrong.append(f"{len(self.granted)} grants, {held.granted} in the journal")


async def run(path: Path) -> Run:
    """A start, the commits, and the end, once the store is itself again."""
    found, clock, readings = Run(), MachineClock(), Readings()
    store = SqliteStore(path, StoreOptions("m", ballast_bytes=BALLAST_BYTES))
    loaded, lost = load_store(store)
    step = Step(SITE, loaded, readings, lost=lost)
    reconciler = Reconciler(lambda ref: SITE.equipment.spec_of(ref).setpoint, clock.mono_ms())
    engine = Engine(step, reconciler, readings, store, clock)
    engine.start(loaded.head, {})
    running = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(ANSWER_S):
            for number in range(COMMITS):
                if number % CALL_EACH:
                    asked = DoorOverridden("study_room_door", DORA, "a parcel")
                else:
                    asked = CallRequested("study_room", CallOrigin.PAGE, DORA)
                found.take(await engine.ask(asked))
            while step.lost or not step.idle:
                await asyncio.sleep(REOPEN_MS / 1000)
    except TimeoutError:
        found.wrong.append(f"not right again: {step.lost or 'no answer'}")
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await engine.stop()
    return found


def main(folder: Path, control: Control, first: int, step: int, both: bool) -> None:
    """Fail one operation after the other."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    number, runs, lost, wrong = first, 0, 0, 0
    while True:
        hows = HOWS if both else HOWS[number // step % 2 :][:1]
        for how in hows:
            data = folder / "data"
            data.mkdir()
            control.fail(number, how)
            found = asyncio.run(run(data / "gateway.db"))
            control.heal()
            found.compare(Held.of(data / "gateway.db"))
            reached = control.failed
            shutil.rmtree(data)
            runs, lost, wrong = runs + reached, lost + found.was_lost, wrong + bool(found.wrong)
            for what in found.wrong:
                print(f"{errno.errorcode[how]} at operation {number}: {what}", flush=True)
        if not reached or wrong > 20:
            break
        number += step
    print(json.dumps({"runs": runs, "lost": lost}), flush=True)


if __name__ == "__main__":
    at, by, begin, apart, every = sys.argv[1:]
    main(Path(at), Control(Path(by)), int(begin), int(apart), every == "both")
