"""Where the time of facilities went (RULES U2, U3)."""

import random
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from core.garage import Garage
from core.harness import DESK, World
from core.sites import court, facility, sensor

from gateway.domain.events import ReadingsChanged, SessionStopAsked, SiteChanged
from gateway.domain.hours import WeeklyHours
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Trust
from gateway.domain.records import Fact, Record
from gateway.domain.utilization import BUCKET_MS, Usage

HOLD = 5  # minutes for which a sensor has to have been heard before its silence says something


@pytest.fixture
def world() -> World:
    found = World(at="2026-03-02 09:00")
    found.person("ann", pin="1111", card="ann")
    found.person("ben", pin="2222")
    return found


def buckets(world: World, id_: str) -> list[Record]:
    return [one for one in world.facts(Fact.BUCKET_CLOSED) if one.data["facility"] == id_]


def spent(world: World, id_: str) -> Counter[str]:
    """Milliseconds in each state, over all closed buckets."""
    found: Counter[str] = Counter()
    for bucket in buckets(world, id_):
        assert sum(bucket.data["spent_ms"].values()) == BUCKET_MS  # U2: adds up exactly
        found.update(bucket.data["spent_ms"])
    return found


def minutes(world: World, id_: str) -> dict[str, float]:
    return {state: ms / MINUTE_MS for state, ms in spent(world, id_).items()}


def counted(world: World, id_: str, what: str) -> int:
    return sum(bucket.data.get(what, 0) for bucket in buckets(world, id_))


# --- what a second is ---------------------------------------------------------------------------


def test_a_booking_is_held_until_its_holder_comes_and_then_in_use(world: World) -> None:
    """U2"""
    world.book("b1", "store", "ann", "09:15", "10:00")
    world.at("09:20")
    world.enter("store", "1111")
    world.at("09:50")
    world.leave("store")
    world.at("10:11")
    found = minutes(world, "store")
    assert found["held"] == pytest.approx(5, abs=0.1)
    assert found["in_use_booked"] == pytest.approx(40, abs=0.1)  # no sensor: to the booking's end
    assert found["idle"] == pytest.approx(15, abs=0.1)
    assert counted(world, "store", "visits") == 1


def test_presence_without_a_booking_is_a_walk_in(world: World) -> None:
    """U2"""
    world.read("pir/terrace", True)
    world.wait(minutes=10)
    world.read("pir/terrace", False)
    world.at("10:10")
    found = minutes(world, "terrace")
    hold = world.site.facilities["terrace"].sensors[0].hold_ms / MINUTE_MS
    assert found["in_use_walk_in"] == pytest.approx(10 + hold, abs=0.1)


def test_an_outlet_is_known_again_as_soon_as_it_is_read_after_a_restart() -> None:
    """U2: all of it in one answer, so that nobody looked while it was not."""
    garage = Garage()
    garage.run(60)
    garage.at("09:31")
    known = [one for one in garage.readings.all() if one.ref.device == "car1"]
    garage.restart(off_ms=10_000)
    read = tuple(replace(one, mono_ms=garage.mono_ms) for one in known)
    for reading in read:
        garage.readings.put(reading)
    garage.tell(ReadingsChanged(read))
    garage.at("10:11")
    assert minutes(garage, "car1")["idle"] == pytest.approx(60, abs=0.4)


def test_a_silent_sensor_leaves_the_time_unknown(world: World) -> None:
    """U2: unknown comes before all else; a quarter of which nothing is known has no bucket."""
    world.at("09:15")
    world.silence("pir")
    world.wait(minutes=60)
    world.heal("pir")
    world.at("12:00")
    starts = [bucket.data["start_ms"] for bucket in buckets(world, "terrace")]
    gap = set(range(world.clock("09:30"), world.clock("10:00"), BUCKET_MS))
    assert not gap & set(starts)
    assert minutes(world, "terrace").get("unknown", 0) < 60


def test_outside_its_hours_a_facility_is_closed_and_not_idle() -> None:
    """U2, U3"""
    hours = WeeklyHours(tuple((day, 10 * 60, 12 * 60) for day in range(7)))
    pool = facility("pool", "terrace", sensors=(sensor("pir/pool"),), open_hours=hours)
    world = World(court(facilities=[pool]), at="2026-03-02 09:00")
    world.at("13:10")
    found = minutes(world, "pool")
    assert found["idle"] == 120
    assert found["closed"] == pytest.approx(120 - HOLD, abs=0.01)
    assert found["unknown"] == pytest.approx(HOLD, abs=0.01)


def test_a_door_nobody_can_open_is_out_of_service(world: World) -> None:
    world.at("09:30")
    world.silence("gate")
    world.at("10:00")
    world.heal("gate")
    world.at("10:30")
    assert minutes(world, "store")["out_of_service"] == pytest.approx(30, abs=0.1)


def test_refusals_are_counted_as_unmet_demand_by_their_reason(world: World) -> None:
    world.pin("store", "1111")
    world.wait(minutes=30)
    found = Counter[str]()
    for bucket in buckets(world, "store"):
        found.update(bucket.data.get("refused", {}))
    assert sum(found.values()) == 1
    assert found == Counter({world.last(Fact.REFUSED).data["reason"]["code"]: 1})


