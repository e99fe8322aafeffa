"""Charging sessions by rule (RULES C), through the real step and reconciler."""

from dataclasses import fields, replace
from typing import Any

import pytest
from core.garage import Garage
from core.harness import DESK, UNKNOWN
from core.sites import ref

from gateway.core.decide import decide
from gateway.domain.bookings import BookingStatus
from gateway.domain.charging import (
    ChargingSession,
    ConnectorStatus,
    Limits,
    OutletRules,
    Segment,
    SessionState,
)
from gateway.domain.events import (
    SUPERVISION,
    Actor,
    CredentialPresented,
    DeadlineReached,
    HazardResetAsked,
    SessionStopAsked,
)
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.state import Result, put
from gateway.domain.subjects import CredentialKind, Presented, Role


@pytest.fixture
def garage() -> Garage:
    world = Garage()
    world.person("ada", pin="1111")
    world.person("ben", pin="2222")
    world.forget()
    return world


def test_from_plug_to_stop_the_record_holds_what_the_register_counted(garage: Garage) -> None:
    """C1, C3: plug first, then the PIN; the same PIN stops it."""
    garage.plug("car1")
    assert garage.outlet("car1").status is ConnectorStatus.PREPARING
    assert garage.limit("car1") == 0
    assert garage.type_pin("1111").accepted
    garage.run(10)
    assert garage.session("car1").progress.state is SessionState.ACTIVE
    assert garage.outlet("car1").status is ConnectorStatus.CHARGING
    opened = garage.last(Fact.SESSION_STARTED).data["register_wh"]
    garage.run(3600, step_s=10)
    reply = garage.type_pin("1111")
    assert reply.accepted
    assert reply.reason.code == "charging_stopped"
    garage.run(10)
    assert not list(garage.state.all(ChargingSession))
    ended = garage.last(Fact.SESSION_ENDED).data
    closed = int(garage.cars["car1"].wh)
    assert ended["segments"] == [{"meter": "car1", "opened_wh": opened, "closed_wh": closed}]
    assert ended["energy_wh"] == closed - opened > 3_600
    assert ended["stop_reason"] == "Local"
    assert garage.limit("car1") == 0
    assert garage.last(Fact.SESSION_ENDED).personal == {"subject": "ada"}


def test_authorised_first_it_waits_for_the_plug(garage: Garage) -> None:
    """C8: and gives up after five minutes, with no energy."""
    assert garage.type_pin("1111", "car2").reason.code == "charging_authorised"
    garage.run(60)
    assert garage.session("car2").progress.state is SessionState.AUTHORISED
    garage.plug("car2")
    garage.run(10)
    assert garage.session("car2").progress.state is SessionState.ACTIVE
    assert garage.type_pin("2222", "car1").accepted
    garage.run(301)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert (ended["stop_reason"], ended["energy_wh"], ended["facility"]) == ("Timeout", 0, "car1")


def test_nothing_flows_without_a_session(garage: Garage) -> None:
    """C1: a car that is plugged in gets nothing before somebody may charge."""
    garage.plug("car1")
    garage.run(120)
    assert garage.limit("car1") == 0
    assert garage.cars["car1"].wh == 5_000


def test_who_has_no_pin_here_gets_nothing_and_waits(garage: Garage) -> None:
    """A5 holds at an outlet as at a door."""
    garage.plug("car1")
    assert garage.type_pin("9999").result is Result.INVALID
    assert garage.type_pin("1111").reason.code == "slow_down"
    garage.run(10)
    assert garage.type_pin("1111").accepted


def test_two_free_outlets_ask_which(garage: Garage) -> None:
    reply = garage.type_pin("1111")
    assert reply.reason.code == "choose_outlet"
    assert "car1, car2" in reply.reason.en
    assert garage.type_pin("1111", "car9").reason.code == "choose_outlet"
    garage.plug("car2")
    assert garage.type_pin("1111").data["facility"] == "car2"


