"""Presence becomes visits, check-ins and vacancy (RULES A7, B5, B6)."""

import pytest
from core.harness import World
from core.sites import court, facility, sensor

from gateway.domain.bookings import BookingStatus
from gateway.domain.now import MINUTE_MS
from gateway.domain.points import Quality
from gateway.domain.records import Fact
from gateway.domain.site import SensorKind
from gateway.domain.subjects import Role
from gateway.domain.visits import RoomStatus, Visit


@pytest.fixture
def world() -> World:
    found = World()
    for name, pin in (("ann", "1111"), ("ben", "2222")):
        found.person(name, pin=pin, card=name)
    found.person("cleo", card="cleo", role=Role.CLEANER)
    found.right("r1", "cleo", "*")
    found.wait(minutes=6)  # the sensors have seen nobody for their hold time
    found.book("b1", "study", "ann", "09:00", "11:00")
    found.forget()
    return found


def present(world: World, name: str = "study") -> bool | None:
    return world.get(RoomStatus, name).present


def status(world: World, id_: str = "b1") -> BookingStatus:
    return world.booking(id_).status


# --- check-in (B5) ------------------------------------------------------------------------------


def test_the_holders_entering_is_the_check_in(world: World) -> None:
    """B5"""
    world.pin("study", "1111")
    assert status(world) is BookingStatus.ENFORCED
    world.open("study")
    assert status(world) is BookingStatus.CHECKED_IN
    assert world.booking("b1").checked_in_ms == world.wall_ms
    assert world.names(Fact.GRANTED) == [
        "access.entered",
        "visit.opened",
        "booking.checked_in",
        "presence.began",
    ]


def test_passing_the_door_on_the_way_is_no_check_in(world: World) -> None:
    world.enter("front", "1111")
    assert world.last(Fact.ENTERED).data["door"] == "front"
    assert status(world) is BookingStatus.ENFORCED
    assert world.visits("study") == []


def test_a_cleaners_entry_is_no_check_in(world: World) -> None:
    """B5: nor is the presence that follows it."""
    assert world.card("study", "cleo").accepted
    world.pass_through("study")
    world.read("pir/study", True)
    assert world.visits("study") == ["cleo"]
    assert world.last(Fact.VISIT_OPENED).data["staff"] is True
    assert status(world) is BookingStatus.ENFORCED


def test_a_member_of_staff_who_holds_the_booking_checks_in(world: World) -> None:
    world.book("b2", "music", "cleo", "09:00", "11:00")
    world.card("music", "cleo")
    world.wait(seconds=1)
    world.read("lock/state", "unlocked")
    assert status(world, "b2") is BookingStatus.CHECKED_IN


def test_presence_after_vacancy_is_the_check_in_where_no_door_knows_who_came(world: World) -> None:
    """B5"""
    world.book("t1", "terrace", "ann", "10:00", "11:00")
    world.at("10:05")
    assert status(world, "t1") is BookingStatus.ENFORCED
    world.read("pir/terrace", True)
    assert status(world, "t1") is BookingStatus.CHECKED_IN


def test_presence_at_a_door_that_knows_who_came_is_no_check_in(world: World) -> None:
    world.read("pir/study", True)
    assert present(world) is True
    assert status(world) is BookingStatus.ENFORCED


def test_presence_carried_over_from_before_is_no_check_in(world: World) -> None:
    """B5"""
    world.book("t1", "terrace", "ann", "10:00", "11:00")
    world.at("09:58")
    world.read("pir/terrace", True)
    world.at("10:30")
    assert status(world, "t1") is BookingStatus.ENFORCED
    world.read("pir/terrace", False)
    world.wait(minutes=6)
    world.read("pir/terrace", True)
    assert status(world, "t1") is BookingStatus.CHECKED_IN


def test_presence_behind_an_open_door_checks_in_its_one_booking(world: World) -> None:
    """B5, A8: in open hours nobody shows a card."""
    world.book("l1", "lounge", "ann", "10:00", "11:00")
    world.at("10:05")
    world.pass_through("lounge")
    world.read("pir/lounge", True)
    assert status(world, "l1") is BookingStatus.CHECKED_IN


def test_presence_that_may_be_any_of_several_checks_in_none_and_spares_all(world: World) -> None:
    deck = facility("terrace", "terrace", capacity=2, sensors=(sensor("pir/terrace"),))
    shared = World(court(facilities=[deck]))
    shared.wait(minutes=6)
    shared.book("t1", "terrace", "ann", "10:00", "11:00")
    shared.book("t2", "terrace", "ben", "10:00", "11:00")
    shared.at("10:05")
    shared.read("pir/terrace", True)
    shared.wait(seconds=1)
    shared.read("pir/terrace", False)
    shared.at("10:59")
    assert {status(shared, "t1"), status(shared, "t2")} == {BookingStatus.ENFORCED}


