"""From a press to the siren's coil, at rest, under a flood of telemetry, and on a slow card.

The gateway is a process of its own with all its parts; the relay board, the radio's bridge and the
platform are simulated here, over a real mosquitto. Counted is

- wired: from the board's answer that first shows the press to the write of the siren's coil, both
  as the board has them on its socket: the time the driver waits for the next poll is not in it;
- radio: from the handing of the button's message to its bridge to that write, so the bridge's and
  the broker's time are in it.

The flood is 5,000 messages/s of twenty metering plugs. On the slow card every sync of a file takes
200 ms longer (`fixtures.card`).
"""

import asyncio
import random
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop
from end_to_end.court import TEMPLATE, Court, court
from fixtures import card
from fixtures.broker import Broker

from benchmarks.figures import Figure, emit

ROUNDS = 25
PLUGS = 20
FLOOD_PER_S = 5_000
FLOOD_TICK_S = 0.01
BUTTONS = {"wired": ("study_help", 6), "radio": ("garden_sos", 7)}  # and the coil of the siren
COUNTED = {
    "wired": "the board's answer that shows it",
    "radio": "its message to the bridge, with bridge and broker",
}
INPUT = 2  # of the wired button
ENOUGH_S = 10.0
STALL_MS = 200
QUIET = {"settings": {"emergency": {"attend_within_s": 600}}}  # no call is raised again meanwhile


class Watched:
    """The relay board, and when what was on its wire."""

    def __init__(self, board: Any) -> None:
        self._board = board
        self.shown: float | None = None
        self.written: dict[int, asyncio.Future[float]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._board, name)

    def read_bits(self, table: str, address: int, count: int) -> Sequence[bool]:
        """Note when the press is first shown."""
        bits: Sequence[bool] = self._board.read_bits(table, address, count)
        at = INPUT - address
        if table != "coil" and 0 <= at < count and bits[at] and self.shown is None:
            self.shown = time.perf_counter()
        return bits

    def write_coil(self, address: int, value: int) -> None:
        """Note when a siren is first switched."""
        waiting = self.written.pop(address & 0xFF, None)
        if waiting is not None:
            waiting.set_result(time.perf_counter())
        self._board.write_coil(address, value)

    def siren(self, coil: int) -> "asyncio.Future[float]":
        """When the coil is next written."""
        self.written[coil] = asyncio.get_running_loop().create_future()
        return self.written[coil]


async def press(here: Court, board: Watched, kind: str, api: httpx.AsyncClient) -> float:
    """One call from press to silence; milliseconds from the press to the siren."""
    call_point, coil = BUTTONS[kind]
    written = board.siren(coil)
    board.shown = None
    began = time.perf_counter()
    await here.town.press(call_point)
    async with asyncio.timeout(ENOUGH_S):
        at = await written
    if kind == "wired":
        assert board.shown is not None
        began = board.shown
        here.town.reset_button(call_point)
    calls = (await api.get("/calls")).json()
    call = next(one["id"] for one in calls if one["state"] in ("raised", "delivered"))
    (await api.post(f"/calls/{call}/acknowledge", json={})).raise_for_status()
    siren = here.town.siren(call_point)
    assert await here.town.until(lambda: not siren.sounding)
    return (at - began) * 1000


async def measure(here: Court, stall_ms: int = 0) -> dict[str, list[float]]:
    """Milliseconds of each press, in order of time taken; every sync is stalled so long."""
    face: Any = here.town.lines.buses["relays"]
    unit, faults = face.units[1]
    board = Watched(unit)
    face.units = {**face.units, 1: (board, faults)}
    control = card.Control(here.folder.parent / "control")
    control.stall(stall_ms)
    await here.start(**(card.environment(here.data, control=control) if stall_ms else {}))
    await here.ready()
    found: dict[str, list[float]] = {kind: [] for kind in BUTTONS}
    pause = random.Random(1)
    async with here.api() as api:
        for round_ in range(-2, ROUNDS):
            for kind, took in found.items():
                ms = await press(here, board, kind, api)
                if round_ >= 0:
                    took.append(ms)
                await asyncio.sleep(pause.uniform(0.8, 1.2))
    assert await here.stop() == 0
    return {kind: sorted(took) for kind, took in found.items()}


def p99(took: Sequence[float]) -> float:
    """The 99th percentile of what is in order."""
    return took[min(len(took) - 1, int(len(took) * 0.99))]


def flood(port: int) -> None:
    """Telemetry at its rate until standard input ends. Runs in a process of its own."""
    number, each = 0, int(FLOOD_PER_S * FLOOD_TICK_S)
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05flood")
        wire.recv(4)
        due = time.monotonic()
        while True:
            wire.sendall(b"".join(_telemetry(n) for n in range(number, number + each)))
            number, due = number + each, due + FLOOD_TICK_S
            time.sleep(max(0.0, due - time.monotonic()))


def _telemetry(number: int) -> bytes:
    topic = b"zigbee2mqtt/plug_%02d" % (number % PLUGS)
    payload = b'{"current":4.31,"energy":12.34,"power":%d.5,"state":"ON","voltage":231}' % (
        900 + number // PLUGS % 100 * 7
    )
    body = len(topic).to_bytes(2) + topic + payload
    return bytes((0x30, len(body))) + body


@asynccontextmanager
async def flooded(port: int, rate: bool) -> AsyncIterator[None]:
    """The flood, meanwhile, if it is wanted."""
    if not rate:
        yield
        return
    itself = (sys.executable, "-m", "benchmarks.call_latency", str(port))
    process = await asyncio.create_subprocess_exec(*itself)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def site_with_plugs(folder: Path) -> Path:
    """The court, with metering plugs in the garden."""
    shutil.copytree(TEMPLATE, folder)
    for number in range(PLUGS):
        plug = f"plug_{number:02}"
        (folder / "devices" / f"{plug}.yaml").write_text(
            f"profile: z2m_plug\nlink: radio\nplace: garden\n"
            f"name: {{zh: 插座, en: Plug}}\ntopic: zigbee2mqtt/{plug}\n"
        )
    return folder


async def scene(name: str, at_most_ms: float, *, rate: bool = False, stall_ms: int = 0) -> None:
    """Measure one scene, and say what it gave."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker")
        broker.start()
        try:
            template = site_with_plugs(Path(folder) / "template")
            served = court(Path(folder), broker, QUIET, template)
            async with served as here, flooded(broker.port, rate):
                found = await measure(here, stall_ms)
        finally:
            broker.stop()
    for kind, took in found.items():
        note = f"p50 {statistics.median(took):.1f} ms of {len(took)} presses, from {COUNTED[kind]}"
        measure_ = f"{kind} press to siren coil, {name}, p99"
        emit(Figure(measure_, p99(took), "ms", at_most=at_most_ms, note=note))


async def main() -> None:
    """Every scene."""
    await scene("at rest", 5)
    await scene(f"{FLOOD_PER_S:,} messages/s", 20, rate=True)
    await scene("syncs of 200 ms", 20, stall_ms=STALL_MS)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        flood(int(sys.argv[1]))
    else:
        uvloop.run(main())
