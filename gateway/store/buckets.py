"""Utilization buckets as their own table: what the journal says of them, added up (RULES U2, U3).

The table is a projection of the journal, written in the same transaction: each record about a
bucket is a revision of its row. Counts add up; the times that a record speaks of take the place of
those before (a clock that had been wrong brings a quarter of an hour back). `number` is the
journal's, so that whoever has read up to a number asks for what changed since.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Integer, Text, case, func, literal_column, select
from sqlalchemy.dialects import sqlite

from gateway.domain.records import Fact
from gateway.domain.utilization import STATES, Bucket, Changed, Counts, Total
from gateway.ports import Stamped
from gateway.store.database import compiled, reader_engine, storage_errors
from gateway.store.epochs import Span, spans
from gateway.store.rows import JournalRow
from gateway.store.tables import bucket

SPANS_AT_ONCE = 10_000
_FACTS = frozenset({Fact.BUCKET_CLOSED, Fact.BUCKET_AMENDED})
_COUNTS = ("energy_wh", "sessions", "visits", "no_shows")
_STATES = tuple(state.value for state in STATES)
_LINE_END = literal_column("char(10)", Text)  # between the refusals of one record and of the next


def _add_up() -> str:
    statement = sqlite.insert(bucket)
    fresh = statement.excluded
    nothing = literal_column("0", Integer)  # no parameter: rows are bound by position
    told = sum((fresh[name] for name in _STATES), start=nothing) > nothing
    times = {name: case((told, fresh[name]), else_=bucket.c[name]) for name in _STATES}
    sums = {name: bucket.c[name] + fresh[name] for name in (*_COUNTS, "revision")}
    both = bucket.c.refused + _LINE_END + fresh.refused
    refused = {"refused": func.coalesce(both, bucket.c.refused, fresh.refused)}
    changed = times | sums | refused | {"number": fresh.number}
    keys = [bucket.c.facility, bucket.c.start_ms]
    return compiled(statement.on_conflict_do_update(index_elements=keys, set_=changed))


ADD_UP = _add_up()
_Row = Any  # of what was selected


def rows_of(records: Sequence[Stamped], rows: Sequence[JournalRow]) -> list[tuple[Any, ...]]:
    """What these records, sealed as these rows, say of buckets: rows for `ADD_UP`."""
    found = []
    for stamped, row in zip(records, rows, strict=True):
        if stamped.record.fact in _FACTS:
            data = stamped.record.data
            spent = data.get("spent_ms", {})
            found.append(
                (
                    data["facility"],
                    data["start_ms"],
                    row.number,
                    1,
                    *(spent.get(state.value, 0) for state in STATES),
                    *(data.get(name, 0) for name in _COUNTS),
                    json.dumps(data["refused"]) if "refused" in data else None,
                )
            )
    return found


class SqliteUtilization:
    """A UtilizationReader over one database, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = reader_engine(path)

    def totals(
        self, facilities: Sequence[str], periods: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[int, Total]]:
        """What their buckets within each period add up to: (its place, the total), where any is."""
        for first in range(0, len(periods), SPANS_AT_ONCE):
            part = periods[first : first + SPANS_AT_ONCE]
            for row in self._added(facilities, part):
                yield first + row.place, _total(row)

    def changed(self, cursor: str, limit: int = 1_000) -> Changed:
        """Buckets that were closed or amended since, oldest change first.

        A cursor that is not of this journal begins anew: a bucket that comes twice is the same.
        """
        with storage_errors("read", self._path), self._engine.connect() as connection:
            epochs = spans(connection)
            last = connection.execute(select(func.max(bucket.c.number))).scalar() or 0
            after = _number(cursor, epochs, last)
            wanted = select(bucket).where(bucket.c.number > after)
            found = connection.execute(wanted.order_by(bucket.c.number).limit(limit)).all()
        reached = found[-1].number if found else after
        epoch = epochs[-1].epoch
        return Changed([_bucket(row) for row in found], epoch, f"{epoch}:{reached}")

    def close(self) -> None:
        """Close the connections; they open again when used."""
        self._engine.dispose()

    def _added(
        self, facilities: Sequence[str], periods: Sequence[tuple[int, int]]
    ) -> Sequence[_Row]:
        asked = func.json_each(json.dumps(periods)).table_valued("key", "value", name="period")
        start = bucket.c.start_ms
        statement = (
            select(
                asked.c.key.label("place"),
                *(func.sum(bucket.c[name]).label(name) for name in (*_STATES, *_COUNTS)),
                func.group_concat(bucket.c.refused, _LINE_END).label("refused"),
            )
            .select_from(asked)
            .join(
                bucket,
                bucket.c.facility.in_(facilities)
                & (start >= func.json_extract(asked.c.value, "$[0]"))
                & (start < func.json_extract(asked.c.value, "$[1]")),
            )
            .group_by(asked.c.key)
        )
        with storage_errors("read", self._path), self._engine.connect() as connection:
            return connection.execute(statement).all()


def _number(cursor: str, epochs: Sequence[Span], last: int) -> int:
    """The journal's number that a cursor stands for; 0 for one of another journal.

    One beyond the end is that: of an epoch that a backup holds less of, or a folder put back.
    """
    epoch, _, number = cursor.rpartition(":")
    known = next((span for span in epochs if span.epoch == epoch), None)
    if known is None or not number.isdecimal():
        return 0
    end = known.end if known.end is not None else last
    return int(number) if int(number) <= end else 0


def _counts(row: _Row) -> Counts:
    refused = Counts()
    for line in (row.refused or "").splitlines():
        refused += Counts(refused=tuple(json.loads(line).items()))
    return Counts(row.energy_wh, row.sessions, row.visits, row.no_shows, refused.refused)


def _spent(row: _Row) -> tuple[int, ...]:
    return tuple(row._mapping[state.value] for state in STATES)


def _total(row: _Row) -> Total:
    return Total(_spent(row), _counts(row))


def _bucket(row: _Row) -> Bucket:
    return Bucket(row.facility, row.start_ms, row.revision, _spent(row), _counts(row))
