"""What doors do and how they are released (RULES A3, A4, A6, A8, A9)."""

import pytest
from core.harness import DESK, REFUSED, UNKNOWN, World
from core.sites import court, door, facility

from gateway.domain.bookings import BookingStatus
from gateway.domain.events import CommandReceived, DoorOverridden
from gateway.domain.hours import WeeklyHours
from gateway.domain.now import HOUR_MS
from gateway.domain.points import Lease, Level, Pulse
from gateway.domain.records import Fact
from gateway.domain.site import DoorMode, Egress, Facility
from gateway.domain.subjects import Role
from gateway.domain.visits import DoorStatus


@pytest.fixture
def world() -> World:
    found = World()
    found.person("ann", pin="1111", card="A1")
    found.person("ben", pin="2222", card="B2")
    found.person("cleo", card="C3", role=Role.CLEANER)
    found.right("r1", "cleo", "*")
    found.book("b1", "study", "ann", "09:00", "11:00")
    found.forget()
    return found


def room(its_door: str) -> Facility:
    return facility("store", "store_room", doors=(its_door,))


# --- pulses (A4) --------------------------------------------------------------------------------


def test_one_grant_is_one_pulse_with_its_token(world: World) -> None:
    """A4"""
    reply = world.pin("study", "1111")
    world.wait(seconds=60)
    (pulse,) = world.pulses()
    assert pulse.token == reply.data["grant"]
    assert pulse.length_ms == pulse.until_mono_ms - world.writes[0][0] == 5_000
    assert (pulse.boot, pulse.secures) == (world.boot, False)


def test_each_grant_has_a_token_of_its_own(world: World) -> None:
    tokens = {world.pin("study", "1111").data["grant"] for _ in range(5)}
    assert {pulse.token for pulse in world.pulses()} == tokens
    assert len(tokens) == len(world.pulses()) == 5


def test_a_release_waits_for_the_disk_and_is_not_written_after_its_until(world: World) -> None:
    """A4, DESIGN §5: a permissive setpoint is released once its record is durable."""
    world.disk.slow = True
    world.ask_pin("study", "1111")
    assert (world.pulses(), world.answers) == ([], [])
    world.wait(seconds=2)
    assert world.pulses() == []
    world.commit()
    assert len(world.pulses()) == len(world.answers) == 1
    world.ask_pin("study", "1111")
    world.wait(seconds=6)
    world.commit()
    assert len(world.pulses()) == 1


def test_a_restart_spends_the_pulse(world: World) -> None:
    """A4: the person tries again."""
    world.disk.slow = True
    world.ask_pin("study", "1111")
    world.disk.slow = False
    world.disk_takes_all()
    world.restart()
    world.settle()
    world.wait(seconds=60)
    assert world.pulses() == []
    assert world.pin("study", "1111").accepted
    assert len(world.pulses()) == 1


def test_a_refused_pulse_is_sent_again_once_and_then_a_fault(world: World) -> None:
    """A4"""
    strike = str(world.site.doors["study"].points.strike)
    world.answer(strike, REFUSED)
    world.pin("study", "1111")
    world.wait(seconds=1)
    assert len(world.pulses()) == 2
    assert world.faults() == set()
    world.answer(strike, REFUSED, REFUSED)
    world.pin("study", "1111")
    world.wait(seconds=10)
    assert len(world.pulses()) == 4
    assert world.faults() == {"pulse_refused:study"}
    settled = world.last(Fact.PULSE_SETTLED)
    assert (settled.data["end"], settled.data["detail"]) == ("refused", "busy")


def test_an_unknown_outcome_is_a_fault_and_no_retry(world: World) -> None:
    """A4"""
    world.answer(str(world.site.doors["study"].points.strike), UNKNOWN)
    world.pin("study", "1111")
    world.wait(seconds=30)
    assert len(world.pulses()) == 1
    assert world.faults() == {"pulse_unknown:study"}
    world.enter("study", "1111")
    assert world.faults() == set()


def test_an_unanswered_pulse_that_the_contact_shows_is_no_fault(world: World) -> None:
    """A4: confirmed by another point."""
    world.answer(str(world.site.doors["study"].points.strike), UNKNOWN)
    world.enter("study", "1111")
    world.wait(seconds=30)
    assert world.faults() == set()


