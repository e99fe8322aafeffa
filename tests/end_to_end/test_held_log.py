"""A log that takes nothing, as of a terminal that is held: people are let in and heard (X1)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from end_to_end.court import Court

# The error output of a gateway is a pipe that somebody keeps open and nobody reads.
TO_PIPE = ("sh", "-c", 'exec "$@" 2<>"$0"')


@pytest.fixture
def full_pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe that takes no more."""
    path = tmp_path / "log.fifo"
    os.mkfifo(path)
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(handle, b"\n" * size)
    yield path
    os.close(handle)


async def test_a_log_that_takes_nothing_stops_nobody(here: Court, full_pipe: Path) -> None:
    await here.start(*TO_PIPE, str(full_pipe))
    await here.ready()
    await here.platform.subject("ada", pin="482913")
    await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))
    await here.opens("study_door", "482913")
    assert await here.town.press("study_help")
    assert await here.town.until(lambda: here.town.siren("study_help").sounding)
    await here.has("call.raised")
    assert await here.stop() == 0