def test_a_no_show_counts_where_its_booking_began(world: World) -> None:
    world.book("b1", "study", "ann", "09:30", "11:00")
    world.at("11:30")
    (told,) = [one for one in buckets(world, "study") if one.data.get("no_shows")]
    assert told.data["start_ms"] == world.clock("09:30")


def test_energy_sessions_and_a_car_that_stays_plugged_in() -> None:
    """U2: occupied and not used is blocked."""
    garage = Garage()
    garage.person("ann", pin="1111")
    garage.right("r1", "ann", "car1")
    garage.plug("car1")
    garage.type_pin("1111", "car1")
    garage.run(20 * 60)
    garage.tell(SessionStopAsked(garage.session("car1").id, DESK))
    garage.run(40 * 60)
    metered = int(garage.cars["car1"].wh) - 5_000
    assert counted(garage, "car1", "energy_wh") == metered > 1_000
    assert counted(garage, "car1", "sessions") == 1
    found = minutes(garage, "car1")
    assert found["in_use_walk_in"] == pytest.approx(20, abs=0.5)
    assert found["blocked"] == pytest.approx(25, abs=1)  # and plugged in after the stop


# --- when it is closed --------------------------------------------------------------------------


def test_a_bucket_is_closed_ten_minutes_late(world: World) -> None:
    """U2"""
    world.at("09:24:59")
    assert buckets(world, "terrace") == []
    world.at("09:25:01")
    (bucket,) = buckets(world, "terrace")
    assert bucket.data["start_ms"] == world.clock("09:00")


def test_on_an_untrusted_clock_nothing_is_closed_and_the_time_is_unknown(world: World) -> None:
    """U2, DESIGN §6"""
    world.at("09:15")
    world.step_clock(-DAY_MS, Trust.UNTRUSTED)
    world.wait(hours=1)
    assert buckets(world, "terrace") == []
    world.step_clock(DAY_MS, Trust.SYNCHRONISED)
    world.at("11:00")
    assert minutes(world, "terrace")["idle"] == pytest.approx(15 - HOLD + 30, abs=0.1)


def test_a_wall_time_that_comes_twice_counts_once(world: World) -> None:
    world.at("10:00")
    world.step_clock(-HOUR_MS)
    world.at("11:10")
    starts = [bucket.data["start_ms"] for bucket in buckets(world, "terrace")]
    assert len(starts) == len(set(starts))
    spent(world, "terrace")


def test_a_clock_that_was_ten_years_ahead_for_a_while_stops_no_account(world: World) -> None:
    world.step_clock(3_650 * DAY_MS)
    world.wait(minutes=40)
    world.step_clock(-3_650 * DAY_MS)
    before = len(buckets(world, "terrace"))
    world.wait(hours=1)
    assert len(buckets(world, "terrace")) > before


def test_a_quarter_of_an_hour_that_a_wrong_clock_had_closed_is_whole_when_it_comes() -> None:
    """U2: two days ahead for a while, trusted; what happened meanwhile is counted once."""
    world = World(at="2026-03-02 09:00")
    world.person("ann", pin="1111")
    world.step_clock(2 * DAY_MS)
    world.wait(minutes=25)
    world.pin("store", "1111")  # refused
    world.wait(minutes=7)
    world.step_clock(-2 * DAY_MS)
    world.wait(hours=2 * 24 + 1)
    told: dict[int, list[Record]] = defaultdict(list)
    for bucket in buckets(world, "store"):
        assert sum(bucket.data["spent_ms"].values()) == BUCKET_MS
        assert all(ms > 0 for ms in bucket.data["spent_ms"].values())
        told[bucket.data["start_ms"]].append(bucket)
    twice = [found for found in told.values() if len(found) > 1]
    assert twice
    assert all(found[-1].data["spent_ms"] == {"idle": BUCKET_MS} for found in twice)
    refused = [bucket for bucket in buckets(world, "store") if "refused" in bucket.data]
    assert len(refused) == 1


def test_what_happens_on_an_untrusted_clock_counts_in_the_last_bucket_known(world: World) -> None:
    """U2: wherever the wrong clock stands."""
    for years in (-30, 10):
        before = len(world.facts(Fact.REFUSED))
        world.step_clock(years * 365 * DAY_MS, Trust.UNTRUSTED)
        world.pin("store", "1111")
        world.wait(minutes=1)
        world.step_clock(-years * 365 * DAY_MS, Trust.SYNCHRONISED)
        assert len(world.facts(Fact.REFUSED)) == before + 1
    world.wait(hours=1)
    assert world.facts(Fact.BUCKET_AMENDED) == []
    found = [
        bucket.data["refused"] for bucket in buckets(world, "store") if "refused" in bucket.data
    ]
    assert sum(sum(refused.values()) for refused in found) == 2


