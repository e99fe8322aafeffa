"""Who may pass, on what ground, and who is slowed (RULES A1, A5, B6, B7)."""

import pytest
from core.harness import DESK, World
from core.sites import court

from gateway.domain.events import Actor, DoorOverridden, Stream
from gateway.domain.hours import WeeklyHours
from gateway.domain.now import HOUR_MS, MINUTE_MS
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.site import AccessSettings, Settings
from gateway.domain.state import Result
from gateway.domain.subjects import (
    Credential,
    CredentialKind,
    Presented,
    Role,
    StandingRight,
    Subject,
)
from gateway.domain.visits import ReaderStatus


@pytest.fixture
def world() -> World:
    found = World()
    found.person("ann", pin="1111", card="A1")
    found.person("ben", pin="2222", card="B2")
    found.book("b1", "study", "ann", "09:00", "11:00")
    found.forget()
    return found


# --- grounds (A1) -------------------------------------------------------------------------------


def test_a_holder_is_granted_at_the_door_and_on_the_way_to_it(world: World) -> None:
    """A1"""
    for door in ("front", "study"):
        reply = world.pin(door, "1111")
        assert reply.accepted
        assert reply.data["basis"] == "b1"
        assert len(world.pulses(door)) == 1
    granted = world.last(Fact.GRANTED)
    assert granted.personal == {"subject": "ann"}
    assert granted.data["facility"] == "study"


@pytest.mark.parametrize(
    ("present", "result", "code"),
    [
        (lambda w: w.card("study", "B2"), Result.NOT_AT_THIS_LOCATION, "no_right"),
        (lambda w: w.card("study", "Z9"), Result.INVALID, "not_recognised"),
        (lambda w: w.card("music", "A1"), Result.NOT_AT_THIS_LOCATION, "wrong_facility"),
        (lambda w: w.pin("study", "9999"), Result.INVALID, "not_recognised"),
    ],
)
def test_who_has_no_right_here_is_refused_with_what_would_help(
    world: World, present, result: Result, code: str
) -> None:
    """A1"""
    reply = present(world)
    assert (reply.result, reply.reason.code) == (result, code)
    assert world.writes == []
    refused = world.last(Fact.REFUSED)
    assert refused.data["result"] == result.value
    assert refused.data["reason"]["code"] == code


def test_a_refusal_names_the_right_room_in_both_languages(world: World) -> None:
    why = world.card("music", "A1").reason
    assert why.en == "Wrong room: yours is study."
    assert why.zh == "不是这个房间：您预订的是study（中）。"


def test_a_refusal_names_the_time(world: World) -> None:
    world.book("b2", "music", "ben", "14:00", "15:00")
    assert world.card("music", "B2").reason.en == "Your booking starts at 14:00."
    world.at("15:30")
    assert world.card("music", "B2").reason.en == "Your booking ended at 15:00."
    world.book("b3", "music", "ben", "2026-03-03 08:00", "2026-03-03 09:00")
    assert world.card("music", "B2").reason.en == "Your booking starts at 03-03 08:00."


def test_a_window_is_half_open(world: World) -> None:
    world.book("b2", "music", "ben", "10:00", "11:00")
    world.wait(ms=world.clock("10:00") - world.wall_ms - 1)
    assert not world.card("music", "B2").accepted
    world.wait(ms=1)
    assert world.card("music", "B2").accepted
    world.wait(ms=world.clock("11:00") - world.wall_ms - 1)
    assert world.card("music", "B2").accepted
    world.wait(ms=1)
    assert world.card("music", "B2").result is Result.EXPIRED


@pytest.mark.parametrize("early_min", [0, 10])
def test_who_comes_early_waits_unless_the_site_lets_them(early_min: int) -> None:
    settings = Settings(access=AccessSettings(early_ms=early_min * MINUTE_MS))
    world = World(court(settings))
    world.person("ann", card="A1")
    world.person("ben", card="B2")
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.book("b2", "study", "ben", "10:00", "11:00")
    world.at("09:55")
    assert not world.card("study", "B2").accepted  # somebody else has it
    world.cancel("b1")
    assert world.card("study", "B2").accepted is (early_min > 0)


