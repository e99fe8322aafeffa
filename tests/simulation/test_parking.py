"""People who charge: what they plan, and what they do at an outlet."""

from pathlib import Path
from random import Random

import pytest

from config.site import load_site
from drivers.registry import kinds
from simulators.devices import SimulatedSite
from simulators.models.connectors import SwitchedOutlet
from simulators.neighbours import parkings, stays
from simulators.parking import Motorist, Parking, ParkingHabits, plan_parking
from simulators.residents import Deed

DEMO = Path(__file__).parents[2] / "config" / "sites" / "demo"
HOUR_MS = 3_600_000
PARKING = Parking("ada", "48291357", "bike_3", 0, 2 * HOUR_MS, "ebike", 40.0)
NEVER = ParkingHabits(0, 0, 0, 0, 0, 0)


def deeds(habits: ParkingHabits, seed: int = 1) -> list[Deed]:
    return [act.deed for act in plan_parking(PARKING, habits, Random(seed))]


def test_a_person_of_no_bad_habit_plugs_in_authorises_and_leaves_in_time() -> None:
    acts = plan_parking(PARKING, NEVER, Random(1))
    assert [act.deed for act in acts] == [Deed.PLUG_IN, Deed.AUTHORISE, Deed.UNPLUG]
    assert acts[-1].at_ms <= PARKING.end_ms


def test_every_habit_of_charging_shows_when_it_is_certain() -> None:
    for seed in range(100):
        assert deeds(ParkingHabits(stays_away=1), seed) == []
        assert Deed.AUTHORISE not in deeds(ParkingHabits(0, forgets_pin=1), seed)
        assert deeds(ParkingHabits(0, 1, 1, 0, 1, 1), seed) == [
            *(Deed.MISTYPE, Deed.AUTHORISE, Deed.PLUG_IN),
            *(Deed.STOP, Deed.UNPLUG),
        ]
        late = plan_parking(PARKING, ParkingHabits(0, forgets_vehicle=1), Random(seed))
        assert late[-1].at_ms > PARKING.end_ms


def test_the_same_seed_lives_the_same_day_and_leaves_something_free() -> None:
    site = load_site(DEMO, kinds())
    days = [list(parkings(site, 0, Random(7))) for _ in range(2)]
    assert days[0] == days[1]
    at_first = {parking.outlet for parking, _ in days[0] if parking.start_ms < 60_000}
    assert {"bay_1", "bay_2", "bay_3", "bike_1"} <= at_first
    assert not {"bay_4", "bike_12"} & at_first
    booked = {parking.outlet for parking, books in days[0] if books}
    assert booked == {"bay_1", "bay_2", "bay_3"}
    assert {facility for facility, _ in stays(site, 0)} == {"gym", "kitchen", "study_room"}


@pytest.fixture
def shed() -> SimulatedSite:
    """The demo's devices with nobody who polls them, and no broker for its keypads."""
    return SimulatedSite(load_site(DEMO, kinds()))


async def test_who_finds_the_place_taken_leaves_it_alone(shed: SimulatedSite) -> None:
    connector = shed.town.connector("bike_3")
    first, second = (Motorist(shed, PARKING, shed.now_ms) for _ in range(2))
    await first.do(Deed.PLUG_IN)
    mine = connector.vehicle
    for deed in (Deed.PLUG_IN, Deed.AUTHORISE, Deed.STOP, Deed.UNPLUG):
        await second.do(deed)
    assert connector.vehicle is mine is not None
    await first.do(Deed.STOP)  # it does not charge: a PIN now would begin
    await first.do(Deed.UNPLUG)
    assert connector.vehicle is None


async def test_a_contactor_takes_the_power_of_what_hangs_on_it(shed: SimulatedSite) -> None:
    """RULES C2: also from an outlet whose own relay is welded."""
    town, now_ms = shed.town, shed.now_ms()
    outlet = town.connector("bike_3")
    assert isinstance(outlet, SwitchedOutlet)
    shed.plug_in("bike_3", "ebike")
    outlet.switch(True, now_ms)
    assert outlet.watts(now_ms) > 100
    outlet.welded = True
    town.relays["garage_board", 1].write(False, now_ms)
    town.step(now_ms)
    assert outlet.watts(now_ms + 100) == 0
    town.relays["garage_board", 1].write(True, now_ms + 200)
    town.step(now_ms + 200)
    assert outlet.watts(now_ms + 300) > 100