def test_a_fault_of_one_door_is_not_cleared_by_another_on_the_same_board(world: World) -> None:
    world.answer(str(world.site.doors["study"].points.strike), UNKNOWN)
    world.pin("study", "1111")
    world.wait(seconds=30)
    world.pin("front", "1111")
    world.pass_through("front")
    world.wait(seconds=30)
    assert world.faults() == {"pulse_unknown:study"}


def test_the_hold_of_a_door_leaves_its_pulse_alone(world: World) -> None:
    """One relay may be both: locking again at once would cut the release short."""
    world.wait(seconds=20)
    assert isinstance(world.wanted("board/hold_study"), Level)
    world.pin("study", "1111")
    assert world.wanted("board/hold_study") is None
    world.open("study")
    assert world.wanted("board/hold_study") is None
    world.wait(seconds=11)
    assert isinstance(world.wanted("board/hold_study"), Level)


# --- facts (A6) ---------------------------------------------------------------------------------


def test_granted_is_entered_only_by_the_opening(world: World) -> None:
    """A6"""
    world.pin("study", "1111")
    assert world.facts(Fact.ENTERED) == []
    world.wait(seconds=10)
    world.open("study")
    entered = world.last(Fact.ENTERED)
    assert entered.data["grant"] == world.last(Fact.GRANTED).data["grant"]
    assert entered.data["basis"] == "b1"
    assert entered.personal == {"subject": "ann"}
    assert world.visits("study") == ["ann"]


def test_a_grant_nobody_used_is_not_entered(world: World) -> None:
    """A6"""
    world.pin("study", "1111")
    world.wait(ms=19_999)
    assert world.facts(Fact.NOT_ENTERED) == []
    world.wait(ms=1)
    assert world.last(Fact.NOT_ENTERED).data["basis"] == "b1"
    world.open("study")
    assert world.last(Fact.DOOR_FORCED).data["door"] == "study"
    assert world.booking("b1").status is BookingStatus.ENFORCED


def test_an_opening_told_all_at_once_is_entering_if_no_other_comes(world: World) -> None:
    """A6, B6: what was held up on its way looks like a bounce; who came is no no-show."""
    world.close("study")
    world.pin("study", "1111")
    world.wait(seconds=8)
    world.edge("board/contact_study", True, brief=True)
    world.wait(ms=11_999)
    assert world.facts(Fact.ENTERED) == []
    world.wait(ms=1)
    assert world.last(Fact.ENTERED).data["basis"] == "b1"
    assert world.facts(Fact.NOT_ENTERED) == world.facts(Fact.DOOR_FORCED) == []
    assert world.booking("b1").status is BookingStatus.CHECKED_IN


def test_a_bounce_as_the_door_opens_is_one_entering(world: World) -> None:
    """A6"""
    world.close("study")
    world.pin("study", "1111")
    world.edge("board/contact_study", True, brief=True)
    world.pass_through("study")
    world.wait(seconds=60)
    assert len(world.facts(Fact.ENTERED)) == 1
    assert world.facts(Fact.NOT_ENTERED) == world.facts(Fact.DOOR_PASSAGE) == []


def test_a_bounce_without_a_grant_says_nothing(world: World) -> None:
    """A6: nor for a grant that comes after it."""
    world.close("study")
    world.edge("board/contact_study", True, brief=True)
    assert world.facts(Fact.DOOR_FORCED) == []
    world.pin("study", "1111")
    world.wait(seconds=60)
    assert world.facts(Fact.ENTERED) == []
    assert len(world.facts(Fact.NOT_ENTERED)) == 1


@pytest.mark.parametrize(("told_ms", "forced"), [(1_900, 0), (2_100, 1)])
def test_who_follows_as_the_release_ends_forces_nothing(
    world: World, told_ms: int, forced: int
) -> None:
    """A6: a contact, and its radio, tell of the opening a moment later."""
    world.close("study")
    world.pin("study", "1111")
    world.pass_through("study")
    world.wait(ms=5_000 - 2_000 + told_ms)
    world.open("study")
    assert len(world.facts(Fact.DOOR_FORCED)) == forced


