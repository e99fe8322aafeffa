"""The input ring: the last inputs of the gateway, in a few small files (docs/adr/replay.md).

Rules:
- Each file is a recording of its own: gzipped JSON lines, a beginning and the inputs after it. The
  newest files are kept while together they are small; a new one is begun when the last is full.
- Written by a thread of its own, in the runtime directory where there is one (tmpfs): nobody waits
  for it, and a flash card does not wear by it. What it cannot keep up with it leaves out, and then
  begins anew.
- No secret is in it (RULES U5): one stands for itself, masked with a key that nobody keeps.
- Nothing hangs on it: where it cannot be written the gateway goes on, and says so once.
"""

import hmac
import json
import os
import queue
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.now import Now
from gateway.runtime.latch import runtime_folder
from gateway.runtime.plain import Mask, Plain
from gateway.runtime.recording import Beginning, Input

log = structlog.get_logger()

FORMAT = 1
FOLDER = "inputs"
TOGETHER_BYTES = 4 * 1024 * 1024
FILE_BYTES = 512 * 1024
WAITING_MAX = 5_000
RETRY_S = 60.0
AFTER_S = 0.005  # whoever waits for a decision has the processor first
_GZIP = 16 + 14  # with a window that takes 128 KiB while it is open


class InputRing:
    """The ring in one folder. `begin` and `add` are called in the event loop and do not wait."""

    def __init__(
        self,
        folder: Path,
        version: str,
        *,
        file_bytes: int = FILE_BYTES,
        together: int = TOGETHER_BYTES,
    ) -> None:
        """In a folder that may not exist yet; `version` of the gateway that records."""
        self._folder = folder
        self._version = version
        self._file_bytes = file_bytes
        self._together = together
        self._queue: queue.SimpleQueue[Beginning | Input | None] = queue.SimpleQueue()
        self._plain = Plain(masked_with(os.urandom(32)))
        self._gap = False
        self._full = False
        self._failed_s: float | None = None
        self._told = False
        self._file: _File | None = None
        self._thread = threading.Thread(target=self._run, name="input-ring", daemon=True)
        self._thread.start()

    @property
    def wants_beginning(self) -> bool:
        """The file is full, or something was left out and there is room again."""
        if self._failed_s is not None:
            return time.monotonic() - self._failed_s > RETRY_S
        return self._full or (self._gap and self._queue.empty())

    def begin(self, beginning: Beginning) -> None:
        """Begin a new file."""
        self._gap = self._full = False
        self._failed_s = None
        self._queue.put(beginning)

    def add(self, input_: Input) -> None:
        """Keep an input, or leave it out when too many wait already."""
        self._gap = self._gap or self._queue.qsize() >= WAITING_MAX
        if not self._gap and self._failed_s is None:
            self._queue.put(input_)

    def close(self) -> None:
        """Write what waits."""
        self._queue.put(None)
        self._thread.join(2)

    # --- its thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        going_on = True
        while going_on:
            waiting = [self._queue.get()]
            if waiting[0] is not None:
                time.sleep(AFTER_S)
            while not self._queue.empty():
                waiting.append(self._queue.get())
            going_on = None not in waiting
            try:
                self._write([one for one in waiting if one is not None])
            except Exception as error:  # nothing hangs on it, whatever it is
                self._fail(error)

    def _write(self, waiting: list[Beginning | Input]) -> None:
        for one in waiting:
            if isinstance(one, Beginning):
                self._open()
            if self._file is None:
                continue  # its beginning could not be written
            self._file.add(line_of(one, self._plain, self._version))
        if self._file is not None:
            self._full = self._file.flush() >= self._file_bytes

    def _open(self) -> None:
        """A new file, in the place of the oldest that are too many."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = files_of(self._folder)
        sizes = [file.stat().st_size for file in files]
        while files and sum(sizes) + self._file_bytes > self._together:
            files.pop(0).unlink(missing_ok=True)
            sizes.pop(0)
        number = int(files[-1].name.split(".")[0]) + 1 if files else 1
        self._file = _File(self._folder / f"{number:06}.jsonl.gz")

    def _fail(self, error: Exception) -> None:
        if not self._told:
            log.warning("inputs_not_kept", folder=str(self._folder), why=str(error))
        self._told = True
        self._failed_s = time.monotonic()
        self._file = None


class _File:
    """One file of the ring while it is written; whole up to the last flush."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._gzip = zlib.compressobj(level=3, wbits=_GZIP, memLevel=7)
        self._waiting: list[bytes] = []
        self._head: int | None = None
        self._size = 0

    def add(self, line: bytes) -> None:
        self._waiting.append(self._gzip.compress(line))

    def flush(self) -> int:
        """Hand it to the system; how much there is beyond the beginning."""
        self._put(self._gzip.flush(zlib.Z_SYNC_FLUSH))
        if self._head is None:
            self._head = self._size
        return self._size - self._head

    def close(self) -> None:
        self._put(self._gzip.flush())
        os.close(self._handle)

    def _put(self, last: bytes) -> None:
        self._size += os.write(self._handle, b"".join(self._waiting) + last)
        self._waiting.clear()


