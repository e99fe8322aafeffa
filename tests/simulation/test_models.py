"""What physical things do by themselves, with time as an argument."""

import pytest

from gateway.domain.site import Wiring
from simulators.models.button import Button
from simulators.models.door import Door, Strike
from simulators.models.lock import Lock
from simulators.models.power import Meter, Plug
from simulators.models.relay import Relay
from simulators.models.room import OUTDOOR_PPM, Room
from simulators.models.sensors import AirSensor, MotionSensor, StillSensor

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class TestRelay:
    def test_a_flash_on_ends_by_itself_to_the_millisecond(self) -> None:
        relay = Relay()
        relay.flash(True, 700, 1_000)
        assert relay.on(1_699)
        assert not relay.on(1_700)
        assert relay.edges(9_000) == ((1_000, True), (1_700, False))

    def test_a_flash_off_comes_back_on(self) -> None:
        relay = Relay()
        relay.write(True, 0)
        relay.flash(False, 500, 1_000)
        assert not relay.on(1_200)
        assert relay.on(1_500)

    def test_a_plain_write_ends_a_flash(self) -> None:
        relay = Relay()
        relay.flash(True, 5_000, 0)
        relay.write(False, 1_000)
        assert not relay.on(1_000)
        assert not relay.on(9_000)

    def test_overlapping_flashes_are_steady_and_gaps_are_flashing(self) -> None:
        steady, flashing = Relay(), Relay()
        for at in range(0, 5_000, 1_000):
            steady.flash(True, 1_500, at)
            flashing.flash(True, 500, at)
        assert not steady.flashing(4_200)
        assert flashing.flashing(4_200)

    def test_a_restart_of_the_board_drops_it(self) -> None:
        relay = Relay()
        relay.flash(True, 5_000, 0)
        relay.power_lost(100)
        assert not relay.on(200)


class TestDoor:
    def door(self, *, hardwired_exit: bool = True) -> tuple[Door, Relay]:
        relay = Relay()
        return Door(Strike(relay), hardwired_exit=hardwired_exit), relay

    def test_it_opens_from_outside_only_while_released(self) -> None:
        door, relay = self.door()
        assert not door.pull(0)
        relay.flash(True, 5_000, 1_000)
        assert door.pull(5_999)
        assert door.opened(6_000)
        assert not door.pull(60_000)

    def test_the_closer_shuts_it_unless_it_is_propped(self) -> None:
        door, relay = self.door()
        relay.flash(True, 5_000, 0)
        door.pull(0)
        assert not door.opened(door.close_after_ms)
        door.pull(4_000)
        door.propped = True
        assert door.opened(HOUR_MS)
        door.close()
        assert not door.opened(HOUR_MS)

    def test_a_handle_always_opens_from_inside(self) -> None:
        """RULES A2."""
        door, _ = self.door(hardwired_exit=False)
        door.bolt.jammed = True
        assert door.push(0)

    def test_a_hardwired_exit_button_releases_without_a_gateway(self) -> None:
        """RULES A2."""
        door, _ = self.door()
        assert not door.push(0)
        door.press_exit(0)
        assert door.push(500)

    def test_a_jammed_bolt_or_leaf_does_not_open(self) -> None:
        door, relay = self.door()
        relay.flash(True, 60_000, 0)
        door.bolt.jammed = True
        assert not door.pull(1)
        door.bolt.jammed = False
        door.leaf_jammed = True
        assert not door.pull(2)
        assert not door.openings


class TestLock:
    def test_it_relocks_by_itself(self) -> None:
        lock = Lock(relock_ms=5_000)
        lock.unlock(0)
        assert lock.state(4_999) == "unlocked"
        assert lock.state(5_000) == "locked"

    def test_its_own_users_open_it_and_are_reported_with_their_slot(self) -> None:
        """RULES A9."""
        lock, told = Lock(), []
        lock.acted = lambda *what: told.append(what)
        lock.users[3] = "2468"
        assert not lock.type_code("1111", 0)
        assert lock.type_code("2468", 0)
        assert lock.released(1)
        assert told == [("keypad_unlock", "keypad", 3)]

    def test_jammed_it_stays_locked_and_obstructed_it_is_not_fully_locked(self) -> None:
        lock = Lock()
        lock.jammed = True
        lock.unlock(0)
        assert lock.state(1) == "locked"
        lock.jammed, lock.obstructed = False, True
        lock.unlock(0)
        assert lock.state(9_000) == "not_fully_locked"
        lock.obstructed = False
        assert lock.state(9_100) == "locked"