def test_one_session_an_outlet(garage: Garage) -> None:
    """C5."""
    garage.plug("car1")
    garage.type_pin("1111", "car1")
    garage.run(10)
    reply = garage.type_pin("2222", "car1")
    assert (reply.result, reply.reason.code) == (Result.CONCURRENT, "outlet_in_use")


def test_unplugged_it_ends_and_the_next_is_not_charged_for_it(garage: Garage) -> None:
    garage.plug("car1")
    garage.type_pin("1111")
    garage.run(600)
    garage.unplug("car1")
    garage.run(10)
    first = garage.last(Fact.SESSION_ENDED).data
    assert first["stop_reason"] == "EVDisconnected"
    garage.plug("car1")
    garage.type_pin("2222")
    garage.run(600)
    garage.unplug("car1")
    garage.run(10)
    second = garage.last(Fact.SESSION_ENDED).data
    unattributed = sum(r.data["energy_wh"] for r in garage.facts(Fact.ENERGY_UNATTRIBUTED))
    together = first["energy_wh"] + second["energy_wh"] + unattributed
    assert together == int(garage.cars["car1"].wh) - 5_000


@pytest.mark.parametrize(
    ("limits", "cause"),
    [(Limits(most_wh=500), "EnergyLimitReached"), (Limits(longest_ms=600_000), "TimeLimitReached")],
)
def test_its_limits_hold(limits: Limits, cause: str) -> None:
    """C3: also over a restart in the midst of it."""
    garage = Garage(rules=OutletRules(limits=limits))
    garage.person("ada", pin="1111")
    garage.plug("car1")
    garage.type_pin("1111")
    garage.run(300)
    garage.restart()
    garage.read("car1/limit", 16_000)
    garage.look()
    garage.run(400)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert ended["stop_reason"] == cause
    assert garage.limit("car1") == 0


def test_a_restart_moves_no_limit(garage: Garage) -> None:
    """DESIGN §5: the same state derives the same grants; energy goes on being counted."""
    garage.plug("car1")
    garage.type_pin("1111")
    garage.run(300)
    before = garage.session("car1").energy_wh
    garage.wait(seconds=61)  # a checkpoint
    garage.forget()
    garage.restart()
    assert not [w for _, w in garage.writes if w.ref.device.startswith("car")]
    for id_ in garage.cars:
        garage.seen(id_, 16_000 if id_ == "car1" else 0)
    garage.look()
    garage.run(60)
    assert not [w for _, w in garage.writes if w.ref.device.startswith("car")]
    assert garage.session("car1").energy_wh > before


def test_a_booking_ends_with_a_next_booker_and_goes_on_without(garage: Garage) -> None:
    """C7."""
    garage.book("b1", "car1", "ada", "09:00", "10:00")
    garage.book("b2", "car1", "ben", "10:30", "11:30")
    garage.plug("car1")
    assert garage.type_pin("1111", "car1").accepted
    garage.at("10:10")
    garage.run(60)
    assert garage.session("car1").continued
    garage.at("10:31")
    garage.run(10)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert (ended["stop_reason"], ended["continued"]) == ("TimeLimitReached", True)


def test_whose_booking_is_over_starts_nothing_in_the_next_one(garage: Garage) -> None:
    """C7: what B7 allows in a room, to fetch what was forgotten, is no ground to charge."""
    garage.book("b1", "car1", "ada", "09:00", "10:00")
    garage.book("b2", "car1", "ben", "10:00", "11:00")
    garage.plug("car1")
    assert garage.type_pin("1111", "car1").accepted
    garage.at("10:01")
    garage.run(10)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "TimeLimitReached"
    assert not garage.type_pin("1111", "car1").accepted
    garage.cancel("b2")
    garage.run(40)
    assert garage.type_pin("1111", "car1").accepted


