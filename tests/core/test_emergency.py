"""Emergency calls (RULES E1–E9) and fire (RULES A3)."""

import pytest
from core.harness import DESK, UNKNOWN, World
from core.sites import call_point, court, door, ref

from gateway.core.emergency import CLEARED_KEPT
from gateway.domain.calls import Call, CallOrigin, CallOutcome, CallPointStatus, CallState
from gateway.domain.events import (
    Actor,
    CallAcknowledged,
    CallAttended,
    CallCleared,
    CallerFine,
    CallNotified,
    CallRequested,
    FireResetAsked,
    PointEdge,
    Started,
)
from gateway.domain.events import TestModeOpened as ModeOpened
from gateway.domain.faults import Health
from gateway.domain.now import DAY_MS, HOUR_MS
from gateway.domain.points import Lease, Level, Quality
from gateway.domain.records import Fact
from gateway.domain.site import Escalation, FireRole, Step
from gateway.domain.state import Result
from gateway.domain.subjects import Role

PLATFORM = Actor("Mr Zhao", Role.PLATFORM, on_site=False)
TECHNICIAN = Actor("Tom", Role.TECHNICIAN)
SIREN, LAMP = "panel/siren", "panel/lamp"


@pytest.fixture
def world() -> World:
    found = World()
    found.wait(seconds=30)
    found.forget()
    return found


def call(world: World, id_: str) -> Call:
    return world.get(Call, id_)


def acknowledge(world: World, id_: str, by: Actor = DESK) -> None:
    assert world.tell(CallAcknowledged(id_, by)).accepted


def attend(world: World, id_: str) -> None:
    assert world.tell(CallAttended(id_, DESK, "Dr Wu")).accepted


def clear(world: World, id_: str, by: Actor = DESK, outcome: str = "genuine") -> Result:
    return world.tell(CallCleared(id_, by, CallOutcome(outcome))).result


def outputs(world: World) -> tuple[object, object]:
    return world.output(SIREN), world.output(LAMP)


def steps(world: World) -> list[tuple[int, tuple[str, ...]]]:
    return [(f.data["step"], tuple(f.data["channels"])) for f in world.facts(Fact.CALL_STEP)]


# --- presses (E1) -------------------------------------------------------------------------------


def test_a_press_raises_a_call_with_its_outputs_and_its_first_step(world: World) -> None:
    """E1, E2, E9"""
    id_ = world.press()
    raised = call(world, id_)
    assert (raised.state, raised.presses.count) == (CallState.RAISED, 1)
    assert (raised.origin, raised.call_point) == (CallOrigin.FIXED, "help")
    assert outputs(world) == ("on", "flash")
    assert steps(world) == [(0, ("siren", "panel"))]
    assert all(fact.urgent for fact in world.facts())
    assert world.last(Fact.CALL_RAISED).data["releases"] == ["study"]


def test_presses_of_an_unacknowledged_call_join_it_and_none_is_dropped(world: World) -> None:
    """E1"""
    ids = set()
    for _ in range(25):
        ids.add(world.press())
        world.wait(seconds=1)
    (id_,) = ids
    presses = call(world, id_).presses
    assert presses.count == 25
    assert presses.last_ms - presses.first_ms == 24_000
    told = world.facts(Fact.CALL_PRESSED)
    assert [fact.data["presses"] for fact in told] == [11, 21]  # at most one record in 10 s
    assert len(world.facts(Fact.CALL_RAISED)) == 1


def test_a_counter_tells_several_presses_at_once(world: World) -> None:
    """E1"""
    id_ = world.press("cord", count=3)
    world.press("cord", count=4)
    assert call(world, id_).presses.count == 7
    assert world.last(Fact.CALL_RAISED).data["presses"] == 3


@pytest.mark.parametrize(("gap_s", "chatters"), [(5.4, True), (6.1, False)])
def test_more_than_ten_presses_a_minute_are_chattering_too(
    world: World, gap_s: float, chatters: bool
) -> None:
    """E1: in any minute, not in one that begins somewhere."""
    for _ in range(25):
        id_ = world.press()
        world.wait(seconds=gap_s)
    assert ("chattering:help" in world.faults()) is chatters
    assert call(world, id_).presses.count == 25
    acknowledge(world, id_)
    attend(world, id_)
    clear(world, id_)
    assert "chattering:help" not in world.faults()


