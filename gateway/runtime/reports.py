"""Utilization by period: quarters of an hour added up by the site's own days (RULES U3)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.core.calendar import instant_ms, local
from gateway.domain.errors import MalformedError
from gateway.domain.now import HOUR_MS, MINUTE_MS
from gateway.domain.site import Facility, Site
from gateway.domain.utilization import (
    BUCKET_MS,
    CLOSES_AFTER_MS,
    Changed,
    Grain,
    Grouping,
    ReportAsked,
    ReportLine,
    Total,
)
from gateway.ports import UtilizationReader, Views

PERIODS_MAX = 100_000
_NONE = Total()
_Period = tuple[int, int]


class UtilizationReports:
    """The `Reports` of a gateway, from any thread."""

    def __init__(self, views: Views, reader: UtilizationReader) -> None:
        self._views = views
        self._reader = reader

    def lines(self, asked: ReportAsked) -> Iterator[ReportLine]:
        """The lines asked for, up to the last closed bucket. Raises MalformedError at once."""
        site = self._views.site
        periods = self._periods(asked, ZoneInfo(site.zone))
        groups = _groups(_facilities(site, asked), asked.group)
        return self._lines(groups, periods)

    def changed(self, cursor: str, limit: int = 1_000) -> Changed:
        """Buckets that were closed or amended since, oldest change first."""
        return self._reader.changed(cursor, limit)

    def _lines(
        self, groups: Mapping[str, Sequence[str]], periods: Sequence[_Period]
    ) -> Iterator[ReportLine]:
        totals = self._reader.totals(groups.values(), periods)
        for (of, facilities), found in zip(groups.items(), totals, strict=True):
            for place, (start, end) in enumerate(periods):
                total = _whole(found.get(place, _NONE), (end - start) * len(facilities))
                yield ReportLine(of, start, end, total)

    def _periods(self, asked: ReportAsked, zone: ZoneInfo) -> list[_Period]:
        start, end = instant("from", asked.start, zone), instant("to", asked.end, zone)
        if start >= end:
            raise MalformedError(f"from: expected an instant before to, found {asked.start}")
        closed = (self._views.now().wall_ms - CLOSES_AFTER_MS) // BUCKET_MS * BUCKET_MS
        periods = []
        for period in _split(start, min(end, closed), asked.grain, zone):
            periods.append(period)
            if len(periods) > PERIODS_MAX:
                raise MalformedError(f"bucket: expected one that makes {PERIODS_MAX} at most")
        return periods


def instant(name: str, text: str, zone: ZoneInfo) -> int:
    """The instant (ms) that a text names. Raises MalformedError."""
    try:
        if text.isdecimal():
            found = int(text)
            local(found, zone)
        else:
            then = datetime.fromisoformat(text)
            minute = then.hour * 60 + then.minute
            aware = then.tzinfo is not None
            found = int(then.timestamp() * 1000) if aware else instant_ms(then, minute, zone)
    except (ValueError, OverflowError, OSError):
        example = "2026-11-24, 2026-11-24T08:00+08:00 or milliseconds"
        raise MalformedError(f"{name}: expected a day or time such as {example}") from None
    if found % BUCKET_MS:
        raise MalformedError(f"{name}: expected a whole quarter of an hour, found {text}")
    return found


def _split(start: int, end: int, grain: Grain, zone: ZoneInfo) -> Iterator[_Period]:
    while start < end:
        following = min(_next(start, grain, zone), end)
        yield start, following
        start = following


def _next(start: int, grain: Grain, zone: ZoneInfo) -> int:
    """Where the period that holds an instant ends."""
    if grain is Grain.QUARTER:
        return start + BUCKET_MS
    here = local(start, zone)
    if grain is Grain.HOUR:  # of the wall's clock, which may be half an hour beside UTC's
        return start + HOUR_MS - here.minute * MINUTE_MS
    if grain is Grain.MONTH:
        day = here.replace(day=1) + timedelta(days=32)
        return instant_ms(day.replace(day=1), 0, zone)
    days = 7 - here.weekday() if grain is Grain.WEEK else 1
    return instant_ms(here + timedelta(days=days), 0, zone)


def _facilities(site: Site, asked: ReportAsked) -> list[Facility]:
    strange = next((id_ for id_ in asked.facilities if id_ not in site.facilities), None)
    if strange is not None:
        raise MalformedError(f"facility: there is no {strange}")
    return [site.facilities[id_] for id_ in dict.fromkeys(asked.facilities) or site.facilities]


def _groups(facilities: Iterable[Facility], group: Grouping) -> dict[str, list[str]]:
    """The facilities of each place or kind, by name; each its own group if none is asked for."""
    if group is Grouping.FACILITY:
        return {one.id: [one.id] for one in facilities}
    found: dict[str, list[str]] = {}
    for one in facilities:
        of = one.place if group is Grouping.PLACE else one.kind
        found.setdefault(of, []).append(one.id)
    return dict(sorted(found.items()))


def _whole(total: Total, length_ms: int) -> Total:
    """With the time that no bucket speaks of, which is unknown."""
    unspoken = length_ms - sum(total.spent)
    if not unspoken:
        return total
    unknown, *known = total.spent
    return Total((unknown + unspoken, *known), total.counts)
