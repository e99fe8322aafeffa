"""Meters and chargers that lie, and what is asked that cannot be (RULES C1, C3, C4, C6, C8)."""

from dataclasses import replace

import pytest
from core.garage import Garage

from gateway.domain.charging import ConnectorStatus, MeterKind
from gateway.domain.points import Quality
from gateway.domain.records import Fact


@pytest.fixture
def garage() -> Garage:
    world = Garage()
    world.person("ada", pin="1111")
    world.forget()
    return world


def ended(garage: Garage, id_: str = "car1") -> dict[str, object]:
    garage.want(id_, "1111")
    garage.run(10)
    return dict(garage.last(Fact.SESSION_ENDED).data)


def test_a_register_that_steps_back_opens_a_segment_and_nothing_is_negative(garage: Garage) -> None:
    """C3: once three readings agree; what it had counted stands."""
    garage.start("car1", "1111")
    garage.run(600)
    before = garage.session("car1").energy_wh
    garage.cars["car1"].wh = 100
    garage.run(2)
    assert garage.session("car1").energy_wh == before
    assert "meter_implausible:car1" in garage.faults()
    garage.run(600)
    assert "meter_implausible:car1" not in garage.faults()
    told = ended(garage)
    assert len(told["segments"]) == 2
    assert told["energy_wh"] == pytest.approx(2 * before, abs=30)
    assert garage.last(Fact.METER_SEGMENT).data["opened_wh"] < before


def test_a_register_that_steps_back_once_is_a_bad_reading(garage: Garage) -> None:
    garage.start("car1", "1111")
    garage.run(600)
    true_wh, before = garage.cars["car1"].wh, garage.session("car1").energy_wh
    garage.cars["car1"].wh = 100
    garage.look()
    garage.cars["car1"].wh = true_wh
    garage.look()
    garage.run(60)
    told = ended(garage)
    assert len(told["segments"]) == 1
    assert before < told["energy_wh"] < before + 90


def test_a_register_that_jumps_to_a_lifetime_value_bills_nobody_for_it(garage: Garage) -> None:
    garage.start("car1", "1111")
    garage.run(600)
    before = garage.session("car1").energy_wh
    garage.cars["car1"].wh += 4_000_000
    garage.run(600)
    told = ended(garage)
    assert told["energy_wh"] == pytest.approx(2 * before, abs=30)
    assert [one["opened_wh"] > 4_000_000 for one in told["segments"]] == [False, True]


def by_session(garage: Garage) -> Garage:
    """The same, with a register at car1 that begins anew with each session."""
    car = garage.site.facilities["car1"]
    assert car.outlet is not None
    assert car.outlet.meter is not None
    meter = replace(car.outlet.meter, kind=MeterKind.SESSION)
    car = replace(car, outlet=replace(car.outlet, meter=meter))
    garage.site = replace(garage.site, facilities={**garage.site.facilities, "car1": car})
    garage.restart()
    for id_ in garage.cars:
        garage.seen(id_, 0)
    garage.look()
    return garage


def test_a_session_register_that_falls_falsely_is_nobodys_energy(garage: Garage) -> None:
    """C3: what it fell to could have flowed since it last moved, and was read once."""
    by_session(garage).run(2 * 3_600)
    car = garage.cars["car1"]
    car.wh -= 4_000
    garage.look()
    car.wh += 4_000
    garage.look()
    garage.run(60)
    garage.start("car1", "1111")
    assert not garage.facts(Fact.ENERGY_UNATTRIBUTED)
    assert not garage.facts(Fact.METER_SEGMENT)


@pytest.mark.parametrize("missed_wh", [0, 300])
def test_a_session_register_that_begins_anew_counts_from_nothing(
    garage: Garage, missed_wh: int
) -> None:
    """C3: also where the first that is seen of it is what flowed meanwhile."""
    by_session(garage).run(2 * 3_600)
    garage.cars["car1"].wh = missed_wh
    garage.run(20)
    (segment,) = garage.facts(Fact.METER_SEGMENT)
    assert segment.data["opened_wh"] == 0
    garage.start("car1", "1111")
    told = [one.data["energy_wh"] for one in garage.facts(Fact.ENERGY_UNATTRIBUTED)]
    assert sum(told) == missed_wh
    assert "meter_implausible:car1" not in garage.faults()


def test_a_false_step_after_hours_of_standing_still_is_nobodys_energy(garage: Garage) -> None:
    """C3: it could have flowed since the register last moved, and was read once."""
    garage.run(6 * 3_600)
    car = garage.cars["car1"]
    car.wh += 20_000
    garage.look()
    car.wh -= 20_000
    garage.look()
    garage.start("car1", "1111")
    garage.run(600)
    told = ended(garage)
    assert len(told["segments"]) == 1
    assert 0 < told["energy_wh"] < 2_000
    assert sum(one.data["energy_wh"] for one in garage.facts(Fact.ENERGY_UNATTRIBUTED)) == 0


