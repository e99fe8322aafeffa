"""Resident memory of the idle gateway: the demo compound, every link up, uplink and API on."""

import asyncio
import statistics
import tempfile
from pathlib import Path

from end_to_end.court import court
from fixtures.broker import Broker

from benchmarks.figures import Figure, emit
from benchmarks.processes import ROOT, as_on_site, rss_mb

DEMO = ROOT / "config" / "sites" / "demo"
IDLE_S = 4.0
ROUNDS = 2


async def measure(folder: Path, broker: Broker) -> tuple[float, float]:
    """Megabytes once idle, and after each part of the API was asked for something."""
    async with court(folder, broker, template=DEMO) as here:
        await here.start()
        await here.has("gateway.started", 30)
        await asyncio.sleep(IDLE_S)
        assert here.process is not None
        idle = rss_mb(here.process.pid)
        await here.ready()
        async with here.api() as api:
            for path in ("/places", "/facilities", "/doors", "/calls", "/journal"):
                (await api.get(path)).raise_for_status()
        return idle, rss_mb(here.process.pid)


def main() -> None:
    """Measure a few starts."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        as_on_site(folder / "bytecode")
        broker = Broker(folder / "broker")
        broker.start()
        try:
            found = [
                asyncio.run(measure(folder / f"round-{turn}", broker)) for turn in range(1 + ROUNDS)
            ][1:]  # the first one compiles, as an installation does
        finally:
            broker.kill()
    idle, asked = (statistics.median(values) for values in zip(*found, strict=True))
    emit(
        Figure("idle memory, demo compound, API and uplink on", idle, "MB", at_most=80),
        Figure("the same after requests to the API", asked, "MB"),
    )


if __name__ == "__main__":
    main()
