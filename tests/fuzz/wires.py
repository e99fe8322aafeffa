"""Modbus: whatever comes back over a wire, and whatever stands in the registers.

A reply is `request, manner, bytes…`. Of the manner, bit 0 is the serial line, bit 1 frames the
bytes as they should be, bits 2–4 cut what comes into pieces.
"""

import asyncio
import struct
from functools import cache

from fuzz.judge import setup_of
from pymodbus.transport import CommParams, CommType

from config.profiles import load_profiles
from drivers.codec import Table
from drivers.modbus import frames
from drivers.modbus.bus import bus_devices
from drivers.modbus.wire import Line, Wire, transactions
from drivers.registry import kinds
from gateway.domain.errors import DeviceError
from gateway.domain.profile import Profile
from gateway.domain.site import Link

UNIT = 17
LINK = Link("bus", "modbus_tcp", {"host": "nowhere"})
REQUESTS = (
    frames.read(Table.COIL, 0, 8),
    frames.read(Table.DISCRETE, 3, 20),
    frames.read(Table.HOLDING, 0, 4),
    frames.read(Table.INPUT, 1000, 2),
    frames.write_coil(4, frames.COIL_ON),
    frames.write_registers(261, b"\0\x3c"),
    frames.write_registers(5004, b"\0\0\x3e\x80"),
    frames.identify(),
)


class Pipe(asyncio.Transport):
    """The far end of a wire, which only takes."""

    def write(self, data: bytes) -> None:  # type: ignore[override]
        pass

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def crc(frame: bytes) -> bytes:
    """CRC-16/MODBUS by the polynomial."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def framed(pdu: bytes, rtu: bool) -> bytes:
    """An answer to the first transaction as it should be."""
    if rtu:
        return bytes((UNIT,)) + pdu + crc(bytes((UNIT,)) + pdu)
    return struct.pack(">HHHB", 1, 0, len(pdu) + 1, UNIT) + pdu


def take_reply(data: bytes) -> None:
    """What is taken for the answer was framed as one, by the unit asked, of the right length."""
    if len(data) < 2:
        return
    request, manner = REQUESTS[data[0] % len(REQUESTS)], data[1]
    rtu, said = bool(manner & 1), data[2:]
    if manner & 2:
        said = framed(said, rtu)
    _loop().run_until_complete(_exchange(request, said, rtu, manner >> 2 & 7))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for all: to make one takes longer than an exchange, which leaves nothing behind."""
    return asyncio.new_event_loop()


async def _exchange(request: frames.Request, said: bytes, rtu: bool, step: int) -> None:
    params = CommParams(comm_type=CommType.TCP, host="here", port=1)
    wire = Wire(params, Line(rtu=rtu), lambda: None, transactions())
    wire.connection_made(Pipe())
    asked = asyncio.ensure_future(wire.exchange(UNIT, request, 0.0))
    await asyncio.sleep(0)
    step = step or len(said) or 1
    for at in range(0, len(said), step):
        wire.data_received(said[at : at + step])
    try:
        pdu = await asked
    except DeviceError:
        return
    assert framed(pdu, rtu) in said, pdu
    assert pdu.startswith(request.begins), pdu
    assert len(pdu) == (request.length or len(pdu)), pdu


def take_registers(data: bytes) -> None:
    """`model, bytes…`: each read of the model is answered with them, and a bit further on."""
    if not data:
        return
    profiles = modbus_profiles()
    setup = setup_of(LINK, profiles[data[0] % len(profiles)])
    (device,) = bus_devices(setup)
    for turn in range(3):
        for group in device.groups:
            size = group.request.length - 2
            said = (data[1 + turn :] * size)[:size].ljust(size, b"\0")
            group.take(group.request.begins + said, 0, turn * 1_000, setup.sink)
    for group in device.groups:
        group.refused(0, 3_000, setup.sink)


@cache
def modbus_profiles() -> tuple[Profile, ...]:
    """Every shipped Modbus profile."""
    return tuple(one for one in load_profiles(kinds()).values() if one.driver == "modbus")
