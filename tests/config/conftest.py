"""A house on disk, and the kind of driver to judge it with."""

from pathlib import Path

import pytest
from houses import SITE, PlainKind

from gateway.ports import DriverKind


@pytest.fixture
def kinds() -> dict[str, DriverKind]:
    return {"plain": PlainKind()}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in SITE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path
