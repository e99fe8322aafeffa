"""What batteries, chargers and feeders do by themselves, with time as an argument."""

import pytest

from simulators.models.circuits import Building, CircuitMeter
from simulators.models.connectors import Charger, SwitchedOutlet
from simulators.models.vehicles import NO_AMPS, Car, Ebike

SECOND_MS, MINUTE_MS, HOUR_MS = 1_000, 60_000, 3_600_000


def charger(**settings: object) -> Charger:
    made = Charger(0)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


class TestVehicles:
    @pytest.mark.parametrize(
        ("offered_a", "drawn"),
        [
            (0.0, NO_AMPS),
            (5.9, NO_AMPS),  # no valid offer
            (6.0, (6.0, 6.0, 6.0)),
            (13.0, (13.0, 13.0, 13.0)),
            (32.0, (16.0, 16.0, 16.0)),
        ],
    )
    def test_a_car_takes_what_it_is_offered_between_6_a_and_its_most(
        self, offered_a: float, drawn: tuple[float, float, float]
    ) -> None:
        assert Car().amps(offered_a) == drawn

    def test_a_car_of_one_phase_draws_on_its_first(self) -> None:
        assert Car(phases=1, most_a=32).amps(20) == (20.0, 0.0, 0.0)

    def test_a_car_tapers_and_ends(self) -> None:
        drawn = [Car(100, holds).amps(16)[0] for holds in (79, 90, 98, 100)]
        assert drawn == [16.0, pytest.approx(8.0), pytest.approx(1.6), 0.0]

    def test_an_e_bike_s_charger_falls_to_next_to_nothing_and_stays_there(self) -> None:
        watts = [Ebike(500, holds).amps(16)[0] * 230 for holds in (100, 425, 462.5, 500)]
        assert watts == pytest.approx([160, 160, 80, 4])


class TestCharger:
    def test_its_states_follow_vehicle_and_limit(self) -> None:
        one = charger()
        assert one.state(0) == "available"
        one.plug_in(Car(), 0)
        assert one.state(0) == "connected"
        one.set_limit(6_000, 0)
        assert one.state(0) == "charging"
        one.broken = True
        assert one.state(0) == "faulted"
        one.broken = False
        one.unplug(0)
        assert one.state(0) == "available"

    def test_a_car_that_has_to_wake_draws_nothing_until_then(self) -> None:
        one, car = charger(), Car()
        car.wakes_ms = 3_000
        one.plug_in(car, 0)
        one.set_limit(10_000, 1_000)
        assert one.state(3_999) == "connected"
        assert one.state(4_000) == "charging"
        one.step(HOUR_MS)
        assert one.energy_wh == pytest.approx(6_900 * (1 - 4 / 3_600))
        one.set_limit(0, HOUR_MS)
        one.set_limit(10_000, HOUR_MS)
        assert one.state(HOUR_MS + 2_999) == "connected"

    def test_energy_is_what_flowed_in_one_step_as_in_many(self) -> None:
        one, many = charger(), charger()
        for each in (one, many):
            each.plug_in(Car(60_000, 46_000), 0)
            each.set_limit(16_000, 0)
        for at in range(0, 2 * HOUR_MS, 10 * SECOND_MS):
            many.step(at)
        for each in (one, many):
            each.step(2 * HOUR_MS)
        assert one.energy_wh == pytest.approx(many.energy_wh, rel=1e-9)
        assert isinstance(one.vehicle, Car)
        assert one.vehicle.holds_wh == pytest.approx(46_000 + one.energy_wh)
        assert one.energy_wh < 2 * 16 * 3 * 230  # it tapered

    def test_a_session_s_register_begins_anew_with_each_plug(self) -> None:
        one = charger()
        one.set_limit(10_000, 0)
        one.plug_in(Car(), 0)
        one.unplug(HOUR_MS)
        assert one.session_wh == pytest.approx(6_900)
        one.plug_in(Car(), HOUR_MS)
        assert one.session_wh == 0
        assert one.energy_wh == pytest.approx(6_900)

    def test_silence_is_answered_to_the_millisecond_by_its_failsafe_current(self) -> None:
        """C6"""
        one = charger(silence_ms=30 * SECOND_MS, fed_by_limits=True)
        one.plug_in(Car(), 0)
        one.set_limit(16_000, 0)
        one.hear(20 * SECOND_MS)  # a read does not feed this one
        one.step(HOUR_MS)
        full_wh, failsafe_wh = 16 * 690 * 30 / 3_600, 6 * 690 * 3_570 / 3_600
        assert one.energy_wh == pytest.approx(full_wh + failsafe_wh)
        one.set_limit(10_000, HOUR_MS)
        assert one.amps(HOUR_MS) == (10.0, 10.0, 10.0)

    def test_a_failsafe_current_of_6_a_starts_a_charger_that_was_off(self) -> None:
        """FACTS of the KEBA: off, and 600 s later at 6 A."""
        one = charger(silence_ms=600 * SECOND_MS, fed_by_limits=True)
        one.plug_in(Car(), 0)
        one.enable(False, 0)
        assert one.state(599 * SECOND_MS) == "connected"
        assert one.state(600 * SECOND_MS) == "charging"
        one.failsafe_ma = 0
        assert one.state(601 * SECOND_MS) == "connected"

    def test_any_request_feeds_one_that_does_not_ask_for_limits(self) -> None:
        one = charger(silence_ms=10 * SECOND_MS, failsafe_ma=0)
        one.plug_in(Car(), 0)
        one.set_limit(16_000, 0)
        for at in range(0, 60 * SECOND_MS, 5 * SECOND_MS):
            one.hear(at)
        assert one.state(60 * SECOND_MS) == "charging"
        assert one.state(75 * SECOND_MS) == "connected"
        one.hear(80 * SECOND_MS)
        assert one.state(80 * SECOND_MS) == "charging"

    def test_one_that_ignores_limits_shows_them_all_the_same(self) -> None:
        one = charger()
        one.plug_in(Car(), 0)
        one.set_limit(16_000, 0)
        one.misbehave("ignores", 0)
        one.set_limit(6_000, 0)
        assert (one.limit_ma, one.amps(0)) == (6_000, (16.0, 16.0, 16.0))
        one.misbehave("none", 0)
        assert one.amps(0) == (6.0, 6.0, 6.0)

    def test_one_that_leaks_charges_by_itself(self) -> None:
        one = charger(leaks=True)
        one.plug_in(Car(), 0)
        assert one.state(0) == "charging"

    def test_a_restart_forgets_the_limit_and_not_the_meter(self) -> None:
        one = charger(after_restart_ma=32_000)
        one.plug_in(Car(), 0)
        one.set_limit(6_000, 0)
        one.supply(False, HOUR_MS)
        one.supply(True, 2 * HOUR_MS)
        assert one.energy_wh == pytest.approx(6 * 690)
        assert one.amps(2 * HOUR_MS) == (16.0, 16.0, 16.0)

    def test_what_it_offers_is_nothing_to_nobody(self) -> None:
        one = charger()
        one.set_limit(16_000, 0)
        assert one.shown_ma(0) == 0
        one.plug_in(Car(), 0)
        assert one.shown_ma(0) == 16_000


