"""Quotas: held when a use begins, counted when it ends, and never twice (RULES B1, B3, C1, C3)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from core.garage import Garage
from core.harness import World
from core.sites import court
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import quotas
from gateway.core.draft import Draft
from gateway.domain.bookings import Booking
from gateway.domain.charging import ChargingSession, Limits, OutletRules
from gateway.domain.events import Actor, ExtensionAsked, Stream, WalkInAsked
from gateway.domain.quotas import Counted, Hold, Quota
from gateway.domain.records import Fact
from gateway.domain.site import BookingPolicy, Facility
from gateway.domain.state import Result
from gateway.domain.subjects import Role

ENERGY, TIME = Counted.ENERGY, Counted.TIME
OVERSHOOT_WH = 10  # what flows between a reading and the switch


@pytest.fixture
def garage() -> Garage:
    world = Garage()
    world.person("ada", pin="1111")
    world.person("ben", pin="2222")
    world.forget()
    return world


def quota(garage: Garage, id_: str = "ada-kwh") -> Quota:
    return garage.get(Quota, id_)


def free(garage: Garage, id_: str = "ada-kwh") -> int:
    draft = Draft(garage.site, garage.state, garage.readings, garage.now())
    return quotas.free(draft, quota(garage, id_))


def held(garage: Garage) -> int:
    return sum(one.open for one in garage.state.all(Hold))


def test_a_session_ends_when_the_quota_is_used_up_and_the_next_is_refused(garage: Garage) -> None:
    """What is too little to begin with is said, and how much it is."""
    garage.quota("ada-kwh", "ada", ENERGY, 3_000)
    garage.start("car1", "1111")
    assert held(garage) == 2_000
    garage.run(3_600, step_s=4)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert ended["stop_reason"] == "LocalOutOfCredit"
    assert 3_000 <= ended["energy_wh"] <= 3_000 + OVERSHOOT_WH
    spent = {"quota": "ada-kwh", "spent_wh": ended["energy_wh"], "used_wh": ended["energy_wh"]}
    assert ended["quotas"] == [spent]
    assert held(garage) == 0
    refused = garage.want("car1", "1111")
    assert (refused.result, refused.reason.code) == (Result.NO_CREDIT, "quota_used_up")
    assert refused.reason.en == "Your quota is used up: 0.0 kWh left."
    assert garage.last(Fact.REFUSED).data["result"] == "NoCredit"
    garage.quota("ada-kwh", "ada", ENERGY, 3_400)
    assert garage.want("car1", "1111").reason.en == "Your quota is used up: 0.3 kWh left."


def test_who_has_no_quota_is_not_metered(garage: Garage) -> None:
    garage.quota("ada-kwh", "ada", ENERGY, 0)
    assert garage.want("car1", "1111").result is Result.NO_CREDIT
    assert garage.want("car1", "2222").accepted
    assert garage.last(Fact.SESSION_AUTHORISED).data.get("held") is None


def test_two_outlets_at_once_cannot_both_spend_it(garage: Garage) -> None:
    """Both begin, each with a slice; together they get what there is, and no more."""
    garage.quota("ada-kwh", "ada", ENERGY, 5_000)
    garage.start("car1", "1111")
    garage.start("car2", "1111")
    assert held(garage) == 4_000
    garage.run(3_600, step_s=4)
    ends = [record.data for record in garage.facts(Fact.SESSION_ENDED)]
    assert [one["stop_reason"] for one in ends] == ["LocalOutOfCredit"] * 2
    assert 5_000 <= sum(one["energy_wh"] for one in ends) <= 5_000 + 2 * OVERSHOOT_WH
    assert ends[-1]["quotas"][0]["used_wh"] == sum(one["energy_wh"] for one in ends)


def test_what_is_held_elsewhere_is_not_free(garage: Garage) -> None:
    garage.quota("ada-kwh", "ada", ENERGY, 2_200)
    garage.start("car1", "1111")
    refused = garage.want("car2", "1111")
    assert (refused.result, refused.reason.code) == (Result.NO_CREDIT, "quota_held")
    assert "0.2 kWh free" in refused.reason.en


def test_energy_asked_beyond_a_quota_is_refused_with_both_figures(garage: Garage) -> None:
    garage.quota("ada-kwh", "ada", ENERGY, 400)
    for wish in ({"needed_wh": 10_000}, {"limits": Limits(most_wh=10_000)}):
        refused = garage.want("car1", "1111", **wish)
        assert (refused.result, refused.reason.code) == (Result.NO_CREDIT, "beyond_quota")
        assert refused.reason.en == "You asked for 10.0 kWh; your quota has 0.4 kWh left."
    assert garage.want("car1", "1111", limits=Limits(most_wh=300)).accepted


def test_a_limit_ends_a_session_and_what_was_not_used_is_given_back(garage: Garage) -> None:
    """A limit is held at once; a need is no limit."""
    garage.quota("ada-kwh", "ada", ENERGY, 9_000)
    garage.start("car1", "1111", limits=Limits(most_wh=1_000))
    assert held(garage) == 1_000
    garage.run(1_800, step_s=4)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert ended["stop_reason"] == "EnergyLimitReached"
    assert free(garage) == 9_000 - ended["energy_wh"]
    garage.start("car2", "1111", needed_wh=3_000)
    assert held(garage) == 3_000
    garage.run(120, step_s=4)
    assert garage.want("car2", "1111").accepted
    garage.run(10)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "Local"
    taken = sum(record.data["energy_wh"] for record in garage.facts(Fact.SESSION_ENDED))
    assert (held(garage), free(garage)) == (0, 9_000 - taken)


def test_the_outlets_own_limit_stands_beside_the_quota() -> None:
    garage = Garage(rules=OutletRules(limits=Limits(most_wh=700)))
    garage.person("ada", pin="1111")
    garage.quota("ada-kwh", "ada", ENERGY, 5_000)
    garage.start("car1", "1111", limits=Limits(most_wh=4_000))
    assert held(garage) == 700
    garage.run(1_200, step_s=4)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "EnergyLimitReached"


def test_holds_survive_a_restart(garage: Garage) -> None:
    """C3: and the session ends where it would have ended."""
    garage.quota("ada-kwh", "ada", ENERGY, 2_500)
    garage.start("car1", "1111")
    garage.run(600, step_s=4)
    before = held(garage)
    garage.wait(seconds=61)
    garage.restart()
    assert held(garage) == before
    garage.read("car1/limit", 16_000)
    garage.look()
    garage.run(3_600, step_s=4)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert ended["stop_reason"] == "LocalOutOfCredit"
    assert 2_500 <= ended["energy_wh"] <= 2_500 + OVERSHOOT_WH + 20


def test_a_word_that_is_behind_loses_nothing_and_counts_nothing_twice(garage: Garage) -> None:
    """The platform says what was left when it had booked so much; what was used since counts."""
    garage.quota("ada-kwh", "ada", ENERGY, 10_000)
    garage.start("car1", "1111", limits=Limits(most_wh=1_000))
    garage.run(1_800, step_s=4)
    used = quota(garage).used
    garage.quota("ada-kwh", "ada", ENERGY, 10_000)  # it has not heard of it yet
    assert free(garage) == 10_000 - used
    garage.quota("ada-kwh", "ada", ENERGY, 10_000 - used, used=used)  # now it has
    assert free(garage) == 10_000 - used
    garage.quota("ada-kwh", "ada", ENERGY, 30_000 - used, used=used)  # and somebody paid
    assert free(garage) == 30_000 - used


def test_a_gateway_that_forgot_goes_on_from_the_platforms_odometer(garage: Garage) -> None:
    garage.quota("ada-kwh", "ada", ENERGY, 8_000, used=41_200)
    assert (quota(garage).used, free(garage)) == (41_200, 8_000)
    garage.start("car1", "1111", limits=Limits(most_wh=600))
    garage.run(900, step_s=4)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert ended["quotas"][0]["used_wh"] == 41_200 + ended["energy_wh"]


def test_less_is_left_than_is_held(garage: Garage) -> None:
    """A newer word shortens what runs; the newest gives way first."""
    garage.quota("ada-kwh", "ada", ENERGY, 9_000)
    garage.start("car1", "1111")
    garage.wait(seconds=1)
    garage.start("car2", "1111")
    garage.quota("ada-kwh", "ada", ENERGY, 1_500)
    garage.run(60)
    assert garage.last(Fact.SESSION_ENDED).data["facility"] == "car2"
    garage.run(1_800, step_s=4)
    assert garage.last(Fact.SESSION_ENDED).data["facility"] == "car1"
    taken = sum(record.data["energy_wh"] for record in garage.facts(Fact.SESSION_ENDED))
    assert 1_500 <= taken <= 1_500 + 100


def test_a_quota_that_is_over_begins_nothing_and_ends_nothing(garage: Garage) -> None:
    garage.quota("ada-kwh", "ada", ENERGY, 9_000, until_ms=garage.clock("09:10"))
    garage.quota("ben-kwh", "ben", ENERGY, 9_000, from_ms=garage.clock("09:30"))
    assert garage.want("car2", "2222").reason.en == "Your quota begins at 09:30."
    garage.start("car1", "1111")
    garage.run(1_200, step_s=4)
    assert garage.session("car1").energy_wh > 1_000
    garage.want("car1", "1111")
    garage.run(10)
    refused = garage.want("car1", "1111")
    assert (refused.result, refused.reason.en) == (Result.NO_CREDIT, "Your quota ended at 09:10.")
    garage.quota("ada-dec", "ada", ENERGY, 9_000, from_ms=garage.clock("09:10"))
    assert garage.want("car1", "1111").accepted


def test_a_quota_that_is_removed_meters_no_more(garage: Garage) -> None:
    garage.quota("ada-kwh", "ada", ENERGY, 2_000)
    garage.start("car1", "1111")
    garage.sync(Stream.SUBJECTS, (), ["ada-kwh"])
    garage.run(3_600, step_s=4)
    assert garage.session("car1").energy_wh > 3_000
    assert not list(garage.state.all(Hold))


def test_a_provisional_end_is_counted_once(garage: Garage) -> None:
    """C3: the rest comes with the register that was missing."""
    garage.quota("ada-kwh", "ada", ENERGY, 9_000)
    garage.start("car1", "1111")
    garage.run(600)
    garage.silence("car1")
    garage.want("car1", "1111")
    garage.run(120)
    provisional = garage.last(Fact.SESSION_ENDED).data
    assert quota(garage).used == provisional["energy_wh"]
    assert held(garage) == 0
    garage.read("car1/limit", 0)
    garage.heal("car1")
    garage.look()
    garage.run(70)
    completed = garage.last(Fact.SESSION_COMPLETED).data
    assert completed["energy_wh"] > provisional["energy_wh"]
    assert quota(garage).used == completed["energy_wh"]
    assert completed["quotas"][0]["spent_wh"] == completed["energy_wh"]


def test_a_quota_counts_where_its_targets_are(garage: Garage) -> None:
    garage.quota("ada-kwh", "ada", ENERGY, 0, targets=("car1",))
    assert garage.want("car1", "1111").result is Result.NO_CREDIT
    assert garage.want("car2", "1111").accepted
    strange = garage.quota("ada-2", "ada", ENERGY, 0, targets=("nowhere",))
    assert strange.data["rejected"][0]["code"] == "unknown_target"
    nobody = garage.quota("x", "nobody", ENERGY, 0)
    assert nobody.data["rejected"][0]["code"] == "unknown_subject"


def test_time_counts_without_a_booking_only(garage: Garage) -> None:
    """A booking of the platform has its time from there."""
    garage.quota("ada-h", "ada", TIME, 20 * 60_000)
    garage.start("car1", "1111")
    garage.run(1_300, step_s=4)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert ended["stop_reason"] == "LocalOutOfCredit"
    assert 1_200_000 <= ended["duration_ms"] < 1_210_000
    refused = garage.want("car1", "1111")
    assert refused.reason.en == "Your quota is used up: 0 min left."
    garage.book("b1", "car2", "ada", "09:00", "12:00")
    assert garage.want("car2", "1111").accepted


# --- whatever comes -------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("plug"), st.sampled_from(["car1", "car2"])),
        st.tuples(st.just("unplug"), st.sampled_from(["car1", "car2"])),
        st.tuples(st.just("run"), st.sampled_from([20, 300, 900])),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("booked"), st.integers(0, 3)),
        st.tuples(st.just("paid"), st.integers(0, 3_000)),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6_000), STEPS)
def test_what_is_used_is_what_was_paid_for_however_late_the_platform(
    paid_wh: int, steps: Sequence[tuple[str, int | str]]
) -> None:
    """Its word may be any number of records behind; and what is held never passes what is left."""
    garage = Garage()
    garage.person("ada", pin="1111")
    garage.quota("ada-kwh", "ada", ENERGY, paid_wh)
    for what, figure in steps:
        match what:
            case "plug":
                garage.plug(str(figure))
                if not _runs(garage, str(figure)):
                    garage.want(str(figure), "1111")
            case "unplug":
                garage.unplug(str(figure))
            case "run":
                garage.run(int(figure), step_s=10)
            case "restart":
                garage.wait(seconds=61)
                garage.restart()
                for id_ in garage.cars:
                    garage.seen(id_, 16_000 if _runs(garage, id_) else 0)
                garage.look()
            case "booked" | "paid":
                paid_wh += int(figure) if what == "paid" else 0
                told = _told(garage)
                booked = told[: len(told) - int(figure)] if what == "booked" else told
                used = max((one["used_wh"] for one in booked), default=0)
                left = max(0, paid_wh - used)
                garage.quota("ada-kwh", "ada", ENERGY, left, used=used)
        now = quota(garage)
        assert held(garage) <= max(0, now.left)
    garage.unplug("car1")
    garage.unplug("car2")
    garage.run(60)
    spent = [one["spent_wh"] for one in _told(garage)]
    assert quota(garage).used == sum(spent)
    assert sum(spent) <= paid_wh + len(spent) * 50
    assert held(garage) == 0


def _told(garage: Garage) -> list[dict[str, int]]:
    ends = garage.facts(Fact.SESSION_ENDED)
    return [one for record in ends for one in record.data.get("quotas", ())]


def _runs(garage: Garage, id_: str) -> bool:
    return any(one.running for one in garage.state.where(ChargingSession, "facility", id_))


# --- rooms ----------------------------------------------------------------------------------------

ADA = Actor("ada", Role.RESIDENT)
HOUR = 3_600_000


@pytest.fixture
def rooms() -> World:
    world = World(court(facilities=[_open_store()]))
    world.person("ada", pin="1111")
    world.person("ben", pin="2222")
    return world


def _open_store() -> Facility:
    store = court().facilities["store"]
    return replace(store, booking=BookingPolicy.OPTIONAL)


def test_a_walk_in_and_an_extension_hold_their_time_and_count_it(rooms: World) -> None:
    """B4: what the gateway grants alone nobody else has counted."""
    rooms.quota("ada-h", "ada", TIME, HOUR + 600_000)
    assert rooms.tell(WalkInAsked("study", "ada", 60, ADA)).accepted
    refused = rooms.tell(WalkInAsked("music", "ada", 30, ADA))
    assert (refused.result, refused.reason.code) == (Result.NO_CREDIT, "beyond_quota")
    assert refused.reason.en == "You asked for 30 min; your quota has 10 min left."
    assert rooms.tell(WalkInAsked("music", "ada", 10, ADA)).accepted
    rooms.enter("study", "1111")
    rooms.at("10:01")
    ended = {r.data["facility"]: r.data for r in rooms.facts(Fact.BOOKING_ENDED)}
    both = HOUR + 600_000
    assert ended["study"]["quotas"] == [{"quota": "ada-h", "spent_ms": HOUR, "used_ms": both}]
    assert ended["music"]["quotas"][0]["spent_ms"] == 600_000
    gone = rooms.tell(WalkInAsked("terrace", "ada", 15, ADA))
    assert gone.result is Result.NO_CREDIT


def test_a_walk_in_that_the_platform_takes_back_at_once_is_given_back(rooms: World) -> None:
    """B4."""
    rooms.quota("ada-h", "ada", TIME, HOUR)
    assert rooms.tell(WalkInAsked("study", "ada", 60, ADA)).accepted
    booking = next(iter(rooms.state.all(Booking)))
    rooms.cancel(booking.id)
    told = rooms.last(Fact.BOOKING_REMOVED).data["quotas"]
    assert told == [{"quota": "ada-h", "spent_ms": 0, "used_ms": 0}]
    assert rooms.get(Quota, "ada-h").left == HOUR


def test_a_visit_without_a_booking_counts_and_who_is_in_may_come_and_go(rooms: World) -> None:
    """Nobody is put out for it; the next one is refused."""
    rooms.quota("ada-h", "ada", TIME, 20 * 60_000)
    rooms.enter("store", "1111")
    rooms.wait(minutes=25)
    assert rooms.visits("store") == ["ada"]
    rooms.leave("store")
    rooms.wait(seconds=30)
    assert rooms.pin("store", "1111").accepted  # what was forgotten
    rooms.wait(minutes=7)
    closed = rooms.last(Fact.VISIT_CLOSED).data
    assert closed["quotas"][0]["spent_ms"] == closed["duration_ms"] > 25 * 60_000
    refused = rooms.pin("store", "1111")
    assert (refused.result, refused.reason.code) == (Result.NO_CREDIT, "quota_used_up")
    assert rooms.pin("store", "2222").accepted


def test_booked_time_is_the_platforms(rooms: World) -> None:
    rooms.quota("ada-h", "ada", TIME, 0)
    rooms.book("b1", "study", "ada", "09:00", "10:00")
    rooms.enter("study", "1111")
    assert rooms.visits("study") == ["ada"]
    refused = rooms.tell(ExtensionAsked("b1", 30, ADA))
    assert (refused.result, refused.reason.code) == (Result.NO_CREDIT, "beyond_quota")
    rooms.at("10:20")
    assert not list(rooms.state.all(Hold))
    assert rooms.get(Quota, "ada-h").used == 0
