"""What flows beside our outlets, believed as far as meter and chargers agree (RULES C4)."""

import pytest
from core.garage import Garage

METER = "panel/current_l1"


@pytest.fixture
def garage() -> Garage:
    """Two chargers on one phase of 40 A, and a building that draws 20 A beside them."""
    garage = Garage(meter=METER)
    garage.person("ada", pin="1111")
    garage.person("ben", pin="2222")
    garage.read(METER, 20_000)
    garage.wait(seconds=6)
    garage.look()
    return garage


def charges(garage: Garage, *cars: str) -> None:
    for car, pin in zip(cars, ("1111", "2222"), strict=False):
        garage.plug(car)
        garage.type_pin(pin, car)


def granted_ma(garage: Garage) -> list[int]:
    return [garage.outlet(car).granted_ma for car in ("car1", "car2")]


def test_c4_what_a_car_began_to_draw_is_not_taken_off_what_the_building_did(
    garage: Garage,
) -> None:
    """The charger is read before the meter is: for that moment the building seems to draw less."""
    charges(garage, "car1", "car2")
    for _ in range(4):  # both draw 10 A, and the meter still says 20 A
        garage.look()
        garage.wait(seconds=1)
        assert sum(granted_ma(garage)) <= 20_000
    garage.read(METER, 40_000)
    garage.run(10)
    assert granted_ma(garage) == [10_000, 10_000]


def test_c4_what_a_car_ceased_to_draw_is_not_put_upon_the_others(garage: Garage) -> None:
    """The other way round, nobody is switched off for a moment."""
    charges(garage, "car1", "car2")
    garage.run(4)
    garage.read(METER, 40_000)
    garage.run(10)
    garage.unplug("car1")
    for _ in range(2):
        garage.wait(seconds=1)
        garage.look()
        assert garage.outlet("car2").granted_ma >= 10_000
    garage.read(METER, 30_000)
    garage.run(20)
    assert granted_ma(garage) == [0, 16_000]


def test_c4_more_than_a_phase_may_carry_is_believed_at_once(garage: Garage) -> None:
    charges(garage, "car1", "car2")
    garage.run(4)
    garage.read(METER, 40_000)
    garage.run(10)
    garage.read(METER, 46_000)
    assert granted_ma(garage) == [7_000, 7_000]
    garage.run(2)
    garage.read(METER, 40_000)
    garage.run(20)
    assert granted_ma(garage) == [7_000, 7_000]
    garage.read(METER, 34_000)  # the building draws 20 A again
    garage.run(8)
    assert granted_ma(garage) == [10_000, 10_000]


def test_c4_a_stale_meter_counts_as_the_load_that_was_declared(garage: Garage) -> None:
    charges(garage, "car1", "car2")
    garage.run(4)
    garage.read(METER, None)
    garage.run(4)
    assert granted_ma(garage) == [16_000, 16_000]  # this site declares none
