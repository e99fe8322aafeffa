"""A process that floods a broker: `python -m proof.flooding PORT PER_S [giants]`.

Telemetry of twenty plugs at a rate; with `giants` also what nobody should say: payloads of up to
8 MB on topics of a plug, of a call button, of a reader and of a bridge, and topics nobody has.
"""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle

CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05flood"
TICK_S = 0.02
PLUGS = 20
GIANT_EVERY_S = 0.25
GIANTS = (70_000, 300_000, 1_000_000, 8_000_000)
VICTIMS = (
    "zigbee2mqtt/plug_00",
    "zigbee2mqtt/sos",
    "keypads/study",
    "zigbee2mqtt/bridge/state",
    "zigbee2mqtt/sos/availability",
    "nobody/has/this",
)


def publish(topic: str, payload: bytes) -> bytes:
    """A packet of QoS 0."""
    body = len(topic).to_bytes(2) + topic.encode() + payload
    size, header = len(body), bytearray(b"\x30")
    while True:
        size, low = divmod(size, 128)
        header.append(low | 0x80 if size else low)
        if not size:
            return bytes(header) + body


def telemetry(number: int) -> bytes:
    """What a plug reports, each time something else."""
    payload = b'{"current":4.31,"energy":12.34,"power":%d.5,"state":"ON","voltage":231}'
    return publish(f"zigbee2mqtt/plug_{number % PLUGS:02}", payload % (900 + number // PLUGS % 700))


def giants() -> Iterator[bytes]:
    """Payloads far too long, of JSON that does not end and of bytes that are none."""
    kinds = cycle((b'{"action":"emergency","x":"' + b"x" * 7, b"\xff\x00", b"[[[["))
    for number, kind in enumerate(kinds):
        size = GIANTS[number // len(VICTIMS) % len(GIANTS)]
        yield publish(VICTIMS[number % len(VICTIMS)], (kind * (size // len(kind) + 1))[:size])


def main(port: int, per_s: int, monstrous: bool) -> None:
    """Flood until killed."""
    number, each, huge = 0, int(per_s * TICK_S), giants()
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(CONNECT)
        wire.recv(4)
        due = giant_due = time.monotonic()
        while True:
            wire.sendall(b"".join(telemetry(n) for n in range(number, number + each)))
            number, due = number + each, due + TICK_S
            if monstrous and time.monotonic() >= giant_due:
                wire.sendall(next(huge))
                giant_due += GIANT_EVERY_S
            time.sleep(max(0.0, due - time.monotonic()))


@asynccontextmanager
async def flooded(port: int, per_s: int, *options: str) -> AsyncIterator[None]:
    """The flood, meanwhile, by a process of its own."""
    command = (sys.executable, "-m", "proof.flooding", str(port), str(per_s), *options)
    process = await asyncio.create_subprocess_exec(*command, cwd="tests")
    try:
        yield
        assert process.returncode is None, "the flood dried up"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), "giants" in sys.argv)
