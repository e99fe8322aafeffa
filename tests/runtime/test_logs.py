"""Whoever logs waits for nobody (RULES X1)."""

import os
import threading

import pytest
from structlog.testing import capture_logs

from gateway.logs import LINES_MAX, Lines


def read(handle: int, into: list[str]) -> threading.Thread:
    """Read until the other end is closed, in a thread."""

    def all_of_it() -> None:
        with os.fdopen(handle, encoding="utf-8") as found:
            into.extend(found)

    thread = threading.Thread(target=all_of_it)
    thread.start()
    return thread


def test_lines_come_in_their_order() -> None:
    reading, writing = os.pipe()
    found: list[str] = []
    reader, lines = read(reading, found), Lines(writing)
    written = [f"{number} 晚安\n" for number in range(LINES_MAX)]
    for line in written:
        lines.write(line)
    lines.close()
    os.close(writing)
    reader.join()
    assert found == written


def test_what_nobody_reads_holds_nobody_and_is_counted() -> None:
    reading, writing = os.pipe()
    lines, written = Lines(writing), [f"{number:0200}\n" for number in range(3 * LINES_MAX)]
    found: list[str] = []
    with capture_logs() as logs:
        for line in written:
            lines.write(line)  # a pipe takes 64 KiB of 600
        reader = read(reading, found)
        lines.close()
    os.close(writing)
    reader.join()
    assert LINES_MAX <= len(found) < len(written)
    assert found == sorted(found)
    assert {log["event"] for log in logs} == {"log_lines_lost"}
    assert sum(log["lines"] for log in logs) == len(written) - len(found)


def test_a_closed_pipe_loses_lines_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    reading, writing = os.pipe()
    os.close(reading)
    lines = Lines(writing)
    lines.write("nobody is there\n")
    lines.close()
    os.close(writing)
    assert not failed
