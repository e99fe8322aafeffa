"""Measures how long the event loop is held: a beat that comes late says by how much.

While something holds the loop no call is taken. A beat every 20 ms costs a small machine nothing
that can be measured, and finds a hold of 100 ms to a fifth. The longest of a minute is logged if it
was long: what it was, a profile must tell.

A loop is late too while its thread could run and others have the processor. The kernel says for how
long (`schedstat`), so what the machine did is told apart from what the gateway did: `late` is all
of it, `held` is without that wait. Where the kernel does not say, both are the same.
"""

import asyncio
import os
from bisect import bisect_left
from contextlib import suppress

import structlog

from gateway.domain.lag import Beats, LoopLag

BEAT_S = 0.02
BOUNDS_MS = (1, 5, 20, 50, 100, 250, 1_000)
HELD_MS = 100  # what a call should never wait for
SAY_EVERY_S = 60.0

log = structlog.get_logger()


class LoopMonitor:
    """Beats from `start` to `stop`; the longest hold of each `say_every_s` is logged."""

    def __init__(self, say_every_s: float = SAY_EVERY_S) -> None:
        self._say_every_s = say_every_s
        self._late, self._held = _Tally(), _Tally()
        self._due_s = 0.0
        self._queued_ms = 0.0
        self._said_s = float("-inf")
        self._unsaid: tuple[float, float] | None = None  # held and late, of the longest since then
        self._timer: asyncio.TimerHandle | None = None
        self._queue = RunQueue()

    def start(self) -> None:
        """Begin, in the loop that runs and in its thread."""
        self._queue.open()
        self._plan(asyncio.get_running_loop())

    def stop(self) -> None:
        """End; what was seen stays."""
        if self._timer is not None:
            self._timer.cancel()
        self._queue.close()

    @property
    def seen(self) -> LoopLag:
        """What was measured so far."""
        return LoopLag(self._late.beats, self._held.beats)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queued_ms = self._queue.waited_ms()
        self._due_s = loop.time() + BEAT_S
        self._timer = loop.call_at(self._due_s, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        late_ms = max(0.0, (now_s - self._due_s) * 1_000)
        held_ms = max(0.0, late_ms - (self._queue.waited_ms() - self._queued_ms))
        self._late.add(late_ms)
        self._held.add(held_ms)
        if late_ms > HELD_MS:
            self._unsaid = max(self._unsaid or (0.0, 0.0), (held_ms, late_ms))
        if self._unsaid and now_s - self._said_s >= self._say_every_s:
            held_ms, late_ms = self._unsaid
            log.warning("loop_held", ms=round(held_ms), late_ms=round(late_ms))
            self._said_s, self._unsaid = now_s, None
        self._plan(loop)


class _Tally:
    """Beats by how late they were."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self._sum_ms = 0.0
        self._worst_ms = 0.0

    def add(self, late_ms: float) -> None:
        self._counts[bisect_left(BOUNDS_MS, late_ms)] += 1
        self._sum_ms += late_ms
        self._worst_ms = max(self._worst_ms, late_ms)

    @property
    def beats(self) -> Beats:
        return Beats(BOUNDS_MS, tuple(self._counts), self._sum_ms, self._worst_ms)


class RunQueue:
    """How long this thread was ready to run and had no processor, as Linux counts it."""

    def __init__(self) -> None:
        self._file = -1

    def open(self) -> None:
        """Begin, in the thread that is meant."""
        with suppress(OSError):  # a kernel without it
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """End; from now on it waits for nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def waited_ms(self) -> float:
        """Since the thread began."""
        if self._file < 0:
            return 0.0
        _, waited_ns, _ = os.pread(self._file, 64, 0).split()
        return int(waited_ns) / 1_000_000