def test_a_booked_charger_that_nobody_comes_to_is_a_no_show(garage: Garage) -> None:
    """B6: a session or a vehicle is the evidence; a charger that was not read is none."""
    garage.book("b1", "car1", "ada", "09:01", "10:00")
    garage.book("b2", "car2", "ben", "09:01", "10:00")
    garage.book("b3", "bike1", "ben", "09:01", "10:00")
    garage.at("09:05")
    garage.silence("bike1")
    garage.run(10)
    garage.heal("bike1")
    garage.plug("car2")
    garage.at("09:20")
    assert garage.booking("b1").status is BookingStatus.NO_SHOW
    assert garage.booking("b2").status is BookingStatus.ENFORCED
    assert garage.booking("b3").status is BookingStatus.ENFORCED
    assert garage.type_pin("2222", "car2").accepted
    assert garage.booking("b2").status is BookingStatus.CHECKED_IN


def test_a_revoked_booking_takes_the_power(garage: Garage) -> None:
    garage.book("b1", "car1", "ada", "09:00", "10:00")
    garage.plug("car1")
    garage.type_pin("1111", "car1")
    garage.run(60)
    garage.cancel("b1")
    garage.run(70)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "DeAuthorized"


def test_smoke_cuts_every_outlet_of_its_zone(garage: Garage) -> None:
    """A3, C2: at once, latched, and nothing starts until a person resets it."""
    for car, pin in (("car1", "1111"), ("car2", "2222")):
        garage.plug(car)
        garage.type_pin(pin, car)
    garage.run(60)
    garage.edge("panel/smoke", True)
    assert (garage.limit("car1"), garage.limit("car2")) == (0, 0)
    garage.run(10)
    causes = [r.data["stop_reason"] for r in garage.facts(Fact.SESSION_ENDED)]
    assert causes == ["EmergencyStop", "EmergencyStop"]
    assert garage.outlet("car1").status is ConnectorStatus.FAULTED
    assert garage.type_pin("1111", "car1").reason.code == "hazard"


def test_heat_read_twice_takes_the_power_and_latches(garage: Garage) -> None:
    """C2: one reading is none, and what cannot be is none either."""
    garage.plug("car1")
    garage.type_pin("1111")
    garage.run(60)
    garage.read("car1/temperature", 900)
    garage.run(10)
    garage.read("car1/temperature", 80)
    assert garage.limit("car1") > 0
    garage.run(4)
    assert garage.limit("car1") == 0
    garage.read("car1/temperature", 30)
    garage.run(1_000)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "EmergencyStop"
    assert garage.type_pin("1111", "car1").reason.code == "hazard"
    assert (
        garage.tell(HazardResetAsked("car1", Actor("", Role.DESK))).reason.code == "person_needed"
    )
    assert garage.tell(HazardResetAsked("car1", DESK)).accepted
    assert garage.type_pin("1111", "car1").accepted


def test_a_charger_that_will_not_go_off_has_the_switch_above_it_opened(garage: Garage) -> None:
    """C2: after five seconds; closed again once a named person has reset what was dangerous."""
    garage.plug("car1")
    garage.type_pin("1111")
    garage.run(60)
    garage.answer("car1/limit", *[UNKNOWN] * 100)
    garage.read("car1/temperature", 80)
    garage.run(4)  # read again within two
    assert garage.wanted("panel/breaker") is None
    garage.run(4)
    opened = garage.last(Fact.BREAKER_OPENED).data
    assert (opened["circuit"], opened["facility"], opened["hazard"]) == (
        "garage",
        "car1",
        "too_hot",
    )
    assert garage.readings.latest(ref("panel/breaker")).value is False
    assert "breaker_open:garage" in garage.faults()
    garage.read("car1/temperature", 30)
    garage.wires.clear()
    garage.run(20 * 60, step_s=10)
    assert garage.readings.latest(ref("panel/breaker")).value is False
    assert garage.tell(HazardResetAsked("car1", DESK)).accepted
    garage.run(20)
    assert garage.readings.latest(ref("panel/breaker")).value is True
    assert garage.facts(Fact.BREAKER_CLOSED)
    assert garage.wanted("panel/breaker") is None