def test_a_press_found_at_first_sight_is_a_press(world: World) -> None:
    """E1"""
    reply = world.edge("panel/help", True, first_sight=True)
    assert call(world, reply.data["call"]).state is CallState.RAISED


def test_nothing_stands_in_the_way_of_a_press(world: World) -> None:
    """E1: an unknown clock, a dead disk, a fire, the bus of another."""
    world.step_clock(-40 * 365 * DAY_MS, world.trust.UNTRUSTED)
    world.disk.broken = True
    world.edge("panel/fire", True)
    world.link("air", Health.SILENT)
    id_ = world.press()
    assert call(world, id_).state is CallState.RAISED
    assert outputs(world) == ("on", "flash")
    assert "storage_lost:store" in world.faults()


def test_each_call_point_has_a_call_of_its_own(world: World) -> None:
    """E9: never grouped."""
    assert world.press("help") != world.press("cord") != world.press("sos")
    assert len(world.facts(Fact.CALL_RAISED)) == 3


def test_an_escalation_that_is_missing_keeps_no_press_from_the_siren() -> None:
    """E1: `check` refuses such a site, a press does not."""
    bare = call_point("help", "study_room", "panel/help", escalation="none", sirens=[SIREN])
    world = World(court(call_points=[bare], escalations=[Escalation("desk", ())]))
    world.press()
    world.wait(minutes=20)
    assert steps(world) == []
    assert world.facts(Fact.CALL_SILENCED)


# --- the safe direction (E2, X1) ----------------------------------------------------------------


def test_the_siren_does_not_wait_for_the_disk(world: World) -> None:
    """E2, DESIGN §5"""
    world.disk.slow = True
    world.ask(PointEdge(ref("panel/help"), True))
    assert outputs(world) == ("on", "flash")
    assert world.answers == []
    world.commit()
    assert world.answers[0].accepted


def test_a_siren_that_cannot_be_reached_is_told_and_the_call_stays_up(world: World) -> None:
    """E2: while it cannot, the call says so."""
    world.answer(SIREN, *[UNKNOWN] * 6)
    id_ = world.press()
    world.wait(seconds=7)
    assert f"not_as_set:{SIREN}" in world.faults()
    assert call(world, id_).unanswered
    world.wait(seconds=10)
    assert f"not_as_set:{SIREN}" not in world.faults()


# --- restarts (E3) ------------------------------------------------------------------------------


def test_after_a_restart_an_unacknowledged_call_is_raised_again_at_its_next_step(
    world: World,
) -> None:
    """E3"""
    id_ = world.press()
    world.wait(seconds=20)
    world.forget()
    world.restart()
    assert outputs(world) == ("on", "flash")
    assert steps(world) == [(1, ("web",))]
    again = world.last(Fact.CALL_RAISED_AGAIN).data
    assert (again["call"], again["cause"], again["raises"]) == (id_, "restart", 2)


def test_a_first_step_that_waits_is_taken_at_once_after_a_restart() -> None:
    """E3"""
    late = Escalation("desk", (Step(30_000, ("web",)), Step(60_000, ("platform",))))
    world = World(court(escalations=[late]))
    world.press()
    assert steps(world) == []
    world.restart()
    assert steps(world) == [(0, ("web",))]
    world.wait(seconds=30)
    assert steps(world)[1:] == [(1, ("platform",))]


def test_after_a_restart_the_siren_has_its_time_anew(world: World) -> None:
    """E3, E4"""
    world.press()
    world.wait(minutes=4)
    assert world.output(SIREN) == "off"
    world.restart()
    assert world.output(SIREN) == "on"
    world.wait(seconds=179)
    assert world.output(SIREN) == "on"
    world.wait(seconds=2)
    assert world.output(SIREN) == "off"


def test_a_restart_raises_no_call_that_somebody_has(world: World) -> None:
    """E3"""
    id_ = world.press()
    acknowledge(world, id_)
    world.wait(minutes=4)
    world.restart()
    assert call(world, id_).state is CallState.ACKNOWLEDGED
    assert outputs(world) == ("off", "on")
    world.wait(minutes=5)
    assert call(world, id_).state is CallState.ACKNOWLEDGED
    world.wait(minutes=2)  # the wait for somebody to attend went on over the restart
    assert call(world, id_).state is CallState.RAISED