class TestSwitchedOutlet:
    def test_a_swap_is_nothing_for_a_while_and_then_a_rise(self) -> None:
        outlet = SwitchedOutlet(0)
        outlet.switch(True, 0)
        outlet.plug_in(Ebike(), 0)
        assert outlet.watts(MINUTE_MS) == pytest.approx(160)
        outlet.unplug(MINUTE_MS)
        assert outlet.watts(MINUTE_MS + 40 * SECOND_MS) == 0
        outlet.plug_in(Ebike(holds_wh=480), 2 * MINUTE_MS)
        assert 0 < outlet.watts(2 * MINUTE_MS) < 50

    def test_it_is_off_after_silence_and_after_a_power_cut(self) -> None:
        outlet = SwitchedOutlet(0)
        outlet.silence_ms = 60 * SECOND_MS
        outlet.switch(True, 0)
        outlet.hear(30 * SECOND_MS)
        outlet.step(89_999)
        assert outlet.on
        outlet.step(90_000)
        assert not outlet.on
        outlet.switch(True, 100_000)
        outlet.supply(False, 110_000)
        outlet.supply(True, 120_000)
        assert not outlet.on

    def test_a_welded_relay_stays_as_it_is(self) -> None:
        outlet = SwitchedOutlet(0)
        outlet.switch(True, 0)
        outlet.misbehave("welded", 0)
        outlet.switch(False, 1)
        assert outlet.on


class TestFeeder:
    def test_its_meter_adds_up_phase_by_phase_what_hangs_on_it(self) -> None:
        one, other = charger(), charger()
        one.plug_in(Car(), 0)
        other.plug_in(Car(phases=1), 0)
        one.set_limit(10_000, 0)
        other.set_limit(16_000, 0)
        meter = CircuitMeter([(one, (1, 2, 3)), (other, (2, 3, 1))])
        assert meter.amps(0) == (10.0, 26.0, 10.0)
        assert meter.quantity("current_l2", 0) == 26_000
        assert meter.energy_wh(HOUR_MS) == pytest.approx(one.energy_wh + other.energy_wh)
        assert meter.energy_wh(HOUR_MS) == pytest.approx(46 * 230)

    def test_a_building_never_draws_more_than_was_declared_and_lives_the_same_day_again(
        self,
    ) -> None:
        day = range(0, 24 * HOUR_MS, 7 * MINUTE_MS)
        one, again = Building((10, 5, 0), 3, 0), Building((10, 5, 0), 3, 0)
        loads = [one.amps(at) for at in day]
        assert loads == [again.amps(at) for at in day]
        assert all(l1 <= 10 and l2 <= 5 and l3 == 0 for l1, l2, l3 in loads)
        assert len({l1 for l1, _, _ in loads}) > 3

    def test_what_was_never_declared_comes_on_top(self) -> None:
        building = Building((10, 10, 10), 3, 0)
        before = building.amps(0)
        building.add((20, 0, 0), 0)
        assert building.amps(0) == (before[0] + 20, before[1], before[2])

    def test_a_building_s_energy_is_that_of_every_minute(self) -> None:
        building = Building((10, 10, 10), 3, 0)
        meter = CircuitMeter([], building)
        whole = sum(
            sum(Building((10, 10, 10), 3, at).amps(at)) * 230 / 60
            for at in range(0, 6 * HOUR_MS, MINUTE_MS)
        )
        assert meter.energy_wh(6 * HOUR_MS) == pytest.approx(whole)