def test_a_switch_that_somebody_opened_by_hand_is_left_alone(garage: Garage) -> None:
    garage.read("panel/breaker", False)
    garage.run(60)
    garage.restart()
    garage.run(60)
    assert garage.readings.latest(ref("panel/breaker")).value in (False, None)
    assert not [w for _, w in garage.writes if w.ref == ref("panel/breaker")]


def test_a_single_over_current_may_be_tried_again_a_second_latches(garage: Garage) -> None:
    """C2: an inrush of under two seconds is none."""
    for outcome in ("tried again", "latched"):
        garage.plug("car1")
        assert garage.type_pin("1111", "car1").accepted
        garage.run(30)
        garage.read("car1/current", 30_000)
        garage.wait(seconds=1)
        garage.look()
        garage.run(4)
        assert garage.limit("car1") > 0
        garage.cars["car1"].surge_ma = 30_000
        garage.run(6)
        assert garage.limit("car1") == 0
        garage.cars["car1"].surge_ma = 0
        garage.run(20)
        assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "OvercurrentFault"
        assert garage.type_pin("1111", "car1").reason.code == "hazard"
        garage.run(610, step_s=10)
        assert garage.type_pin("1111", "car1").accepted is (outcome == "tried again")
        garage.type_pin("1111", "car1")
        garage.run(20)


def test_anybody_named_may_stop_it(garage: Garage) -> None:
    garage.plug("car1")
    garage.type_pin("1111")
    garage.run(10)
    assert garage.tell(SessionStopAsked(garage.session("car1").id, DESK)).accepted
    garage.run(10)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "Local"


def test_a_charger_that_falls_silent_closes_provisionally_and_is_completed(garage: Garage) -> None:
    """C3: the closing register comes later, with the energy that flowed meanwhile."""
    garage.plug("car1")
    garage.type_pin("1111")
    garage.run(600)
    garage.silence("car1")
    garage.type_pin("1111")
    garage.run(120)
    provisional = garage.last(Fact.SESSION_ENDED).data
    assert provisional["provisional"]
    garage.read("car1/limit", 0)
    garage.heal("car1")
    garage.look()
    garage.run(70)
    completed = garage.last(Fact.SESSION_COMPLETED).data
    assert completed["session"] == provisional["session"]
    assert completed["segments"][0]["closed_wh"] == int(garage.cars["car1"].wh)


def test_power_without_a_session_is_told(garage: Garage) -> None:
    """C6."""
    garage.read("car1/power", 3_000)
    assert "unauthorised_energy:car1" not in garage.faults()  # one sample is none
    garage.wait(seconds=2)
    garage.read("car1/power", 3_000)
    assert "unauthorised_energy:car1" in garage.faults()
    garage.read("car1/power", 0)
    assert "unauthorised_energy:car1" not in garage.faults()


# --- e-bike outlets (C8) --------------------------------------------------------------------------


def test_a_bike_that_is_full_floats_and_then_goes_off(garage: Garage) -> None:
    garage.start("bike1", "1111")
    garage.run(600, step_s=10)
    garage.cars["bike1"].most_ma = 60
    garage.run(40 * 60, step_s=20)
    assert garage.limit("bike1") > 0
    garage.run(6 * 60, step_s=20)
    assert garage.limit("bike1") == 0
    ended = garage.last(Fact.SESSION_ENDED).data
    assert ended["stop_reason"] == "StoppedByEV"
    assert ended["energy_wh"] == int(garage.cars["bike1"].wh) - 5_000


def test_another_bike_at_a_running_outlet_is_not_authorised(garage: Garage) -> None:
    """Near zero for 30 s and then a rise is a swap; a shorter gap is a loose plug."""
    garage.start("bike1", "1111")
    garage.unplug("bike1")
    garage.run(20)
    garage.plug("bike1")
    garage.run(20)
    assert garage.limit("bike1") > 0
    garage.unplug("bike1")
    garage.run(40)
    garage.plug("bike1")
    garage.run(20)
    assert garage.limit("bike1") == 0
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "EVDisconnected"


