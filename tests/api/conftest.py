"""A served gateway, one a test; or one a module, for tests that leave no trace others mind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from api.api_rig import Rig, served


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with served(tmp_path) as running:
        await running.people()
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with served(tmp_path_factory.mktemp("shared")) as running:
        await running.people()
        yield running