def test_presses_of_the_latch_are_raised_at_the_start_each_with_its_call(world: World) -> None:
    """E1, E3: a crash between press and commit loses no call."""
    latched = (ref("panel/help"), ref("panel/cord"))
    world.tell(Started("test", latched))
    calls = [c for c in world.state.all(Call) if c.open]
    assert {c.call_point for c in calls} == {"help", "cord"}
    assert len({c.id for c in calls}) == 2


def test_a_latched_press_joins_the_call_that_the_journal_has(world: World) -> None:
    id_ = world.press()
    world.tell(Started("test", (ref("panel/help"),)))
    assert call(world, id_).presses.count == 2
    assert world.state.count(Call) == 1


def test_counting_goes_on_over_a_restart(world: World) -> None:
    """E1: the clock of another boot silences no record."""
    world.wait(hours=5)
    world.press()
    world.restart()
    world.forget()
    for _ in range(15):
        world.press()
        world.wait(seconds=1)
    assert world.last(Fact.CALL_PRESSED).data["presses"] >= 10
    assert "chattering:help" in world.faults()


# --- the life of a call (E4) --------------------------------------------------------------------


def test_a_call_lives_from_raised_to_cleared(world: World) -> None:
    """E4"""
    id_ = world.press()
    assert outputs(world) == ("on", "flash")
    world.tell(CallNotified(id_, 0, "web", delivered=True))
    assert call(world, id_).state is CallState.DELIVERED
    assert outputs(world) == ("on", "flash")
    world.wait(seconds=5)
    acknowledge(world, id_)
    assert outputs(world) == ("off", "on")
    attend(world, id_)
    assert outputs(world) == ("off", "on")
    assert clear(world, id_) is Result.ACCEPTED
    assert outputs(world) == ("off", "off")
    assert world.names(Fact.CALL_STEP, Fact.CALL_NOTIFIED) == [
        "call.raised",
        "call.delivered",
        "call.acknowledged",
        "call.attended",
        "call.cleared",
    ]
    assert world.last(Fact.CALL_ACKNOWLEDGED).personal == {"person": "Ms Chen"}
    assert world.last(Fact.CALL_ATTENDED).personal == {"person": "Dr Wu"}
    assert world.last(Fact.CALL_CLEARED).data["outcome"] == "genuine"


def test_an_unanswered_call_climbs_and_repeats_its_last_step(world: World) -> None:
    """E4: on monotonic time."""
    world.press()
    world.step_clock(-5 * HOUR_MS)
    world.wait(seconds=59)
    assert steps(world) == [(0, ("siren", "panel"))]
    world.wait(seconds=1)
    assert steps(world)[1:] == [(1, ("web",))]
    world.wait(minutes=2)
    assert steps(world)[2:] == [(2, ("platform",))]
    world.wait(minutes=15)
    assert steps(world)[3:] == [(2, ("platform",))] * 3
    assert world.last(Fact.CALL_STEP).data["repeat"] is True


def test_the_siren_sounds_180_s_and_the_lamp_goes_on(world: World) -> None:
    """E4"""
    world.press()
    world.wait(seconds=179)
    assert outputs(world) == ("on", "flash")
    world.wait(seconds=1)
    assert outputs(world) == ("off", "flash")
    assert len(world.facts(Fact.CALL_SILENCED)) == 1
    world.wait(hours=1)
    assert outputs(world) == ("off", "flash")
    assert len(world.facts(Fact.CALL_SILENCED)) == 1


def test_who_presses_as_the_siren_is_silent_is_heard_again(world: World) -> None:
    """E1, E2: the call is the same, it goes on climbing, and the siren has its time anew."""
    call = world.press()
    world.wait(seconds=181)
    assert outputs(world) == ("off", "flash")
    climbed = len(steps(world))
    assert world.press() == call
    assert outputs(world) == ("on", "flash")
    assert world.last(Fact.CALL_RAISED_AGAIN).data["cause"] == "pressed"
    assert len(steps(world)) == climbed + 1
    world.wait(seconds=181)
    assert outputs(world) == ("off", "flash")


def test_a_siren_is_renewed_and_never_left_on_for_longer_than_a_lease(world: World) -> None:
    """E4: timed pulses that we renew."""
    world.press()
    world.wait(seconds=60)
    leases = [(at, w) for at, w in world.writes if isinstance(w, Lease) and w.ref == ref(SIREN)]
    assert len(leases) >= 20
    assert all(write.until_mono_ms - at <= 6_000 for at, write in leases)


