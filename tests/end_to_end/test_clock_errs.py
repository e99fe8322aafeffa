"""A clock that is stepped while the gateway runs: in a booking, a call and a session (DESIGN §6).

What a machine shows is set with libfaketime; nobody vouches for it until it is put right.
"""

import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest
from end_to_end.charging import drawn, end_of, garage, present, start_session
from end_to_end.court import Court, court
from end_to_end.faketime import LIBRARIES, Time
from fixtures.broker import Broker

from simulators.platform.ledger import Entry

AFTER_2038 = "@2038-01-19 03:20:00"
IN_A_BOOKING = ("-10y", "-1h", "+1h", "+10y", AFTER_2038)
PIN = "482913"
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="no libfaketime here (apt: faketime)")


async def ada_has_the_study(here: Court, clock: Time) -> None:
    await here.start(**clock.environment())
    await here.ready()
    assert (await here.platform.subject("ada", pin=PIN)).accepted
    assert (await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))).accepted


async def errs(here: Court, clock: Time, shown: str) -> None:
    """The machine's clock shows something else, and nobody vouches for it."""
    clock.show(shown, "untrusted")
    await here.sees("/status", lambda found: found["clock"]["trust"] == "untrusted")


async def comes_right(here: Court, clock: Time, since: int) -> None:
    """It is put right: what was stamped meanwhile is flagged, and corrected to the truth."""
    clock.show("+0", "synchronised")
    told = here.platform.records
    await here.until(lambda: any(one.fact == "clock.corrected" for one in told[since:]))
    flagged = [record for record in _records(told[since:]) if record["trust"] == "untrusted"]
    assert flagged
    truth_ms = here.now_ms() - time.monotonic_ns() // 1_000_000  # one machine, one monotonic clock
    for record in flagged:
        right_ms = record["at_ms"] + correction(told[since:], record)
        assert abs(right_ms - record["mono_ms"] - truth_ms) <= 1_000, record


def correction(told: Sequence[Entry], record: dict[str, Any]) -> int:
    """As a platform does it: the first for its boot that ends after it."""
    for entry in told:
        data = entry.data
        if entry.fact != "clock.corrected" or data["boot"] != record["boot"]:
            continue
        if record["mono_ms"] < data["before_mono_ms"]:
            return int(data["add_ms"])
    raise AssertionError(f"never corrected: {record}")


def _records(told: Sequence[Entry]) -> list[dict[str, Any]]:
    return [entry.record for entry in told if entry.record is not None]


async def a_call_sounds_and_is_answered(
    here: Court, call_point: str, during: Awaitable[None] | None = None
) -> None:
    """E1, E4: `during` happens while it sounds."""
    siren, raised = here.town.siren(call_point), here.facts().count("call.raised")
    assert await here.town.press(call_point)
    await here.until(lambda: siren.sounding, 5, "no siren")
    if during is not None:
        await during
        assert siren.sounding
    await here.until(lambda: here.facts().count("call.raised") == raised + 1)
    call = here.platform.facts("call.raised")[-1].data["call"]
    async with here.api() as api:
        answer = await api.post(f"/calls/{call}/acknowledge", json={})
        assert answer.is_success, answer.text
        assert await here.town.until(lambda: not siren.sounding, 5)
        (await api.post(f"/calls/{call}/attend", json={})).raise_for_status()
        here.town.reset_button(call_point)
        cleared = await api.post(f"/calls/{call}/clear", json={"outcome": "test"})
        assert cleared.is_success, cleared.text


async def test_in_a_booking_and_in_a_call(tmp_path: Path, broker: Broker) -> None:
    """A1, E1, E4: one life of a gateway whose clock is set wrong five times."""
    async with court(tmp_path, broker) as here:
        clock = Time(tmp_path)
        await ada_has_the_study(here, clock)
        for shown in IN_A_BOOKING:
            since = len(here.platform.records)
            await a_call_sounds_and_is_answered(here, "study_help", errs(here, clock, shown))
            await here.opens("study_door", PIN)
            await here.until(lambda: "access.granted" in here.facts()[since:])  # noqa: B023
            granted = here.platform.facts("access.granted")[-1].data
            assert granted["basis"] == "b1"
            assert granted["clock_uncertain"] is True
            await comes_right(here, clock, since)
        took_ms = [one.data["after_ms"] for one in here.platform.facts("call.acknowledged")]
        assert len(took_ms) == len(IN_A_BOOKING)
        assert max(took_ms) < 60_000, "E4: on monotonic time"
        assert not {"booking.no_show", "booking.ended"} & set(here.facts())
        assert not here.platform.problems


@pytest.mark.parametrize("shown", ["+10y", AFTER_2038])
async def test_at_a_boot(tmp_path: Path, broker: Broker, shown: str) -> None:
    """A1, E1: the plug was pulled, and the machine wakes in another time."""
    async with court(tmp_path, broker) as here:
        clock = Time(tmp_path)
        await ada_has_the_study(here, clock)
        await here.kill()
        since = len(here.platform.records)
        clock.show(shown, "untrusted")
        await here.start(**clock.environment())
        await here.ready()
        await here.opens("study_door", PIN)
        await a_call_sounds_and_is_answered(here, "study_help")
        await comes_right(here, clock, since)
        assert not {"booking.no_show", "booking.ended"} & set(here.facts())
        assert not here.platform.problems


async def test_in_a_session(tmp_path: Path, broker: Broker) -> None:
    """C3, U5: ten years later and ten earlier, it took what the meter says, in true seconds."""
    clock = Time(tmp_path)
    async with garage(tmp_path, broker, **clock.environment()) as here:
        before_wh, began = drawn(here, "bay_keba"), time.monotonic()
        await start_session(here, "bay_keba", "car")
        since = len(here.platform.records)
        for shown in ("+10y", "-10y"):
            await errs(here, clock, shown)
            told = drawn(here, "bay_keba")
            await here.until(lambda: drawn(here, "bay_keba") > told + 2, 40)  # noqa: B023
        await present(here, "bay_keba")
        ended = await end_of(here, "bay_keba")
        took_wh, took_ms = drawn(here, "bay_keba") - before_wh, (time.monotonic() - began) * 1000
        assert abs(ended["energy_wh"] - took_wh) <= 1, (ended, took_wh)
        assert 3_000 < ended["duration_ms"] <= took_ms
        await comes_right(here, clock, since)
