"""A Modbus TCP server for load, in a process of its own.

Usage: `python -m benchmarks.modbus_server CONNECTIONS`. It prints its ports, one line; then, for
each line it is sent, how many reads it has answered. Register 0 of an answer counts on.
"""

import asyncio
import os
import struct
import sys
from typing import cast

import uvloop

HEADER = struct.Struct(">HHHBBHH")  # transaction, protocol, length, unit, function, address, count
REGISTERS = struct.pack(">200H", *(7 * number % 1000 + 100 for number in range(200)))


class Answers(asyncio.Protocol):
    """One connection."""

    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in it."""
        data = self._rest + data
        answers = []
        while len(data) >= HEADER.size:
            transaction, _, _, unit, function, _, count = HEADER.unpack_from(data)
            data = data[HEADER.size :]
            Answers.answered += 1
            size = 2 * count
            head = struct.pack(">HHHBBB", transaction, 0, 3 + size, unit, function, size)
            counted = (Answers.answered & 0x7FFF).to_bytes(2, "big")
            answers.append(head + counted + REGISTERS[2:size])
        self._rest = data
        self._transport.write(b"".join(answers))


async def serve(ports: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Answers, "127.0.0.1", 0) for _ in range(ports)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    ended = asyncio.Event()

    def asked() -> None:
        if os.read(0, 4096):
            print(Answers.answered, flush=True)
        else:
            ended.set()

    loop.add_reader(0, asked)
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
