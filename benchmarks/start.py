"""From starting the process to the siren's coil written, for a call button pressed before.

Devices and broker are on real wires and run already. As on site after the first start, bytecode and
database are there; the press is in neither, so each start sees it for the first time. Beside each
start a bare interpreter loads the libraries alone: how fast this machine is just now.
"""

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from end_to_end.court import Court, court
from fixtures.broker import Broker

from benchmarks.figures import Figure, emit
from benchmarks.processes import as_on_site

ROUNDS = 7
LIBRARIES = "uvloop, structlog, pydantic, yaml, sqlalchemy, paho.mqtt.client, pymodbus"


async def call_handled(here: Court) -> float:
    """Seconds from the start of the process to the siren."""
    flashes = here.town.town.sirens("study_help")[0].flashes
    before, began = len(flashes), time.monotonic()
    await here.start()
    while len(flashes) == before:
        if time.monotonic() - began > 20:
            raise TimeoutError(here.log.read_text())
        await asyncio.sleep(0.001)
    return time.monotonic() - began


async def libraries_loaded() -> float:
    """Seconds that a bare interpreter takes to load them and end."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", f"import {LIBRARIES}")
    assert await process.wait() == 0
    return time.monotonic() - began


async def measure(folder: Path, broker: Broker) -> tuple[list[float], list[float]]:
    """Seconds of each start, and of the libraries alone."""
    took, raw = [], []
    async with court(folder, broker) as here:
        await here.start()  # makes bytecode and database
        await here.has("gateway.started", 30)
        await here.stop()
        before = shutil.copytree(here.data, folder / "before")
        assert await here.town.press("study_help")
        await libraries_loaded()
        for _ in range(ROUNDS):
            raw.append(await libraries_loaded())
            took.append(await call_handled(here))
            await here.until((here.data / "listening").exists, 20, "the API does not listen")
            await here.stop()
            shutil.rmtree(here.data)
            shutil.copytree(before, here.data)
    return took, raw


def main() -> None:
    """Measure the starts."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        as_on_site(folder / "bytecode")
        broker = Broker(folder / "broker")
        broker.start()
        try:
            took, raw = asyncio.run(measure(folder, broker))
        finally:
            broker.kill()
    rounds = " ".join(f"{seconds:.2f}" for seconds in took)
    emit(
        Figure(
            "start to first call handled",
            statistics.median(took),
            "s",
            raw=statistics.median(raw),
            at_most=0.6,
            note=f"fastest {min(took):.2f}, of the libraries {min(raw):.2f}; rounds {rounds}",
        )
    )


if __name__ == "__main__":
    main()
