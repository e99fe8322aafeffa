"""Utilization as people and the platform ask for it (RULES U2, U3)."""

import csv
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from api.api_rig import FILE, Rig, api_site, served
from store.samples import batch

from gateway.domain.now import DAY_MS, HOUR_MS
from gateway.domain.records import Fact, Record
from gateway.domain.utilization import BUCKET_MS
from gateway.store.store import SqliteStore, StoreOptions

API = "/api/v1/utilization"
BERLIN = ZoneInfo("Europe/Berlin")
QUARTERS = DAY_MS // BUCKET_MS


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


def bucket(facility: str, start_ms: int, state: str, **more: Any) -> Record:
    data = {"facility": facility, "start_ms": start_ms, "spent_ms": {state: BUCKET_MS}, **more}
    return Record(Fact.BUCKET_CLOSED, data)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Two rooms with a past: 28 to 30 March 2026, of which the 29th has 23 hours in Berlin."""
    begin, end = at("2026-03-28"), at("2026-03-31")
    records = [bucket("study", ms, "idle") for ms in range(begin, end, BUCKET_MS)]
    used = range(at("2026-03-29T08:00"), at("2026-03-29T12:00"), BUCKET_MS)
    records = [one for one in records if one.data["start_ms"] not in used]
    records += [bucket("study", ms, "in_use_booked", energy_wh=10, visits=1) for ms in used]
    records += [bucket("gym", ms, "closed") for ms in range(begin, begin + DAY_MS, BUCKET_MS)]
    store = SqliteStore(tmp_path / FILE, StoreOptions(ballast_bytes=0))
    store.open()
    store.commit(batch(1, records))
    store.close()
    site = api_site()
    gym = replace(site.facilities["study"], id="gym", place="compound", doors=(), sensors=())
    rooms = {**site.facilities, "gym": gym}
    async with served(tmp_path, replace(site, zone="Europe/Berlin", facilities=rooms)) as running:
        yield running


async def report(rig: Rig, **asked: str) -> list[dict[str, Any]]:
    answer = await rig.get(API, "technician", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["lines"])


async def test_days_are_the_site_s_own_and_have_23_hours_once(rig: Rig) -> None:
    """U3"""
    lines = await report(rig, **{"from": "2026-03-28", "to": "2026-03-31", "facility": "study"})
    assert [line["to_ms"] - line["from_ms"] for line in lines] == [
        *(DAY_MS, DAY_MS - HOUR_MS, DAY_MS),
    ]
    day = lines[1]
    assert day["spent_s"] == {"in_use_booked": 4 * 3600, "idle": 19 * 3600}
    assert (day["utilization"], day["idle"], day["unknown"]) == (0.1739, 0.8261, 0)
    assert day["counts"]["energy_wh"] == 160
    assert day["counts"]["visits"] == 16


async def test_what_no_bucket_speaks_of_is_unknown_and_no_share_is_made_of_it(rig: Rig) -> None:
    """U2, U3"""
    lines = await report(rig, **{"from": "2026-03-28", "to": "2026-03-30", "facility": "gym"})
    assert lines[0]["spent_s"] == {"closed": 86_400}
    assert lines[0]["utilization"] is None
    assert lines[1]["spent_s"] == {"unknown": 82_800}
    assert lines[1]["unknown"] == 1


async def test_hours_are_those_of_the_wall_s_clock(tmp_path: Path) -> None:
    """U3: also where it stands half an hour, or a quarter, beside UTC."""
    for zone, until in (("Asia/Kolkata", "02:00+05:30"), ("Asia/Kathmandu", "02:00+05:45")):
        async with served(tmp_path / zone, replace(api_site(), zone=zone)) as rig:
            asked = {"from": "2026-03-28", "to": f"2026-03-28T{until}", "bucket": "hour"}
            lines = await report(rig, **asked)
            assert [line["to_ms"] - line["from_ms"] for line in lines] == [HOUR_MS, HOUR_MS]


async def test_a_facility_that_is_asked_for_twice_counts_once(rig: Rig) -> None:
    asked = [("from", "2026-03-28"), ("to", "2026-03-29"), ("group", "kind")]
    twice = [*asked, ("facility", "study"), ("facility", "study")]
    (line,) = (await rig.get(API, params=twice)).json()["lines"]
    assert line["spent_s"] == {"idle": 86_400}


@pytest.mark.parametrize(
    ("grain", "lines"), [("quarter", 284), ("hour", 71), ("week", 2), ("month", 1)]
)
async def test_every_grain_adds_up_to_the_same(rig: Rig, grain: str, lines: int) -> None:
    """U2"""
    asked = {"from": "2026-03-28", "to": "2026-03-31", "facility": "study", "bucket": grain}
    found = await report(rig, **asked)
    assert len(found) == lines
    assert sum(line["spent_s"].get("in_use_booked", 0) for line in found) == 4 * 3600
    assert sum(sum(line["spent_s"].values()) for line in found) == 71 * 3600


async def test_places_and_kinds_are_added_up(rig: Rig) -> None:
    asked = {"from": "2026-03-28", "to": "2026-03-29"}
    by_place = await report(rig, **asked, group="place")
    assert {line["of"] for line in by_place} == {"study_room", "compound"}
    (rooms,) = await report(rig, **asked, group="kind")
    assert rooms["of"] == "room"
    assert rooms["spent_s"] == {"closed": 86_400, "idle": 86_400}


async def test_csv_says_the_same(rig: Rig) -> None:
    asked = {"from": "2026-03-29", "to": "2026-03-30", "facility": "study", "format": "csv"}
    answer = await rig.get(API, params=asked)
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(answer.text.splitlines())
    assert (row["of"], row["from"], row["to"]) == (
        *("study", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
    )
    assert (float(row["in_use_booked_s"]), row["utilization"], row["energy_wh"]) == (
        *(14_400, "0.1739", "160"),
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"from": "2026-03-29", "to": "2026-03-28"}, "from: expected an instant before to"),
        ({"from": "yesterday", "to": "2026-03-28"}, "from: expected a day or time such as"),
        ({"from": "2026-03-28T08:01", "to": "2026-03-29"}, "a whole quarter of an hour"),
        ({"from": "2026-03-28", "to": "2026-03-29", "facility": "stduy"}, "there is no stduy"),
        ({"from": "99999999999999999999", "to": "2026-03-29"}, "from: expected a day or time"),
        ({"from": "1990-01-01", "to": "2026-03-29", "bucket": "quarter"}, "100000 at most"),
    ],
)
async def test_a_senseless_report_is_told_what_was_expected(
    rig: Rig, asked: dict[str, str], expected: str
) -> None:
    answer = await rig.get(API, params=asked)
    assert answer.status_code in (400, 422), answer.text
    assert expected in answer.text


async def test_a_platform_pulls_only_what_is_new(rig: Rig) -> None:
    """U1, U2"""
    pulled, after, more = 0, "", True
    while more:
        params = {"after": after, "limit": "100"}
        page = (await rig.get(f"{API}/changes", "platform", params=params)).json()
        pulled, after, more = pulled + len(page["buckets"]), page["next_after"], page["more"]
    assert pulled == 71 * 4 + 96
    assert (await rig.get(f"{API}/changes", "platform", params={"after": after})).json() == {
        "epoch": rig.store.journal.head().epoch,
        "buckets": [],
        "next_after": after,
        "more": False,
    }


async def test_the_state_of_each_facility_is_a_metric(rig: Rig) -> None:
    text = (await rig.get("/metrics")).text
    mine = 'commons_facility{facility="gym"'
    states = [line for line in text.splitlines() if line.startswith(mine)]
    assert len(states) == 8
    assert sum(float(line.rpartition(" ")[2]) for line in states) == 1


async def test_a_resident_is_told_no_utilization(rig: Rig) -> None:
    asked = {"from": "2026-03-28", "to": "2026-03-29"}
    assert (await rig.get(API, "resident", params=asked)).status_code == 403
