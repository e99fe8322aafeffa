"""A file that only takes up room: dropped when the disk is full, so that commits go on (RULES X1).

It comes back when there is room for itself and twice as much again; so a disk that hovers around
full does not make and drop it in turn.
"""

import os
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

BALLAST_BYTES = 16 * 1024 * 1024


class Ballast:
    """`size_bytes` of disk kept back in one file; 0 keeps none."""

    def __init__(self, file: Path, size_bytes: int = BALLAST_BYTES) -> None:
        self._file = file
        self._size_bytes = size_bytes

    @property
    def held(self) -> bool:
        """True while it takes up all its room, or is not wanted."""
        return self._found_bytes() >= self._size_bytes

    def release(self) -> bool:
        """Give the room back; False when there was none to give."""
        if not self._found_bytes():
            return False
        os.truncate(self._file, 0)  # some file systems need room to remove a file
        self._file.unlink()
        log.warning("ballast_released", bytes=self._size_bytes)
        return True

    def take(self) -> None:
        """Take up the room again, if there is enough of it. Never fails."""
        if self.held:
            return
        try:
            if free_bytes(self._file.parent) < 3 * self._size_bytes:
                return
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size_bytes)
            finally:
                os.close(handle)
        except OSError as error:
            log.warning("ballast_not_taken", why=str(error))
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    def _found_bytes(self) -> int:
        try:
            return self._file.stat().st_size
        except OSError:
            return 0


def free_bytes(folder: Path) -> int:
    """How much an ordinary user may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
