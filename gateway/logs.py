"""Structured logs: for a person on a terminal, as JSON lines for a journal.

Nobody waits for them (X1): a thread of its own writes the lines, so a terminal that is held, a pipe
that nobody reads or a card that hangs stops no call.
"""

import atexit
import logging
import os
import sys
import threading
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import Any, TextIO, cast

import structlog

LINES_MAX = 1_000  # that wait
LAST_WORDS_S = 1.0

log = structlog.get_logger()


def configure(level: str = "info", *, json: bool | None = None) -> None:
    """Set up structlog once. `json` defaults to whether nobody is watching."""
    as_json = not sys.stderr.isatty() if json is None else json
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors.append(structlog.dev.ConsoleRenderer())
    lines = Lines(sys.stderr.fileno())
    atexit.register(lines.close)
    stream = cast(TextIO, lines)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=stream)


class Lines:
    """A stream to a file descriptor that takes a line at once, and a thread writes it.

    What a full disk or a closed pipe refuses is lost, as is what comes while `LINES_MAX` lines
    wait; how many those were is logged when it goes on.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._waiting: Queue[str | None] = Queue(LINES_MAX)  # None: no more
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Take a line, or lose it."""
        try:
            self._waiting.put_nowait(text)
        except Full:
            self._lost += 1

    def flush(self) -> None:
        """Nothing: it is on its way."""

    def close(self) -> None:
        """Wait a moment for what is on its way."""
        with suppress(Full):
            self._waiting.put(None, timeout=LAST_WORDS_S)
            self._thread.join(LAST_WORDS_S)

    def _run(self) -> None:
        told, going_on = 0, True
        while going_on:
            lines = [self._waiting.get()]
            with suppress(Empty):
                while True:
                    lines.append(self._waiting.get_nowait())
            going_on = None not in lines
            self._put("".join(line for line in lines if line is not None))
            if (lost := self._lost) > told:
                log.warning("log_lines_lost", lines=lost - told)
                told = lost

    def _put(self, text: str) -> None:
        rest = memoryview(text.encode(errors="backslashreplace"))
        with suppress(OSError):
            while rest:
                rest = rest[os.write(self._handle, rest) :]