def test_what_flowed_in_an_hour_of_silence_counts_once_it_was_read_again(garage: Garage) -> None:
    garage.start("car1", "1111")
    garage.run(600)
    before = garage.session("car1").energy_wh
    garage.wait(hours=1)
    garage.cars["car1"].wh += 3_000
    garage.run(30)
    assert before + 3_000 <= garage.session("car1").energy_wh < before + 3_100
    assert "meter_implausible:car1" not in garage.faults()
    assert len(ended(garage)["segments"]) == 1


def test_a_register_that_stands_still_while_power_flows_is_a_fault(garage: Garage) -> None:
    garage.start("car1", "1111")
    garage.run(60)
    stuck_wh = garage.cars["car1"].wh
    for _ in range(240):
        garage.cars["car1"].wh = stuck_wh
        garage.run(4, step_s=4)
    assert "meter_stuck:car1" in garage.faults()
    garage.run(60)
    assert "meter_stuck:car1" not in garage.faults()


def sample(garage: Garage, id_: str, watts: int) -> None:
    """One reading of a meter chip, and the true one after it."""
    garage.read(f"{id_}/power", watts)
    garage.read(f"{id_}/power", 0)


def test_one_sample_of_a_meter_chip_is_no_vehicle(garage: Garage) -> None:
    """C8, FACTS 3: 1,100 W once is no load, no swap, no unauthorised energy and no over-current."""
    sample(garage, "bike2", 1_100)
    assert "unauthorised_energy:bike2" not in garage.faults()
    garage.start("bike1", "1111", plug=False)
    sample(garage, "bike1", 1_100)
    assert not garage.session("bike1").draw.loaded
    garage.run(300, step_s=10)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "Timeout"
    garage.start("bike1", "1111")
    garage.unplug("bike1")
    garage.run(60)
    sample(garage, "bike1", 1_100)
    garage.run(60)
    assert garage.session("bike1").powered
    for _ in range(3):
        sample(garage, "bike1", 9_000)
        garage.run(10)
    assert garage.outlet("bike1").hazard is None or not garage.outlet("bike1").hazard.active


def test_power_beyond_an_outlets_rating_is_over_current_where_no_current_is_read(
    garage: Garage,
) -> None:
    """C8: over-power; read twice."""
    garage.start("bike1", "1111")
    garage.cars["bike1"].surge_ma = 8_000
    garage.run(6)
    assert garage.limit("bike1") == 0
    garage.cars["bike1"].surge_ma = 0
    garage.run(10)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "OvercurrentFault"


def test_a_charger_that_takes_a_limit_and_ignores_it_is_counted_at_what_it_draws() -> None:
    """C4: the other makes room, and the fault says so."""
    garage = Garage(limit_a=20)
    for who, pin, car in (("ada", "1111", "car1"), ("ben", "2222", "car2")):
        garage.person(who, pin=pin)
        garage.start(car, pin)
    garage.run(30)
    assert (garage.limit("car1"), garage.limit("car2")) == (10_000, 10_000)
    garage.cars["car1"].surge_ma = 13_500
    garage.run(6)
    assert "limit_ignored:car1" not in garage.faults()
    garage.run(30)
    assert "limit_ignored:car1" in garage.faults()
    assert garage.limit("car2") <= 20_000 - 13_500
    garage.cars["car1"].surge_ma = 0
    garage.run(10)
    assert "limit_ignored:car1" not in garage.faults()


def test_a_meter_that_is_not_heard_takes_the_power_in_steps(garage: Garage) -> None:
    """C1: the grant holds a minute, then goes to the failsafe current, then off."""
    garage.start("car1", "1111")
    garage.run(60)
    energy = garage.session("car1").energy_wh
    garage.read("car1/energy", None, Quality.BAD)
    garage.wait(seconds=50)
    assert garage.limit("car1") == 16_000
    garage.wait(seconds=15)
    assert garage.limit("car1") == 0
    assert garage.outlet("car1").limited_by == "outlet_unheard"
    garage.cars["car1"].wh += 1
    garage.look()
    garage.run(10)
    assert garage.limit("car1") == 16_000
    assert garage.session("car1").energy_wh >= energy


def test_a_charger_that_says_it_is_faulted_has_no_power_and_starts_nothing(garage: Garage) -> None:
    """C1: for a while it may recover; then the session is over."""
    garage.start("car1", "1111")
    garage.run(30)
    garage.read("car1/state", "faulted")
    assert garage.limit("car1") == 0
    assert garage.outlet("car1").status is ConnectorStatus.FAULTED
    garage.look()
    garage.run(10)
    assert garage.limit("car1") == 16_000
    garage.read("car1/state", "faulted")
    garage.wait(seconds=70)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "Other"
    garage.wait(seconds=2)
    assert garage.want("car1", "1111").reason.code == "outlet_faulted"
