"""Utilization: what facilities were used for, and the buckets it is made of (RULES U2, U3)."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, islice
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from gateway.api.actions import problems
from gateway.api.auth import Staff
from gateway.api.common import Asked, Shown
from gateway.api.parts import Parts
from gateway.api.threads import each_in_thread, in_thread
from gateway.domain.utilization import (
    STATES,
    Bucket,
    Counts,
    Grain,
    Grouping,
    ReportAsked,
    ReportLine,
    Spent,
)

router = APIRouter(prefix="/utilization", tags=["utilization"])

CHANGES_MAX = 5_000
_CSV = "text/csv"
_LINES_TOGETHER = 500
_HEADS = (
    *("of", "from", "to", *(f"{state.value}_s" for state in STATES)),
    *("utilization", "idle", "unknown"),
    *("energy_wh", "sessions", "visits", "no_shows", "refused"),
)


class Format(StrEnum):
    """How a report comes."""

    JSON = "json"
    CSV = "csv"


class CountsShown(Shown):
    """What happened in a time; `refused` is unmet demand, by reason code."""

    energy_wh: int
    sessions: int
    visits: int
    no_shows: int
    refused: dict[str, int]

    @classmethod
    def of(cls, counts: Counts) -> "CountsShown":
        """Counts."""
        return cls(
            energy_wh=counts.energy_wh,
            sessions=counts.sessions,
            visits=counts.visits,
            no_shows=counts.no_shows,
            refused=dict(counts.refused),
        )


class LineShown(Shown):
    """One period. `spent_s` adds up to all of it; shares are of the known, open, usable time."""

    of: str
    from_ms: int
    to_ms: int
    spent_s: dict[str, float]
    utilization: float | None
    idle: float | None
    unknown: float
    counts: CountsShown

    @classmethod
    def from_line(cls, line: ReportLine) -> "LineShown":
        """A line of a report."""
        return cls(
            of=line.of,
            from_ms=line.from_ms,
            to_ms=line.to_ms,
            spent_s=_spent_s(line.total.spent),
            utilization=_share(line.utilization),
            idle=_share(line.idle),
            unknown=round(line.unknown, 4),
            counts=CountsShown.of(line.total.counts),
        )


class Report(Shown):
    """The lines of a report, by what they are of and by time."""

    bucket: Grain
    group: Grouping
    lines: list[LineShown]


class BucketShown(Shown):
    """A closed quarter of an hour of a facility, as its `revision` has it."""

    facility: str
    start_ms: int
    revision: int
    spent_ms: dict[str, int]
    counts: CountsShown

    @classmethod
    def of(cls, bucket: Bucket) -> "BucketShown":
        """A bucket."""
        return cls(
            facility=bucket.facility,
            start_ms=bucket.start_ms,
            revision=bucket.revision,
            spent_ms={s.value: ms for s, ms in zip(STATES, bucket.spent, strict=True) if ms},
            counts=CountsShown.of(bucket.counts),
        )


class Changes(Shown):
    """Buckets that changed after a cursor: ask again with `next_after`.

    Under one `epoch` a higher revision replaces a lower one; what comes under a new epoch (after a
    restore) replaces what came under those before.
    """

    epoch: str
    buckets: list[BucketShown]
    next_after: str
    more: bool


class ReportQuery(Asked):
    """Which report. Days, weeks and months are the site's own."""

    start: Annotated[str, Field(alias="from", max_length=40, description="A day, time or ms.")]
    end: Annotated[str, Field(alias="to", max_length=40, description="Where it ends, exclusive.")]
    bucket: Grain = Grain.DAY
    facility: Annotated[
        tuple[Annotated[str, Field(max_length=128)], ...],
        Field(max_length=500, description="Some; else all."),
    ] = ()
    group: Grouping = Grouping.FACILITY
    format: Format = Format.JSON


class ChangesQuery(Asked):
    """Where to go on."""

    after: Annotated[str, Field(max_length=80, description="The `next_after` you had.")] = ""
    limit: Annotated[int, Field(ge=1, le=CHANGES_MAX)] = 1_000


@router.get(
    "",
    response_model=Report,
    responses={200: {"content": {_CSV: {"schema": {"type": "string"}}}}, **problems(503)},
    summary="Utilization by period",
)
async def report(parts: Parts, _: Staff, wanted: Annotated[ReportQuery, Query()]) -> Response:
    """Up to the last bucket that is closed, ten minutes after its end. Streamed, of any length."""
    asked = ReportAsked(wanted.start, wanted.end, wanted.bucket, wanted.facility, wanted.group)
    # In threads to the last byte: a long report takes longer than a call may wait. The first lines
    # before the answer begins, so that it can still be an error.
    parted = _parted(await in_thread(parts.reports.lines, asked))
    first: list[ReportLine] = await in_thread(next, parted, [])
    every = chain([first], parted)
    if wanted.format is Format.CSV:
        return StreamingResponse(each_in_thread(_csv(every)), media_type=_CSV)
    return StreamingResponse(each_in_thread(_json(every, wanted)), media_type="application/json")


@router.get(
    "/changes",
    response_model=Changes,
    responses=problems(503),
    summary="Buckets that changed after a cursor",
)
async def changes(parts: Parts, _: Staff, at: Annotated[ChangesQuery, Query()]) -> Response:
    """Closed or amended since; a quarter of an hour without a bucket is unknown."""
    body = await in_thread(_changes, parts, at)
    return Response(body, media_type="application/json")


def _changes(parts: Parts, at: ChangesQuery) -> str:
    found = parts.reports.changed(at.after, at.limit)
    shown = [BucketShown.of(bucket) for bucket in found.buckets]
    more = len(shown) == at.limit
    told = Changes(epoch=found.epoch, buckets=shown, next_after=found.cursor, more=more)
    return told.model_dump_json()


def _parted(lines: Iterator[ReportLine]) -> Iterator[list[ReportLine]]:
    while some := list(islice(lines, _LINES_TOGETHER)):
        yield some


def _json(parted: Iterable[list[ReportLine]], wanted: ReportQuery) -> Iterator[str]:
    """A `Report`, some of its lines at a time."""
    begun = f'{{"bucket":"{wanted.bucket}","group":"{wanted.group}","lines":['
    for some in parted:
        lines = ",".join(LineShown.from_line(line).model_dump_json() for line in some)
        yield begun + lines
        begun = ","
    yield "]}"


def _csv(parted: Iterable[list[ReportLine]]) -> Iterator[str]:
    """Times in UTC; seconds by state; shares with the unknown one beside them (U3)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_HEADS)
    for some in parted:
        writer.writerows(map(_cells, some))
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _cells(line: ReportLine) -> list[object]:
    counts = line.total.counts
    return [
        line.of,
        _iso(line.from_ms),
        _iso(line.to_ms),
        *[ms / 1000 for ms in line.total.spent],
        _share(line.utilization),
        _share(line.idle),
        round(line.unknown, 4),
        *(counts.energy_wh, counts.sessions, counts.visits, counts.no_shows),
        " ".join(f"{code}={count}" for code, count in counts.refused),
    ]


def _spent_s(spent: Spent) -> dict[str, float]:
    return {state.value: ms / 1000 for state, ms in zip(STATES, spent, strict=True) if ms}


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC).isoformat()[:16]}Z"
