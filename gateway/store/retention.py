"""What leaves the journal, and when (RULES U1, U4). Run in the writer thread, between commits.

Rules:
- A record is dropped once the platform itself has acknowledged it *and* its class has outlived its
  retention time, by whole days, judged on a trusted clock alone. A record of an untrusted time is
  taken to be as young as the next trusted one: nothing goes early.
- When space runs out telemetry goes first, oldest first, before its time: what is acknowledged is
  dropped; of the rest the payload goes, and its digests stay for the platform. Nothing else goes.
- What went is told by a record in the same transaction. Dropped rows leave a gap with the hash of
  the last of them, so the chain still verifies.
- A turn looks at a bounded number of rows, so it never holds up a commit for long.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, null, select, update

from gateway.domain.now import DAY_MS, Now
from gateway.domain.records import Fact, Record, Retention
from gateway.ports import Stamped
from gateway.store.ballast import free_bytes
from gateway.store.epochs import Span, spans
from gateway.store.store import SqliteStore
from gateway.store.tables import bucket, cursor, gap, journal, meta

DAYS: Mapping[str, int] = {
    Retention.CALL: 5 * 365,
    Retention.AUDIT: 365,
    Retention.USAGE: 2 * 365,
    Retention.TELEMETRY: 30,
}

_TURN_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long each class is kept, whose acknowledgement it waits for, how much room is kept free.

    A site without a platform names no reader; then records are dropped at their time.
    """

    days: Mapping[str, int] = field(default_factory=dict)
    reader: str | None = "platform"
    reserve_bytes: int = 32 * 1024 * 1024

    def limit_ms(self, retention: Retention, now: Now) -> int:
        """Records of a class from before that instant, a midnight, have outlived their time."""
        days = self.days.get(retention, DAYS[retention])
        return (now.wall_ms // DAY_MS - days) * DAY_MS


class _Window(NamedTuple):
    """Some rows of one epoch: those after `after`, up to `upto`."""

    span: Span
    after: int
    upto: int

    def holds(self) -> ColumnElement[bool]:
        return and_(journal.c.number > self.after, journal.c.number <= self.upto)


class Housekeeping:
    """Tidies one store, a little at a time."""

    def __init__(self, store: SqliteStore, policy: RetentionPolicy | None = None) -> None:
        self._store = store
        self._policy = policy or RetentionPolicy()
        self._squeezed = 0  # no telemetry that could make room is left up to this row
        self._more = False

    def tidy(self, now: Now) -> bool:
        """Do one turn; True when there is more to do. Raises StoreError."""
        self._more = False
        self._store.amend(
            lambda connection: [Stamped(record, now) for record in self._turn(connection, now)]
        )
        self._store.fold_log()
        self._store.ballast.take()
        return self._more

    def _turn(self, connection: Connection, now: Now) -> Iterator[Record]:
        if now.trusted:
            for retention in Retention:
                yield from self._expire(connection, retention, now)
        if self._short_of_space(connection):
            yield from self._squeeze(connection)

    def _expire(self, connection: Connection, retention: Retention, now: Now) -> Iterator[Record]:
        """Drop what has outlived its time, in the next rows that were not looked at yet."""
        name = f"expired_{retention}"
        mark = connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar()
        window = self._window(connection, int(mark or 0), _TURN_ROWS, acknowledged=True)
        old = _old_upto(connection, window, self._policy.limit_ms(retention, now), now.wall_ms)
        if old <= window.after:
            return
        self._more |= old == window.upto
        connection.execute(delete(meta).where(meta.c.name == name))
        connection.execute(insert(meta).values(name=name, value=str(old)))
        of_class = and_(window._replace(upto=old).holds(), journal.c.retention == retention)
        if retention is Retention.USAGE:  # what was added up of these records goes with them
            connection.execute(delete(bucket).where(bucket.c.number <= old))
        if dropped := _drop(connection, window.span, of_class):
            yield _told("retention", retention, window.span, dropped)

    def _short_of_space(self, connection: Connection) -> bool:
        """Little is left to write to: what the disk has free, and pages of ours that are."""
        pages, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("freelist_count", "page_size")
        )
        free = free_bytes(self._store.path.parent) + pages * size
        return bool(free < self._policy.reserve_bytes)

    def _squeeze(self, connection: Connection) -> Iterator[Record]:
        """Make room with the oldest telemetry, acknowledged or not."""
        window = self._window(connection, self._squeezed, _TURN_ROWS, acknowledged=False)
        telemetry = and_(window.holds(), journal.c.retention == Retention.TELEMETRY)
        acknowledged = _acknowledged(connection, window.span, self._policy.reader)
        dropped = _drop(connection, window.span, and_(telemetry, journal.c.number <= acknowledged))
        emptied = _empty(connection, and_(telemetry, journal.c.payload.is_not(None)))
        self._squeezed = window.upto
        self._more |= window.upto > window.after
        if dropped:
            yield _told("space", Retention.TELEMETRY, window.span, dropped)
        if emptied:
            yield _told("space_unsent", Retention.TELEMETRY, window.span, emptied)

    def _window(
        self, connection: Connection, mark: int, rows: int, *, acknowledged: bool
    ) -> _Window:
        """The next rows after a mark, in the first epoch that has any."""
        every = spans(connection)
        span = next(one for one in every if one.end is None or one.end > mark)
        end = span.end if span.end is not None else _newest(connection, span)
        if acknowledged:
            end = min(end, _acknowledged(connection, span, self._policy.reader))
        after = max(mark, span.base)
        return _Window(span, after, max(after, min(end, after + rows)))