def test_every_subject_of_a_booking_is_a_holder(world: World) -> None:
    world.book("b2", "music", "ann ben", "09:00", "10:00")
    assert world.card("music", "A1").accepted
    assert world.card("music", "B2").accepted


def test_a_revoked_booking_opens_nothing_from_that_moment(world: World) -> None:
    """A1, B1: revocation beats grant."""
    assert world.pin("study", "1111").accepted
    world.cancel("b1")
    assert not world.card("study", "A1").accepted


def test_a_blocked_credential_and_an_inactive_subject_are_refused(world: World) -> None:
    """A1"""
    card = Credential("ann-card", "ann", CredentialKind.CARD, Secret("card:A1"), blocked=True)
    world.sync(Stream.SUBJECTS, [card])
    assert world.card("study", "A1").result is Result.BLOCKED
    assert world.pin("study", "1111").accepted
    world.sync(Stream.SUBJECTS, [Subject("ann", active=False)])
    assert world.pin("study", "1111", "ann").result is Result.BLOCKED
    assert world.remote("study", "ann").result is Result.BLOCKED


def test_a_removed_subject_has_no_credential_left(world: World) -> None:
    world.sync(Stream.SUBJECTS, (), ["ann"])
    assert world.card("study", "A1").result is Result.INVALID
    assert world.state.where(Credential, "subject", "ann") == ()


def test_a_pin_two_people_share_opens_for_the_one_who_may(world: World) -> None:
    world.person("cat", pin="1111")
    world.book("b2", "music", "cat", "09:00", "10:00")
    assert world.pin("study", "1111").data["basis"] == "b1"
    assert world.pin("music", "1111").data["basis"] == "b2"


def test_a_resident_at_the_api_is_judged_as_at_the_door(world: World) -> None:
    assert world.remote("study", "ann").accepted
    assert world.remote("study", "ben").reason.code == "no_right"
    assert world.remote("study", "nobody").reason.code == "not_recognised"


# --- passes (A1) --------------------------------------------------------------------------------


def test_a_verified_pass_opens_for_its_booking_alone(world: World) -> None:
    """A1"""
    world.book("b2", "music", "ann", "09:00", "10:00")
    assert world.signed_pass("study", "b1", "ann").data["basis"] == "b1"
    assert world.signed_pass("front", "b1", "ann").accepted
    assert world.signed_pass("music", "b1", "ann").result is Result.NOT_AT_THIS_LOCATION


@pytest.mark.parametrize(("older_by", "accepted"), [(1, False), (0, True), (-5, True)])
def test_a_pass_older_than_the_booking_is_superseded(
    world: World, older_by: int, accepted: bool
) -> None:
    """A1"""
    revision = world.booking("b1").terms.revision - older_by
    reply = world.signed_pass("study", "b1", "ann", revision=revision)
    assert reply.accepted is accepted
    assert accepted or reply.reason.code == "pass_superseded"


def test_a_changed_booking_ends_the_passes_of_before(world: World) -> None:
    """A1"""
    revision = world.booking("b1").terms.revision
    world.book("b1", "study", "ann", "09:00", "12:00")
    assert not world.signed_pass("study", "b1", "ann", revision=revision).accepted


def test_a_pass_is_worth_nothing_without_its_booking_or_its_subject(world: World) -> None:
    """A1: revoked is revoked."""
    revision = world.booking("b1").terms.revision
    assert world.signed_pass("study", "b1", "ben").reason.code == "pass_invalid"
    world.sync(Stream.SUBJECTS, (), ["ann"])
    assert world.signed_pass("study", "b1", "ann").reason.code == "pass_invalid"
    world.person("ann", card="A1")
    assert world.signed_pass("study", "b1", "ann").accepted
    world.cancel("b1")
    assert not world.signed_pass("study", "b1", "ann", revision=revision).accepted