class TestSensors:
    def test_motion_is_blind_to_people_who_sit_still_and_for_a_minute_after_a_hit(self) -> None:
        """RULES B6."""
        room = Room(0)
        sensor = MotionSensor(room)
        room.enter("ada", 0, moves_ms=20_000)
        for at in range(0, 30_000, 100):
            sensor.see(at)
        assert sensor.hits == 1
        assert sensor.on(89_999)
        for at in range(30_000, 200_000, 100):
            sensor.see(at)
        assert not sensor.on(200_000)
        assert room.people == ("ada",)
        room.stir("ada", 200_000)
        sensor.see(200_000)
        assert sensor.on(200_000)

    def test_radar_sees_people_who_sit_still(self) -> None:
        room = Room(0)
        sensor = StillSensor(room)
        room.enter("ada", 0, moves_ms=0)
        assert sensor.on(HOUR_MS)
        room.leave("ada", HOUR_MS)
        assert sensor.on(HOUR_MS + 9_000)
        assert not sensor.on(HOUR_MS + 10_000)

    def test_air_rises_with_people_and_decays_without(self) -> None:
        room = Room(0)
        sensor = AirSensor(room)
        assert sensor.ppm(0) == OUTDOOR_PPM
        room.enter("ada", 0)
        room.enter("ben", 0)
        after_hour = sensor.ppm(HOUR_MS)
        assert 850 < after_hour < 950
        room.leave("ada", HOUR_MS)
        room.leave("ben", HOUR_MS)
        assert OUTDOOR_PPM < sensor.ppm(2 * HOUR_MS) < after_hour
        assert sensor.ppm(12 * HOUR_MS) == OUTDOOR_PPM

    def test_air_is_the_same_in_one_step_as_in_a_thousand(self) -> None:
        one, many = Room(0), Room(0)
        for room in (one, many):
            room.enter("ada", 0)
        for at in range(0, HOUR_MS, 3_600):
            many.co2_ppm(at)
        assert many.co2_ppm(HOUR_MS) == pytest.approx(one.co2_ppm(HOUR_MS))


class TestButton:
    def test_momentary_latched_and_counter_each_show_a_press_their_way(self) -> None:
        """RULES E1."""
        momentary, latched, counter = (
            Button(wiring) for wiring in (Wiring.MOMENTARY, Wiring.LATCHED, Wiring.COUNTER)
        )
        for button in (momentary, latched, counter):
            button.press(0, 300)
        assert momentary.active(299)
        assert not momentary.active(300)
        assert latched.active(HOUR_MS)
        latched.reset()
        assert not latched.active(HOUR_MS)
        counter.press(50)
        assert counter.presses == 2

    def test_a_radio_button_out_of_range_or_without_battery_cannot_call(self) -> None:
        sent = []
        button = Button(Wiring.MESSAGE)
        button.send = lambda: sent.append(True)
        assert button.press(0)
        button.in_range = False
        assert not button.press(1)
        button.in_range, button.battery = True, 0
        assert not button.press(2)
        assert len(sent) == 1


class TestPower:
    def test_energy_is_what_was_drawn_over_time(self) -> None:
        meter = Meter(lambda _now_ms: 1_200.0, 0)
        assert meter.quantity("Wh", 30 * MINUTE_MS) == pytest.approx(600)
        assert meter.quantity("kWh", HOUR_MS) == pytest.approx(1.2)
        assert meter.quantity("A", HOUR_MS) == pytest.approx(1_200 / 230)

    def test_a_plug_that_is_off_draws_nothing_and_a_welded_one_stays_on(self) -> None:
        plug = Plug(lambda _now_ms: 100.0, 0)
        plug.switch(False, HOUR_MS)
        assert plug.meter.quantity("Wh", 3 * HOUR_MS) == pytest.approx(100)
        plug.switch(True, 3 * HOUR_MS)
        plug.welded = True
        plug.switch(False, 3 * HOUR_MS)
        assert plug.meter.quantity("W", 3 * HOUR_MS) == pytest.approx(100)