def test_two_who_were_granted_share_an_opening(world: World) -> None:
    """A6: each grant is entered or not, none is lost."""
    world.card("study", "A1")
    world.wait(seconds=1)
    world.card("study", "C3")
    world.open("study")
    assert [e.personal["subject"] for e in world.facts(Fact.ENTERED)] == ["ann", "cleo"]
    world.wait(seconds=60)
    assert world.facts(Fact.NOT_ENTERED) == []


def test_who_tries_again_is_one_person(world: World) -> None:
    world.pin("study", "1111")
    world.pin("study", "1111")
    world.open("study")
    assert len(world.facts(Fact.ENTERED)) == 1


def test_a_second_opening_while_the_strike_is_still_released_is_no_break_in(world: World) -> None:
    """A6: forced is an opening without grant, exit press or release."""
    world.pin("study", "1111")
    world.open("study")
    world.close("study")
    world.wait(seconds=2)
    world.open("study")
    assert world.last(Fact.DOOR_PASSAGE).data["door"] == "study"
    assert world.facts(Fact.DOOR_FORCED) == []
    world.close("study")
    world.wait(seconds=5)
    world.open("study")
    assert len(world.facts(Fact.DOOR_FORCED)) == 1


def test_an_opening_that_nothing_explains_is_forced_and_told_at_once(world: World) -> None:
    """A6"""
    world.open("study")
    forced = world.last(Fact.DOOR_FORCED)
    assert forced.urgent
    assert world.faults() == {"door_forced:study"}
    world.close("study")
    assert world.faults() == set()


def test_an_exit_press_explains_the_opening_that_follows(world: World) -> None:
    """A6, A7"""
    world.edge("board/exit_study", True)
    assert world.facts(Fact.EXIT) == []
    world.open("study")
    assert len(world.facts(Fact.EXIT)) == 1
    world.close("study")
    world.open("study")
    assert len(world.facts(Fact.DOOR_FORCED)) == 1


def test_an_exit_press_explains_for_15_s(world: World) -> None:
    world.edge("board/exit_study", True)
    world.wait(seconds=15)
    world.open("study")
    assert world.names() == ["door.forced", "fault.opened"]


def test_an_exit_press_at_an_open_door_is_an_exit(world: World) -> None:
    """A7"""
    world.enter("study", "1111")
    world.pin("study", "1111")
    world.open("study")
    world.edge("board/exit_study", True)
    assert len(world.facts(Fact.EXIT)) == 1


def test_a_door_with_no_exit_button_opens_from_inside_if_somebody_is_in() -> None:
    """A7: an opening from inside."""
    plain = door("plain", "store_room", strike="x/strike", contact="x/contact", readers=["x/keys"])
    world = World(
        court(doors=[plain], facilities=[facility("store", "store_room", doors=("plain",))])
    )
    world.person("ann", pin="1111")
    world.book("b1", "store", "ann", "09:00", "10:00")
    world.open("plain")
    assert world.last(Fact.DOOR_FORCED)
    world.close("plain")
    world.wait(seconds=30)
    world.enter("plain", "1111")
    world.wait(seconds=30)
    world.open("plain")
    assert world.last(Fact.EXIT).data["door"] == "plain"


def test_a_door_that_shows_no_opening_claims_neither_entering_nor_its_absence() -> None:
    """What cannot be observed is not claimed."""
    blind = door("blind", "store_room", strike="x/strike", readers=["x/keys"])
    world = World(
        court(doors=[blind], facilities=[facility("store", "store_room", doors=("blind",))])
    )
    world.person("ann", pin="1111")
    world.book("b1", "store", "ann", "09:00", "10:00")
    world.forget()
    assert world.pin("blind", "1111").accepted
    world.at("09:30")
    assert world.names() == ["access.granted"]
    assert world.booking("b1").status is BookingStatus.ENFORCED


def test_a_door_is_held_open_after_30_s_until_it_closes(world: World) -> None:
    """A6"""
    world.pin("study", "1111")
    world.open("study")
    world.wait(ms=29_999)
    assert world.facts(Fact.DOOR_HELD_OPEN) == []
    world.wait(ms=1)
    assert len(world.facts(Fact.DOOR_HELD_OPEN)) == 1
    assert world.faults() == {"door_held_open:study"}
    world.wait(minutes=10)
    assert len(world.facts(Fact.DOOR_HELD_OPEN)) == 1
    world.close("study")
    assert len(world.facts(Fact.DOOR_CLOSED)) == 1
    assert world.faults() == set()