def test_an_expired_or_unverified_pass_is_refused(world: World) -> None:
    assert not world.signed_pass("study", "b1", "ann", expires_ms=world.wall_ms).accepted
    forged = Presented(CredentialKind.PASS, problem="signature wrong")
    assert world.present("study", forged).reason.en == "The pass is not valid: signature wrong."


# --- standing rights ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "doors"),
    [
        ("*", {"front", "study", "music"}),
        ("building", {"front", "study", "music"}),
        ("study_room", {"study"}),
        ("study", {"front", "study"}),
        ("music", {"music"}),
        ("compound", {"front", "study", "music"}),
    ],
)
def test_a_standing_right_covers_facilities_doors_and_places(target: str, doors: set[str]) -> None:
    world = World()
    world.person("cleo", card="C3", role=Role.CLEANER)
    world.right("r1", "cleo", target)
    opened = {door for door in ("front", "study", "music") if world.card(door, "C3").accepted}
    assert opened == doors


def test_a_standing_right_keeps_to_its_hours_and_its_dates(world: World) -> None:
    world.person("cleo", card="C3", role=Role.CLEANER)
    monday_night = WeeklyHours(((0, 22 * 60, 26 * 60),))
    until = world.clock("2026-03-10 00:00")
    world.right("r1", "cleo", "*", hours=monday_night, until_ms=until)
    assert not world.card("study", "C3").accepted
    world.at("22:00")
    assert world.card("study", "C3").accepted
    world.at("01:59")  # over midnight
    assert world.card("study", "C3").accepted
    world.at("02:00")
    assert not world.card("study", "C3").accepted
    world.at("2026-03-09 23:59")
    assert world.card("study", "C3").accepted
    world.at("2026-03-10 00:30")
    assert not world.card("study", "C3").accepted


def test_a_facility_without_bookings_opens_to_whom_we_know_while_it_is_free(world: World) -> None:
    world.at("19:00")  # the lounge's open hours are over
    assert world.card("lounge", "A1").data["basis"] == "walk_in"
    world.pass_through("lounge")
    assert world.card("lounge", "B2").reason.code == "no_right"
    assert not world.card("lounge", "Z9").accepted


# --- overrides (A1) -----------------------------------------------------------------------------


def test_an_override_names_a_person_and_a_reason(world: World) -> None:
    """A1"""
    assert world.tell(DoorOverridden("study", DESK, "lost the card")).accepted
    granted = world.last(Fact.GRANTED)
    assert granted.personal == {"person": "Ms Chen", "why": "lost the card"}
    assert granted.data["basis"] == "override"
    assert "Chen" not in str(dict(granted.data))
    assert len(world.pulses()) == 1


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (Actor("", Role.DESK), "lost the card"),
        (DESK, "  "),
        (Actor("ann", Role.RESIDENT), "mine"),
        (Actor("cleo", Role.CLEANER), "forgot it"),
        (Actor("", Role.PLATFORM, on_site=False), "remote"),
    ],
)
def test_an_override_without_person_reason_or_role_is_refused(
    world: World, by: Actor, why: str
) -> None:
    """A1, also through the platform."""
    assert not world.tell(DoorOverridden("study", by, why)).accepted
    assert world.writes == []


def test_an_override_is_no_check_in(world: World) -> None:
    """B5"""
    world.tell(DoorOverridden("study", DESK, "lost the card"))
    world.pass_through("study")
    assert world.last(Fact.ENTERED).data["basis"] == "override"
    assert world.booking("b1").checked_in_ms is None


# --- guessing (A5) ------------------------------------------------------------------------------


