"""The data folder: what lies where in it, and that one process at a time holds it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.domain.errors import StoreError


class FolderInUse(StoreError):
    """Another process holds the folder: two gateways must never drive the same devices."""


class DataFolder:
    """A folder of one gateway, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.path / "gateway.db"

    def hold(self) -> None:
        """Take the folder for this process until `release` or its end; again is no harm.

        The lock is on the folder itself, so it needs no file and no room, and a killed process
        leaves none behind. Raises FolderInUse, or StoreError when there is no such folder to be
        had (then the gateway can still run in memory, RULES X1).
        """
        if self._handle is not None:
            return
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StoreError(f"data folder {self.path}: {error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(handle)
            os.close(handle)
            raise FolderInUse(
                f"data folder {self.path} is in use by {holder}: stop it, or name another folder"
            ) from None
        self._handle = handle

    def release(self) -> None:
        """Give the folder back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder meanwhile."""
        self.hold()
        try:
            yield
        finally:
            self.release()


def machine_id(file: Path = Path("/etc/machine-id")) -> str:
    """This machine's id; "" where it has none."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _holder(handle: int) -> str:
    """Who holds a lock on an open file, as far as the kernel tells."""
    found = os.fstat(handle)
    device, inode = found.st_dev, found.st_ino
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    try:
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        locks = []
    for fields in map(str.split, locks):
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == wanted:
            return f"process {fields[4]}"
    return "another process"
