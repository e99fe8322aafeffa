"""Opening hours as people write them: `mon-fri 08:00-22:00`, over midnight `fri 22:00-02:00`.

A date has hours of its own, in place of its weekday's: `2026-12-24 08:00-14:00`,
`2026-12-25..2027-01-06 closed`.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta

from pydantic_core import PydanticCustomError

from gateway.domain.hours import WeeklyHours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60

EXCEPTION_DAYS_MAX = 366
_CLOSED = "closed"
_HOURS = r"(?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)"
_DATE = r"\d{4}-\d\d-\d\d"
_SPAN = re.compile(rf"^(?P<days>[a-z,-]+) +{_HOURS}$")
_EXCEPTION = re.compile(rf"^(?P<first>{_DATE})(\.\.(?P<last>{_DATE}))? +({_CLOSED}|{_HOURS})$")


def parse_hours(spans: Iterable[str]) -> WeeklyHours:
    """Opening hours from spans. Raises ValueError with what was found and expected."""
    weekly: list[tuple[int, int, int]] = []
    own: dict[str, list[tuple[int, int]]] = {}
    for span in spans:
        if (exception := _EXCEPTION.match(span.strip().lower())) is None:
            weekly += _weekly(span)
            continue
        hours = [] if exception["from"] is None else [_from_to(exception)]
        for day in _dates(exception["first"], exception["last"] or exception["first"]):
            own.setdefault(day, []).extend(hours)
    exceptions = ((day, tuple(sorted(hours))) for day, hours in sorted(own.items()))
    return WeeklyHours(tuple(sorted(weekly)), tuple(exceptions))


def readable(spans: list[str] | None) -> list[str] | None:
    """Hours that can be read, as they are. Raises what pydantic makes an error of the key."""
    for span in spans or ():
        try:
            parse_hours([span])
        except ValueError as error:
            raise PydanticCustomError("hours", "{said}", {"said": str(error)}) from error
    return spans


def _weekly(span: str) -> list[tuple[int, int, int]]:
    """One span as `(weekday, from, to)` for each of its days, in minutes."""
    match = _SPAN.match(span.strip().lower())
    if match is None:
        examples = '"mon-fri 08:00-22:00" or "2026-12-25 closed"'
        raise ValueError(f"found {span!r}, expected hours such as {examples}")
    start, end = _from_to(match)
    return [(day, start, end) for part in match["days"].split(",") for day in _days(part)]


def _from_to(match: re.Match[str]) -> tuple[int, int]:
    start, end = _minutes(match["from"]), _minutes(match["to"])
    return start, end if end > start else end + DAY_MINUTES


def _dates(first: str, last: str) -> list[str]:
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise ValueError(f"found {first}..{last}, expected days that exist") from None
    days = (end - start).days + 1
    if not 1 <= days <= EXCEPTION_DAYS_MAX:
        raise ValueError(f"found {first}..{last}, expected 1 to {EXCEPTION_DAYS_MAX} days")
    return [(start + timedelta(days=n)).isoformat() for n in range(days)]


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
