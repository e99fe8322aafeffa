"""Visits that go on and visits that ended (RULES A7)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from api.api_rig import HOUR_MS, Rig, api_site, served

API = "/api/v1/visits"


async def enter(rig: Rig) -> None:
    await rig.post(
        "/api/v1/doors/study_room_door/present", {"credential": {"kind": "remote"}}, "resident"
    )
    await rig.press("board/input_1")


async def visits(rig: Rig, query: str = "", role: str = "desk") -> dict[str, Any]:
    found = await rig.get(f"{API}?{query}", role)
    assert found.status_code == 200, found.text
    return dict(found.json())


async def test_a_visit_goes_on_while_somebody_is_in(rig: Rig) -> None:
    await rig.booking()
    await enter(rig)
    (visit,) = (await visits(rig))["open"]
    assert (visit["facility"], visit["booking"], visit["subject"]) == ("study", "b1", "ada")
    assert visit["cause"] is None
    assert (await visits(rig, role="technician"))["open"][0]["subject"] is None
    assert (await visits(rig, "facility=study"))["open"]


async def test_a_visit_that_ended_is_found_by_cursor_once(tmp_path: Path) -> None:
    """Without a sensor a visit ends with its booking."""
    site = api_site()
    study = replace(site.facilities["study"], sensors=())
    async with served(tmp_path, api_site(facilities={"study": study})) as rig:
        await rig.people()
        now_ms = rig.clock.wall_ms()
        await rig.booking(start_ms=now_ms - HOUR_MS, end_ms=now_ms + 400)
        await enter(rig)
        after = 0
        while not (page := await visits(rig, f"after={after}"))["closed"]:
            after = page["next_after"]
            await rig.engine.committed(after)
        (ended,) = page["closed"]
        assert (ended["subject"], ended["cause"]) == ("ada", "booking_ended")
        assert ended["duration_ms"] >= 0
        assert page["open"] == []
        assert (await visits(rig, f"after={page['next_after']}"))["closed"] == []
        assert (await visits(rig, "after=0", "technician"))["closed"][0]["subject"] is None


async def test_a_cursor_beyond_the_journal_or_an_unknown_facility_is_a_problem(rig: Rig) -> None:
    assert (await rig.get(f"{API}?after=99999")).status_code == 409
    assert (await rig.get(f"{API}?facility=studdy")).json()["nearest"] == "study"
