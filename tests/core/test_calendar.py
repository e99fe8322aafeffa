"""Weekly hours on the wall's clock, through changes of the clock (RULES A8, U3)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.calendar import instant_ms, next_change_ms, within
from gateway.domain.hours import WeeklyHours

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
DAILY = tuple((day, 9 * 60, 17 * 60) for day in range(7))


def ms(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("at", "open_"),
    [("08:59:59", False), ("09:00", True), ("16:59:59", True), ("17:00", False)],
)
def test_hours_are_half_open(at: str, open_: bool) -> None:
    assert within(WeeklyHours(DAILY), ms(f"2026-03-02T{at}", SHANGHAI), SHANGHAI) is open_


def test_no_hours_are_always_and_empty_hours_never() -> None:
    assert within(None, ms("2026-03-02T03:00"), BERLIN)
    assert not within(WeeklyHours(()), ms("2026-03-02T03:00"), BERLIN)


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        ("2026-03-06T22:00", True),
        ("2026-03-07T01:59", True),
        ("2026-03-07T02:00", False),
        ("2026-03-07T22:30", False),
        ("2026-03-06T01:00", False),
    ],
)
def test_hours_may_cross_midnight(at: str, open_: bool) -> None:
    friday_night = WeeklyHours(((4, 22 * 60, 26 * 60),))
    assert within(friday_night, ms(at, SHANGHAI), SHANGHAI) is open_


EXCEPT = (("2026-12-24", ((9 * 60, 14 * 60),)), ("2026-12-25", ()), ("2026-12-31", ((1320, 1560),)))


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        *(("2026-12-24T13:59", True), ("2026-12-24T14:00", False)),
        *(("2026-12-25T10:00", False), ("2026-12-26T10:00", True)),
        *(("2026-12-31T10:00", False), ("2027-01-01T01:59", True), ("2027-01-01T02:00", False)),
    ],
)
def test_a_date_has_hours_of_its_own(at: str, open_: bool) -> None:
    """U3: opening hours have exceptions, which may cross midnight too."""
    assert within(WeeklyHours(DAILY, EXCEPT), ms(at), BERLIN) is open_


def test_weeks_that_are_closed_end_and_a_single_day_is_found_however_far() -> None:
    """U3"""
    closed = tuple((f"2026-12-{day:02}", ()) for day in range(1, 32))
    winter = WeeklyHours(DAILY, closed)
    assert next_change_ms(winter, ms("2026-11-30T17:00"), BERLIN) == ms("2027-01-01T09:00")
    once = WeeklyHours((), (("2027-06-01", ((600, 660),)),))
    assert next_change_ms(once, ms("2026-12-01T12:00"), BERLIN) == ms("2027-06-01T10:00")


def test_a_time_that_daylight_saving_skips_is_the_next_that_exists() -> None:
    """U3: in Berlin 2026-03-29 02:00–03:00 is not."""
    day = datetime(2026, 3, 29, tzinfo=BERLIN)
    spring = ms("2026-03-29T03:00")
    assert instant_ms(day, 2 * 60, BERLIN) == spring
    assert instant_ms(day, 2 * 60 + 30, BERLIN) == spring
    assert instant_ms(day, 3 * 60, BERLIN) == spring
    assert instant_ms(day, 1 * 60 + 59, BERLIN) == spring - 60_000


def test_a_time_that_is_repeated_is_its_first() -> None:
    """U3: in Berlin 2026-10-25 02:30 is twice."""
    day = datetime(2026, 10, 25, tzinfo=BERLIN)
    assert instant_ms(day, 2 * 60 + 30, BERLIN) == ms("2026-10-25T02:30", fold=0)
    assert ms("2026-10-25T02:30", fold=1) - ms("2026-10-25T02:30", fold=0) == 3_600_000


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)]
)
def test_a_day_has_23_24_or_25_hours(day: str, hours: int) -> None:
    """U3"""
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    end = instant_ms(start, 24 * 60, BERLIN)
    assert end - instant_ms(start, 0, BERLIN) == hours * 3_600_000


def test_the_next_change_is_the_next_edge() -> None:
    hours = WeeklyHours(((0, 540, 1020), (4, 1320, 1560)))
    edges = ["2026-03-02T09:00", "2026-03-02T17:00", "2026-03-06T22:00", "2026-03-07T02:00"]
    at = ms("2026-03-02T00:00")
    for edge in [*edges, "2026-03-09T09:00"]:
        following = next_change_ms(hours, at, BERLIN)
        assert following == ms(edge)
        at = following
    assert next_change_ms(WeeklyHours(()), at, BERLIN) is None


def _some(days: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    """Spans: the day, when it begins, how long it is."""
    return st.lists(st.tuples(days, st.integers(0, 1439), st.integers(1, 1440)), max_size=4)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 366 * 24 * 60),
    _some(st.integers(0, 6)),
    _some(st.integers(0, 400)),
    st.sampled_from(["Europe/Berlin", "Asia/Shanghai", "America/St_Johns", "Australia/Lord_Howe"]),
)
def test_the_hours_change_at_the_next_change_and_not_before(minute, spans, dates, name) -> None:
    zone = ZoneInfo(name)
    hours = WeeklyHours(
        tuple((day, start, start + length) for day, start, length in spans),
        tuple(
            ((date(2026, 1, 1) + timedelta(days=day)).isoformat(), ((start, start + length),))
            for day, start, length in dates
        ),
    )
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    now = int(at.timestamp() * 1000)
    edge = next_change_ms(hours, now, zone)
    assert edge is not None or not spans
    if edge is not None:
        assert edge > now
        middle = now + (edge - now) // 2
        assert within(hours, now, zone) is within(hours, middle, zone)
        assert within(hours, now, zone) is within(hours, edge - 1, zone)
