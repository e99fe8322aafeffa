"""What was recorded in the real world is told by the gateway as it was (RULES C3, C5, U2)."""

from collections import Counter

import pytest

from simulators.relive import relive_room, relive_session, trace_site
from simulators.traces import (
    CLOCK_BACK,
    NO_END,
    ROOM,
    SESSIONS,
    SHIFTED,
    real_minutes,
    real_sessions,
)

with_sessions = pytest.mark.skipif(not SESSIONS.exists(), reason=f"no data at {SESSIONS}")
with_room = pytest.mark.skipif(not ROOM.exists(), reason=f"no data at {ROOM}")
EVERY = 60


@with_sessions
def test_rows_that_contradict_themselves_are_named_with_the_reason() -> None:
    rows = list(real_sessions())
    wrong = Counter(row.wrong for row in rows if row.wrong)
    assert len(rows) == 6_878
    assert wrong == {NO_END: 34, CLOCK_BACK: 17, SHIFTED: 5}
    assert [row.id for row in rows if row.wrong == SHIFTED] == [
        "1368",
        "1369",
        "1370",
        "1371",
        "1372",
    ]


@with_sessions
def test_recorded_sessions_have_the_recorded_energy_and_duration() -> None:
    """C3, C5: to the resolution of the trace, which is 10 Wh and a minute; of the meter, 1 Wh."""
    site = trace_site()
    rows = [row for row in real_sessions() if row.usable]
    across = [row for row in rows if row.wrong == CLOCK_BACK]
    for row in rows[::EVERY] + across:
        lived = relive_session(site, row)
        assert lived.sessions == 1, row
        assert abs(lived.energy_wh - row.energy_wh) <= 10, row
        assert abs(lived.energy_wh - lived.metered_wh) <= 1, row
        assert row.duration_s is not None
        assert abs(lived.duration_ms / 1_000 - row.duration_s) <= 60, row


@with_room
@pytest.mark.parametrize(
    ("sensors", "missed_most", "false_most"),
    [
        (("radar",), 0.0, 0.05),
        (("motion",), 0.2, 0.05),
        (("motion", "co2 over 700 ppm"), 0.05, 0.3),
    ],
    ids=str,
)
def test_a_recorded_room_is_in_use_while_somebody_is_there(
    sensors: tuple[str, ...], missed_most: float, false_most: float
) -> None:
    """U2, as well as what watches the room can tell: shares of the minutes with somebody there."""
    found = relive_room(real_minutes("datatest.txt"), *sensors)
    assert found.missed <= missed_most * found.occupied
    assert found.false <= false_most * found.occupied
    assert found.unknown <= 5
