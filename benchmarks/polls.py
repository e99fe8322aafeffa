"""CPU of 1,000 Modbus polls through the whole path, beside a bare pymodbus loop in the same run.

A Modbus TCP host in a process of its own, ten devices of twenty registers. The bare loop reads and
looks at nothing. The whole path is driver, codec, sink, readings and engine over a real store, with
registers that stand still, that jitter within their deadband, and that all move with every poll.
Limit: at most twice the bare loop.
"""

import asyncio
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from pymodbus.client import AsyncModbusTcpClient
from simulation.sites import small_site

from benchmarks.figures import Figure, emit
from drivers.modbus.driver import ModbusDriver
from gateway.domain.profile import Edge, PointSpec, PollClass, Profile, ValueKind
from gateway.domain.site import POLL_MS, Device, Link, Name
from gateway.ports import LinkSetup
from gateway.runtime.clock import SystemClock
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.sink import LinkSink
from gateway.runtime.step import Step
from gateway.security.credentials import KeyedCredentials
from gateway.store.store import SqliteStore

DEVICES, REGISTERS, POLLS = 10, 20, 5_000
LIMIT = 2.0
HOW = ("still", "jitter", "moving")


class Host(asyncio.Protocol):
    """Answers every read of registers."""

    asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        self.buffer += data
        while len(self.buffer) >= 12:
            frame, self.buffer = self.buffer[:12], self.buffer[12:]
            transaction, _, _, unit, function, _, count = struct.unpack(">HHHBBHH", frame)
            Host.asked += 1
            step = {"still": 0, "jitter": Host.asked // DEVICES % 3, "moving": Host.asked % 997}
            word = 1_000 + step[sys.argv[2]] * (37 if sys.argv[2] == "moving" else 1)
            head = struct.pack(">HHHBBB", transaction, 0, 3 + 2 * count, unit, function, 2 * count)
            self.transport.write(head + struct.pack(">H", word & 0x7FFF) * count)


async def serve() -> None:
    """Be the host, and say on which port."""
    server = await asyncio.get_running_loop().create_server(Host, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def bare(port: int) -> float:
    """CPU seconds of 1,000 polls by pymodbus alone."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    for number in range(POLLS + 200):
        if number == 200:
            began = time.process_time()
        answer = await client.read_holding_registers(
            0, count=REGISTERS, device_id=1 + number % DEVICES
        )
        assert len(answer.registers) == REGISTERS
    client.close()
    return (time.process_time() - began) / POLLS * 1_000


async def whole(port: int, folder: Path) -> float:
    """CPU seconds of 1,000 polls through driver, sink, readings and engine."""
    site, clock = small_site(), SystemClock("bench")
    store = SqliteStore(folder / "gateway.db")
    loaded = store.open()
    readings = Readings()
    reconciler = Reconciler(lambda _: None, clock.mono_ms())
    engine = Engine(Step(site, loaded, readings), reconciler, readings, store, clock)
    engine.start(loaded.head, {})
    sink = LinkSink("net", engine, lambda _: lambda: None)
    driver = ModbusDriver(_setup(port, sink, clock), Random(1))  # jitter
    tasks = [asyncio.create_task(engine.run()), asyncio.create_task(driver.run())]

    def polls() -> int:
        return sum(n for (_, what), n in sink.counters.items() if what == "polls")

    while polls() < 200:  # noqa: ASYNC110  # nobody tells us
        await asyncio.sleep(0.01)
    before, began = polls(), time.process_time()
    while polls() - before < POLLS:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    took, count = time.process_time() - began, polls() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(Exception):
        store.close()
    return took / count * 1_000


def _setup(port: int, sink: LinkSink, clock: SystemClock) -> LinkSetup:
    points = {
        name: PointSpec(
            name=name,
            kind=ValueKind.FLOAT,
            unit="V",
            poll=PollClass.SENSOR,
            edge=Edge.NONE,
            setpoint=None,
            binding={"table": "holding", "address": address, "type": "i16", "scale": 0.1},
            deadband=0.5,
        )
        for address in range(REGISTERS)
        for name in [f"register_{address}"]
    }
    profile = Profile("bench", "Twenty registers", "modbus", points, {}, {})
    devices = [
        Device(id_, "bench", "net", "study_room", Name(id_, id_), {"unit": unit})
        for unit in range(1, DEVICES + 1)
        for id_ in [f"meter_{unit}"]
    ]
    link = Link("net", "modbus_tcp", {"host": "127.0.0.1", "port": port})
    polls = {**POLL_MS, PollClass.SENSOR: 1}
    credentials = KeyedCredentials(bytes(32))
    return LinkSetup(link, devices, {"bench": profile}, {}, polls, sink, credentials, clock)


def main() -> None:
    """Measure all three; judged is their geometric mean."""
    import uvloop  # noqa: PLC0415  # the host does without

    found = []
    for how in HOW:
        host = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.polls", "host", how],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert host.stdout is not None
            port = int(host.stdout.readline())
            with tempfile.TemporaryDirectory() as folder:
                ours = 1_000 * uvloop.run(whole(port, Path(folder)))
            raw = 1_000 * uvloop.run(bare(port))
        finally:
            host.kill()
            host.wait()
        found.append((ours, raw))
        emit(Figure(f"the same without pauses, registers {how}", ours, "ms", raw=raw))
    ours, raw = (statistics.geometric_mean(values) for values in zip(*found, strict=True))
    name = "the same without pauses, mean of the three"
    emit(Figure(name, ours, "ms", raw=raw, judged="ratio", at_most=LIMIT))


if __name__ == "__main__":
    if sys.argv[1:2] == ["host"]:
        asyncio.run(serve())
    else:
        main()
