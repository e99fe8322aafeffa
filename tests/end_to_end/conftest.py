"""A served court for every test here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker


@pytest.fixture
async def here(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    async with court(tmp_path, broker) as served:
        yield served