@pytest.mark.parametrize("channel", ["siren", "panel"])
def test_only_a_channel_that_confirms_makes_a_call_delivered(world: World, channel: str) -> None:
    """E4: an output or a publication to a broker proves nobody."""
    id_ = world.press()
    world.tell(CallNotified(id_, 0, channel, delivered=True))
    assert call(world, id_).state is CallState.RAISED
    assert world.last(Fact.CALL_NOTIFIED).data["delivered"] is True
    world.tell(CallNotified(id_, 0, "page", delivered=True))
    assert call(world, id_).state is CallState.DELIVERED


def test_a_call_that_no_channel_confirmed_is_an_urgent_fault_until_one_does(world: World) -> None:
    """E2"""
    id_ = world.press()
    world.wait(seconds=60)
    assert f"call_undelivered:{id_}" in world.faults()
    world.tell(CallNotified(id_, 1, "web", delivered=True))
    assert f"call_undelivered:{id_}" not in world.faults()
    other = world.press("cord")
    world.tell(CallNotified(other, 0, "web", delivered=False, detail="timeout"))
    assert f"call_undelivered:{other}" in world.faults()
    assert world.last(Fact.FAULT_OPENED).urgent


def test_a_call_not_attended_in_10_min_is_raised_again(world: World) -> None:
    """E4"""
    id_ = world.press()
    acknowledge(world, id_)
    world.forget()
    world.wait(minutes=10, ms=-1)
    assert world.names() == []
    world.wait(ms=1)
    assert world.last(Fact.CALL_RAISED_AGAIN).data["cause"] == "not attended"
    assert outputs(world) == ("on", "flash")
    assert steps(world) == [(0, ("siren", "panel"))]
    assert call(world, id_).person == ""


@pytest.mark.parametrize("attended", [False, True])
def test_a_press_after_an_acknowledgement_raises_again(world: World, attended: bool) -> None:
    """E4"""
    id_ = world.press()
    acknowledge(world, id_)
    if attended:
        attend(world, id_)
    assert world.press() == id_
    raised = call(world, id_)
    assert (raised.state, raised.presses.count, raised.climb.raises) == (CallState.RAISED, 2, 2)
    assert outputs(world) == ("on", "flash")


def test_a_press_after_the_call_is_cleared_is_a_new_call(world: World) -> None:
    id_ = world.press()
    acknowledge(world, id_)
    attend(world, id_)
    clear(world, id_)
    assert world.press() != id_


def test_the_reset_key_at_the_place_clears_its_calls(world: World) -> None:
    """E4: whoever turns it is there. Found turned, or left so, it clears nothing."""
    first = world.press()
    world.edge("panel/key", True, first_sight=True)
    assert outputs(world) == ("on", "flash")
    world.edge("panel/key", False)
    assert call(world, first).unanswered
    world.edge("panel/key", True)
    assert call(world, first).state is CallState.CLEARED
    assert outputs(world) == ("off", "off")
    facts = [world.last(fact).data for fact in (Fact.CALL_ATTENDED, Fact.CALL_CLEARED)]
    assert (facts[0]["how"], facts[1]["outcome"]) == ("reset_key", "genuine")
    assert call(world, world.press()).unanswered  # the key is still turned


def test_an_attended_call_waits_for_nothing(world: World) -> None:
    id_ = world.press()
    acknowledge(world, id_)
    attend(world, id_)
    world.wait(hours=3)
    assert call(world, id_).state is CallState.ATTENDED


def test_a_responders_card_at_the_place_attends(world: World) -> None:
    """E4: whether or not it opens the door."""
    world.person("wu", card="W1", role=Role.RESPONDER)
    id_ = world.press()
    world.card("front", "W1")
    assert call(world, id_).state is CallState.RAISED
    assert not world.card("study", "W1").accepted
    assert call(world, id_).state is CallState.ATTENDED
    assert world.last(Fact.CALL_ATTENDED).data["how"] == "card"
    assert world.last(Fact.CALL_ATTENDED).personal == {"person": "wu"}


def test_where_the_place_has_no_door_the_nearest_is_the_one(world: World) -> None:
    """E4"""
    world.person("wu", card="W1", role=Role.RESPONDER)
    id_ = world.press("cord")  # in the bathroom, which has no door of ours
    world.card("study", "W1")
    assert call(world, id_).state is CallState.RAISED
    world.card("front", "W1")
    assert call(world, id_).state is CallState.ATTENDED


