"""The call latch: presses on their way to the journal, where a crash cannot reach them (DESIGN §5).

Rules:
- Before anything else a press puts its point into a file in the runtime directory (tmpfs: no disk,
  no wait); once what it caused is committed, the point is taken out again.
- A start raises the points it finds. So a press is told twice rather than lost (RULES E1, E3).
- Points, not presses: however often somebody presses, the file holds each point once.
- One write a line: a kill leaves whole lines, and one that is not whole, or makes no sense, is
  passed over.
- Nothing here stands in a press's way: when the file cannot be written the press goes on without
  it, which is told once.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from gateway.domain.points import PointRef

log = structlog.get_logger()

_SIZE_MAX = 16 * 1024


class CallLatch:
    """The latch in one file; what an earlier process left in it is `found`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failed = False
        self._handle: int | None = None
        self._size = 0
        self.found = self._read()
        self._underway = Counter(self.found)
        self._rewrite()

    def press(self, ref: PointRef) -> Callable[[], None]:
        """Latch a press; call what is returned, once, when its record is durable."""
        self._underway[ref] += 1
        if self._underway[ref] == 1:
            self._write(f"+{ref}\n")
        return lambda: self._durable(ref)

    def found_durable(self) -> None:
        """The calls that `found` raised are in the journal."""
        for ref in self.found:
            self._durable(ref)
        self.found = ()

    def close(self) -> None:
        """Close the file. What is under way stays in it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _durable(self, ref: PointRef) -> None:
        self._underway[ref] -= 1
        if self._underway[ref] > 0:
            return
        del self._underway[ref]
        if not self._underway:
            self._empty()
        elif self._size < _SIZE_MAX:
            self._write(f"-{ref}\n")
        else:
            self._rewrite()

    def _read(self) -> tuple[PointRef, ...]:
        try:
            text = self._file.read_text(errors="replace")
        except FileNotFoundError:
            return ()
        except OSError as error:
            self._tell(error)
            return ()
        refs: dict[PointRef, None] = {}
        for line in text.splitlines(keepends=True):
            try:
                ref = PointRef.parse(line[1:-1])
            except ValueError:
                continue
            if line.endswith("\n") and line[0] == "+":
                refs[ref] = None
            elif line.endswith("\n") and line[0] == "-":
                refs.pop(ref, None)
        return tuple(refs)

    def _rewrite(self) -> None:
        """Put a file with what is under way in place of the old one."""
        self.close()
        fresh = self._file.with_name(f"{self._file.name}.new")
        text = "".join(f"+{ref}\n" for ref in self._underway).encode()
        try:
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            self._tell(error)
            return
        try:
            os.write(handle, text)
            os.replace(fresh, self._file)
        except OSError as error:
            os.close(handle)
            self._tell(error)
            return
        self._handle, self._size, self._failed = handle, len(text), False

    def _empty(self) -> None:
        if self._handle is None:
            self._rewrite()
            return
        try:
            os.ftruncate(self._handle, 0)
            self._size = 0
        except OSError as error:
            self._tell(error)

    def _write(self, line: str) -> None:
        if self._handle is None:
            self._rewrite()  # which holds the press as well
            return
        try:
            self._size += os.write(self._handle, line.encode())
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._failed:
            log.error("call_latch_failed", file=str(self._file), why=str(error))
        self._failed = True


def latch_file(data: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the latch is kept: systemd's runtime directory, else the data folder."""
    return runtime_folder(data, environment) / "calls.latch"


def runtime_folder(data: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where files lie that outlive the process and not the machine's boot.

    The unit must say `RuntimeDirectoryPreserve=yes`, or systemd clears it between two starts.
    """
    runtime = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(runtime) if runtime else data
