"""A meter over several outlets: its difference to theirs is a figure of its own (RULES C5)."""

from dataclasses import replace

import pytest
from core.garage import VOLTS, Garage
from core.harness import UNKNOWN
from core.sites import ref

from gateway.domain.charging import CircuitEnergy
from gateway.domain.records import Fact


class Metered(Garage):
    """The garage with a meter over it, that also counts what `leaks_w` takes."""

    def __init__(self, leaks_w: int = 0, **circuit: object) -> None:
        self.leaks_w = leaks_w
        self.over_wh = 70_000.0
        super().__init__()
        feeder = replace(self.site.circuits["garage"], energy=ref("panel/energy"), **circuit)
        self.site = replace(self.site, circuits={"garage": feeder})
        self.restart()
        for id_ in self.cars:
            self.seen(id_, 0)
        self.look()
        self.person("ada", pin="1111")

    def look(self) -> None:
        super().look()
        if self.site.circuits["garage"].energy is not None:
            self.read("panel/energy", int(self.over_wh))

    def run(self, seconds: int, step_s: int = 2) -> None:
        for _ in range(seconds // step_s):
            drawn_w = sum(
                car.draws_ma(self.limit(id_)) * VOLTS / 1000 for id_, car in self.cars.items()
            )
            self.over_wh += (drawn_w + self.leaks_w) * step_s / 3600
            super().run(step_s, step_s)


@pytest.mark.parametrize(("leaks_w", "faulty"), [(0, False), (100, False), (400, True)])
def test_the_difference_is_told_by_the_hour_and_is_a_fault_over_five_percent(
    leaks_w: int, faulty: bool
) -> None:
    garage = Metered(leaks_w)
    garage.start("car1", "1111")
    garage.run(3_700, step_s=20)
    told = garage.last(Fact.RESIDUAL).data
    assert told["metered_wh"] - told["outlets_wh"] == told["residual_wh"]
    assert told["residual_wh"] == pytest.approx(leaks_w, abs=25)
    assert ("residual:garage" in garage.faults()) is faulty
    garage.leaks_w = 0
    garage.run(3_700, step_s=20)
    assert "residual:garage" not in garage.faults()


def test_what_else_hangs_on_the_circuit_is_no_fault() -> None:
    garage = Metered(400, other_ma=(2_000, 0, 0))
    garage.start("car1", "1111")
    garage.run(3_700, step_s=20)
    assert garage.last(Fact.RESIDUAL).data["residual_wh"] > 300
    assert "residual:garage" not in garage.faults()


def test_outlets_that_count_more_than_their_parent_differ_below_zero() -> None:
    garage = Metered(-500)
    garage.start("car1", "1111")
    garage.run(3_700, step_s=20)
    assert garage.last(Fact.RESIDUAL).data["residual_wh"] < -400
    assert "residual:garage" in garage.faults()


def test_a_register_that_jumps_or_begins_anew_is_compared_with_nothing() -> None:
    garage = Metered()
    garage.start("car1", "1111")
    garage.run(1_800, step_s=20)
    for jump_wh in (4_000_000, -3_000_000):
        garage.over_wh += jump_wh
        garage.run(20)
        assert garage.get(CircuitEnergy, "garage").metered_wh < 100
    garage.run(3_700, step_s=20)
    (told,) = garage.facts(Fact.RESIDUAL)
    assert abs(told.data["residual_wh"]) < 30


def test_a_switch_that_stands_open_is_a_fault_over_a_restart() -> None:
    """C2."""
    garage = Metered()
    garage.start("car1", "1111")
    garage.answer("car1/limit", *[UNKNOWN] * 100)
    garage.read("car1/temperature", 80)
    garage.run(20)
    assert "breaker_open:garage" in garage.faults()
    garage.restart()
    assert "breaker_open:garage" in garage.faults()