def masked_with(key: bytes) -> Mask:
    """What stands for a secret: the same for the same one, and nothing to guess it by."""
    return lambda secret: hmac.digest(key, secret.reveal().encode(), "sha256").hex()[:16]


def line_of(one: Beginning | Input, plain: Plain, version: str) -> bytes:
    """The line of a recording that stands for it; a beginning names the gateway's version."""
    if isinstance(one, Beginning):
        said = {**_beginning(one, plain), "version": version}
    else:
        said = _input(one, plain)
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _beginning(one: Beginning, plain: Plain) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "site": one.site,
        "site_digest": one.site_digest,
        "boot": one.at.boot,
        "at": _instant(one.at),
        "entities": [[entity.kind, plain(entity)] for entity in one.entities],
        "setpoints": [plain(setpoint) for setpoint in one.setpoints],
    }


def _input(one: Input, plain: Plain) -> dict[str, Any]:
    said: dict[str, Any] = {one.kind: _instant(one.at)}
    if one.events:
        said["events"] = [[plain(event), _instant(now)] for event, now in one.events]
    saw = one.saw
    if saw.readings:
        said["readings"] = [plain(reading) for reading in saw.readings]
    if saw.heard:
        said["heard"] = saw.heard
    if saw.seen:
        said["seen"] = {str(ref): seen_ms for ref, seen_ms in saw.seen.items()}
    if one.facts:
        said["facts"] = one.facts
    if one.failed:
        said["failed"] = one.failed
    return said


def _instant(now: Now) -> list[Any]:
    return [now.wall_ms, now.mono_ms, now.trust.value, now.serial, now.timeline]


# --- where it lies, and reading it --------------------------------------------------------------


def open_ring(data: Path, version: str, environment: Mapping[str, str] = os.environ) -> InputRing:
    """The ring of a gateway: in systemd's runtime directory, else in its data folder.

    Where it lies elsewhere a link in the data folder leads there, for who fetches it.
    """
    folder, link = runtime_folder(data, environment) / FOLDER, data / FOLDER
    with suppress(OSError):  # then it is found by who knows
        if link.is_symlink():
            link.unlink()
        if link != folder:
            link.symlink_to(folder)
    return InputRing(folder, version)


def files_of(folder: Path) -> list[Path]:
    """The files of a ring, oldest first."""
    return sorted(folder.glob("[0-9]*.jsonl.gz"))


def lines_of(path: Path) -> Iterator[bytes]:
    """The whole lines of a ring's folder, or of a file, oldest first. Raises OSError.

    A process that was killed leaves a file without its end: what it holds is whole up to there.
    """
    for file in files_of(path) if path.is_dir() else [path]:
        left = b""
        for piece in _unpacked(file.read_bytes()):
            *lines, left = (left + piece).split(b"\n")
            yield from lines


def _unpacked(content: bytes) -> Iterator[bytes]:
    """What gzip files that follow one another hold; the last one may lack its end."""
    while content:
        gzip = zlib.decompressobj(wbits=31)
        try:
            yield gzip.decompress(content)
        except zlib.error as error:
            raise OSError(f"expected gzipped JSON lines: {error}") from error
        content = gzip.unused_data
