"""What holds the event loop is measured."""

import time

from fixtures.waiting import until

from gateway.runtime.lag import BEAT_S, HELD_MS, LoopMonitor


async def test_a_loop_that_is_held_is_late_for_its_beat() -> None:
    monitor = LoopMonitor()
    monitor.start()
    await until(lambda: sum(monitor.seen.counts) > 2)
    before = monitor.seen
    time.sleep(0.25)
    await until(lambda: sum(monitor.seen.counts) > sum(before.counts))
    seen = monitor.seen
    assert seen.worst_ms >= 250 - BEAT_S * 1_000
    held = seen.bounds_ms.index(HELD_MS) + 1
    assert sum(seen.counts[held:]) == sum(before.counts[held:]) + 1
    assert seen.sum_ms >= before.sum_ms + seen.worst_ms - 1
    monitor.stop()
