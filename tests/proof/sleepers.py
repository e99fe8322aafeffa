"""Processes that only sleep, one bound to each processor: what holds them, the machine does.

A virtual machine may stand still, and its kernel not know of it (`schedstat`).
`python -m proof.sleepers PROCESSOR` tells until when it was held, by the monotonic clock.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.runtime.lag import BEAT_S, RunQueue

HELD_S = 0.05


def main(processor: int) -> None:
    """Sleep until killed."""
    os.sched_setaffinity(0, {processor})
    queue = RunQueue()
    queue.open()
    before_s, queued_ms = time.monotonic(), queue.waited_ms()
    while True:
        time.sleep(BEAT_S)
        now_s, now_queued_ms = time.monotonic(), queue.waited_ms()
        if now_s - before_s - BEAT_S - (now_queued_ms - queued_ms) / 1_000 > HELD_S:
            print(now_s, flush=True)
        before_s, queued_ms = now_s, now_queued_ms


@asynccontextmanager
async def sleeping() -> AsyncIterator[list[float]]:
    """Sleepers meanwhile; until when each time one of them was held."""
    held: list[float] = []

    async def listen(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            held.append(float(line))

    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proof.sleepers", str(processor)),
            cwd="tests",
            stdout=asyncio.subprocess.PIPE,
        )
        for processor in os.sched_getaffinity(0)
    ]
    listening = [asyncio.create_task(listen(one.stdout)) for one in processes if one.stdout]
    try:
        yield held
        assert all(one.returncode is None for one in processes), "a sleeper is no more"
    finally:
        for one in processes:
            if one.returncode is None:
                one.kill()
            await one.wait()
        await asyncio.gather(*listening)


if __name__ == "__main__":
    main(int(sys.argv[1]))
