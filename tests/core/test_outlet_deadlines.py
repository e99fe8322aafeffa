"""What time alone changes at an outlet is seen when it is due: here no slow round ever comes."""

from collections.abc import Callable

import pytest
from core.garage import Garage
from core.harness import DESK, UNKNOWN

from gateway.domain.events import HazardResetAsked, Stream
from gateway.domain.now import DAY_MS
from gateway.domain.records import Fact

NEVER_MS = 365 * DAY_MS


@pytest.fixture
def garage() -> Garage:
    world = Garage(meter="panel/feeder")
    world.person("ada", pin="1111")
    world.person("ben", pin="2222")
    world.wait(seconds=10)
    world.heartbeat_ms = NEVER_MS
    world.wait(seconds=10)
    world.read("panel/feeder", 0)
    world.forget()
    return world


def charges_beside(garage: Garage, beside_ma: int) -> None:
    """A car that gets what is left of 40 A."""
    garage.read("panel/feeder", beside_ma)
    garage.wait(seconds=20)
    garage.plug("car1")
    assert garage.want("car1", "1111").accepted
    garage.wait(seconds=2)
    assert garage.limit("car1") == 40_000 - beside_ma
    garage.read("panel/feeder", 40_000)
    garage.look()
    garage.wait(seconds=20)
    assert garage.limit("car1") == 40_000 - beside_ma


def ended(garage: Garage) -> list[str]:
    return [record.data["stop_reason"] for record in garage.facts(Fact.SESSION_ENDED)]


def test_who_does_not_follow_a_limit_is_known_after_15_s(garage: Garage) -> None:
    """C4"""
    charges_beside(garage, 30_000)
    garage.read("car1/current", 13_500)
    garage.read("panel/feeder", 43_500)
    garage.wait(seconds=14)
    assert "limit_ignored:car1" not in garage.faults()
    garage.wait(seconds=2)
    assert "limit_ignored:car1" in garage.faults()


def test_who_draws_though_it_is_off_takes_from_the_others_once_it_had_time(garage: Garage) -> None:
    """C4: a vehicle has 5 s to follow, and what it draws is to be read again."""
    charges_beside(garage, 30_000)
    garage.read("car2/current", 3_000)
    garage.read("panel/feeder", 43_000)
    garage.wait(seconds=5)
    garage.read("car2/current", 3_000)
    assert garage.limit("car1") == 10_000
    garage.wait(seconds=2)
    assert garage.limit("car1") == 7_000
    assert "limit_ignored:car2" not in garage.faults()
    garage.read("car2/current", 0)
    garage.read("panel/feeder", 37_000)
    garage.wait(seconds=2)
    assert garage.limit("car1") == 10_000


def test_who_is_not_read_again_is_not_held_to_draw_on(garage: Garage) -> None:
    """C4: what reports once a minute has had no time to say that it followed."""
    charges_beside(garage, 30_000)
    garage.read("car2/current", 3_000)
    garage.mute.add("car2")
    garage.read("panel/feeder", 43_000)
    garage.wait(seconds=10)
    assert garage.limit("car1") == 10_000


def test_power_that_nobody_asked_for_is_known_when_it_is_read_again(garage: Garage) -> None:
    """C6"""
    garage.read("car1/power", 2_000)
    garage.wait(seconds=2)
    assert "unauthorised_energy:car1" in garage.faults()


def test_a_silent_charger_is_let_its_failsafe_after_a_minute_and_nothing_after_five(
    garage: Garage,
) -> None:
    """C1"""
    garage.start("car1", "1111")
    granted = garage.outlet("car1").granted_ma
    garage.silence("car1")
    garage.wait(seconds=50)
    assert garage.outlet("car1").granted_ma == granted
    garage.wait(seconds=15)
    assert garage.outlet("car1").granted_ma == 0  # its failsafe is to stop
    found = garage.outlet("car1")
    assert found.limited_by == "outlet_unheard"


