"""Opening hours on the wall's clock (RULES U3): over midnight, in days of 23 to 25 h."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.domain.hours import WeeklyHours


def local(wall_ms: int, zone: ZoneInfo) -> datetime:
    """The local time of an instant."""
    return datetime.fromtimestamp(wall_ms / 1000, zone)


def instant_ms(day: date, minute: int, zone: ZoneInfo) -> int:
    """The instant of a local minute of a local day.

    A time that daylight saving skips is the next that exists; a repeated one is its first.
    """
    naive = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 (made aware below)
    aware = naive.replace(tzinfo=zone, fold=0)
    there_and_back = aware.astimezone(UTC).astimezone(zone)
    if there_and_back.replace(tzinfo=None) != naive:
        return _first_after_gap_ms(naive, zone)
    return int(aware.timestamp() * 1000)


def _first_after_gap_ms(naive: datetime, zone: ZoneInfo) -> int:
    # In the gap, fold=1 reads with the offset of after: that instant lies before the change,
    # and the change itself is where the skipped time would have begun.
    before = naive.replace(tzinfo=zone, fold=0).utcoffset()
    after = naive.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None
    assert after is not None
    low = naive.replace(tzinfo=UTC) - max(before, after)
    high = naive.replace(tzinfo=UTC) - min(before, after)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    return round(high.timestamp()) * 1000


def spans_around(
    hours: WeeklyHours, wall_ms: int, zone: ZoneInfo, days: int = 8
) -> list[tuple[int, int]]:
    """The instants `[from, to)` of every span that begins within a day before to `days` after."""
    return list(_spans_from(hours, local(wall_ms, zone).date(), zone, days))


@lru_cache(maxsize=1_024)
def _spans_from(
    hours: WeeklyHours, today: date, zone: ZoneInfo, days: int
) -> tuple[tuple[int, int], ...]:
    around = (today + timedelta(days=offset) for offset in range(-1, days))
    return tuple(sorted(span for day in around for span in _spans_of(hours, day, zone)))


def _spans_of(hours: WeeklyHours, day: date, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """The spans that begin on a local day: an exception's own, else the weekday's."""
    own = dict(hours.exceptions).get(day.isoformat())
    weekly = ((start, end) for weekday, start, end in hours.spans if weekday == day.weekday())
    for start, end in weekly if own is None else own:
        yield instant_ms(day, start, zone), instant_ms(day, end, zone)


def within(hours: WeeklyHours | None, wall_ms: int, zone: ZoneInfo) -> bool:
    """True when the instant lies in the hours; always, where there are none."""
    if hours is None:
        return True
    return any(start <= wall_ms < end for start, end in spans_around(hours, wall_ms, zone, days=1))


def next_change_ms(hours: WeeklyHours, wall_ms: int, zone: ZoneInfo) -> int | None:
    """The next instant at which the hours begin or end."""
    edges = _edges_from(hours, local(wall_ms, zone).date(), zone)
    ahead = bisect_right(edges, wall_ms)
    return edges[ahead] if ahead < len(edges) else None


@lru_cache(maxsize=1_024)
def _edges_from(hours: WeeklyHours, today: date, zone: ZoneInfo) -> tuple[int, ...]:
    # each exception may take a day's edges away, and one far ahead may be all there is
    spans = list(_spans_from(hours, today, zone, 8 + len(hours.exceptions)))
    for day, _ in hours.exceptions:
        spans += _spans_of(hours, date.fromisoformat(day), zone)
    return tuple(sorted({edge for span in spans for edge in span}))
