"""Real wires for Modbus tests: units behind a TCP socket or a pseudo-terminal, and who listens.

The units are written from the protocol alone and share no code with what is tested.
"""

import asyncio
import os
import struct
import time
import tty
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from random import Random

from fixtures.clock import MachineClock
from fixtures.modbus_profiles import profile

from drivers.modbus.driver import ModbusDriver
from gateway.domain import feedback
from gateway.domain.events import CredentialPresented, PointEdge
from gateway.domain.faults import Health
from gateway.domain.points import Freshness, PointRef, Reading, Value
from gateway.domain.profile import PollClass, Profile
from gateway.domain.secret import Secret
from gateway.domain.site import POLL_MS, Device, Link, Name
from gateway.domain.subjects import CredentialKind, Presented
from gateway.domain.uses import Watch
from gateway.ports import LinkSetup

Answer = Callable[[int, bytes], bytes | None]  # (unit, pdu) → pdu, or None for silence


class Unit:
    """Coils, inputs and registers. `log` has every write with its monotonic time in ms."""

    def __init__(self) -> None:
        self.coils = [False] * 16
        self.discrete = [False] * 64
        self.holding: dict[int, int] = {0x8000: 200}
        self.input: dict[int, int] = {}
        self.silent = False
        self.log: list[tuple[float, bytes]] = []
        self.asked: list[tuple[float, bytes]] = []

    def answer(self, pdu: bytes) -> bytes | None:
        self.asked.append((time.monotonic(), pdu))
        if self.silent:
            return None
        if pdu[0] not in (1, 2, 3, 4, 5, 6, 16):
            return bytes((pdu[0] | 0x80, 1))
        function, address, count = struct.unpack(">BHH", pdu[:5])
        if function in (1, 2):
            return self._bits(function, address, count)
        if function in (3, 4):
            return self._words(function, address, count)
        self.log.append((time.monotonic(), pdu))
        self._write(function, address, count, pdu)
        return pdu[:5]

    def _bits(self, function: int, address: int, count: int) -> bytes:
        bits = self.coils if function == 1 else self.discrete
        if address + count > len(bits):
            return bytes((function | 0x80, 2))
        packed = bytearray((count + 7) // 8)
        for index, bit in enumerate(bits[address : address + count]):
            packed[index // 8] |= bit << index % 8
        return bytes((function, len(packed))) + packed

    def _words(self, function: int, address: int, count: int) -> bytes:
        registers = self.holding if function == 3 else self.input
        if any(address + n not in registers for n in range(count)):
            return bytes((function | 0x80, 2))
        words = [registers[address + n] for n in range(count)]
        return struct.pack(f">BB{count}H", function, 2 * count, *words)

    def _write(self, function: int, address: int, second: int, pdu: bytes) -> None:
        if function == 5 and address < len(self.coils):
            self.coils[address] = second == 0xFF00
        if function == 6:
            self.holding[address] = second
        if function == 16:
            for n, word in enumerate(struct.unpack(f">{second}H", pdu[6:])):
                self.holding[address + n] = word


def bank(units: Mapping[int, Unit]) -> Answer:
    """Several units; an address nobody has is silent."""
    return lambda unit, pdu: units[unit].answer(pdu) if unit in units else None


class TcpServer:
    """A Modbus TCP host. `frame` may be replaced to answer anything at all."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.port = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def frame(self, header: bytes, pdu: bytes, writer: asyncio.StreamWriter) -> None:
        reply = self.answer(header[6], pdu)
        if reply is not None:
            writer.write(header[:4] + struct.pack(">HB", len(reply) + 1, header[6]) + reply)

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a power cut: nobody listens, and every connection is gone."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                header = await reader.readexactly(7)
                pdu = await reader.readexactly(struct.unpack(">H", header[4:6])[0] - 1)
                await self.frame(header, pdu, writer)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


def crc(frame: bytes) -> bytes:
    """CRC-16/MODBUS by the polynomial."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


class RtuServer:
    """Units on a serial line, a pseudo-terminal, with the time that 9,600 baud take.

    `send` may be replaced to spoil what is sent.
    """

    character_s = 10 / 9_600

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        self._buffer = b""
        self._open = True

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def stop(self) -> None:
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)

    def send(self, unit: int, pdu: bytes) -> None:
        self.write(bytes((unit,)) + pdu + crc(bytes((unit,)) + pdu))

    def write(self, data: bytes) -> None:
        if self._open:
            os.write(self._master, data)

    def _readable(self) -> None:
        self._buffer += os.read(self._master, 1024)
        while len(self._buffer) >= 7:
            size = {16: 9 + self._buffer[6], 0x2B: 7}.get(self._buffer[1], 8)
            frame, self._buffer = self._buffer[:size], self._buffer[size:]
            assert crc(frame[:-2]) == frame[-2:], frame.hex(" ")
            reply = self.answer(frame[0], frame[1:-2])
            if reply is not None:
                on_line_s = self.character_s * (size + len(reply) + 3)
                asyncio.get_running_loop().call_later(on_line_s, self.send, frame[0], reply)


class Listener:
    """What the gateway's side of a driver is told: a `Sink` that remembers."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.edges: list[tuple[float, PointEdge]] = []
        self.devices: list[tuple[str, Health, str]] = []
        self.links: list[tuple[Health, str]] = []
        self.counters: Counter[tuple[str, str]] = Counter()
        self.cells: dict[PointRef, Freshness] = {}

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> Freshness:
        cell = Freshness(expected_ms)
        self.cells.update({PointRef(device, point): cell for point in points})
        return cell

    def reading(self, reading: Reading) -> None:
        self.readings.append(reading)

    def edge(self, edge: PointEdge, durable: Callable[[], None] | None = None) -> None:
        self.edges.append((time.monotonic(), edge))

    def presented(self, event: CredentialPresented, answer: feedback.Answer | None = None) -> None:
        raise AssertionError("Modbus presents no credentials")

    def device_health(
        self, device: str, health: Health, reason_code: str = "device_silent", detail: str = ""
    ) -> None:
        self.devices.append((device, health, reason_code))

    def link_health(self, health: Health, detail: str = "") -> None:
        self.links.append((health, detail))

    def count(self, what: str, device: str = "") -> None:
        self.counters[device, what] += 1

    def value(self, ref: str) -> Value | None:
        """The latest reading's value."""
        found = [one for one in self.readings if str(one.ref) == ref]
        return found[-1].value if found else None

    def edges_of(self, ref: str) -> list[PointEdge]:
        return [edge for _, edge in self.edges if str(edge.ref) == ref]

    def health_of(self, device: str) -> Health:
        found = [health for name, health, _ in self.devices if name == device]
        return found[-1] if found else Health.UNKNOWN


class NoCredentials:
    """Modbus devices have none."""

    def pin(self, text: str, identifier: str | None = None) -> Presented:
        return Presented(CredentialKind.PIN, Secret(b""))

    def card(self, uid: str) -> Presented:
        return Presented(CredentialKind.CARD, Secret(b""))

    def signed_pass(self, token: str) -> Presented:
        return Presented(CredentialKind.PASS)


def device(name: str, model: str, **binding: object) -> Device:
    return Device(name, model, "link", "hall", Name(name, name), binding)


def setup(
    link: Link,
    devices: list[Device],
    listener: Listener,
    watches: Mapping[str, Watch] | None = None,
    poll_ms: Mapping[PollClass, int] | None = None,
    profiles: Mapping[str, Profile] | None = None,
) -> LinkSetup:
    known = dict(profiles or {})
    for one in devices:
        known.setdefault(one.profile, known.get(one.profile) or profile(one.profile))
    return LinkSetup(
        link=link,
        devices=devices,
        profiles=known,
        watches={PointRef.parse(ref): watch for ref, watch in (watches or {}).items()},
        poll_ms={**POLL_MS, **(poll_ms or {})},
        sink=listener,
        credentials=NoCredentials(),
        clock=MachineClock(),
    )


@asynccontextmanager
async def running(made: LinkSetup) -> AsyncIterator[ModbusDriver]:
    """A driver that runs meanwhile; a bug in it fails the test."""
    driver = ModbusDriver(made, Random(7))
    task = asyncio.create_task(driver.run())
    try:
        yield driver
    finally:
        if task.done():
            task.result()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def tcp_link(port: int, **binding: object) -> Link:
    return Link("link", "modbus_tcp", {"host": "127.0.0.1", "port": port, **binding})


def rtu_link(path: str, **binding: object) -> Link:
    return Link("link", "modbus_rtu", {"port": path, **binding})
