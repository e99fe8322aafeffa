"""Every write and every sync of a hundred commits fails once: X1 holds, and all is right again."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from fixtures import card
from fixtures.sizes import size

SCENARIO = Path(__file__).with_name("failing_card.py")
BOTH = size("errors", 1) == 2  # EIO and ENOSPC for each, or in turn
SHARDS = 2


async def failing(folder: Path, first: int) -> list[str]:
    """What the scenario printed of every second operation from the first one on."""
    folder.mkdir()
    control = card.Control(folder / "control")
    around = card.environment(folder / "data", control=control)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCENARIO), str(folder), str(control.file)),
        *(str(first), str(SHARDS), "both" if BOTH else "turn"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **around, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode().splitlines()


@pytest.mark.timeout(1_200)
async def test_each_write_and_sync_fails_once_and_no_acknowledged_record_is_lost(
    tmp_path: Path,
) -> None:
    shards = (failing(tmp_path / f"shard-{first}", first) for first in range(1, SHARDS + 1))
    found = await asyncio.gather(*shards)
    wrong = [line for lines in found for line in lines[:-1]]
    counts = [json.loads(lines[-1]) for lines in found]
    runs, lost = (sum(count[what] for count in counts) for what in ("runs", "lost"))
    print(f"{runs} failures in 100 commits: the store was lost in {lost}, {len(wrong)} wrong")
    assert wrong == []
    assert runs > 500, "a commit is some writes and a sync"
    assert lost > runs / 4, "a failed sync loses the store, a full card gives up its ballast"