def test_a_lock_that_does_not_lock_again_is_told(world: World) -> None:
    """A6"""
    world.book("b2", "music", "ann", "09:00", "10:00")
    world.pin("music", "1111")
    world.read("lock/state", "unlocked")
    world.wait(seconds=29)
    assert world.facts(Fact.DOOR_NOT_RELOCKED) == []
    world.wait(seconds=10)
    assert world.last(Fact.DOOR_NOT_RELOCKED).data["door"] == "music"
    assert world.faults() == {"door_not_relocked:music"}
    world.wait(minutes=5)
    assert len(world.facts(Fact.DOOR_NOT_RELOCKED)) == 1
    world.read("lock/state", "locked")
    assert world.faults() == set()


def test_at_a_door_with_no_contact_the_lock_shows_the_entering(world: World) -> None:
    """A6"""
    world.book("b2", "music", "ann", "09:00", "10:00")
    world.pin("music", "1111")
    assert world.facts(Fact.ENTERED) == []
    world.wait(seconds=1)
    world.read("lock/state", "unlocked")
    assert world.last(Fact.ENTERED).data["door"] == "music"
    assert world.booking("b2").status is BookingStatus.CHECKED_IN


def test_a_lock_never_heard_before_still_shows_the_entering() -> None:
    world = World()
    world.person("ann", pin="1111")
    world.book("b2", "music", "ann", "09:00", "10:00")
    world.restart()
    world.pin("music", "1111")
    world.read("lock/state", "unlocked")
    assert len(world.facts(Fact.ENTERED)) == 1


def test_a_door_found_open_after_a_start_was_not_forced(world: World) -> None:
    world.restart()
    world.edge("board/contact_study", True, first_sight=True)
    assert world.facts(Fact.DOOR_FORCED) == []
    world.wait(seconds=31)
    assert len(world.facts(Fact.DOOR_HELD_OPEN)) == 1


@pytest.mark.parametrize(("off_s", "entered"), [(3, 1), (40, 0)])
def test_who_was_let_in_just_before_a_restart_has_entered(
    world: World, off_s: int, entered: int
) -> None:
    """A4, A6: the release is spent, the person may be in the door."""
    world.pin("study", "1111")
    world.restart(off_ms=off_s * 1000)
    world.edge("board/contact_study", True, first_sight=True)
    assert len(world.facts(Fact.ENTERED)) == entered
    world.wait(seconds=60)
    assert len(world.facts(Fact.NOT_ENTERED)) == 1 - entered
    assert len(world.pulses()) == 1


def test_an_exit_press_of_another_boot_explains_nothing(world: World) -> None:
    """Monotonic times of one boot mean nothing in the next."""
    world.wait(minutes=5)
    world.edge("board/exit_study", True)
    world.restart()
    world.settle()
    world.wait(seconds=1)
    world.open("study")
    assert len(world.facts(Fact.DOOR_FORCED)) == 1


# --- modes (A8) ---------------------------------------------------------------------------------


@pytest.fixture
def gym(world: World) -> World:
    world.book("g1", "gym", "ann", "10:00", "12:00")
    world.at("10:05")
    world.forget()
    return world


def held(world: World, text: str) -> bool:
    wanted = world.wanted(text)
    return isinstance(wanted, Level) and wanted.value is True


def test_the_first_person_in_opens_the_door_to_all_until_the_bookings_end(gym: World) -> None:
    """A8"""
    assert gym.card("gym", "B2").reason.code == "no_right"
    gym.enter("gym", "1111")
    gym.wait(seconds=10)
    assert held(gym, "gate/hold_gym")
    assert gym.readings.latest(gym.site.doors["gym"].points.hold).value is True
    gym.forget()
    gym.pass_through("gym")
    assert gym.names() == ["door.passage"]
    gym.wait(minutes=1)
    for _ in range(11):  # people move about
        gym.read("pir/gym", True)
        gym.wait(minutes=5)
        gym.read("pir/gym", False)
        gym.wait(minutes=5)
    gym.at("11:59:59")
    assert held(gym, "gate/hold_gym")
    gym.at("12:00")
    assert not held(gym, "gate/hold_gym")
    assert gym.last(Fact.DOOR_PASSAGE).data["open"] is False
    gym.wait(seconds=1)
    gym.open("gym")
    assert gym.facts(Fact.DOOR_FORCED)


