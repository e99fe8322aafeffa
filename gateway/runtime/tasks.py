"""Ending tasks for certain."""

import asyncio
from typing import Any

AGAIN_S = 0.2


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel these tasks and wait until they have ended, whatever they end with.

    Before Python 3.12 `asyncio.wait_for` can lose a cancellation that comes as its future is done
    (libraries use it), so one is given again until it has been taken. Cancelled itself, it ends
    them all the same before it says so.
    """
    left, ours = set(tasks), False
    while left:
        for task in left:
            task.cancel()
        try:
            await asyncio.wait(left, timeout=AGAIN_S)
        except asyncio.CancelledError:
            ours = True
        left = {task for task in left if not task.done()}
    if ours:
        raise asyncio.CancelledError