def fail(world: World, times: int = 1, door: str = "study") -> list[int]:
    """Wrong PINs, each right after the wait of the one before; those waits in seconds."""
    waits = []
    for n in range(times):
        assert world.pin(door, f"wrong{n}").result is Result.INVALID
        slowed = world.pin(door, "9999")
        assert slowed.reason.code == "slow_down"
        waits.append(slowed.data["retry_after_s"])
        world.wait(seconds=waits[-1])
    return waits


def test_wrong_pins_slow_the_reader_more_and_more(world: World) -> None:
    """A5"""
    assert fail(world, 8) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_right_pin_is_honoured_after_the_wait_and_forgives(world: World) -> None:
    """A5"""
    fail(world, 5)
    world.pin("study", "wrong")
    early = world.pin("study", "1111")
    assert early.reason.code == "slow_down"
    assert early.data == {"door": "study", "retry_after_s": 30}
    world.wait(ms=29_999)
    assert not world.pin("study", "1111").accepted
    world.wait(ms=1)
    assert world.pin("study", "1111").accepted
    assert fail(world, 2) == [1, 2]


def test_a_try_during_the_wait_makes_it_no_longer(world: World) -> None:
    """A5"""
    fail(world, 3)
    world.pin("study", "wrong")
    for _ in range(7):
        world.wait(seconds=1)
        world.pin("study", "wrong")
    world.wait(seconds=1)
    assert world.pin("study", "1111").accepted


def test_a_vandal_at_the_keypad_keeps_no_card_pass_or_remote_out(world: World) -> None:
    """A5"""
    fail(world, 6)
    world.pin("study", "wrong")
    assert world.pin("study", "1111").reason.code == "slow_down"
    assert world.card("study", "A1").accepted
    assert world.signed_pass("study", "b1", "ann").accepted
    assert world.remote("study", "ann").accepted


def test_staff_are_never_slowed(world: World) -> None:
    """A5"""
    world.person("tom", pin="7777", role=Role.STAFF)
    world.right("r1", "tom", "*")
    fail(world, 6)
    world.pin("study", "wrong")
    assert world.pin("study", "7777").accepted


def test_another_reader_is_not_slowed(world: World) -> None:
    """A5: the reader is slowed, not the person."""
    fail(world, 6)
    world.pin("study", "wrong")
    assert world.pin("front", "1111").accepted


def test_a_wait_goes_on_over_a_restart(world: World) -> None:
    """A5"""
    fail(world, 5)
    world.pin("study", "wrong")
    world.wait(seconds=10)
    world.tell(DoorOverridden("front", DESK, "a checkpoint rides along"))
    world.restart()
    slowed = world.pin("study", "1111")
    assert slowed.reason.code == "slow_down"
    assert 20 <= slowed.data["retry_after_s"] <= 30
    world.wait(seconds=30)
    assert world.pin("study", "1111").accepted


def test_wrong_tries_with_an_identifier_slow_whom_they_name_and_no_other(world: World) -> None:
    """A5"""
    for _ in range(2):
        assert world.pin("study", "9999", "ann").result is Result.INVALID
        world.wait(seconds=2)
    world.pin("study", "9999", "ann")
    assert world.pin("study", "1111", "ann").data["retry_after_s"] == 4
    assert world.pin("front", "1111", "ann").reason.code == "slow_down"  # at every reader
    assert world.pin("study", "1111").accepted  # the reader is not slowed


def test_an_identifier_of_nobody_slows_the_reader(world: World) -> None:
    """A5: made-up numbers buy no free tries, and leave nothing behind."""
    world.pin("study", "9999", "nobody1")
    assert world.pin("study", "9999", "nobody2").reason.code == "slow_down"
    assert [status.id for status in world.state.all(ReaderStatus)] == ["keypad/study"]


def test_a_right_pin_under_a_wrong_identifier_is_wrong(world: World) -> None:
    assert world.pin("study", "1111", "ben").result is Result.INVALID


