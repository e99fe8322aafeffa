"""A real store in a real folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.store import SqliteStore, StoreOptions

OPTIONS = StoreOptions(machine="machine-1", ballast_bytes=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "gateway.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    one = SqliteStore(path, OPTIONS)
    one.open()
    yield one
    one.close()
