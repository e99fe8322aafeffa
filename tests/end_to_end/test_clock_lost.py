"""A power cut with no network, and a clock that starts again in 1970 (DESIGN §6, RULES B6, B8)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from end_to_end.court import Court, court
from end_to_end.faketime import LIBRARIES, Time
from fixtures.broker import Broker

GRACE_S = 1
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="no libfaketime here (apt: faketime)")


@pytest.fixture
async def quick(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    """The court, where a booking waits a second for its holder."""
    change = {"settings": {"booking": {"no_show_grace_s": GRACE_S}}}
    async with court(tmp_path, broker, change) as served:
        yield served


async def test_in_1970_holder_and_staff_get_in_calls_sound_and_nothing_is_ended(
    quick: Court, tmp_path: Path
) -> None:
    here, time = quick, Time(tmp_path)
    await here.start(**time.environment())
    await here.ready()
    await here.platform.subject("ada", pin="482913")
    await here.platform.subject("rolf", pin="735120", roles=["staff"])
    await here.platform.right("r1", "rolf", ["study_door"])
    start_ms, end_ms = here.window(1 / 60, 60)
    assert (await here.platform.book("b1", "study", ["ada"], (start_ms, end_ms))).accepted

    await here.kill()
    await here.platform.offline()
    time.show("@1970-01-01 00:05:00", "untrusted")
    await here.start(**time.environment())
    await here.ready()
    shown = await here.sees("/status", lambda found: found["clock"]["trust"] == "untrusted")
    assert start_ms - 120_000 < shown["clock"]["wall_ms"] < end_ms, "from the last trusted time"
    await here.opens("study_door", "735120")
    assert await here.town.press("study_help")
    siren = here.town.siren("study_help")
    assert await here.town.until(lambda: siren.sounding, 5), here.log.read_text()
    over = start_ms + (GRACE_S + 1) * 1000
    await here.sees("/status", lambda found: found["clock"]["wall_ms"] > over, 30)
    await here.opens("study_door", "482913")

    await here.platform.online()
    refused = await here.platform.command("release_door", "study_door", by="Petra", why="a parcel")
    assert refused.code == "clock_untrusted"
    await here.until(lambda: len(here.platform.facts("access.granted")) == 2)
    by_right, by_booking = here.platform.facts("access.granted")
    assert (by_right.data["basis"], by_booking.data["basis"]) == ("r1", "b1")
    assert by_booking.data["clock_uncertain"] is True
    assert "clock.corrected" not in here.facts()

    time.show("+0", "synchronised")
    corrected = (await here.has("clock.corrected")).data
    assert by_booking.record["boot"] == corrected["boot"]
    assert by_booking.record["mono_ms"] < corrected["before_mono_ms"]
    faults = [fact.data["fault"] for fact in here.platform.facts("fault.")]
    assert faults.count("clock_lost:clock") == 2, "opened and closed"
    assert "booking.no_show" not in here.facts()
    assert not here.platform.problems