def test_a_bare_pin_that_is_not_valid_now_is_like_any_other(world: World) -> None:
    """A5: it is compared only with those valid now at that door, so a guess learns nothing."""
    guess, wrong = world.pin("music", "1111"), World()
    world.wait(seconds=1)
    assert (guess.result, guess.reason.code) == (Result.INVALID, "not_recognised")
    assert world.last(Fact.REFUSED).personal == {}
    assert wrong.pin("music", "1111").reason == guess.reason
    explained = world.pin("music", "1111", "ann")
    assert explained.reason.code == "wrong_facility"


def test_twenty_failures_an_hour_are_tampering_whatever_was_tried(world: World) -> None:
    """A5"""
    for n in range(19):
        world.card("study", f"copy{n}")
        world.wait(minutes=3)
    assert "tamper:keypad/study" not in world.faults()
    world.card("study", "copy")
    assert "tamper:keypad/study" in world.faults()
    opened = world.last(Fact.FAULT_OPENED)
    assert opened.urgent
    assert opened.data["reason"]["code"] == "tamper"
    world.wait(minutes=59)
    assert "tamper:keypad/study" in world.faults()
    world.wait(minutes=1)
    assert "tamper:keypad/study" not in world.faults()
    assert world.state.count(ReaderStatus) == 0


def test_nineteen_failures_an_hour_for_ever_are_no_tampering(world: World) -> None:
    """A5"""
    for n in range(60):
        world.card("study", f"copy{n}")
        world.wait(ms=HOUR_MS // 19 + 1)
    assert "tamper:keypad/study" not in world.faults()


def test_hammering_during_the_wait_is_tampering_too(world: World) -> None:
    """A5"""
    for _ in range(20):
        world.pin("study", "wrong")
        world.wait(ms=200)
    assert "tamper:keypad/study" in world.faults()


def test_a_stepped_clock_neither_forgives_nor_adds_failures(world: World) -> None:
    """A5, DESIGN §6: durations are monotonic."""
    for n in range(10):
        world.card("study", f"copy{n}")
    world.step_clock(5 * HOUR_MS)
    world.step_clock(-9 * HOUR_MS)
    for n in range(10):
        world.card("study", f"copy{n}")
    assert "tamper:keypad/study" in world.faults()


# --- untrusted clock (DESIGN §6) ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("off_hours", "accepted"), [(0, True), (-11, True), (13, True), (15, False)]
)
def test_on_an_untrusted_clock_a_holder_near_the_best_estimate_gets_in_flagged(
    world: World, off_hours: int, accepted: bool
) -> None:
    world.restart(off_ms=off_hours * HOUR_MS, trust=world.trust.UNTRUSTED)
    reply = world.card("study", "A1")
    assert reply.accepted is accepted
    if accepted:
        assert reply.data["clock_uncertain"] is True
        assert world.last(Fact.GRANTED).data["clock_uncertain"] is True


def test_on_an_untrusted_clock_standing_rights_work_in_full(world: World) -> None:
    world.person("cleo", card="C3", role=Role.CLEANER)
    never = WeeklyHours(())
    right = StandingRight("r1", "cleo", ("*",), never, until_ms=world.wall_ms)
    world.sync(Stream.RIGHTS, [right])
    assert not world.card("study", "C3").accepted
    world.step_clock(0, world.trust.UNTRUSTED)
    assert world.card("study", "C3").accepted


# --- U5 -----------------------------------------------------------------------------------------


def test_no_pin_card_or_digest_shows_in_a_record_or_a_reply(world: World) -> None:
    """U5"""
    world.pin("study", "1111")
    world.pin("study", "31415926", "27182818")
    world.card("study", "A1")
    told = repr([world.stamped, world.answers, list(world.state.entities())])
    for secret in ("pin:", "card:", "1111", "31415926", "27182818"):
        assert secret not in told