def test_nobody_elses_card_attends(world: World) -> None:
    world.person("cleo", card="C3", role=Role.CLEANER)
    world.right("r1", "cleo", "*")
    id_ = world.press()
    assert world.card("study", "C3").accepted
    assert call(world, id_).state is CallState.RAISED


@pytest.mark.parametrize(
    ("by", "accepted"),
    [
        (DESK, True),
        (TECHNICIAN, True),
        (Actor("Cleo", Role.CLEANER), True),
        (PLATFORM, True),
        (Actor("", Role.PLATFORM), False),
        (Actor(" ", Role.DESK), False),
        (Actor("ann", Role.RESIDENT), False),
    ],
)
def test_who_acknowledges_is_a_named_person(world: World, by: Actor, accepted: bool) -> None:
    """E4"""
    id_ = world.press()
    assert world.tell(CallAcknowledged(id_, by)).accepted is accepted
    assert call(world, id_).unanswered is not accepted


@pytest.mark.parametrize(
    ("by", "result"),
    [
        (DESK, Result.ACCEPTED),
        (TECHNICIAN, Result.ACCEPTED),
        (PLATFORM, Result.REJECTED),
        (Actor("Ms Chen", Role.DESK, on_site=False), Result.REJECTED),
        (Actor("wu", Role.RESPONDER), Result.REJECTED),
        (Actor("", Role.DESK), Result.REJECTED),
    ],
)
def test_only_desk_or_technician_on_site_clear(world: World, by: Actor, result: Result) -> None:
    """E4: the platform cannot."""
    id_ = world.press()
    acknowledge(world, id_)
    attend(world, id_)
    assert clear(world, id_, by) is result


def test_a_call_nobody_took_is_not_cleared_nor_a_genuine_one_nobody_attended(world: World) -> None:
    """E4"""
    id_ = world.press()
    assert clear(world, id_, outcome="false") is Result.REJECTED
    acknowledge(world, id_)
    assert clear(world, id_, outcome="genuine") is Result.REJECTED
    assert clear(world, id_, outcome="false") is Result.ACCEPTED


def test_what_is_asked_of_a_call_that_is_over_or_unknown_is_refused(world: World) -> None:
    id_ = world.press()
    acknowledge(world, id_)
    attend(world, id_)
    clear(world, id_)
    assert world.tell(CallAcknowledged(id_, DESK)).reason.code == "call_not_open"
    assert world.tell(CallAcknowledged("call-x", DESK)).result is Result.UNKNOWN
    assert world.tell(CallAttended(id_, DESK, "Wu")).reason.code == "call_not_open"


def test_an_attendance_names_somebody(world: World) -> None:
    id_ = world.press()
    assert world.tell(CallAttended(id_, DESK, " ")).reason.code == "person_needed"


def test_i_am_fine_is_recorded_and_stops_nothing(world: World) -> None:
    """E4"""
    id_ = world.press()
    assert world.tell(CallerFine(id_)).accepted
    assert world.tell(CallerFine(id_)).accepted
    assert len(world.facts(Fact.CALL_FINE)) == 1
    world.wait(seconds=60)
    assert outputs(world) == ("on", "flash")
    assert steps(world)[1:] == [(1, ("web",))]
    assert world.last(Fact.CALL_STEP).data["fine"] is True
    acknowledge(world, id_)
    world.press()
    assert call(world, id_).climb.fine is False


def test_a_cleared_call_is_shown_for_a_day(world: World) -> None:
    id_ = world.press()
    acknowledge(world, id_)
    attend(world, id_)
    clear(world, id_)
    world.wait(hours=23)
    assert call(world, id_).state is CallState.CLEARED
    world.wait(hours=1)
    assert world.state.get(Call, id_) is None


def test_of_cleared_calls_the_last_hundred_are_shown_and_of_open_ones_all(world: World) -> None:
    """E1: no number of calls stands in the way of the next; the journal has them all."""
    kept = world.tell(CallRequested("study_room", CallOrigin.PAGE)).data["call"]
    made = []
    for _ in range(CLEARED_KEPT + 3):
        made.append(world.press())
        acknowledge(world, made[-1])
        clear(world, made[-1], outcome="false")
        world.wait(seconds=2)
    last = world.press()
    assert {one.id for one in world.state.all(Call)} == {kept, last, *made[-CLEARED_KEPT:]}
    assert all(call(world, id_).open for id_ in (kept, last))
    assert len(world.facts(Fact.CALL_CLEARED)) == len(made)


