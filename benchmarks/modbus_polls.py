"""CPU per 1,000 polls of devices with 20 registers: the gateway's whole path, and bare pymodbus.

20 devices on 20 connections, each polled 20 times a second. In every answer one register differs,
so that every answer is decoded and one of its ten values becomes a reading. Ours is
`python -m gateway` as it runs on site, its API and timers included; the bare loop reads 20
registers, asks for nothing more, and waits for its next turn. Both run in turn, several times.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from benchmarks.figures import Figure, emit
from benchmarks.processes import as_on_site, cpu_s, gateway, running, wait_for

DEVICES = 20
PERIOD_MS = 50
SECONDS = 3.0
ROUNDS = 3

PROFILE = """
id: bench_meter
title: A meter of twenty registers
driver: modbus
source: this benchmark
device: {{max_read: 20}}
points:
{points}
"""


class Server:
    """The server in its process, with the ports it serves and the reads it has answered."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.modbus_server", str(DEVICES)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ports = [int(port) for port in self._line().split()]

    def answered(self) -> int:
        """How many reads it has answered."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def write_site(folder: Path, ports: list[int]) -> Path:
    """A site of meters, each on a link of its own."""
    for name in ("devices", "facilities", "profiles"):
        (folder / name).mkdir(parents=True)
    points = "\n".join(
        f"  value_{n}: {{value: int, poll: sensor, table: holding, address: {2 * n}, type: u32}}"
        for n in range(10)
    )
    (folder / "profiles" / "bench_meter.yaml").write_text(PROFILE.format(points=points))
    links = "\n".join(
        f"  link_{n}: {{driver: modbus_tcp, host: 127.0.0.1, port: {port}}}"
        for n, port in enumerate(ports)
    )
    (folder / "site.yaml").write_text(
        f"id: bench\nzone: Asia/Shanghai\nlinks:\n{links}\n"
        f"settings: {{listen: '127.0.0.1:0', poll_ms: {{sensor: {PERIOD_MS}}}}}\n"
    )
    (folder / "places.yaml").write_text("hall:\n  name: {zh: 大厅, en: Hall}\n")
    for n in range(len(ports)):
        (folder / "devices" / f"meter_{n}.yaml").write_text(
            f"profile: bench_meter\nlink: link_{n}\nplace: hall\n"
            f"name: {{zh: 表 {n}, en: Meter {n}}}\n"
        )
    return folder


def measured(process: int, server: Server) -> float:
    """CPU milliseconds per 1,000 polls of a process over some seconds."""
    polls, used = server.answered(), cpu_s(process)
    time.sleep(SECONDS)
    polls, used = server.answered() - polls, cpu_s(process) - used
    expected = DEVICES * SECONDS * 1_000 / PERIOD_MS
    if polls < expected / 2:
        raise RuntimeError(f"{polls} polls in {SECONDS:g} s, expected {expected:g}")
    return used * 1e6 / polls


async def bare(ports: list[int]) -> None:
    """The raw library's loop, for ever."""

    async def poll(port: int) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        await client.connect()
        due = time.monotonic()
        while True:
            await client.read_holding_registers(0, count=20)
            due = max(due + PERIOD_MS / 1_000, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    await asyncio.gather(*(poll(port) for port in ports))


def main() -> None:
    """Measure both in turn."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        as_on_site(folder / "bytecode")
        server = Server()
        site = write_site(folder / "site", server.ports)
        ours, raw = [], []
        with running(server.process):
            for turn in range(ROUNDS):
                command = [sys.executable, "-m", "benchmarks.modbus_polls", "bare"]
                command += map(str, server.ports)
                with running(subprocess.Popen(command)) as loop:
                    _under_way(server)
                    raw.append(measured(loop.pid, server))
                data = folder / f"data-{turn}"
                with running(gateway(site, data)) as process:
                    wait_for((data / "listening").exists, what="the API")
                    _under_way(server)
                    ours.append(measured(process.pid, server))
    emit(
        Figure(
            "CPU per 1,000 polls of 20 registers",
            statistics.median(ours),
            "ms",
            raw=statistics.median(raw),
            judged="ratio",
            at_most=2.0,
            note=f"{DEVICES} devices, every {PERIOD_MS} ms; rounds {_list(ours)}, raw {_list(raw)}",
        )
    )


def _under_way(server: Server) -> None:
    already = server.answered()
    wait_for(lambda: server.answered() > already + 20 * DEVICES, what="400 polls")


def _list(values: list[float]) -> str:
    return " ".join(f"{value:.0f}" for value in values)


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        uvloop.run(bare([int(port) for port in sys.argv[2:]]))
    else:
        main()
