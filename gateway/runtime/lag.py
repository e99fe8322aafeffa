"""Measures how long the event loop is held: a beat that comes late says by how much.

While something holds the loop no call is taken. A beat every 20 ms costs a small machine nothing
that can be measured, and finds a hold of 100 ms to a fifth. A long one is logged, at most once a
minute: what it was, a profile must tell.
"""

import asyncio
from bisect import bisect_left

import structlog

from gateway.domain.lag import LoopLag

BEAT_S = 0.02
BOUNDS_MS = (1, 5, 20, 50, 100, 250, 1_000)
HELD_MS = 100  # what a call should never wait for
SAY_EVERY_S = 60.0

log = structlog.get_logger()


class LoopMonitor:
    """Beats from `start` to `stop`."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self._sum_ms = 0.0
        self._worst_ms = 0.0
        self._due_s = 0.0
        self._said_s = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, in the loop that runs."""
        self._loop = asyncio.get_running_loop()
        self._plan(self._loop)

    def stop(self) -> None:
        """End; what was seen stays."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def seen(self) -> LoopLag:
        """What was measured so far."""
        return LoopLag(BOUNDS_MS, tuple(self._counts), self._sum_ms, self._worst_ms)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_s = loop.time() + BEAT_S
        self._timer = loop.call_at(self._due_s, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        late_ms = max(0.0, (now_s - self._due_s) * 1_000)
        self._counts[bisect_left(BOUNDS_MS, late_ms)] += 1
        self._sum_ms += late_ms
        self._worst_ms = max(self._worst_ms, late_ms)
        if late_ms > HELD_MS and now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            log.warning("loop_held", ms=round(late_ms))
        self._plan(loop)