# --- pages, passes and wearables (E6) -----------------------------------------------------------


@pytest.mark.parametrize("origin", [CallOrigin.PAGE, CallOrigin.PASS, CallOrigin.FIXED])
def test_help_asked_for_without_a_call_point_sounds_at_the_place_and_opens_nothing(
    world: World, origin: CallOrigin
) -> None:
    """E6: whatever it says of itself."""
    reply = world.tell(CallRequested("study_room", origin))
    assert reply.accepted
    assert outputs(world) == ("on", "flash")
    world.wait(seconds=10)
    assert world.pulses() == []
    assert world.readings.latest(ref("board/hold_study")).value is False
    again = world.tell(CallRequested("study_room", origin))
    assert again.data["call"] == reply.data["call"]


def test_help_asked_for_where_no_call_point_is_moves_the_nearest(world: World) -> None:
    site = court(
        call_points=[call_point("hall", "building", "panel/hall", sirens=["panel/siren_hall"])]
    )
    other = World(site)
    other.tell(CallRequested("music_room", CallOrigin.PAGE))
    assert other.output("panel/siren_hall") == "on"
    assert other.output(SIREN) == "off"
    assert world.tell(CallRequested("sauna", CallOrigin.PAGE)).result is Result.UNKNOWN


def test_a_fixed_call_point_releases_its_doors_until_somebody_attends(world: World) -> None:
    """E6"""
    id_ = world.press()
    held = world.wanted("board/hold_study")
    assert isinstance(held, Level)
    assert (held.value, held.secures, held.reason.code) == (True, True, "call_release")
    world.open("study")
    assert world.facts(Fact.DOOR_FORCED) == []
    world.close("study")
    acknowledge(world, id_)
    assert world.readings.latest(ref("board/hold_study")).value is True
    attend(world, id_)
    assert world.readings.latest(ref("board/hold_study")).value is False


def test_a_release_by_a_call_ends_after_15_min_by_itself(world: World) -> None:
    """E6"""
    id_ = world.press()
    world.wait(minutes=9)
    acknowledge(world, id_)
    world.wait(minutes=6, ms=-1)
    assert world.readings.latest(ref("board/hold_study")).value is True
    world.wait(seconds=1)
    assert world.readings.latest(ref("board/hold_study")).value is False


def test_a_wearable_opens_nothing_even_where_the_site_says_so(world: World) -> None:
    """E6"""
    id_ = world.press("pendant")
    assert call(world, id_).origin is CallOrigin.WEARABLE
    assert "releases" not in world.last(Fact.CALL_RAISED).data
    world.wait(seconds=30)
    assert world.pulses("front") == []


def test_a_strike_alone_is_released_again_and_again_each_time_with_its_own_token() -> None:
    """A4, E6: one decision is one opening."""
    button = call_point("help", "store_room", "panel/help", releases=["store"])
    world = World(court(call_points=[button]))
    id_ = world.press()
    world.wait(seconds=26)
    pulses = world.pulses("store")
    assert len(pulses) in (5, 6)
    assert len({pulse.token for pulse in pulses}) == len(pulses)
    assert all(pulse.secures for pulse in pulses)
    attend(world, id_)
    count = len(world.pulses("store"))
    world.wait(seconds=60)
    assert len(world.pulses("store")) == count


# --- test mode (E7) -----------------------------------------------------------------------------


def test_a_test_press_runs_the_whole_path_marked_and_sounds_3_s(world: World) -> None:
    """E7"""
    assert world.tell(ModeOpened("help", TECHNICIAN)).accepted
    id_ = world.press()
    assert call(world, id_).test
    assert outputs(world) == ("test", "flash")
    assert world.last(Fact.CALL_STEP).data["test"] is True
    assert world.last(Fact.CALL_RAISED).data["test"] is True
    assert world.wanted("board/hold_study").value is False  # type: ignore[union-attr]
    world.wait(ms=2_999)
    assert world.output(SIREN) == "test"
    world.wait(ms=1)
    assert world.output(SIREN) == "off"
    world.tell(CallNotified(id_, 0, "web", delivered=True))
    assert call(world, id_).state is CallState.DELIVERED
    acknowledge(world, id_)
    assert clear(world, id_, outcome="test") is Result.ACCEPTED