def test_in_free_passage_no_pulse_ends_what_the_hold_holds(gym: World) -> None:
    gym.enter("gym", "1111")
    gym.wait(seconds=20)
    gym.forget()
    assert gym.card("gym", "A1").accepted
    assert gym.pulses("gym") == []
    stranger = gym.card("gym", "Z9")
    assert (stranger.accepted, stranger.data["basis"]) == (True, "open_mode")


def test_free_passage_ends_once_the_room_was_empty_for_10_min(gym: World) -> None:
    """A8"""
    gym.enter("gym", "1111")
    gym.wait(minutes=1)
    gym.leave("gym")
    gym.wait(minutes=5, seconds=-3)
    assert gym.visits("gym") == ["ann"]
    gym.wait(seconds=2)
    assert gym.visits("gym") == []
    gym.wait(minutes=9, seconds=58)
    assert held(gym, "gate/hold_gym")
    gym.wait(seconds=4)
    assert not held(gym, "gate/hold_gym")
    assert gym.booking("g1").status is BookingStatus.CHECKED_IN
    assert gym.card("gym", "A1").accepted


def test_free_passage_goes_on_while_somebody_is_in(gym: World) -> None:
    gym.enter("gym", "1111")
    gym.at("11:30")  # sits still, seen by nobody; but entered and did not leave
    assert held(gym, "gate/hold_gym")


@pytest.mark.parametrize(
    ("change", "still"),
    [
        (lambda w: w.cancel("g1"), False),
        (lambda w: w.book("g1", "gym", "ann", "10:00", "10:30"), True),
        (lambda w: w.tell(command(w, "end_passage", "gym")), False),
    ],
)
def test_free_passage_goes_with_its_booking(gym: World, change, still: bool) -> None:
    """A8, B1: revoked, cut short, or ended by the desk."""
    gym.enter("gym", "1111")
    gym.wait(seconds=10)
    change(gym)
    assert held(gym, "gate/hold_gym") is still
    gym.at("10:31")
    assert not held(gym, "gate/hold_gym")


def test_free_passage_is_prolonged_with_its_booking(gym: World) -> None:
    gym.enter("gym", "1111")
    gym.book("g1", "gym", "ann", "10:00", "13:00")
    gym.at("12:30")
    assert held(gym, "gate/hold_gym")


def test_a_scheduled_door_is_open_to_all_in_its_hours() -> None:
    """A8"""
    world = World(at="2026-03-06 07:30")  # a Friday
    world.person("ann", card="A1")
    assert not held(world, "gate/hold_lounge")
    world.at("07:59:59")
    assert not held(world, "gate/hold_lounge")
    world.at("08:00")
    assert held(world, "gate/hold_lounge")
    assert world.card("lounge", "Z9").accepted
    world.open("lounge")
    world.wait(minutes=5)
    assert world.facts(Fact.DOOR_FORCED, Fact.DOOR_HELD_OPEN) == []
    world.close("lounge")
    world.at("17:59:59")
    assert held(world, "gate/hold_lounge")
    world.at("18:00")
    assert not held(world, "gate/hold_lounge")
    assert not world.card("lounge", "Z9").accepted
    world.at("2026-03-07 12:00")
    assert not held(world, "gate/hold_lounge")
    world.at("2026-03-09 08:00")
    assert held(world, "gate/hold_lounge")


def test_scheduled_hours_over_midnight_and_through_a_change_to_summer_time() -> None:
    """A8, U3"""
    night = WeeklyHours(((5, 22 * 60, 27 * 60),))  # Saturday 22:00 to Sunday 03:00
    bar = door(
        "lounge",
        "lounge_room",
        strike="gate/strike_lounge",
        contact="gate/contact_lounge",
        hold="gate/hold_lounge",
        readers=["keypad/lounge"],
        mode=DoorMode.SCHEDULED,
        open_hours=night,
    )
    world = World(court(zone="Europe/Berlin", doors=[bar]), at="2026-03-28 21:00")
    world.at("22:00")
    assert held(world, "gate/hold_lounge")
    world.wait(hours=3, minutes=59, seconds=59)  # 02:00 is 03:00 that night
    assert held(world, "gate/hold_lounge")
    world.wait(seconds=1)
    assert not held(world, "gate/hold_lounge")


