"""What left a gateway's process by its sockets, read again: HTTP answers, MQTT, Modbus TCP.

Bytes are gathered a connection and a direction, as a network analyser would; each reader takes
whole messages off the front and leaves the rest.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}).*?content-length: (\d+).*?\r\n\r\n", re.DOTALL)
PUBLISH, PUBACK, CONNECT = 3, 4, 1


class Packet(NamedTuple):
    """One MQTT packet: its kind, the flags beside it, and what follows its length."""

    kind: int
    flags: int
    body: bytes


class Publish(NamedTuple):
    """A message, handed to or by a broker."""

    topic: str
    packet_id: int
    fresh: bool  # neither handed over before (DUP) nor retained
    payload: bytes


def answers(buffer: bytearray) -> Iterator[tuple[int, dict[str, Any]]]:
    """HTTP answers with a body of JSON: status and body."""
    while found := _ANSWER.match(buffer):
        status, start = int(found[1]), found.end()
        end = start + int(found[2])
        if len(buffer) < end:
            return
        body = bytes(buffer[start:end])
        del buffer[:end]
        yield status, json.loads(body) if body.startswith(b"{") else {}


def packets(buffer: bytearray) -> Iterator[Packet]:
    """MQTT packets."""
    while (whole := _packet_end(buffer)) is not None:
        start, end = whole
        yield Packet(buffer[0] >> 4, buffer[0] & 15, bytes(buffer[start:end]))
        del buffer[:end]


def _packet_end(buffer: bytearray) -> tuple[int, int] | None:
    """Where the body of the first packet begins and ends, if all of it is there."""
    length = shift = 0
    for at in range(1, min(len(buffer), 5)):
        length |= (buffer[at] & 127) << shift
        shift += 7
        if buffer[at] < 128:
            end = at + 1 + length
            return (at + 1, end) if len(buffer) >= end else None
    return None


def publish(packet: Packet, version: int) -> Publish:
    """A PUBLISH of QoS 1, of MQTT 3.1.1 (4) or 5.0 (5)."""
    body, size = packet.body, int.from_bytes(packet.body[:2])
    topic, at = body[2 : 2 + size].decode(), 2 + size
    quality = packet.flags >> 1 & 3
    packet_id = int.from_bytes(body[at : at + 2]) if quality else 0
    at += 2 if quality else 0
    if version == 5:
        at += 1 + body[at]  # properties, shorter than 128 bytes here
    return Publish(topic, packet_id, not packet.flags & 9, body[at:])


def requests(buffer: bytearray) -> Iterator[bytes]:
    """Modbus TCP requests: unit, function and what follows."""
    while len(buffer) >= 6:
        end = 6 + int.from_bytes(buffer[4:6])
        if len(buffer) < end:
            return
        yield bytes(buffer[6:end])
        del buffer[:end]


def encoded(packet: Packet, *, again: bool = False) -> bytes:
    """A packet as it goes over the wire; `again` marks a message as handed over once more."""
    head, left = bytearray([packet.kind << 4 | packet.flags | 8 * again]), len(packet.body)
    while True:
        left, digit = left >> 7, left & 127
        head.append(digit | 128 if left else digit)
        if not left:
            return bytes(head) + packet.body
