"""Modbus servers for simulated devices: a TCP port, or one end of a pseudo-terminal.

Rules: a face serves several units on one wire. What a unit's faults say happens to its answers
alone; the wire itself can be cut and restored, and keeps its address. An unknown unit is silence
on a serial bus and "no target" on TCP, as a gateway in front of a bus answers.
"""

import asyncio
import contextlib
import os
import tempfile
import tty
from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol, cast

from gateway.domain.errors import GatewayError
from simulators.faults import Faults
from simulators.modbus_wire import (
    DEVICE_FAILURE,
    NO_TARGET,
    Request,
    RtuFramer,
    TcpFramer,
    Unit,
    answer,
)

BITS_PER_BYTE = 11  # on a serial line: start, eight data, parity or a second stop, stop


class Framer(Protocol):
    """Both framings, as a face uses them."""

    def feed(self, data: bytes) -> list[Request]:
        """Requests out of bytes."""
        ...

    @staticmethod
    def reply(request: Request, unit: int, pdu: bytes, /) -> bytes:
        """Bytes of an answer."""
        ...


Units = Mapping[int, tuple[Unit, Faults]]


def answered(units: Units, framer: Framer, request: Request, noise: Random) -> tuple[bytes, int]:
    """The bytes a bus answers with (none if it is silent) and after how many ms."""
    unit, faults = units[request.unit]
    if faults.mute:
        return b"", 0
    pdu = answer(unit, request.pdu)
    if faults.refuses:
        pdu = bytes((request.pdu[0] | 0x80, DEVICE_FAILURE))
    if faults.short and len(pdu) > 2:
        pdu = pdu[:1] + bytes((pdu[1] - 1,)) + pdu[2:-1]
    frame = framer.reply(request, request.unit + faults.wrong_unit, pdu)
    return (noise.randbytes(len(frame)) if faults.garbage else frame), faults.delay_ms


class ModbusTcpFace:
    """Units behind one TCP port of this machine."""

    def __init__(
        self, units: Units, noise: Random, framer: Callable[[], Framer] = TcpFramer
    ) -> None:
        self.units = units
        self.framer = framer
        self.port = 0
        self.requests = 0
        self._noise = noise
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Transport] = set()

    async def start(self) -> None:
        """Listen: on a free port at first, on the same one ever after."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _TcpConnection(self), "127.0.0.1", self.port, reuse_address=True
            )
        except OSError as error:
            raise GatewayError(f"port {self.port}: expected a free one: {error}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop every connection and take no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    async def mend(self) -> None:
        """Listen again."""
        if self._server is None:
            await self.start()

    async def stop(self) -> None:
        """Take the port away for good."""
        await self.cut()

    def joined(self, connection: asyncio.Transport) -> None:
        """A client connected."""
        self._connections.add(connection)

    def left(self, connection: asyncio.Transport | None) -> None:
        """A client is gone."""
        if connection is not None:
            self._connections.discard(connection)

    def answered(self, framer: Framer, request: Request) -> tuple[bytes, int]:
        """What to answer, and when."""
        self.requests += 1
        if request.unit not in self.units:
            refusal = bytes((request.pdu[0] | 0x80, NO_TARGET))
            return framer.reply(request, request.unit, refusal), 0
        return answered(self.units, framer, request, self._noise)


class _TcpConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, face: ModbusTcpFace) -> None:
        self._face = face
        self._framer = face.framer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._face.joined(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """A client is gone, for whatever reason."""
        del exc
        self._face.left(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        for request in self._framer.feed(data):
            frame, delay_ms = self._face.answered(self._framer, request)
            if delay_ms:
                loop = asyncio.get_running_loop()
                loop.call_later(delay_ms / 1_000, self._send, frame)
            else:
                self._send(frame)

    def _send(self, frame: bytes) -> None:
        if frame and self._transport is not None:
            self._transport.write(frame)


class ModbusRtuFace:
    """Units on one serial bus, at the far end of a pseudo-terminal.

    `path` is a link that keeps its name over `cut` and `mend`. Bytes take the time they take at
    `baud_rate`.
    """

    def __init__(self, units: Units, noise: Random, baud_rate: int = 9_600) -> None:
        self.units = units
        self.requests = 0
        self._noise = noise
        self._byte_s = BITS_PER_BYTE / baud_rate
        self._framer = RtuFramer()
        self._folder = tempfile.TemporaryDirectory(prefix="bus-")
        self.path = f"{self._folder.name}/tty"
        self._near = self._far = -1
        self._heard_s = 0.0

    async def start(self) -> None:
        """Plug the bus in. Raises GatewayError."""
        near, far = os.openpty()
        tty.setraw(far)  # this end stays open: a client that leaves must not end the bus
        os.set_blocking(near, False)
        try:
            _link(os.ttyname(far), self.path)
        except OSError as error:
            os.close(near)
            os.close(far)
            raise GatewayError(
                f"{self.path}: expected a device file to be made: {error}"
            ) from error
        self._near, self._far = near, far
        asyncio.get_running_loop().add_reader(near, self._heard)

    async def cut(self) -> None:
        """Pull the adapter out: its device file is gone, and open ones fail."""
        if self._near < 0:
            return
        asyncio.get_running_loop().remove_reader(self._near)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        os.close(self._near)
        os.close(self._far)
        self._near = -1

    async def mend(self) -> None:
        """Plug it in again."""
        if self._near < 0:
            await self.start()

    async def stop(self) -> None:
        """Take the bus away for good."""
        await self.cut()
        self._folder.cleanup()

    def _heard(self) -> None:
        try:
            data = os.read(self._near, 4_096)
        except OSError:  # a client closed its end; the next one may come
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard_s > 0.1:
            self._framer.quiet()
        self._heard_s = loop.time()
        for request in self._framer.feed(data):
            self.requests += 1
            if request.unit not in self.units:
                continue
            frame, delay_ms = answered(self.units, self._framer, request, self._noise)
            line_s = self._byte_s * (len(request.pdu) + 3 + len(frame))
            loop.call_later(line_s + delay_ms / 1_000, self._send, self._near, frame)

    def _send(self, bus: int, frame: bytes) -> None:
        if frame and bus == self._near:
            with contextlib.suppress(BlockingIOError):  # nobody reads: the line loses it
                os.write(bus, frame)


def _link(device: str, path: str) -> None:
    """Give a device another name; one left by a simulation that was killed is taken over."""
    if os.path.islink(path) and not os.path.exists(path):
        os.unlink(path)
    os.symlink(device, path)