def test_what_is_known_late_is_a_fact_of_its_own(world: World) -> None:
    """U2: a late fact issues a new revision of the bucket."""
    later = replace(world.site.settings.booking, no_show_grace_ms=40 * MINUTE_MS)
    settings = replace(world.site.settings, booking=later)
    world.site = replace(world.site, settings=settings)
    world.step.reload(world.site, world.now())
    world.book("b1", "study", "ann", "09:30", "11:00")
    world.at("11:30")
    (told,) = world.facts(Fact.BUCKET_AMENDED)
    assert told.data == {"facility": "study", "start_ms": world.clock("09:30"), "no_shows": 1}


def test_a_date_with_hours_of_its_own_is_closed() -> None:
    """U2, U3: an exception."""
    daily = WeeklyHours(
        tuple((day, 0, 24 * 60) for day in range(7)), (("2026-03-03", ((600, 720),)),)
    )
    pool = facility("pool", "terrace", open_hours=daily)
    world = World(court(facilities=[pool]), at="2026-03-02 00:00")
    world.at("2026-03-04 00:11")
    assert minutes(world, "pool") == {"idle": 24 * 60 + 120, "closed": 22 * 60}


def test_no_bucket_is_lost_while_the_store_is(world: World) -> None:
    """U2, X1: what was closed meanwhile is written when there is a disk again, each once."""
    world.at("10:00")
    world.disk.broken = True
    world.read("pir/terrace", True)
    world.at("13:00")
    world.mend_disk()
    world.at("14:00")
    world.commit()
    written = [one.record for one in world.disk.records if one.record.fact is Fact.BUCKET_CLOSED]
    held = [record.data for record in written if record.data["facility"] == "terrace"]
    quarters = range(world.clock("09:00"), world.clock("13:45"), BUCKET_MS)
    assert [data["start_ms"] for data in held] == list(quarters)
    assert all(sum(data["spent_ms"].values()) == BUCKET_MS for data in held)
    used = sum(data["spent_ms"].get("in_use_walk_in", 0) for data in held)
    assert used == pytest.approx(3 * HOUR_MS + 45 * MINUTE_MS, abs=SECOND_MS)


def test_an_absence_is_unknown_and_what_held_before_it_is_not(world: World) -> None:
    """A start knows until when the last one lived."""
    world.at("09:12")
    world.restart(off_ms=5 * MINUTE_MS)
    world.settle()
    world.at("10:00")
    assert minutes(world, "terrace")["unknown"] == pytest.approx(HOLD + 5, abs=0.1)


# --- a month ------------------------------------------------------------------------------------


def test_over_a_month_with_faults_and_two_clock_changes_every_second_is_somewhere() -> None:
    """U2, U3: Casablanca in the summer of 2012 left and resumed daylight saving within 31 days."""
    hours = WeeklyHours(tuple((day, 6 * 60, 22 * 60) for day in range(7)))
    pool = facility(
        "pool", "terrace", sensors=(sensor("pir/pool", hold_ms=60_000),), open_hours=hours
    )
    world = World(court(facilities=[pool], zone="Africa/Casablanca"), at="2012-07-19 00:00")
    began, chance = world.wall_ms, random.Random(2012)
    truth: Counter[str] = Counter()
    for _ in range(34):
        for _ in range(3):
            world.wait(minutes=chance.randint(10, 200))
            used = chance.randint(5, 90) * MINUTE_MS
            world.read("pir/pool", True)
            world.wait(ms=used)
            world.read("pir/pool", False)
            world.wait(minutes=1)
            truth["in_use_walk_in"] += used + MINUTE_MS
        if chance.random() < 0.3:
            silent = chance.randint(5, 60) * MINUTE_MS
            world.silence("pir")
            world.wait(ms=silent)
            world.heal("pir")
            truth["unknown"] += silent
        if chance.random() < 0.2:
            away = chance.randint(1, 30) * MINUTE_MS
            world.restart(off_ms=away)
            world.settle()
            truth["unknown"] += away
    world.wait(ms=BUCKET_MS * 2)
    found = spent(world, "pool")
    starts = [bucket.data["start_ms"] for bucket in buckets(world, "pool")]
    assert len(starts) == len(set(starts))
    until = max(starts) + BUCKET_MS
    found["unknown"] += until - began - sum(found.values())  # quarters without a bucket
    assert sum(found.values()) == until - began
    assert found["in_use_walk_in"] == pytest.approx(truth["in_use_walk_in"], abs=34 * 3 * SECOND_MS)
    assert found["unknown"] == pytest.approx(truth["unknown"], rel=0.15)
    assert {"closed", "idle"} <= set(found)


def test_a_facility_that_left_the_site_is_closed_with_what_it_had(world: World) -> None:
    world.wait(minutes=HOLD + 5)
    fewer = {id_: one for id_, one in world.site.facilities.items() if id_ != "terrace"}
    world.site = replace(world.site, facilities=fewer)
    world.step.reload(world.site, world.now())
    world.tell(SiteChanged("digest", ()))
    (bucket,) = buckets(world, "terrace")
    assert bucket.data["spent_ms"]["idle"] == pytest.approx(5 * MINUTE_MS, abs=SECOND_MS)
    assert world.state.get(Usage, "terrace") is None
