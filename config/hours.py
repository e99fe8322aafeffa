"""Weekly hours as people write them: `mon-fri 08:00-22:00`, over midnight `fri 22:00-02:00`."""

import re

from gateway.domain.site import WeeklyHours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60

_SPAN = re.compile(r"^(?P<days>[a-z,-]+) +(?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)$")


def parse_hours(spans: list[str]) -> WeeklyHours:
    """Weekly hours from spans. Raises ValueError with what was found and expected."""
    return WeeklyHours(tuple(sorted(one for span in spans for one in parse_span(span))))


def parse_span(span: str) -> list[tuple[int, int, int]]:
    """One span as `(weekday, from, to)` for each of its days, in minutes. Raises ValueError."""
    match = _SPAN.match(span.strip().lower())
    if match is None:
        raise ValueError(f'found {span!r}, expected hours such as "mon-fri 08:00-22:00"')
    start, end = _minutes(match["from"]), _minutes(match["to"])
    if end <= start:
        end += DAY_MINUTES
    return [(day, start, end) for part in match["days"].split(",") for day in _days(part)]


def _days(part: str) -> list[int]:
    first, _, last = part.partition("-")
    for name in (first, last or first):
        if name not in DAYS:
            raise ValueError(f"found the day {name!r}, expected {', '.join(DAYS)}")
    start, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]


def _minutes(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > DAY_MINUTES:
        raise ValueError(f"found the time {text!r}, expected 00:00 to 24:00")
    return hours * 60 + minutes
