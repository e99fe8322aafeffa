"""What holds the event loop is measured, and told apart from a machine that is busy."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.waiting import until
from structlog.testing import capture_logs

from gateway.domain.lag import Beats
from gateway.runtime.lag import BEAT_S, HELD_MS, LoopMonitor

OTHERS = 5  # who want the one processor too
WORK_S = 0.06  # of it, which is under 100 ms, and takes six times as long beside them

needs_schedstat = pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="a kernel that does not count it"
)


async def seen_twice(monitor: LoopMonitor) -> None:
    beats = sum(monitor.seen.late.counts)
    await until(lambda: sum(monitor.seen.late.counts) > beats + 1)


def long_ones(beats: Beats) -> int:
    return sum(beats.counts[beats.bounds_ms.index(HELD_MS) + 1 :])


async def test_a_loop_that_is_held_is_late_for_its_beat() -> None:
    monitor = LoopMonitor()
    monitor.start()
    await seen_twice(monitor)
    before = monitor.seen
    time.sleep(0.25)
    await seen_twice(monitor)
    monitor.stop()
    after = monitor.seen
    assert after.late.worst_ms >= 250 - BEAT_S * 1_000
    assert long_ones(after.late) == long_ones(before.late) + 1
    assert long_ones(after.held) == long_ones(before.held) + 1
    assert after.late.sum_ms >= before.late.sum_ms + after.late.worst_ms - 1


async def test_the_first_long_hold_is_logged_at_once_and_then_the_longest_of_each_while() -> None:
    monitor = LoopMonitor(say_every_s=1.0)
    with capture_logs() as logs:
        monitor.start()
        for hold_s in (0.15, 0.3, 0.2):
            time.sleep(hold_s)
            await seen_twice(monitor)
        await until(lambda: len(logs) >= 2)
    monitor.stop()
    first, longest = (log["late_ms"] for log in logs[:2])
    assert first > HELD_MS
    assert longest >= 300 - BEAT_S * 1_000


@needs_schedstat
async def test_a_loop_that_waits_for_a_processor_is_late_and_not_held() -> None:
    monitor = LoopMonitor()
    with one_processor_for_many():
        monitor.start()
        await seen_twice(monitor)
        before = monitor.seen
        began_s = time.thread_time()
        while time.thread_time() < began_s + WORK_S:
            pass
        await seen_twice(monitor)
    monitor.stop()
    assert long_ones(monitor.seen.late) > long_ones(before.late)
    assert long_ones(monitor.seen.held) == long_ones(before.held)


@contextmanager
def one_processor_for_many() -> Iterator[None]:
    """This thread on one processor, with others that never let go of it."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    busy = "print(flush=True)\nwhile True: pass"
    command = (sys.executable, "-c", busy)
    others = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(OTHERS)]
    try:
        for one in others:
            assert one.stdout is not None
            one.stdout.readline()
        yield
    finally:
        os.sched_setaffinity(0, mine)
        for one in others:
            one.kill()
            one.communicate()