def test_a_bike_that_has_gone_ends_its_session_after_ten_minutes(garage: Garage) -> None:
    garage.start("bike1", "1111")
    garage.unplug("bike1")
    garage.run(9 * 60, step_s=10)
    assert garage.limit("bike1") > 0
    garage.run(2 * 60, step_s=10)
    assert garage.last(Fact.SESSION_ENDED).data["stop_reason"] == "EVDisconnected"


def test_nobody_plugged_in_costs_nothing(garage: Garage) -> None:
    garage.start("bike1", "1111", plug=False)
    garage.run(310, step_s=10)
    ended = garage.last(Fact.SESSION_ENDED).data
    assert (ended["stop_reason"], ended["energy_wh"]) == ("Timeout", 0)


@pytest.mark.parametrize(("minutes", "resumes"), [(5, True), (30, False)])
def test_a_power_cut_of_minutes_resumes_and_of_half_an_hour_does_not(
    garage: Garage, minutes: int, resumes: bool
) -> None:
    """Outlets come back one after another, 2 to 10 s later; a car always does."""
    for id_, pin in (("bike1", "1111"), ("bike2", "2222"), ("car1", "3333")):
        if id_ == "car1":
            garage.person("cem", pin=pin)
        garage.start(id_, pin)
    garage.wait(seconds=61)
    garage.forget()
    garage.restart(off_ms=minutes * 60_000)
    for id_ in garage.cars:
        garage.seen(id_, 0)
    garage.look()
    garage.run(60)
    on = [id_ for id_ in garage.cars if garage.limit(id_)]
    assert on == (["car1", "bike1", "bike2"] if resumes else ["car1"])
    came = [at for at, w in garage.writes if w.ref.device in on]
    assert len(set(came)) == len(on)
    if not resumes:
        causes = [r.data["stop_reason"] for r in garage.facts(Fact.SESSION_ENDED)]
        assert causes == ["PowerLoss", "PowerLoss"]


def test_a_register_that_stood_while_nothing_flowed_is_not_stuck(garage: Garage) -> None:
    """C3: only the time in which power flows is time in which the register must move."""
    garage.wait(hours=2)
    garage.start("bike1", "1111")
    assert "meter_stuck:bike1" not in garage.faults()
    assert not [f for f in garage.facts(Fact.FAULT_OPENED) if "stuck" in f.data["fault"]]


def test_a_register_that_stands_while_power_flows_is_stuck(garage: Garage) -> None:
    garage.start("car1", "1111")
    garage.wait(minutes=14)  # a plug on the air may report so seldom
    assert "meter_stuck:car1" not in garage.faults()
    garage.wait(minutes=2)  # 3,680 W, and not one of its watt-hours
    assert "meter_stuck:car1" in garage.faults()


@pytest.mark.parametrize(
    ("limit_a", "second", "first_is", "second_is"),
    [
        (40, "car2", "charging", "charging"),
        (20, "car2", "circuit_full", "circuit_full"),
        (10, "car2", "circuit_full", "waits_for_turn"),
        (20, "bike1", "circuit_full", "charging"),
    ],
)
def test_an_outlet_says_why_it_is_slow_or_paused(
    limit_a: int, second: str, first_is: str, second_is: str
) -> None:
    """C4: its share, its turn; and while others are lowered first, that."""
    garage = Garage(limit_a=limit_a)
    for who, pin, outlet in (("ada", "1111", "car1"), ("ben", "2222", second)):
        garage.person(who, pin=pin)
        garage.start(outlet, pin)
    garage.run(20)
    assert _why(garage, "car1/limit") == first_is
    assert _why(garage, f"{second}/{'switch' if second == 'bike1' else 'limit'}") == second_is


def test_a_switched_outlet_waits_below_the_soft_limit_and_says_so() -> None:
    garage = Garage(limit_a=11)
    for who, pin, outlet in (("ada", "1111", "bike1"), ("ben", "2222", "bike2")):
        garage.person(who, pin=pin)
        garage.start(outlet, pin)
    assert (_why(garage, "bike1/switch"), _why(garage, "bike2/switch")) == (
        "charging",
        "soft_limit",
    )
    assert garage.outlet("bike2").status is ConnectorStatus.SUSPENDED_EVSE


