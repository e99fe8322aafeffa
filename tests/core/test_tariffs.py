"""Classes of price: whatever is used is told by class, registers and all (RULES C3, U3)."""

from dataclasses import replace

import pytest
from core.garage import Garage

from gateway.domain.charging import OutletRules
from gateway.domain.hours import Tariff, WeeklyHours
from gateway.domain.now import Trust
from gateway.domain.records import Fact
from gateway.domain.state import Result

EVERY_DAY = range(7)
NIGHT = WeeklyHours(tuple((day, 22 * 60, 30 * 60) for day in EVERY_DAY))
TARIFF = Tariff("garage", "normal", (("night", NIGHT),))


def garage(at: str, tariff: Tariff | None = TARIFF, **more: object) -> Garage:
    world = Garage(at=at, **more)
    facilities = {id_: replace(f, tariff=tariff) for id_, f in world.site.facilities.items()}
    world.site = replace(world.site, facilities=facilities)
    world.restart()
    for id_ in world.cars:
        world.seen(id_, 0)
    world.look()
    world.person("ada", pin="1111")
    return world


def ended(world: Garage) -> dict[str, object]:
    world.want("car1", "1111")
    world.run(10)
    return dict(world.last(Fact.SESSION_ENDED).data)


def test_a_session_over_ten_at_night_is_told_by_class_with_the_register_at_ten() -> None:
    world = garage("2026-03-02 21:50")
    world.start("car1", "1111")
    world.at("22:00")
    at_ten = world.session("car1").segments[0]
    world.run(1_200, step_s=4)
    told = ended(world)
    first, second = told["segments"]
    assert (first["price_class"], second["price_class"]) == ("normal", "night")
    assert first["closed_wh"] == second["opened_wh"] >= at_ten.latest_wh
    assert second["from_ms"] == world.clock("2026-03-02 22:00")
    by_class = told["energy_by_class"]
    assert by_class == {
        "normal": first["closed_wh"] - first["opened_wh"],
        "night": second["closed_wh"] - second["opened_wh"],
    }
    assert sum(by_class.values()) == told["energy_wh"]
    assert sum(told["duration_by_class"].values()) == told["duration_ms"]
    assert told["duration_by_class"]["normal"] == pytest.approx(600_000, abs=15_000)


def test_one_class_is_one_segment_and_no_tariff_says_nothing_of_it() -> None:
    world = garage("2026-03-02 09:00", Tariff("club", "subsidised"))
    world.start("car1", "1111")
    world.run(600, step_s=4)
    told = ended(world)
    assert list(told["energy_by_class"]) == ["subsidised"]
    world = garage("2026-03-02 21:50", None)
    world.start("car1", "1111")
    world.run(1_200, step_s=4)
    told = ended(world)
    assert "energy_by_class" not in told
    assert len(told["segments"]) == 1


def test_a_clock_that_nobody_trusts_turns_no_class() -> None:
    world = garage("2026-03-02 21:59")
    world.start("car1", "1111")
    world.step_clock(0, Trust.UNTRUSTED)
    world.run(600, step_s=4)
    assert [one.price for one in world.session("car1").segments] == ["normal"]
    world.step_clock(0, Trust.SYNCHRONISED)
    world.run(20)
    assert [one.price for one in world.session("car1").segments] == ["normal", "night"]


def test_a_segment_that_a_reset_opens_is_of_the_class_that_holds() -> None:
    world = garage("2026-03-02 23:00")
    world.start("car1", "1111")
    world.run(600, step_s=4)
    world.cars["car1"].wh = 3
    world.run(60)
    told = ended(world)
    assert [one["price_class"] for one in told["segments"]] == ["night", "night"]
    assert told["energy_by_class"] == {"night": told["energy_wh"]}


def test_outside_its_hours_an_outlet_starts_nothing_and_ends_what_runs() -> None:
    """C8: the night window."""
    hours = WeeklyHours(tuple((day, 6 * 60, 23 * 60) for day in EVERY_DAY))
    world = garage("2026-03-02 22:50", rules=OutletRules(hours=hours))
    world.start("car1", "1111")
    world.at("23:00")
    world.run(20)
    assert world.last(Fact.SESSION_ENDED).data["stop_reason"] == "TimeLimitReached"
    refused = world.want("car1", "1111")
    assert refused.result is Result.NOT_AT_THIS_TIME
    assert refused.reason.en == "No charging now: from 03-03 06:00 on."
    world.at("2026-03-03 06:00")
    assert world.want("car1", "1111").accepted
