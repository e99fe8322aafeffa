"""A gateway's process while much goes on: from outside, and by its own metrics."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from end_to_end.court import Court
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import rss_mb


@dataclass(frozen=True)
class Look:
    """The process at one moment.

    `held`: how often it held its loop by more than so many seconds; `late`: how often the loop was,
    also because the machine had no processor for it.
    """

    at_s: float
    rss_mb: float
    descriptors: int
    tasks: int
    held: Mapping[str, int]
    late: Mapping[str, int]
    held_s_max: float


async def look(here: Court, token: str) -> Look:
    """The process now; `token` is a technician's."""
    assert here.process is not None
    process = here.process.pid
    address = (here.data / "listening").read_text().strip()
    async with here.client(token) as api:
        text = (await api.get(f"http://{address}/metrics")).raise_for_status().text
    found = {
        (sample.name.removeprefix("commons_"), sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return Look(
        time.monotonic(),
        rss_mb(process),
        len(os.listdir(f"/proc/{process}/fd")),
        int(found["tasks", ""]),
        _beyond("loop_held_seconds", found),
        _beyond("loop_lag_seconds", found),
        found["loop_held_seconds_max", ""],
    )


def _beyond(name: str, found: Mapping[tuple[str, str], float]) -> dict[str, int]:
    """How many of a histogram's beats were above each of its bounds."""
    beats = found[f"{name}_count", ""]
    return {
        bound: int(beats - count) for (of, bound), count in found.items() if of == f"{name}_bucket"
    }


@dataclass
class Peak:
    """The most memory that was seen."""

    rss_mb: float = 0.0


@asynccontextmanager
async def peak(here: Court) -> AsyncIterator[Peak]:
    """Watches the memory meanwhile."""
    assert here.process is not None
    process, found = here.process.pid, Peak()

    async def watch() -> None:
        while True:
            found.rss_mb = max(found.rss_mb, rss_mb(process))
            await asyncio.sleep(0.05)

    task = asyncio.create_task(watch())
    try:
        yield found
    finally:
        task.cancel()