def test_who_leaves_soon_and_lacks_much_goes_first() -> None:
    """C4: a car that leaves at 18:00 and lacks 10 kWh, before one that stays till morning."""
    garage = Garage(limit_a=24, at="2026-03-02 15:00")
    garage.person("ada", pin="1111")
    garage.person("ben", pin="2222")
    garage.book("b1", "car1", "ada", "15:00", "18:00", needed_wh=10_000)
    garage.start("car1", "1111")
    until = garage.clock("2026-03-03 08:00")
    garage.start("car2", "2222", needed_wh=10_000, leaves_ms=until)
    garage.run(30)
    assert garage.limit("car1") > garage.limit("car2") >= 6_000
    assert garage.limit("car1") + garage.limit("car2") == 24_000
    assert garage.session("car1").limits.most_wh == 0  # a need is no limit


def _why(garage: Garage, point: str) -> str:
    wanted = garage.wanted(point)
    assert wanted is not None
    return wanted.reason.code


def test_what_a_charger_did_not_become_is_over_once_it_is_so_after_a_restart(
    garage: Garage,
) -> None:
    """DESIGN §5: the fault that one process opened is closed by the next."""
    garage.start("car1", "1111")
    garage.answer("car1/limit", *[UNKNOWN] * 30)
    garage.want("car1", "1111")
    garage.run(20)
    assert "not_as_set:car1/limit" in garage.faults()
    garage.restart()
    garage.seen("car1", 0)
    garage.look()
    garage.run(10)
    assert "not_as_set:car1/limit" not in garage.faults()


def test_a_share_that_shrinks_before_its_session_is_durable_waits_for_that(garage: Garage) -> None:
    """C1: less than a grant that never left is more than nothing."""
    shared = Garage(limit_a=24)
    shared.person("ada", pin="1111")
    shared.person("ben", pin="2222")
    shared.disk.slow = True
    for car, pin in (("car1", "1111"), ("car2", "2222")):
        shared.plug(car)
        shared.tell(CredentialPresented(None, _typed(pin), facility=car))
    shared.run(20)
    assert shared.limit("car1") == shared.limit("car2") == 0
    shared.disk.slow = False
    shared.commit()
    shared.run(20)
    assert shared.limit("car1") == shared.limit("car2") == 12_000


def test_the_slow_round_comes_to_every_outlet_whatever_its_rhythm(garage: Garage) -> None:
    """DESIGN §5: a net under all deadlines. Here as many decisions lie between two rounds as there
    are facilities, and what is wrong with every outlet has no deadline.
    """
    state, facilities = garage.state, len(garage.site.facilities)
    state.apply(
        put(replace(garage.outlet(id_), status=ConnectorStatus.FAULTED)) for id_ in garage.cars
    )
    for serial in range(0, 40 * facilities, facilities):
        now = garage.now()._replace(serial=serial)
        round_ = DeadlineReached(SUPERVISION, "")
        state.apply(decide(garage.site, state, garage.readings, round_, now).changes)
    assert {garage.outlet(id_).status for id_ in garage.cars} == {ConnectorStatus.AVAILABLE}


def test_a_register_that_moves_changes_nothing_else_of_its_session() -> None:
    """C3: not of what a session may once know besides, either."""
    known: dict[str, Any] = {one.name: object() for one in fields(ChargingSession)}
    known["segments"] = (Segment("old", 1, 2, "high", 3), Segment("new", 4, 5, "low", 6))
    session = ChargingSession(**known)
    segments = (*session.segments[:1], Segment("new", 4, 9, "low", 6))
    assert session.metered(9) == replace(session, segments=segments)


def _typed(pin: str) -> Presented:
    return Presented(CredentialKind.PIN, Secret(f"pin:{pin}"))
