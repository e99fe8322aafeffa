"""Hours of a week on the wall's clock, and the classes of price that hang on them (RULES U3)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Local minutes of a week: `(weekday 0-6, from, to)`; `to` may be past 1440, over midnight.

    An exception is a date (ISO 8601) with hours of its own, `(from, to)`; none: closed. A span is
    of the day on which it begins.
    """

    spans: tuple[tuple[int, int, int], ...]
    exceptions: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Tariff:
    """In which class of price a use is at any time: the first whose hours it is, else `otherwise`.

    What a class costs is the platform's own affair.
    """

    id: str
    otherwise: str
    classes: tuple[tuple[str, WeeklyHours], ...] = ()