def test_who_came_early_is_checked_in_when_the_booking_begins(world: World) -> None:
    """B5: an uncertain clock let them in before their time."""
    world.book("m1", "music", "ann", "10:00", "11:00")
    world.step_clock(0, world.trust.UNTRUSTED)
    assert world.pin("music", "1111").accepted
    world.read("lock/state", "unlocked")
    world.step_clock(0, world.trust.SYNCHRONISED)
    assert status(world, "m1") is BookingStatus.ENFORCED
    world.at("10:00")
    assert status(world, "m1") is BookingStatus.CHECKED_IN


# --- visits (A7) --------------------------------------------------------------------------------


def test_a_visit_ends_with_a_leaving_that_no_presence_follows(world: World) -> None:
    """A7"""
    world.enter("study", "1111")
    world.wait(minutes=20)
    world.leave("study")
    world.wait(minutes=5, seconds=-3)
    assert world.visits("study") == ["ann"]
    world.wait(seconds=3)
    assert world.visits("study") == []
    closed = world.last(Fact.VISIT_CLOSED)
    assert closed.data["cause"] == "left"
    assert closed.personal == {"subject": "ann"}
    assert closed.data["duration_ms"] == pytest.approx(25 * MINUTE_MS, abs=5_000)


def test_presence_after_a_leaving_says_that_somebody_stayed(world: World) -> None:
    """A7"""
    world.enter("study", "1111")
    world.wait(minutes=20)
    world.leave("study")
    world.wait(minutes=1)
    world.read("pir/study", True)
    world.read("pir/study", False)
    world.wait(minutes=30)
    assert world.visits("study") == ["ann"]


def test_the_last_the_sensor_saw_of_who_leaves_keeps_no_visit_open(world: World) -> None:
    """A7: a motion sensor reports a minute late that it sees nobody."""
    world.enter("study", "1111")
    world.wait(minutes=20)
    world.read("pir/study", True)
    world.leave("study")
    world.wait(minutes=1)
    world.read("pir/study", False)
    world.wait(minutes=4)
    assert world.visits("study") == []


def test_a_presence_sensor_that_still_sees_somebody_keeps_the_visit(world: World) -> None:
    world.book("m1", "music", "ann ben", "09:00", "11:00")
    for pin in ("1111", "2222"):
        world.pin("music", pin)
        world.read("lock/state", "unlocked")
        world.wait(seconds=25)
        world.read("lock/state", "locked")
    world.read("radar/music", True)
    world.lock_acts("manual_unlock", action_source_name="manual")
    world.wait(minutes=10)
    assert world.visits("music") == ["ann", "ben"]
    world.read("radar/music", False)
    world.lock_acts("manual_unlock", action_source_name="manual")
    world.wait(minutes=5)
    assert world.visits("music") == []


def test_air_that_is_still_stale_neither_keeps_nor_ends_a_visit() -> None:
    """A7: CO₂ stays behind them."""
    lab = facility(
        "study",
        "study_room",
        doors=("study",),
        sensors=(sensor("air/co2", SensorKind.CO2, threshold=800.0),),
    )
    world = World(court(facilities=[lab]))
    world.person("ann", pin="1111")
    world.book("b1", "study", "ann", "09:00", "11:00")
    world.enter("study", "1111")
    for ppm in (700, 900, 1_200):
        world.read("air/co2", ppm)
        world.wait(minutes=5)
    world.leave("study")
    for ppm in (1_100, 1_000, 900):
        world.wait(minutes=5)
        world.read("air/co2", ppm)
    assert world.visits("study") == ["ann"]
    world.read("air/co2", 700)
    world.wait(minutes=5)
    assert world.visits("study") == []


def test_who_comes_back_goes_on_with_their_visit(world: World) -> None:
    world.enter("study", "1111")
    world.wait(minutes=5)
    world.leave("study")
    world.wait(minutes=2)
    world.enter("study", "1111")
    world.wait(minutes=30)
    assert len(world.facts(Fact.VISIT_OPENED)) == 1
    assert world.visits("study") == ["ann"]


def test_a_visit_goes_on_over_a_restart(world: World) -> None:
    """Issue: kill -9 with a visit open."""
    world.enter("study", "1111")
    world.wait(minutes=10)
    visit = world.state.where(Visit, "facility", "study")[0].id
    world.restart(off_ms=30_000)
    world.settle()
    world.wait(minutes=10)
    assert [v.id for v in world.state.where(Visit, "facility", "study")] == [visit]
    assert world.facts(Fact.VISIT_OPENED, Fact.VISIT_CLOSED)[1:] == []
    world.leave("study")
    world.wait(minutes=6)
    assert world.last(Fact.VISIT_CLOSED).data["duration_ms"] == pytest.approx(
        25 * MINUTE_MS, abs=90_000
    )


def test_a_leaving_seen_just_before_a_restart_is_watched_on(world: World) -> None:
    world.enter("study", "1111")
    world.wait(minutes=10)
    world.leave("study")
    world.restart(off_ms=30_000)
    world.settle()
    world.wait(minutes=6)
    assert world.visits("study") == []


