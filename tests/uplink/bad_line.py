"""A line to a broker that is cut, silent, late, and hands messages over twice or out of order."""

import asyncio
import contextlib
from random import Random

from proof import wire

from simulators.wire import Wire

LATE_S = 0.05


class BadLine(Wire):
    """Whole packets pass. `trouble` is the share of messages that something happens to."""

    def __init__(self, port: int, chance: Random) -> None:
        super().__init__("127.0.0.1", port)
        self.trouble = 0.0
        self._chance = chance
        self._flowing = asyncio.Event()
        self._flowing.set()

    def hush(self) -> None:
        """Nothing passes, and nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        """What was held back passes, and all that follows."""
        self._flowing.set()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = bytearray()
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                buffer += data
                await self._flowing.wait()
                for packet in wire.packets(buffer):
                    self._hand_over(packet, writer)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def _hand_over(self, packet: wire.Packet, writer: asyncio.StreamWriter) -> None:
        is_message = packet.kind == wire.PUBLISH and packet.flags & 2
        if not is_message or self._chance.random() >= self.trouble:
            writer.write(wire.encoded(packet))
        elif self._chance.random() < 0.5:
            writer.write(wire.encoded(packet) + wire.encoded(packet, again=True))
        else:  # others overtake it
            loop, late = asyncio.get_running_loop(), self._chance.uniform(0, LATE_S)
            loop.call_later(late, _write, writer, wire.encoded(packet))


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)