def test_a_register_that_begins_anew_is_believed_after_three_readings(garage: Garage) -> None:
    """C3"""
    garage.cars["bike1"].wh = 17.0
    garage.look()
    garage.wait(seconds=5)
    assert [r.data["facility"] for r in garage.facts(Fact.METER_SEGMENT)] == ["bike1"]


def test_a_register_that_stands_while_power_flows_is_known(garage: Garage) -> None:
    """C3"""
    garage.start("car1", "1111")
    garage.wait(minutes=16)
    assert "meter_stuck:car1" in garage.faults()


def test_what_flows_beside_is_believed_once_it_has_lasted(garage: Garage) -> None:
    """C4"""
    charges_beside(garage, 30_000)
    garage.read("panel/feeder", 20_000)
    assert garage.limit("car1") == 10_000
    garage.wait(seconds=20)
    assert garage.limit("car1") == 16_000


def test_a_single_over_current_may_be_tried_again_after_ten_minutes(garage: Garage) -> None:
    """C2"""
    garage.start("car1", "1111")
    for _ in range(2):
        garage.read("car1/current", 60_000)
        garage.wait(seconds=3)
    garage.unplug("car1")
    assert "overcurrent:car1" in garage.faults()
    garage.wait(minutes=11)
    assert "overcurrent:car1" not in garage.faults()


def test_a_charger_that_stays_faulted_has_no_session(garage: Garage) -> None:
    """C1"""
    garage.start("car1", "1111")
    garage.read("car1/state", "faulted")
    garage.wait(seconds=80)
    assert ended(garage) == ["Other"]


@pytest.mark.parametrize(
    ("draws", "minutes", "why"),
    [
        (lambda garage: garage.unplug("bike1"), 11, "EVDisconnected"),
        (lambda garage: garage.read("bike1/power", 15), 46, "StoppedByEV"),
    ],
)
def test_what_is_drawn_ends_a_session_in_its_time(
    garage: Garage, draws: Callable[[Garage], None], minutes: int, why: str
) -> None:
    """C8"""
    garage.start("bike1", "1111")
    garage.run(60)
    draws(garage)
    garage.wait(minutes=minutes)
    assert ended(garage) == [why]


def test_a_booking_that_is_taken_back_ends_its_session(garage: Garage) -> None:
    """C7"""
    garage.sync(Stream.BOOKINGS, [garage.item("b1", "car1", "ada", "09:00", "11:00")])
    garage.start("car1", "1111")
    garage.cancel("b1")
    garage.wait(seconds=5)
    assert ended(garage) == ["DeAuthorized"]


def test_whoever_goes_on_makes_way_when_the_next_booking_begins(garage: Garage) -> None:
    """C7: on the minute."""
    garage.sync(Stream.BOOKINGS, [garage.item("b1", "car1", "ada", "09:00", "09:30")])
    garage.start("car1", "1111")
    garage.at("09:40")
    assert garage.session("car1").continued
    garage.sync(Stream.BOOKINGS, [garage.item("b2", "car1", "ben", "09:45", "10:30")])
    garage.at("09:44")
    assert garage.session("car1").stop is None
    garage.at("09:45")
    garage.wait(seconds=5)
    assert ended(garage) == ["TimeLimitReached"]


def test_a_switch_that_was_opened_for_a_hazard_closes_when_that_is_reset(garage: Garage) -> None:
    """C2: at once, and it is told once the switch reads so."""
    garage.start("car1", "1111")
    garage.answer("car1/limit", *[UNKNOWN] * 100)
    for _ in range(2):
        garage.read("car1/temperature", 80)
        garage.wait(seconds=3)
    garage.wait(seconds=6)
    assert "breaker_open:garage" in garage.faults()
    garage.read("car1/temperature", 30)
    garage.wires.clear()
    garage.wait(seconds=30)
    assert garage.tell(HazardResetAsked("car1", DESK)).accepted
    garage.wait(seconds=2)
    assert garage.facts(Fact.BREAKER_CLOSED)
    assert "breaker_open:garage" not in garage.faults()