def _newest(connection: Connection, span: Span) -> int:
    return connection.execute(select(func.max(journal.c.number))).scalar() or span.base


def _acknowledged(connection: Connection, span: Span, reader: str | None) -> int:
    """The last row of an epoch that the platform has."""
    if reader is None:
        return span.end if span.end is not None else _newest(connection, span)
    seq = connection.execute(
        select(cursor.c.seq).where(cursor.c.reader == reader, cursor.c.epoch == span.epoch)
    ).scalar()
    return span.base + (seq or 0)


def _old_upto(connection: Connection, window: _Window, limit_ms: int, now_ms: int) -> int:
    """The last row of a window that, with all before it, is from before the limit.

    Only rows of trusted times that are not in the future tell; the others are as young as the next
    of these.
    """
    number, at_ms = journal.c.number, journal.c.at_ms
    telling = and_(journal.c.trusted, at_ms <= now_ms)
    young = connection.execute(
        select(func.min(number)).where(window.holds(), telling, at_ms >= limit_ms)
    ).scalar()
    if young is None:
        beyond = select(at_ms).where(number > window.upto, telling).order_by(number).limit(1)
        next_ms = connection.execute(beyond).scalar()
        if next_ms is not None and next_ms < limit_ms:
            return window.upto
    before = window if young is None else window._replace(upto=young - 1)
    last_old = connection.execute(select(func.max(number)).where(before.holds(), telling)).scalar()
    return last_old or window.after


class _Run(NamedTuple):
    first: int
    last: int
    chain: bytes


def _drop(connection: Connection, span: Span, which: ColumnElement[bool]) -> list[_Run]:
    """Delete rows and leave gaps for them; the runs of rows that went."""
    runs: list[_Run] = []
    rows = connection.execute(
        select(journal.c.number, journal.c.chain).where(which).order_by(journal.c.number)
    )
    for number, chain in rows.all():
        joins = runs and runs[-1].last == number - 1
        first = runs.pop().first if joins else number
        runs.append(_Run(first, number, chain))
    connection.execute(delete(journal).where(which))
    for run in runs:
        _leave_gap(connection, span, run)
    return runs


def _leave_gap(connection: Connection, span: Span, run: _Run) -> None:
    """Put a gap where rows were, as one with the gaps it touches in its epoch."""
    before = connection.execute(
        select(gap).where(gap.c.last == run.first - 1, span.holds(gap.c.last))
    ).first()
    if before is not None:
        connection.execute(delete(gap).where(gap.c.last == before.last))
        run = run._replace(first=before.first)
    after = connection.execute(
        select(gap)
        .where(span.holds(gap.c.last, run.last - span.base))
        .order_by(gap.c.last)
        .limit(1)
    ).first()
    if after is not None and after.first == run.last + 1:
        connection.execute(update(gap).where(gap.c.last == after.last).values(first=run.first))
    else:
        connection.execute(insert(gap).values(run._asdict()))


def _empty(connection: Connection, which: ColumnElement[bool]) -> list[_Run]:
    """Take the payloads of rows away; each row is a run of its own."""
    numbers = connection.execute(select(journal.c.number).where(which)).scalars().all()
    gone = {"payload": null(), "personal": null(), "salt": null()}
    connection.execute(update(journal).where(which).values(gone))
    return [_Run(number, number, b"") for number in numbers]


def _told(why: str, retention: Retention, span: Span, runs: list[_Run]) -> Record:
    return Record(
        Fact.RECORDS_DROPPED,
        {
            "why": why,
            "class": retention.value,
            "records": sum(run.last - run.first + 1 for run in runs),
            "epoch": span.epoch,
            "first": min(run.first for run in runs) - span.base,
            "last": max(run.last for run in runs) - span.base,
        },
    )
