"""Setpoints as requests, and what came of them.

Rules:
- A pulse is one request that the device itself ends: a row with `tick_ms` takes the length in
  ticks, another takes the constant `writes`. Longer than the row's `length_ms` it never is.
- `refused` means that nothing has happened. A device that failed on the way (exception 4), or
  whose gateway heard nothing from it (11), may have acted: that is `unknown`.
"""

import asyncio
from collections import deque

from drivers.modbus import frames
from drivers.modbus.bus import BusDevice
from drivers.modbus.frames import ExceptionReply, Request
from gateway.domain.errors import MalformedError
from gateway.domain.points import Level, PointRef, Setpoint, Value, WriteOutcome, WriteResult

SPENT_KEPT = 256
TICKS_MAX = 0x7FFF
ACKNOWLEDGED = 5
MAY_HAVE_ACTED = (4, frames.TARGET_SILENT)


def level_request(device: BusDevice, ref: PointRef, value: Value) -> Request:
    """The request that makes a point this value. Raises MalformedError."""
    row = device.rows[ref.point]
    if ref.point in device.invert:
        value = not value
    data = row.encode(value)
    if row.table.bits:
        return frames.write_coil(row.address, frames.COIL_ON if data[0] else frames.COIL_OFF)
    columns = device.profile.points[ref.point].binding
    return frames.write_registers(row.address, data, multiple=bool(columns.get("multiple")))


def pulse_request(device: BusDevice, ref: PointRef, length_ms: int) -> Request:
    """The request that sets a point going for a time. Raises MalformedError."""
    row, spec = device.rows[ref.point], device.profile.points[ref.point]
    longest_ms = spec.setpoint.length_ms if spec.setpoint else None
    tick_ms = spec.binding.get("tick_ms")
    if tick_ms is None:
        raw = int(spec.binding["writes"])
    else:
        length_ms = min(length_ms or longest_ms or 0, longest_ms or length_ms)
        raw = min(length_ms // tick_ms, TICKS_MAX)
        if raw < 1:
            raise MalformedError(f"{ref}: {length_ms} ms is shorter than a tick of {tick_ms} ms")
    if row.table.bits:
        return frames.write_coil(row.address, raw)
    return frames.write_registers(row.address, raw.to_bytes(2, "big"))


def off_request(device: BusDevice, ref: PointRef) -> Request:
    """The request that ends a pulse at once."""
    columns = device.profile.points[ref.point].binding
    return frames.write_coil(int(columns.get("off_address", columns["address"])), frames.COIL_OFF)


def check_level(device: BusDevice, level: Level) -> None:
    """The value is one the row may take. Raises MalformedError."""
    spec = device.profile.points[level.ref.point].setpoint
    assert spec is not None
    if spec.values and level.value not in spec.values:
        expected = ", ".join(map(repr, spec.values))
        raise MalformedError(f"{level.ref}: expected one of {expected}, found {level.value!r}")
    if isinstance(level.value, bool | str):
        return
    low, high = spec.minimum, spec.maximum
    if (low is not None and level.value < low) or (high is not None and level.value > high):
        raise MalformedError(f"{level.ref}: expected {low} to {high}, found {level.value!r}")


def refusal(reply: ExceptionReply) -> WriteOutcome:
    """What an exception says of a write."""
    if reply.code == ACKNOWLEDGED:
        return WriteOutcome(WriteResult.SENT, str(reply))
    result = WriteResult.UNKNOWN if reply.code in MAY_HAVE_ACTED else WriteResult.REFUSED
    return WriteOutcome(result, str(reply))


class Job:
    """A write that waits for its turn; its future is done once it is answered or came too late."""

    __slots__ = ("outcome", "setpoint", "started", "until_ms", "urgent")

    def __init__(self, setpoint: Setpoint, urgent: bool, until_ms: int) -> None:
        self.setpoint = setpoint
        self.urgent = urgent
        self.until_ms = until_ms
        self.started = False
        self.outcome: asyncio.Future[WriteOutcome] = asyncio.get_running_loop().create_future()

    def end(self, result: WriteResult, detail: str = "") -> None:
        """Answer whoever waits, if they still do."""
        if not self.outcome.done():
            self.outcome.set_result(WriteOutcome(result, detail))


class Queue:
    """Writes in their order: urgent ones first."""

    def __init__(self) -> None:
        self._urgent: deque[Job] = deque()
        self._rest: deque[Job] = deque()

    def put(self, job: Job) -> None:
        """Wait behind those of the same kind."""
        (self._urgent if job.urgent else self._rest).append(job)

    def take(self) -> Job | None:
        """The next one that somebody still waits for."""
        for jobs in (self._urgent, self._rest):
            while jobs:
                job = jobs.popleft()
                if not job.outcome.done():
                    return job
        return None

    def __bool__(self) -> bool:
        return bool(self._urgent or self._rest)


class Spent:
    """Tokens of pulses that were on the wire: none is ever written again (RULES A4)."""

    def __init__(self) -> None:
        self._outcomes: dict[str, WriteOutcome] = {}

    def of(self, token: str) -> WriteOutcome | None:
        """What came of a token, if it was written."""
        return self._outcomes.get(token)

    def note(self, token: str, outcome: WriteOutcome) -> WriteOutcome:
        """Remember what was, or may have been, done; a refusal spends nothing."""
        if outcome.result is not WriteResult.REFUSED:
            self._outcomes[token] = outcome
            while len(self._outcomes) > SPENT_KEPT:
                del self._outcomes[next(iter(self._outcomes))]
        return outcome
