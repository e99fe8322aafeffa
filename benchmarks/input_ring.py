"""What the input ring costs: the processor for one input, in the event loop and its thread."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from simulation.sites import small_site

from benchmarks.figures import Figure, emit
from gateway.domain.events import SUPERVISION, DeadlineReached, Event, PointEdge
from gateway.domain.now import Now, Trust
from gateway.domain.points import PointRef
from gateway.domain.records import Position
from gateway.ports import Loaded
from gateway.runtime.readings import Readings
from gateway.runtime.recording import RecordedStep
from gateway.runtime.ring import InputRing
from gateway.runtime.step import Step, Told

INPUTS = 20_000
BURST = 1_000
ROUNDS = 5
EDGE = PointEdge(PointRef("board", "input_1"), False)
EMPTY = Loaded((), Position("e", 0), {})
ROUND = DeadlineReached(SUPERVISION, "")


def main() -> None:
    """Decide the same events on the record and off it, in turns; the least of a few."""
    with tempfile.TemporaryDirectory() as folder:
        added = [
            _processor_s(_on_record, Path(folder) / str(turn)) - _processor_s(_off_record)
            for turn in range(ROUNDS)
        ]
    emit(Figure("input ring, processor for an input", 1e6 * min(added) / INPUTS, "µs", at_most=50))


def _on_record(folder: Path) -> None:
    ring = InputRing(folder, "bench")
    _decide(RecordedStep(small_site(), EMPTY, Readings(), ring, lost=""))
    ring.close()


def _off_record() -> None:
    _decide(Step(small_site(), EMPTY, Readings()))


def _processor_s(work: Callable[..., None], *given: Path) -> float:
    """Seconds of processor, of all threads, that some work takes."""
    before = time.process_time()
    work(*given)
    return time.process_time() - before


def _decide(step: Step) -> None:
    """In bursts; the ring's thread has the time it needs between them."""
    for number in range(INPUTS):
        event: Event = EDGE if number % 4 == 0 else ROUND
        now = Now(1_750_000_000_000 + number, number, Trust.SYNCHRONISED, "boot", number)
        step.take([(Told(event), now)])
        batch = step.seal()
        if batch is not None:
            step.durable(batch.number)
        if number % BURST == 0:
            time.sleep(0.05)


if __name__ == "__main__":
    main()
