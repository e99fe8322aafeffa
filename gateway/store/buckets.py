"""Utilization buckets as their own table: what the journal says of them, added up (RULES U2, U3).

The table is a projection of the journal, written in the same transaction: each record about a
bucket is a revision of its row. Counts add up; the times that a record speaks of take the place of
those before (a clock that had been wrong brings a quarter of an hour back). `number` is the
journal's, so that whoever has read up to a number asks for what changed since.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

_FACTS = frozenset({Fact.BUCKET_CLOSED, Fact.BUCKET_AMENDED})
_COUNTS = ("energy_wh", "sessions", "visits", "no_shows")
_STATES = tuple(state.value for state in STATES)
_ADDED = (*_STATES, *_COUNTS)
_LINE_END = literal_column("char(10)", Text)  # between the refusals of one record and of the next

# Periods come by their key and each one's buckets by theirs: nothing is sorted, which takes longer
# than all else. In memory, for a full disk has no room for them.
_PERIODS = (
    "PRAGMA temp_store=MEMORY",
    "CREATE TEMP TABLE IF NOT EXISTS period (place INTEGER PRIMARY KEY, start_ms, end_ms)",
    "DELETE FROM temp.period",
)
_SUM_UP = f"""
    SELECT place, {", ".join(f"sum({name})" for name in _ADDED)}, group_concat(refused, char(10))
    FROM temp.period AS period CROSS JOIN bucket
    ON bucket.facility IN (SELECT value FROM json_each(?))
    AND bucket.start_ms >= period.start_ms AND bucket.start_ms < period.end_ms
    GROUP BY place"""  # noqa: S608 (its names are our own)


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
        self, groups: Iterable[Sequence[str]], periods: Sequence[tuple[int, int]]
    ) -> Iterator[Mapping[int, Total]]:
        """For each group of facilities what their buckets within a period add up to, by its place.

        A period without any bucket is left out.
        """
        asked = [(place, *period) for place, period in enumerate(periods)]
        with storage_errors("read", self._path), self._engine.connect() as connection:
            through = connection.connection.cursor()
            for statement in _PERIODS:
                through.execute(statement)
            through.executemany("INSERT INTO temp.period VALUES (?, ?, ?)", asked)
            for group in groups:
                through.execute(_SUM_UP, (json.dumps(group),))
                yield {row[0]: _total(row[1:]) for row in through.fetchall()}

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


def _refused(lines: str | None) -> tuple[tuple[str, int], ...]:
    if lines is None:
        return ()
    found: dict[str, int] = {}
    for line in lines.splitlines():
        for code, count in json.loads(line).items():
            found[code] = found.get(code, 0) + count
    return tuple(sorted(found.items()))


def _total(added: tuple[Any, ...]) -> Total:
    """What comes in the order of `_ADDED`, with refusals after it."""
    energy_wh, sessions, visits, no_shows, refused = added[len(_STATES) :]
    counts = Counts(energy_wh, sessions, visits, no_shows, _refused(refused))
    return Total(added[: len(_STATES)], counts)


def _bucket(row: _Row) -> Bucket:
    total = _total((*(row._mapping[name] for name in _ADDED), row.refused))
    return Bucket(row.facility, row.start_ms, row.revision, total.spent, total.counts)