def test_visits_of_a_room_whose_sensors_died_end_with_the_booking(world: World) -> None:
    """A7: where nothing can tell, it is the booking's end."""
    world.enter("study", "1111")
    world.silence("pir")
    world.leave("study")
    world.at("10:59")
    assert world.visits("study") == ["ann"]
    world.at("11:00")
    assert world.visits("study") == []
    assert world.facts(Fact.OVERSTAY) == []


def test_who_left_while_nobody_could_see_it_is_gone_after_a_day(world: World) -> None:
    """A7: the contact was silent when they went, and the sensor sees nobody."""
    world.right("r1", "cleo", "study")
    world.card("study", "cleo")
    world.pass_through("study")
    world.read("pir/study", True)
    world.silence("board")
    world.wait(minutes=10)
    world.read("pir/study", False)
    world.heal("board")
    world.wait(hours=23)
    assert world.visits("study") == ["cleo"]
    world.wait(hours=1)
    assert world.visits("study") == []
    assert world.last(Fact.VISIT_CLOSED).data["cause"] == "not_seen_to_end"


def test_a_visit_without_a_booking_or_a_sensor_ends_with_the_leaving_or_after_a_day(
    world: World,
) -> None:
    world.card("store", "cleo")
    world.pass_through("store")
    world.wait(minutes=10)
    world.leave("store")
    world.wait(minutes=5)
    assert world.visits("store") == []
    world.card("store", "cleo")
    world.pass_through("store")
    world.wait(hours=23)
    assert world.visits("store") == ["cleo"]
    world.wait(hours=1)
    assert world.visits("store") == []
    assert world.last(Fact.VISIT_CLOSED).data["cause"] == "not_seen_to_end"


def test_a_return_without_a_sensor_ends_with_the_time_for_it(world: World) -> None:
    """B7"""
    world.book("s1", "store", "ann", "09:00", "10:00")
    world.enter("store", "1111")
    world.at("10:05")
    world.enter("store", "1111")
    assert world.visits("store") == ["ann"]
    world.at("10:15")
    assert world.visits("store") == []


# --- sensors ------------------------------------------------------------------------------------


def test_a_sign_of_presence_is_held_for_its_time(world: World) -> None:
    world.read("pir/study", True)
    world.wait(seconds=30)
    world.read("pir/study", False)
    world.wait(minutes=4, seconds=59)
    assert present(world) is True
    world.wait(seconds=1)
    assert present(world) is False
    assert world.names() == ["presence.began", "presence.ended"]


def test_each_sensor_holds_for_its_own_time(world: World) -> None:
    world.read("radar/music", True)
    world.read("radar/music", False)
    world.wait(seconds=59)
    assert present(world, "music") is True
    world.wait(seconds=1)
    assert present(world, "music") is False


def test_presence_goes_on_while_the_sensor_sees_it(world: World) -> None:
    world.read("radar/music", True)
    world.wait(minutes=45)
    assert present(world, "music") is True


def test_many_signs_are_one_presence(world: World) -> None:
    for _ in range(20):
        world.read("pir/study", True)
        world.wait(minutes=1)
        world.read("pir/study", False)
        world.wait(minutes=1)
    assert world.names() == ["presence.began"]


def test_a_room_nobody_can_see_is_neither_present_nor_vacant(world: World) -> None:
    world.read("pir/study", True)
    world.silence("pir")
    world.wait(minutes=6)
    room = world.get(RoomStatus, "study")
    assert (room.present, room.vacant) == (None, None)
    assert world.last(Fact.PRESENCE_ENDED).data["cause"] == "sensors_lost"
    world.heal("pir")
    assert present(world) is True


def test_a_bad_reading_is_no_sign(world: World) -> None:
    """X2"""
    world.read("pir/study", True, Quality.BAD)
    assert present(world) is not True


def test_a_restart_forgets_no_presence_and_invents_none(world: World) -> None:
    world.read("pir/study", True)
    world.restart()
    assert present(world) is True
    world.settle()
    world.wait(minutes=4)
    assert present(world) is True
    world.wait(minutes=2)
    assert present(world) is False
    assert len(world.facts(Fact.PRESENCE_BEGAN)) == 1


def test_a_room_is_not_known_empty_after_a_restart_until_a_sensor_is_heard(world: World) -> None:
    """U2, A8: what was seen before says nothing of now."""
    assert present(world) is False
    world.restart()
    room = world.get(RoomStatus, "study")
    assert (room.present, room.vacant) == (None, None)
    world.settle()
    room = world.get(RoomStatus, "study")
    assert room.present is False
    assert room.vacant.at(world.now()) == 0  # seen to be empty from here


def test_a_room_is_vacant_once_nobody_is_known_to_be_in(world: World) -> None:
    assert world.get(RoomStatus, "study").vacant is not None
    world.enter("study", "1111")
    assert world.get(RoomStatus, "study").vacant is None
    world.wait(minutes=10)
    assert present(world) is False  # sits still
    assert world.get(RoomStatus, "study").vacant is None
    world.leave("study")
    world.wait(minutes=5)
    assert world.get(RoomStatus, "study").vacant is not None