@pytest.mark.parametrize("after_s", [2, 59, 61])
def test_the_press_after_a_test_is_real(world: World, after_s: int) -> None:
    """E7"""
    world.tell(ModeOpened("help", TECHNICIAN))
    test = world.press()
    world.wait(seconds=after_s)
    real = world.press()
    assert real != test
    assert not call(world, real).test
    assert call(world, test).state is CallState.CLEARED
    assert outputs(world) == ("on", "flash")


def test_test_mode_ends_after_10_min(world: World) -> None:
    """E7"""
    world.tell(ModeOpened("help", TECHNICIAN))
    world.wait(minutes=10)
    assert world.last(Fact.TEST_ENDED).data["cause"] == "time"
    assert not call(world, world.press()).test


def test_test_mode_is_of_one_call_point(world: World) -> None:
    """E7"""
    world.tell(ModeOpened("help", TECHNICIAN))
    assert not call(world, world.press("cord")).test


def test_a_press_in_test_mode_joins_the_call_that_is_real(world: World) -> None:
    """E1 before E7"""
    id_ = world.press()
    world.tell(ModeOpened("help", TECHNICIAN))
    assert world.press() == id_
    assert not call(world, id_).test


def test_a_test_call_nobody_cleared_is_over_after_10_min(world: World) -> None:
    """E7: a test does not climb for ever."""
    world.tell(ModeOpened("help", TECHNICIAN))
    id_ = world.press()
    world.wait(minutes=10)
    assert call(world, id_).state is CallState.CLEARED
    assert world.last(Fact.CALL_CLEARED).data["outcome"] == "test"
    assert f"call_undelivered:{id_}" not in world.faults()


def test_one_test_after_another(world: World) -> None:
    world.tell(ModeOpened("help", TECHNICIAN))
    first = world.press()
    world.tell(ModeOpened("help", TECHNICIAN))
    second = world.press()
    assert call(world, second).test
    assert [c.id for c in world.state.all(Call) if c.open] == [second]
    assert call(world, first).state is CallState.CLEARED


def test_who_opens_a_test_is_a_named_person_with_the_role(world: World) -> None:
    """E7"""
    for by in (Actor("", Role.DESK), Actor("ann", Role.RESIDENT), PLATFORM):
        assert not world.tell(ModeOpened("help", by)).accepted
    assert world.tell(ModeOpened("bell", DESK)).result is Result.UNKNOWN


def test_untested_for_35_days_is_a_fault_until_it_is_tested(world: World) -> None:
    """E7"""
    world.wait(hours=35 * 24 - 1)
    assert "call_point_untested:help" not in world.faults()
    world.wait(hours=1)
    assert "call_point_untested:help" in world.faults()
    world.tell(ModeOpened("help", TECHNICIAN))
    world.press()
    assert "call_point_untested:help" not in world.faults()
    world.wait(hours=34 * 24)
    assert "call_point_untested:help" not in world.faults()


def test_a_boot_in_1970_counts_no_days(world: World) -> None:
    """E7, DESIGN §6"""
    fresh = World(at="1970-01-02 00:00", quiet=True)
    fresh.trust = fresh.trust.UNTRUSTED
    fresh.tell(Started("test"))
    fresh.wait(minutes=5)
    fresh.step_clock(56 * 365 * DAY_MS, fresh.trust.SYNCHRONISED)
    fresh.wait(minutes=5)
    assert not any(fault.startswith("call_point_untested") for fault in fresh.faults())
    since = fresh.get(CallPointStatus, "help").untested_since_ms
    assert since is not None
    assert fresh.wall_ms - since < HOUR_MS


# --- fire (A3) ----------------------------------------------------------------------------------


def test_fire_latches_and_releases_the_listed_doors(world: World) -> None:
    """A3"""
    world.edge("panel/fire", True)
    assert world.last(Fact.FIRE).urgent
    assert world.readings.latest(ref("board/hold_study")).value is True
    assert len(world.pulses("front")) == 1
    assert world.pulses("store") == []  # it stays as it is
    world.edge("panel/fire", False)
    world.wait(minutes=30)
    assert world.readings.latest(ref("board/hold_study")).value is True
    assert len(world.pulses("front")) > 300
    world.open("study")
    assert world.facts(Fact.DOOR_FORCED) == []
    assert len(world.facts(Fact.FIRE)) == 1


