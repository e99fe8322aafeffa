"""Modbus frames from the server's side, sans I/O: bytes in, requests out; answers to bytes.

Written from the Modbus application protocol 1.1b3 and serial line 1.02 and sharing no code with
the gateway's client library, so that one proves the other. A value of FC05 is passed on as it
came: relay boards use it for timed flashes, which a full server library would refuse.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.errors import MalformedError

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, NO_TARGET = 1, 2, 3, 4, 11
BIT_TABLES = {1: "coil", 2: "discrete"}
WORD_TABLES = {3: "holding", 4: "input"}
RTU_LONGEST = 256


class Refusal(Exception):
    """The device answers with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Unit(Protocol):
    """One unit on a bus, as its registers show it. Methods raise `Refusal`."""

    def read_bits(self, table: str, address: int, count: int) -> Sequence[bool]:
        """Coils or discrete inputs."""
        ...

    def read_words(self, table: str, address: int, count: int) -> Sequence[int]:
        """Holding or input registers."""
        ...

    def write_coil(self, address: int, value: int) -> None:
        """FC05, with the raw value."""
        ...

    def write_words(self, address: int, words: Sequence[int]) -> None:
        """FC06 and FC16."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it came off the wire."""

    unit: int
    pdu: bytes
    transaction: int = 0


def answer(unit: Unit, pdu: bytes) -> bytes:
    """The unit's answer to a request."""
    try:
        return _served(unit, pdu)
    except Refusal as refusal:
        return bytes((pdu[0] | 0x80, refusal.code))
    except (struct.error, IndexError):
        return bytes((pdu[0] | 0x80, ILLEGAL_VALUE))
    except MalformedError:  # what it is stuck at fits in no register of it
        return bytes((pdu[0] | 0x80, DEVICE_FAILURE))


def _served(unit: Unit, pdu: bytes) -> bytes:
    function = pdu[0]
    address, second = struct.unpack_from(">HH", pdu, 1)
    if function in BIT_TABLES:
        _check_count(second, 2_000)
        packed = _packed(unit.read_bits(BIT_TABLES[function], address, second))
        return bytes((function, len(packed))) + packed
    if function in WORD_TABLES:
        _check_count(second, 125)
        words = unit.read_words(WORD_TABLES[function], address, second)
        return struct.pack(f">BB{second}H", function, 2 * second, *words)
    if function == 5:
        unit.write_coil(address, second)
    elif function == 6:
        unit.write_words(address, [second])
    elif function == 15:
        for offset in range(second):
            bit = pdu[6 + offset // 8] >> offset % 8 & 1
            unit.write_coil(address + offset, 0xFF00 * bit)
    elif function == 16:
        unit.write_words(address, struct.unpack_from(f">{second}H", pdu, 6))
    else:
        raise Refusal(ILLEGAL_FUNCTION)
    return pdu[:5]


def _check_count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise Refusal(ILLEGAL_VALUE)


def _packed(bits: Sequence[bool]) -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        packed[index // 8] |= bit << index % 8
    return bytes(packed)


class TcpFramer:
    """Modbus TCP: a header of seven bytes says whose request it is and how long."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Request]:
        """The requests that are complete with these bytes."""
        self._buffer += data
        found = []
        while len(self._buffer) >= 8:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._buffer)
            if protocol != 0 or not 2 <= length <= 254:
                self._buffer = b""
                break
            if len(self._buffer) < 6 + length:
                break
            found.append(Request(unit, self._buffer[7 : 6 + length], transaction))
            self._buffer = self._buffer[6 + length :]
        return found

    @staticmethod
    def reply(request: Request, unit: int, pdu: bytes, /) -> bytes:
        """An answer as bytes."""
        return struct.pack(">HHHB", request.transaction, 0, len(pdu) + 1, unit) + pdu


class RtuFramer:
    """Modbus RTU: a request is found by its function's length and proved by its CRC."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Request]:
        """The requests that are complete with these bytes; noise between them is skipped."""
        self._buffer = (self._buffer + data)[-RTU_LONGEST:]
        found: list[Request] = []
        start = 0
        while start < len(self._buffer):
            length = _rtu_length(self._buffer[start:])
            frame = self._buffer[start : start + length]
            if length and len(frame) == length and crc(frame[:-2]) == frame[-2:]:
                found.append(Request(frame[0], frame[1:-2]))
                self._buffer, start = self._buffer[start + length :], 0
            else:
                start += 1
        return found

    def quiet(self) -> None:
        """The line was quiet for longer than a frame may pause: what is half there is noise."""
        self._buffer = b""

    @staticmethod
    def reply(_request: Request, unit: int, pdu: bytes, /) -> bytes:
        """An answer as bytes."""
        frame = bytes((unit,)) + pdu
        return frame + crc(frame)


def _rtu_length(frame: bytes) -> int:
    if len(frame) < 8:
        return 0
    if frame[1] in {15, 16}:
        return 9 + frame[6]
    return 8


def crc(frame: bytes) -> bytes:
    """CRC-16/MODBUS, low byte first."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")
