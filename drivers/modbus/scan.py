"""Finds who is on a Modbus link, with no site and no profile.

Rules:
- It only reads. An exception is an answer too: somebody is there.
- A unit that answers nothing to one read of each kind within its time is not there. A device may
  be slower than that, so a scan says what it found, never what is missing.
- The link must be nobody else's meanwhile: a serial line has one master.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from drivers.codec import Table
from drivers.modbus import frames
from drivers.modbus.frames import ExceptionReply, Garbage, Request, Silent
from drivers.modbus.link import comm_params, line_of
from drivers.modbus.wire import Wire, transactions
from gateway.domain.site import Link

UNITS = range(1, 248)
TIMEOUT_MS = 200
IDENTITY = ("vendor", "product", "revision")
PROBES = (
    (Table.HOLDING, frames.read(Table.HOLDING, 0, 1)),
    (Table.INPUT, frames.read(Table.INPUT, 0, 2)),
    (Table.COIL, frames.read(Table.COIL, 0, 1)),
    (Table.DISCRETE, frames.read(Table.DISCRETE, 0, 1)),
)


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit that answered: which tables it has at address 0, and who made it, where it says so."""

    unit: int
    tables: tuple[str, ...]
    identity: tuple[tuple[str, str], ...] = ()


async def scan(
    link: Link, units: Iterable[int] = UNITS, timeout_ms: int = TIMEOUT_MS
) -> AsyncIterator[FoundUnit]:
    """Every unit that answers, as it is found. Raises LinkLost."""
    wire = Wire(comm_params(link), line_of(link), lambda: None, transactions())
    try:
        await wire.open()
        for unit in units:
            found = await _look(wire, unit, timeout_ms / 1_000)
            if found is not None:
                yield found
    finally:
        wire.close()


async def _look(wire: Wire, unit: int, timeout_s: float) -> FoundUnit | None:
    tables, there = list[str](), False
    for table, request in PROBES:
        answer = await _ask(wire, unit, request, timeout_s)
        there = there or answer is not None
        if not there and table is Table.INPUT:
            return None  # two kinds of read unanswered: nobody there
        if answer:
            tables.append(table.value)
    if not there:
        return None
    return FoundUnit(unit, tuple(tables), await _identity(wire, unit, timeout_s))


async def _ask(wire: Wire, unit: int, request: Request, timeout_s: float) -> bytes | None:
    """The answer; empty where the unit refuses or garbles it, None where nobody answers."""
    try:
        return await wire.exchange(unit, request, timeout_s)
    except ExceptionReply as reply:
        return None if reply.code in frames.UNIT_SILENT else b""
    except Garbage:
        return b""
    except Silent:
        return None


async def _identity(wire: Wire, unit: int, timeout_s: float) -> tuple[tuple[str, str], ...]:
    """What the unit says of itself; most cheap devices say nothing."""
    answer = await _ask(wire, unit, frames.identify(), timeout_s)
    return tuple(_objects(answer)) if answer else ()


def _objects(answer: bytes) -> list[tuple[str, str]]:
    """The named objects of an identification; what is cut off is left out."""
    found, position = [], 7
    for _ in range(answer[6] if len(answer) > 6 else 0):
        if position + 2 > len(answer):
            break
        number, size = answer[position], answer[position + 1]
        text = answer[position + 2 : position + 2 + size].decode("ascii", "replace")
        if number < len(IDENTITY):
            found.append((IDENTITY[number], text))
        position += 2 + size
    return found
