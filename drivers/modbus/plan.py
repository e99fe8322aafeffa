"""Which reads a device is polled by: rows coalesced into few requests. Pure.

Rules:
- Registers of one poll class share a read while it spans at most `max_read` registers and skips
  at most `max_hole` unused ones (0 unless the profile says that the model answers for holes).
- A slower row that lies inside a faster read rides along with it.
- Bits are cheap: neighbouring ones share a read whatever their class, at the fastest period.
- A row that cannot be read (a pulse, what the device times itself), or is never asked (poll class
  `event`), is in no read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.codec import Row, Table
from gateway.domain.points import SetpointKind
from gateway.domain.profile import PointSpec, PollClass

MAX_READ = 100
MAX_READ_BITS = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """What one read of this model may be."""

    max_read: int = MAX_READ
    max_hole: int = 0

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> "Limits":
        """The limits a profile's `device` columns state."""
        return cls(int(columns.get("max_read", MAX_READ)), int(columns.get("max_hole", 0)))


@dataclass(frozen=True, slots=True)
class Span:
    """One read, how often it is due, and the rows found in its answer."""

    table: Table
    address: int
    count: int
    period_ms: int
    rows: tuple[Row, ...]

    @property
    def end(self) -> int:
        """The address after the last."""
        return self.address + self.count


def readable(spec: PointSpec) -> bool:
    """False for what is only written: pulses, what a device times, rows whose `access` is write."""
    pulses = spec.setpoint is not None and spec.setpoint.kind is SetpointKind.PULSE
    if pulses or "tick_ms" in spec.binding:
        return False
    return spec.poll is not PollClass.EVENT and spec.binding.get("access") != "write"


def plan(rows: Sequence[tuple[Row, int]], limits: Limits) -> tuple[Span, ...]:
    """The reads for rows with their periods, fastest first."""
    spans: list[Span] = []
    for row, period_ms in sorted(rows, key=_order):
        for index, span in enumerate(spans):
            joined = _joined(span, row, period_ms, limits)
            if joined is not None:
                spans[index] = joined
                break
        else:
            spans.append(Span(row.table, row.address, row.count, period_ms, (row,)))
    return tuple(sorted(spans, key=lambda span: (span.period_ms, span.table, span.address)))


def _order(item: tuple[Row, int]) -> tuple[str, int, int]:
    row, period_ms = item
    return (row.table, 0 if row.table.bits else period_ms, row.address)


def _joined(span: Span, row: Row, period_ms: int, limits: Limits) -> Span | None:
    """The span with the row in it, where they may share a read."""
    if row.table is not span.table:
        return None
    end = row.address + row.count
    inside = span.address <= row.address and end <= span.end
    if inside and span.period_ms <= period_ms:
        return Span(span.table, span.address, span.count, span.period_ms, (*span.rows, row))
    if not row.table.bits and span.period_ms != period_ms:
        return None
    hole, most = limits.max_hole, limits.max_read
    if row.table.bits:
        most = MAX_READ_BITS
    count = max(end, span.end) - span.address
    if row.address - span.end > hole or count > most:
        return None
    fastest_ms = min(span.period_ms, period_ms)
    return Span(span.table, span.address, count, fastest_ms, (*span.rows, row))