def test_a_scheduled_door_stays_shut_on_a_clock_nobody_trusts(world: World) -> None:
    """DESIGN §6"""
    world.at("10:00")
    assert held(world, "gate/hold_lounge")
    world.step_clock(0, world.trust.UNTRUSTED)
    world.wait(seconds=10)
    assert not held(world, "gate/hold_lounge")


# --- locks of their own mind (A9) ---------------------------------------------------------------


def test_an_opening_by_the_locks_own_user_is_recorded_with_the_slot(world: World) -> None:
    """A9"""
    world.lock_acts("keypad_unlock", action_source_name="keypad", action_user=4)
    world.read("lock/state", "unlocked")
    told = world.last(Fact.LOCK_OWN_CREDENTIAL)
    assert (told.data["slot"], told.data["action"]) == (4, "keypad_unlock")
    assert world.facts(Fact.DOOR_FORCED, Fact.EXIT, Fact.ENTERED) == []


def test_our_own_release_reported_back_is_no_own_credential(world: World) -> None:
    """A9"""
    world.lock_acts("unlock", action_source_name="remote", action_user=65535)
    world.lock_acts("lock", action_source_name="auto")
    assert world.facts(Fact.LOCK_OWN_CREDENTIAL) == []


def test_the_knob_inside_is_an_exit(world: World) -> None:
    """A7"""
    world.book("b2", "music", "ann", "09:00", "10:00")
    world.pin("music", "1111")
    world.read("lock/state", "unlocked")
    world.read("lock/state", "locked")
    world.wait(minutes=1)
    world.lock_acts("manual_unlock", action_source_name="manual")
    world.read("lock/state", "unlocked")
    assert len(world.facts(Fact.EXIT)) == 1
    assert len(world.facts(Fact.ENTERED)) == 1
    world.wait(minutes=6)
    assert world.visits("music") == []


def test_the_locks_own_user_explains_the_contact() -> None:
    """A9: no breach of A1."""
    both = door(
        "vault",
        "music_room",
        strike="lock/release",
        lock="lock/state",
        contact="board/contact_vault",
        egress=Egress.MECHANICAL,
    )
    world = World(court(doors=[both]))
    world.lock_acts("rfid_unlock", action_user=2)
    world.wait(seconds=3)
    world.open("vault")
    assert world.facts(Fact.DOOR_FORCED) == []
    assert world.facts(Fact.DOOR_PASSAGE)


# --- commands and overrides through the door ----------------------------------------------------


def command(world: World, name: str, target: str, **arguments: object) -> CommandReceived:
    expires = world.wall_ms + HOUR_MS
    return CommandReceived(f"{name}-{target}", name, target, expires, arguments, DESK)


def test_an_override_releases_once_and_is_entered_by_nobody_we_know(world: World) -> None:
    """A1, A6"""
    world.tell(DoorOverridden("study", DESK, "plumber"))
    (pulse,) = world.pulses()
    assert pulse.reason.code == "override"
    assert "Chen" not in pulse.reason.en
    world.open("study")
    assert world.last(Fact.ENTERED).personal == {}
    assert world.visits("study") == []
    status = world.get(DoorStatus, "study")
    assert status.grants == ()


def test_every_write_to_a_strike_rests_on_a_grant_of_this_boot(world: World) -> None:
    """A1, A4"""
    world.pin("study", "1111")
    world.pin("front", "1111")
    tokens = {fact.data["grant"] for fact in world.facts(Fact.GRANTED)}
    pulses = [write for _, write in world.writes if isinstance(write, Pulse)]
    assert {pulse.token for pulse in pulses} == tokens
    assert {pulse.boot for pulse in pulses} == {world.boot}
    assert not any(isinstance(write, Lease) for _, write in world.writes)
