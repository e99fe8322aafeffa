"""What takes longer than a call may wait, done beside the event loop: in few threads.

All share one interpreter, and the loop waits its turn among them. On a busy machine sixteen pages
at once held it for up to 0.14 s with six threads, which is what asyncio has on two cores, and for
up to 0.06 s with two.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

THREADS = 2

P = ParamSpec("P")
T = TypeVar("T")

_pool = ThreadPoolExecutor(THREADS, "page")


async def in_thread(do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What it returns or raises, once one of the threads had time for it."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool, partial(do, *args, **kwargs))


async def each_in_thread(made: Iterator[str]) -> AsyncIterator[str]:
    """The same texts, each made in a thread; others have their turn in between."""
    while (text := await in_thread(next, made, None)) is not None:
        yield text
