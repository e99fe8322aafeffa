"""From a PIN at the keypad to the pulse on the coil of the strike, its record durable before it.

`python -m gateway` on real wires: the keypad's message goes through a real mosquitto, the coil is
on a Modbus TCP board that is polled meanwhile, the platform takes every record.
"""

import asyncio
import statistics
import tempfile
from pathlib import Path

from end_to_end.court import Court, court
from fixtures.broker import Broker

from benchmarks.figures import Figure, emit
from benchmarks.processes import as_on_site
from simulators.devices import mono_ms

TIMES = 200
PAUSE_S = 0.04
DOOR, PIN = "study_door", "482913"


async def measure(here: Court) -> list[int]:
    """Milliseconds from each PIN to its pulse, shortest first."""
    await here.start()
    assert (await here.platform.subject("ada", pin=PIN)).accepted
    assert (await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))).accepted
    await here.opens(DOOR, PIN)
    took = []
    for _ in range(TIMES):
        await asyncio.sleep(PAUSE_S)
        before, began_ms = len(here.town.door(DOOR).pulses), mono_ms()
        await here.town.present_pin(DOOR, PIN)
        await here.until(lambda before=before: len(here.town.door(DOOR).pulses) > before)
        took.append(here.town.door(DOOR).pulses[-1].at_ms - began_ms)
    granted = sum(fact == "access.granted" for fact in here.facts())
    await here.until(lambda: here.facts().count("access.granted") > TIMES, what=f"{granted} facts")
    return sorted(took)


async def served(folder: Path, broker: Broker) -> list[int]:
    """Measure in a court of its own."""
    async with court(folder, broker) as here:
        return await measure(here)


def main() -> None:
    """Print median and p99."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        as_on_site(folder / "bytecode")
        broker = Broker(folder / "broker")
        broker.start()
        try:
            took = asyncio.run(served(folder, broker))
        finally:
            broker.kill()
    emit(
        Figure("PIN to pulse, record durable: p50", statistics.median(took), "ms"),
        Figure("PIN to pulse, record durable: p99", took[len(took) * 99 // 100], "ms"),
    )


if __name__ == "__main__":
    main()
