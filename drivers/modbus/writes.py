"""Setpoints as requests, and what came of them.

Rules:
- A pulse is one request that the device itself ends: a row with `tick_ms` takes the length in
  ticks, another takes the constant `writes`. Longer than the row's `length_ms` it never is.
- A value goes to where its row is written, and `enable_address` gets 1 after it; off, that is 0,
  goes there alone.
- What would read back as something else is refused: a limit is never rounded here.
- `refused` means that nothing has happened. A device that failed on the way (exception 4), or
  whose gateway heard nothing from it (11), may have acted: that is `unknown`.
"""

import asyncio
from collections import deque

from drivers.modbus import frames
from drivers.modbus.bus import BusDevice
from drivers.modbus.frames import ExceptionReply, Request
from gateway.domain.errors import MalformedError
from gateway.domain.points import (
    Lease,
    Level,
    PointRef,
    Setpoint,
    Value,
    WriteOutcome,
    WriteResult,
)
from gateway.domain.profile import SetpointSpec, ValueKind

SPENT_KEPT = 256
TICKS_MAX = 0x7FFF
ACKNOWLEDGED = 5
MAY_HAVE_ACTED = (4, frames.TARGET_SILENT)


def value_requests(device: BusDevice, ref: PointRef, value: Value) -> tuple[Request, ...]:
    """The requests that make a point this value, in order. Raises MalformedError."""
    spec = device.profile.points[ref.point]
    enable = spec.binding.get("enable_address")
    if enable is not None and not value:
        return (_switched(enable, on=False),)
    row = device.written_row(ref.point)
    if ref.point in device.invert:
        value = not value
    data = row.encode(value)
    if row.table.bits:
        return (frames.write_coil(row.address, frames.COIL_ON if data[0] else frames.COIL_OFF),)
    shown = row.decoder(row.address)(data)
    if spec.kind is ValueKind.INT and shown != value:
        raise MalformedError(f"{ref}: found {value!r}, which would read back as {shown!r}")
    request = frames.write_registers(row.address, data, multiple=bool(spec.binding.get("multiple")))
    return (request,) if enable is None else (request, _switched(enable, on=True))


def _switched(address: int, *, on: bool) -> Request:
    return frames.write_registers(address, int(on).to_bytes(2, "big"))


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


def check_value(device: BusDevice, setpoint: Level | Lease) -> None:
    """The value is one the row may take. Raises MalformedError."""
    spec, value = device.profile.points[setpoint.ref.point].setpoint, setpoint.value
    assert spec is not None
    if value in spec.values or (not spec.values and isinstance(value, bool | str)):
        return
    if not isinstance(value, bool | str) and _within(spec, value):
        return
    raise MalformedError(f"{setpoint.ref}: expected {_expected(spec)}, found {value!r}")


def _within(spec: SetpointSpec, value: float) -> bool:
    low, high = spec.minimum, spec.maximum
    if low is None and high is None:
        return not spec.values
    return (low is None or value >= low) and (high is None or value <= high)


def _expected(spec: SetpointSpec) -> str:
    named = f"one of {', '.join(map(repr, spec.values))}" if spec.values else ""
    bounded = spec.minimum is not None or spec.maximum is not None
    span = f"{_figure(spec.minimum, 'any')} to {_figure(spec.maximum, 'any')}" if bounded else ""
    return " or ".join(part for part in (named, span) if part)


def _figure(found: float | None, missing: str) -> str:
    return missing if found is None else f"{found:g}"


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
