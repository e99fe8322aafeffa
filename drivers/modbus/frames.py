"""Requests as bytes, and what their answers must look like (Modbus application protocol 1.1b3)."""

import struct
from dataclasses import dataclass

from drivers.codec import Table
from gateway.domain.errors import DeviceError, DeviceRefused

READ_FUNCTION = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
COIL_ON, COIL_OFF = 0xFF00, 0x0000

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, not done yet",
    6: "device busy",
    8: "memory parity error",
    10: "no path to the target",
    11: "the target did not answer",
}
TARGET_SILENT = 11
UNIT_SILENT = (10, TARGET_SILENT)  # a gateway says that the unit behind it does not answer


class Silent(DeviceError):
    """Nothing was answered in time."""


class Garbage(DeviceError):
    """Something was answered that is not the answer: counted and dropped (RULES X2)."""


class LinkLost(DeviceError):
    """The connection broke or could not be made."""


class Unsent(LinkLost):
    """The request did not leave: nothing has happened."""


class BrokenStream(LinkLost):
    """What came cannot be cut into frames: only a new connection is in step again."""


class ExceptionReply(DeviceRefused):
    """The device answered with a Modbus exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code} ({EXCEPTIONS.get(code, 'unknown')})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and how its answer begins and how long it is (both without unit and checks).

    Length 0: the answer says itself how long it is.
    """

    pdu: bytes
    begins: bytes
    length: int


def read(table: Table, address: int, count: int) -> Request:
    """Read `count` addresses of a table; the data begin at the answer's third byte."""
    function = READ_FUNCTION[table]
    size = (count + 7) // 8 if table.bits else 2 * count
    pdu = struct.pack(">BHH", function, address, count)
    return Request(pdu, bytes((function, size)), 2 + size)


def write_coil(address: int, value: int) -> Request:
    """Write one coil with a raw value: some boards take a time there, not only on and off."""
    pdu = struct.pack(">BHH", 5, address, value)
    return Request(pdu, pdu, 5)


def write_registers(address: int, data: bytes, *, multiple: bool = False) -> Request:
    """Write registers from their bytes: one by function 6, unless the device wants 16."""
    if len(data) == 2 and not multiple:
        pdu = struct.pack(">BH", 6, address) + data
        return Request(pdu, pdu, 5)
    pdu = struct.pack(">BHHB", 16, address, len(data) // 2, len(data)) + data
    return Request(pdu, pdu[:5], 5)


def identify() -> Request:
    """Ask who made it: vendor, product and revision (read device identification, basic)."""
    return Request(b"\x2b\x0e\x01\x00", b"\x2b\x0e\x01", 0)