def test_fire_does_not_wait_for_the_disk(world: World) -> None:
    """X1"""
    world.disk.broken = True
    world.edge("panel/fire", True)
    assert world.readings.latest(ref("board/hold_study")).value is True


def test_fire_outranks_the_end_of_a_call_and_of_free_passage(world: World) -> None:
    """A3"""
    id_ = world.press()
    world.edge("panel/fire", True)
    attend(world, id_)
    world.wait(seconds=10)
    held = world.wanted("board/hold_study")
    assert isinstance(held, Level)
    assert (held.value, held.reason.code) == (True, "fire_release")


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (Actor("ann", Role.RESIDENT), "role_needed"),
        (Actor("Tom", Role.STAFF), "role_needed"),
        (PLATFORM, "role_needed"),
        (Actor("Ms Chen", Role.DESK, on_site=False), "on_site_only"),
        (Actor("", Role.DESK), "person_needed"),
    ],
)
def test_fire_is_reset_only_by_a_named_person_with_the_role_on_site(
    world: World, by: Actor, code: str
) -> None:
    """A3"""
    world.edge("panel/fire", True)
    world.edge("panel/fire", False)
    assert world.tell(FireResetAsked("fire", by)).reason.code == code
    assert world.readings.latest(ref("board/hold_study")).value is True


def test_fire_is_reset_only_with_the_input_inactive(world: World) -> None:
    """A3"""
    world.edge("panel/fire", True)
    assert world.tell(FireResetAsked("fire", DESK)).reason.code == "fire_active"
    world.edge("panel/fire", False)
    world.read("panel/fire", False, Quality.STALE)
    assert world.tell(FireResetAsked("fire", DESK)).reason.code == "fire_interface_lost"
    world.read("panel/fire", False)
    assert world.tell(FireResetAsked("fire", DESK)).accepted
    assert world.last(Fact.FIRE_RESET).personal == {"person": "Ms Chen"}
    assert world.readings.latest(ref("board/hold_study")).value is False
    world.wait(minutes=1)
    count = len(world.pulses("front"))
    world.wait(minutes=1)
    assert len(world.pulses("front")) == count
    assert world.tell(FireResetAsked("attic", DESK)).result is Result.UNKNOWN
    assert world.tell(FireResetAsked("fire", DESK)).reason.code == "unchanged"


def test_fire_stays_latched_over_a_restart(world: World) -> None:
    """A3: and releases before any reading is known."""
    world.edge("panel/fire", True)
    world.restart()
    writes = [w for _, w in world.writes if w.ref == ref("board/hold_study")]
    assert isinstance(writes[-1], Level)
    assert writes[-1].value is True


def test_a_lost_interface_is_a_fault_and_moves_only_the_doors_that_say_so() -> None:
    """A3"""
    careful = door(
        "store",
        "store_room",
        strike="gate/strike_store",
        contact="gate/contact_store",
        hold="gate/hold_store",
        fire=FireRole.RELEASES_IF_LOST,
    )
    world = World(court(doors=[careful]))
    world.wait(seconds=20)
    world.silence("panel")
    assert "fire_interface_lost:fire" in world.faults()
    assert world.readings.latest(ref("gate/hold_store")).value is True
    assert world.readings.latest(ref("board/hold_study")).value is False
    world.heal("panel")
    assert "fire_interface_lost:fire" not in world.faults()
    world.wait(seconds=6)
    assert world.readings.latest(ref("gate/hold_store")).value is False


def test_a_link_that_is_down_is_a_lost_interface_too(world: World) -> None:
    """A3"""
    world.link("bus", Health.SILENT)
    assert "fire_interface_lost:fire" in world.faults()
    world.link("bus", Health.ONLINE)
    world.tell_health("panel", Health.ONLINE)
    assert "fire_interface_lost:fire" not in world.faults()


# --- heartbeat (E8) -----------------------------------------------------------------------------


def test_the_in_service_lamp_is_renewed_while_we_live() -> None:
    """E8: a lease, dark with the gateway."""
    world = World(court(heartbeat=["panel/in_service"]))
    world.wait(minutes=1)
    leases = [(at, w) for at, w in world.writes if w.ref == ref("panel/in_service")]
    assert len(leases) > 20
    assert all(isinstance(w, Lease) and w.until_mono_ms - at <= 6_000 for at, w in leases)
