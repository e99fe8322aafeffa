"""The life of bookings, and which stand (RULES B2, B4, B6, B7)."""

from dataclasses import replace
from itertools import permutations

import pytest
from core.harness import DESK, World
from core.sites import court, facility, sensor
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.bookings import Booking, BookingStatus, Origin
from gateway.domain.events import Actor, DoorOverridden, ExtensionAsked, Stream, WalkInAsked
from gateway.domain.faults import Health
from gateway.domain.now import HOUR_MS, MINUTE_MS
from gateway.domain.records import Fact
from gateway.domain.state import Result
from gateway.domain.subjects import Role, Subject
from gateway.domain.visits import RoomStatus

ANN = Actor("ann", Role.RESIDENT)


@pytest.fixture
def world() -> World:
    found = World()
    for name, pin in (("ann", "1111"), ("ben", "2222"), ("cat", "3333")):
        found.person(name, pin=pin, card=name)
    found.forget()
    return found


def status(world: World, id_: str) -> str:
    return world.booking(id_).status.value


def standing(world: World, name: str = "study") -> dict[str, str]:
    return {b.id: b.status.value for b in world.state.where(Booking, "facility", name)}


# --- overlaps (B2) ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(("first", "rival", "later"))))
def test_the_lower_rank_stands_whatever_came_first(world: World, order: tuple[str, ...]) -> None:
    """B2: (priority, created_at, id)."""
    windows = {
        "first": ("10:00", "11:00", 100, 5),
        "rival": ("10:30", "12:00", 50, 9),
        "later": ("11:30", "12:30", 100, 1),
    }
    for name in order:
        start, end, priority, created = windows[name]
        world.book(name, "study", "ann", start, end, priority=priority, created_ms=created)
    assert standing(world) == {
        "rival": "enforced",
        "first": "conflicted",
        "later": "conflicted",
    }


def test_the_loser_is_reported_and_stands_again_once_there_is_room(world: World) -> None:
    """B2"""
    world.book("b1", "study", "ann", "10:00", "11:00")
    world.book("b2", "study", "ben", "10:30", "11:30")
    told = world.last(Fact.BOOKING_CONFLICTED)
    assert (told.data["booking"], told.data["with_bookings"]) == ("b2", ["b1"])
    assert len(world.facts(Fact.BOOKING_CONFLICTED)) == 1
    assert world.card("study", "ben").reason.code == "too_early"
    world.at("10:05")
    world.enter("study", "1111")
    world.at("10:45")
    assert world.card("study", "ben").reason.code == "booking_conflicted"
    world.cancel("b1")
    assert status(world, "b2") == "enforced"
    assert world.last(Fact.BOOKING_RESTORED).data["booking"] == "b2"
    assert world.card("study", "ben").accepted


def test_two_bookings_swapped_end_the_same_in_either_order(world: World) -> None:
    """B2: between the two messages they overlap; after both neither does."""
    for order in (("b1", "b2"), ("b2", "b1")):
        world.book("b1", "study", "ann", "10:00", "11:00", created_ms=1)
        world.book("b2", "study", "ben", "11:00", "12:00", created_ms=2)
        swapped = {"b1": ("ann", "11:00", "12:00", 1), "b2": ("ben", "10:00", "11:00", 2)}
        for name in order:
            who, start, end, created = swapped[name]
            world.book(name, "study", who, start, end, created_ms=created)
        assert standing(world) == {"b1": "enforced", "b2": "enforced"}
        world.cancel("b1", "b2")


def test_a_checked_in_booking_keeps_the_room_to_its_end(world: World) -> None:
    """B2"""
    world.book("b1", "study", "ann", "09:00", "11:00")
    world.enter("study", "1111")
    world.book("vip", "study", "ben", "10:00", "12:00", priority=1)
    assert standing(world) == {"b1": "checked_in", "vip": "conflicted"}
    world.at("11:00")
    assert standing(world) == {"b1": "ended", "vip": "enforced"}


def test_a_checked_in_booking_loses_the_room_with_its_revocation(world: World) -> None:
    """B2, B4: a person inside is not put out, the desk is told."""
    world.book("b1", "study", "ann", "09:00", "11:00")
    world.enter("study", "1111")
    world.book("b2", "study", "ben", "10:00", "12:00")
    world.cancel("b1")
    assert standing(world) == {"b2": "enforced"}
    assert world.visits("study") == ["ann"]
    removed = world.last(Fact.BOOKING_REMOVED)
    assert removed.urgent
    assert removed.data["somebody_inside"] is True


def test_of_two_that_were_used_and_came_to_overlap_one_gives_way_and_the_desk_is_told(
    world: World,
) -> None:
    """B2: never more than the capacity, even when the platform prolongs what is over."""
    world.book("b1", "study", "ann", "09:00", "10:00", created_ms=1)
    world.book("b2", "study", "ben", "10:00", "12:00", created_ms=2)
    world.enter("study", "1111")
    world.at("10:05")
    world.enter("study", "2222")
    world.book("b1", "study", "ann", "09:00", "11:00", created_ms=1)
    assert standing(world) == {"b1": "checked_in", "b2": "conflicted"}
    told = world.last(Fact.BOOKING_CONFLICTED)
    assert (told.urgent, told.data["somebody_inside"]) == (True, True)
    world.book("b1", "study", "ann", "09:00", "10:00", created_ms=1)
    assert standing(world)["b2"] == "checked_in"


def test_a_facility_takes_as_many_as_its_capacity(world: World) -> None:
    """B2"""
    for n in range(5):
        world.book(f"g{n}", "gym", "ann", "10:00", "11:00", created_ms=n)
    assert [status(world, f"g{n}") for n in range(5)] == ["enforced"] * 3 + ["conflicted"] * 2
    world.cancel("g1")
    assert status(world, "g3") == "enforced"
    assert status(world, "g4") == "conflicted"


def test_bookings_that_only_meet_do_not_overlap(world: World) -> None:
    world.book("b1", "study", "ann", "10:00", "11:00")
    world.book("b2", "study", "ben", "11:00", "12:00")
    assert standing(world) == {"b1": "enforced", "b2": "enforced"}


@pytest.mark.parametrize(("created_ms", "gives_way"), [(1, "b2"), (3, "b1")])
def test_a_booking_with_no_end_in_sight_is_one_like_others(
    world: World, created_ms: int, gives_way: str
) -> None:
    """B2: its days were counted one by one, until a process had no memory left."""
    item = world.item("b1", "study", "ann", "10:00", "11:00", created_ms=created_ms)
    endless = replace(item, terms=replace(item.terms, end_ms=2**53))
    world.book("b2", "study", "ben", "14:00", "15:00", created_ms=2)
    world.sync(Stream.BOOKINGS, [endless])
    world.book("b3", "study", "ben", "09:10", "10:00", created_ms=4)
    assert standing(world) == dict.fromkeys(("b1", "b2", "b3"), "enforced") | {
        gives_way: "conflicted"
    }


def overlapping(world: World, capacity: int, name: str) -> int:
    live = [b for b in world.state.where(Booking, "facility", name) if b.live]
    return max(
        (sum(b.covers(at.terms.start_ms) for b in live) for at in live),
        default=0,
    )


_item = st.tuples(
    st.integers(0, 7), st.integers(0, 8), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_item, min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_the_outcome_does_not_hang_on_the_order_of_messages(items, chance) -> None:
    """B2: the same bookings and check-ins, in any order, with moves and cancellations."""
    last = {f"b{n}": item for n, *item in items}
    outcomes = []
    for _ in range(2):
        world = World(quiet=True)
        order = list(items)
        chance.shuffle(order)
        for n, start, length, priority, created in [
            *order,
            *((int(k[1:]), *v) for k, v in last.items()),
        ]:
            window = (f"1{start}:00", f"{10 + start + length}:00")
            world.book(f"b{n}", "gym", "ann", *window, priority=priority, created_ms=created)
            assert overlapping(world, 3, "gym") <= 3
        outcomes.append(standing(world, "gym"))
    assert outcomes[0] == outcomes[1]


@settings(max_examples=40, deadline=None)
@given(st.permutations(["b1", "b2", "b3"]), st.permutations(["b1", "b2", "b3", "in"]))
def test_check_ins_decide_the_same_in_any_order(first, second) -> None:
    """B2: who is in keeps the room, whether its rivals were known before or came after."""
    outcomes = []
    for order in (first, second):
        world = World(quiet=True)
        world.person("ann", pin="1111")
        world.book("mine", "study", "ann", "09:00", "12:00", priority=300, created_ms=0)
        world.enter("study", "1111")
        for name in order:
            if name != "in":
                start = int(name[1])
                world.book(
                    name, "study", "ben", f"1{start - 1}:00", f"1{start + 1}:00", created_ms=start
                )
        outcomes.append(standing(world))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0]["mine"] == "checked_in"


# --- what the platform changes ------------------------------------------------------------------


def test_a_change_of_terms_keeps_what_became_of_the_booking(world: World) -> None:
    world.book("b1", "study", "ann", "09:00", "11:00")
    world.enter("study", "1111")
    world.book("b1", "study", "ann ben", "09:00", "12:00")
    assert status(world, "b1") == "checked_in"
    assert world.card("study", "ben").accepted


def test_a_booking_moved_to_another_room_begins_anew_and_the_desk_is_told(world: World) -> None:
    """B4"""
    world.book("b1", "study", "ann", "09:00", "11:00")
    world.enter("study", "1111")
    world.book("b1", "music", "ann", "09:00", "11:00")
    assert status(world, "b1") == "enforced"
    assert world.last(Fact.BOOKING_APPLIED).data["somebody_inside"] is True
    assert world.visits("study") == ["ann"]


def test_a_booking_prolonged_after_its_end_lives_again(world: World) -> None:
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.enter("study", "1111")
    world.at("10:05")
    assert status(world, "b1") == "ended"
    world.book("b1", "study", "ann", "09:00", "11:00")
    assert status(world, "b1") == "checked_in"
    assert world.card("study", "ann").accepted


def test_the_platforms_newer_word_on_a_no_show_is_that_it_stands(world: World) -> None:
    """B4: the answer to a proposal is a new revision."""
    world.book("t1", "terrace", "ann", "10:00", "12:00")
    world.at("10:15")
    assert status(world, "t1") == "no_show"
    world.book("t1", "terrace", "ann", "10:00", "12:00")
    assert status(world, "t1") == "enforced"
    world.at("11:59")
    assert status(world, "t1") == "enforced"


def test_what_is_over_is_kept_for_two_days_and_then_forgotten(world: World) -> None:
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.at("10:00")
    assert status(world, "b1") == "ended"
    world.wait(hours=47)
    assert world.state.get(Booking, "b1") is not None
    world.wait(hours=1)
    assert world.state.get(Booking, "b1") is None


# --- proposals (B4) -----------------------------------------------------------------------------


def test_an_extension_goes_up_as_a_proposal_with_what_it_saw(world: World) -> None:
    """B4"""
    world.book("b1", "study", "ann", "09:00", "10:00", revision=7)
    world.enter("study", "1111")
    reply = world.tell(ExtensionAsked("b1", 30, ANN))
    assert reply.accepted
    own = world.booking(reply.data["booking"])
    assert own.terms.origin is Origin.GATEWAY
    assert (own.terms.start_ms, own.terms.end_ms) == (world.clock("10:00"), world.clock("10:30"))
    told = world.last(Fact.BOOKING_PROPOSED).data
    assert (told["seen_booking"], told["seen_revision"]) == ("b1", 7)
    world.at("10:20")
    assert world.booking(own.id).status is BookingStatus.CHECKED_IN  # adjacent, and one (B7)
    assert world.facts(Fact.OVERSTAY) == []


@pytest.mark.parametrize("minutes", [0, -5, 61])
def test_an_extension_is_at_most_60_min(world: World, minutes: int) -> None:
    """B4"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    assert world.tell(ExtensionAsked("b1", minutes, ANN)).reason.code == "malformed"


def test_extensions_of_extensions_are_60_min_together(world: World) -> None:
    """B4"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    first = world.tell(ExtensionAsked("b1", 40, ANN)).data["booking"]
    assert not world.tell(ExtensionAsked(first, 21, ANN)).accepted
    second = world.tell(ExtensionAsked(first, 20, ANN)).data["booking"]
    assert not world.tell(ExtensionAsked(second, 1, ANN)).accepted
    assert not world.tell(ExtensionAsked("b1", 1, ANN)).accepted


def test_an_extension_gives_way_to_the_next_holder(world: World) -> None:
    """B4: below every booking of the platform."""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.book("b2", "study", "ben", "10:30", "11:00")
    world.forget()
    assert world.tell(ExtensionAsked("b1", 60, ANN)).result is Result.CONCURRENT
    assert world.names() == []
    own = world.tell(ExtensionAsked("b1", 30, ANN)).data["booking"]
    world.book("b3", "study", "cat", "10:00", "10:30")
    assert (status(world, own), status(world, "b3")) == ("conflicted", "enforced")


def test_who_may_ask_for_what(world: World) -> None:
    """B4"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    ben = Actor("ben", Role.RESIDENT)
    assert world.tell(ExtensionAsked("b1", 10, ben)).reason.code == "no_right"
    assert world.tell(ExtensionAsked("b9", 10, ANN)).result is Result.UNKNOWN
    assert world.tell(ExtensionAsked("b1", 10, DESK)).accepted
    assert world.tell(WalkInAsked("music", "ann", 10, ben)).reason.code == "no_right"
    assert world.tell(WalkInAsked("sauna", "ann", 10, DESK)).reason.code == "unknown_facility"
    assert world.tell(WalkInAsked("music", "nobody", 10, DESK)).reason.code == "unknown_subject"
    world.sync(Stream.SUBJECTS, [Subject("ben", active=False)])
    assert world.tell(WalkInAsked("music", "ben", 10, DESK)).reason.code == "unknown_subject"


def test_an_ended_booking_is_not_prolonged(world: World) -> None:
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.at("10:01")
    assert world.tell(ExtensionAsked("b1", 10, ANN)).reason.code == "ended"


def test_a_walk_in_takes_a_free_room_and_nobody_elses(world: World) -> None:
    """B4"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    assert world.tell(WalkInAsked("study", "ben", 30, DESK)).reason.code == "in_use"
    reply = world.tell(WalkInAsked("music", "ben", 30, DESK))
    assert reply.accepted
    assert world.pin("music", "2222").data["basis"] == reply.data["booking"]
    assert not world.tell(WalkInAsked("music", "cat", 10, DESK)).accepted


def test_a_walk_in_that_would_run_into_a_booking_is_refused(world: World) -> None:
    world.book("b1", "study", "ann", "09:20", "10:00")
    assert not world.tell(WalkInAsked("study", "ben", 30, DESK)).accepted
    assert world.tell(WalkInAsked("study", "ben", 20, DESK)).accepted


def test_who_is_let_in_as_the_grace_time_ends_is_no_no_show(world: World) -> None:
    """B6: granted, and just opening the door."""
    world.at("09:50")
    world.book("b1", "study", "ann", "10:00", "11:00")
    world.at("10:14:58")
    assert world.pin("study", "1111").accepted
    world.at("10:15:02")
    world.pass_through("study")
    assert status(world, "b1") == "checked_in"
    assert world.facts(Fact.BOOKING_NO_SHOW) == []


def test_who_is_let_in_and_does_not_come_is_a_no_show_after_all(world: World) -> None:
    world.at("09:50")
    world.book("b1", "study", "ann", "10:00", "11:00")
    world.at("10:14:58")
    assert world.pin("study", "1111").accepted
    world.at("10:16")
    assert status(world, "b1") == "no_show"


def test_who_is_let_in_at_a_door_that_stands_open_may_be_inside(world: World) -> None:
    """B6: no opening was to be seen, so nobody saw that they did not come."""
    world.at("09:50")
    world.book("b1", "study", "ann", "10:00", "11:00")
    world.at("10:04")
    world.open("study")
    world.at("10:05")
    assert world.pin("study", "1111").accepted
    world.at("10:07")
    world.close("study")
    world.at("10:20")
    assert status(world, "b1") == "enforced"
    assert world.facts(Fact.BOOKING_NO_SHOW) == []


def test_a_no_show_is_given_to_walk_ins(world: World) -> None:
    """B4, B6"""
    world.book("b1", "study", "ann", "09:05", "11:00")
    world.at("09:20")
    no_show = world.last(Fact.BOOKING_NO_SHOW).data
    assert (no_show["booking"], no_show["proposal"]) == ("b1", True)
    assert world.tell(WalkInAsked("study", "ben", 30, DESK)).accepted
    assert world.card("study", "ann").reason.code == "booking_released"


def test_a_walk_in_that_is_inside_is_not_put_out_by_a_later_booking(world: World) -> None:
    """B2, B4"""
    own = world.tell(WalkInAsked("study", "ben", 60, DESK)).data["booking"]
    world.enter("study", "2222")
    world.book("b1", "study", "ann", "09:30", "10:30")
    assert (status(world, own), status(world, "b1")) == ("checked_in", "conflicted")
    world.at("10:00")
    assert status(world, "b1") == "enforced"


def test_on_an_untrusted_clock_nothing_is_granted_by_the_clock(world: World) -> None:
    """DESIGN §6"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.step_clock(0, world.trust.UNTRUSTED)
    assert world.tell(ExtensionAsked("b1", 10, ANN)).reason.code == "clock_untrusted"
    assert world.tell(WalkInAsked("music", "ben", 10, DESK)).reason.code == "clock_untrusted"


# --- no-shows (B6) ------------------------------------------------------------------------------

ROOMS = ["terrace", "study", "store"]  # a sensor alone, a sensor and a door, a door alone


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest, world: World) -> str:
    name = str(request.param)
    world.at("09:30")  # the sensors have long seen nobody
    world.book("b1", name, "ann", "10:00", "12:00")
    return name


def test_nobody_came_is_judged_when_the_grace_is_over(world: World, room: str) -> None:
    """B6"""
    world.at("10:14:59")
    assert status(world, "b1") == "enforced"
    world.at("10:15")
    assert status(world, "b1") == "no_show"
    assert len(world.facts(Fact.BOOKING_NO_SHOW)) == 1


@pytest.mark.parametrize("when", ["09:59", "10:00", "10:14"])
def test_a_restart_in_the_grace_keeps_the_booking(world: World, room: str, when: str) -> None:
    """B6: wholly observed."""
    world.at(when)
    world.restart(off_ms=61_000)
    world.settle()
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_a_restart_before_the_booking_is_no_matter(world: World, room: str) -> None:
    world.restart()
    world.settle()
    world.at("10:15")
    assert status(world, "b1") == "no_show"


def test_a_clock_that_was_untrusted_in_the_grace_keeps_the_booking(world: World, room: str) -> None:
    """B6: on a trusted clock."""
    world.at("10:05")
    world.step_clock(0, world.trust.UNTRUSTED)
    world.at("10:20")
    assert status(world, "b1") == "enforced"
    world.step_clock(0, world.trust.SYNCHRONISED)
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_an_untrusted_clock_expires_nothing(world: World, room: str) -> None:
    """DESIGN §6"""
    world.step_clock(0, world.trust.UNTRUSTED)
    world.wait(hours=12)
    assert status(world, "b1") == "enforced"
    world.step_clock(0, world.trust.SYNCHRONISED)
    world.wait(seconds=2)
    assert status(world, "b1") == "ended"


def test_a_boot_in_the_past_that_is_corrected_into_the_grace_keeps_the_booking(
    world: World, room: str
) -> None:
    """B6, DESIGN §6"""
    world.restart(off_ms=-50 * 24 * HOUR_MS, trust=world.trust.UNTRUSTED)
    world.settle()
    world.wait(minutes=10)
    world.step_clock(world.clock("2026-03-02 10:20") - world.wall_ms, world.trust.SYNCHRONISED)
    world.at("11:00")
    assert status(world, "b1") == "enforced"


@pytest.mark.parametrize("jump_min", [46, 60, 100])
def test_a_forward_jump_judges_only_the_present(world: World, room: str, jump_min: int) -> None:
    """DESIGN §6: it fires no missed deadline."""
    world.step_clock(jump_min * MINUTE_MS)
    world.wait(seconds=5)
    assert status(world, "b1") == "enforced"
    world.at("11:59")
    assert status(world, "b1") == "enforced"
    world.at("12:00")
    assert status(world, "b1") == "ended"


def test_a_jump_past_the_end_ends_without_a_no_show(world: World, room: str) -> None:
    world.step_clock(5 * HOUR_MS)
    world.wait(seconds=5)
    assert world.facts(Fact.BOOKING_NO_SHOW) == []
    assert status(world, "b1") == "ended"


def test_a_booking_that_came_late_is_not_judged(world: World) -> None:
    """B6: its holder could not come in before."""
    world.at("10:10")
    world.book("b1", "store", "ann", "10:00", "12:00")
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_a_booking_that_stood_only_late_is_not_judged(world: World) -> None:
    world.book("b0", "store", "ben", "09:58", "11:00", created_ms=0)
    world.book("b1", "store", "ann", "10:00", "12:00")
    world.at("10:10")
    world.cancel("b0")
    assert status(world, "b1") == "enforced"
    world.at("11:59")
    assert status(world, "b1") == "enforced"


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("terrace", "pir"),
        ("study", "pir"),
        ("study", "keypad"),
        ("study", "board"),
        ("store", "gate"),
    ],
)
@pytest.mark.parametrize("span", [("09:50", "10:05"), ("10:05", "10:10"), ("10:10", "10:30")])
def test_a_device_lost_in_the_grace_keeps_the_booking(
    world: World, name: str, device: str, span: tuple[str, str]
) -> None:
    """B6: by living sensors; and a dead keypad or strike lets nobody in."""
    world.at("09:30")
    world.book("b1", name, "ann", "10:00", "12:00")
    world.at(span[0])
    world.silence(device)
    world.at(span[1])
    world.heal(device)
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_a_link_lost_in_the_grace_keeps_the_booking(world: World, room: str) -> None:
    world.at("10:05")
    world.link("bus", Health.SILENT)
    world.wait(seconds=5)
    world.link("bus", Health.ONLINE)
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_a_device_lost_and_back_before_the_booking_is_no_matter(world: World) -> None:
    world.book("b1", "study", "ann", "10:00", "12:00")
    world.at("09:30")
    world.silence("pir")
    world.wait(minutes=1)
    world.heal("pir")
    world.at("10:15")
    assert status(world, "b1") == "no_show"


def test_one_dead_sensor_of_two_leaves_one_that_sees() -> None:
    """B6"""
    deck = facility("terrace", "terrace", sensors=(sensor("pir/terrace"), sensor("radar/terrace")))
    world = World(court(facilities=[deck]))
    world.at("09:30")
    world.book("b1", "terrace", "ann", "10:00", "12:00")
    world.at("10:05")
    world.silence("radar")
    world.at("10:15")
    assert status(world, "b1") == "no_show"


@pytest.mark.parametrize("seen_at", ["10:00", "10:07", "10:14"])
def test_any_presence_in_the_grace_keeps_the_booking(world: World, seen_at: str) -> None:
    """B6: no evidence of presence."""
    world.book("b1", "study", "ann", "10:00", "12:00")
    world.at(seen_at)
    world.read("pir/study", True)
    world.wait(seconds=10)
    world.read("pir/study", False)
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_presence_before_the_booking_that_left_in_time_is_no_evidence(world: World) -> None:
    world.book("b1", "study", "ann", "10:00", "12:00")
    world.at("09:50")
    world.read("pir/study", True)
    world.wait(seconds=10)
    world.read("pir/study", False)
    world.at("10:15")
    assert status(world, "b1") == "no_show"


def test_who_entered_and_sits_still_is_there(world: World) -> None:
    """B6: an entering without a leaving."""
    world.book("b0", "study", "ben", "09:00", "10:00")
    world.enter("study", "2222")
    world.book("b1", "study", "ann", "10:00", "12:00")
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_a_stuck_sensor_is_no_evidence() -> None:
    """B6: presence that does not change for 24 h."""
    deck = facility("terrace", "terrace", sensors=(sensor("pir/terrace"), sensor("radar/terrace")))
    world = World(court(facilities=[deck]))
    world.read("radar/terrace", True)
    world.wait(hours=24)
    assert "stuck_sensor:radar/terrace" in world.faults()
    world.wait(minutes=10)
    world.book("b1", "terrace", "ann", "2026-03-03 10:00", "2026-03-03 12:00")
    world.at("2026-03-03 10:15")
    assert status(world, "b1") == "no_show"
    world.read("radar/terrace", False)
    world.wait(seconds=10)
    assert world.faults() == set()


def test_a_room_whose_only_sensor_is_stuck_is_not_judged(world: World) -> None:
    world.read("pir/terrace", True)
    world.wait(hours=24)
    assert world.get(RoomStatus, "terrace").present is None
    world.book("b1", "terrace", "ann", "2026-03-03 10:00", "2026-03-03 12:00")
    world.at("2026-03-03 11:59")
    assert status(world, "b1") == "enforced"


def test_an_unexplained_passing_in_the_grace_keeps_the_booking(world: World) -> None:
    """B6: somebody came, and it may have been the holder."""
    world.book("b1", "store", "ann", "10:00", "12:00")
    world.at("10:05")
    world.tell(DoorOverridden("store", DESK, "forgot the card"))
    world.pass_through("store")
    world.at("11:59")
    assert status(world, "b1") == "enforced"


def test_a_late_holder_is_let_in_while_nobody_has_the_room(world: World) -> None:
    """B6"""
    world.book("b1", "study", "ann", "09:30", "11:00")
    world.at("09:45")
    assert status(world, "b1") == "no_show"
    world.enter("study", "1111")
    assert status(world, "b1") == "checked_in"
    assert not world.tell(WalkInAsked("study", "ben", 30, DESK)).accepted


def test_a_late_holder_is_refused_once_somebody_else_has_the_room(world: World) -> None:
    """B6: a late check-in must not be accepted after release."""
    world.book("b1", "study", "ann", "09:30", "11:00")
    world.at("09:45")
    world.tell(WalkInAsked("study", "ben", 30, DESK))
    assert world.pin("study", "1111").result is Result.INVALID
    world.wait(seconds=1)
    assert world.card("study", "ann").reason.code == "booking_released"
    world.at("10:15")
    assert world.card("study", "ann").accepted


# --- the end (B7) -------------------------------------------------------------------------------


def test_the_end_is_announced_10_min_before(world: World) -> None:
    """B7"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.enter("study", "1111")
    world.at("09:49:59")
    assert world.facts(Fact.BOOKING_ENDING) == []
    world.at("09:50")
    assert world.last(Fact.BOOKING_ENDING).data["end_ms"] == world.clock("10:00")
    world.at("10:00")
    assert len(world.facts(Fact.BOOKING_ENDING)) == 1
    assert status(world, "b1") == "ended"


def test_a_holder_may_come_back_for_15_min(world: World) -> None:
    """B7"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.enter("study", "1111")
    world.leave("study")
    world.at("10:14:59")
    assert world.pin("study", "1111").data["basis"] == "b1"
    world.at("10:15")
    assert world.card("study", "ann").result is Result.EXPIRED


def test_a_return_is_over_once_somebody_else_has_checked_in(world: World) -> None:
    """B7"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.book("b2", "study", "ben", "10:00", "11:00")
    world.enter("study", "1111")
    world.leave("study")
    world.at("10:01")
    assert world.card("study", "ann").accepted  # the next holder is not there yet
    world.wait(seconds=25)
    world.enter("study", "2222")
    assert not world.card("study", "ann").accepted


def test_who_never_came_does_not_come_back(world: World) -> None:
    world.book("b1", "store", "ann", "09:00", "10:00")
    world.at("10:05")
    assert not world.card("store", "ann").accepted


def test_a_return_is_no_check_in(world: World) -> None:
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.enter("study", "1111")
    world.leave("study")
    world.at("10:05")
    world.enter("study", "1111")
    assert len(world.facts(Fact.BOOKING_CHECKED_IN)) == 1
    assert status(world, "b1") == "ended"


def test_the_overstayer_goes_to_the_desk_and_the_next_holder_gets_in(world: World) -> None:
    """B5, B7"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.book("b2", "study", "ben", "10:00", "11:00")
    world.enter("study", "1111")
    world.at("10:00")
    assert world.last(Fact.OVERSTAY).data["booking"] == "b1"
    assert world.get(RoomStatus, "study").overstay_of == "b1"
    world.at("10:30")
    assert status(world, "b2") == "enforced"  # the overstay stops the no-show clock
    world.enter("study", "2222")
    assert status(world, "b2") == "checked_in"
    assert world.visits("study") == ["ann", "ben"]
    assert len(world.facts(Fact.OVERSTAY)) == 1


def test_who_comes_back_and_stays_overstays_once_that_time_is_over(world: World) -> None:
    """B7"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.enter("study", "1111")
    world.at("09:50")
    world.leave("study")
    world.at("10:05")
    world.enter("study", "1111")
    world.read("pir/study", True)
    world.at("10:14:59")
    assert world.facts(Fact.OVERSTAY) == []
    world.at("10:15")
    assert world.last(Fact.OVERSTAY).data["booking"] == "b1"
    world.at("12:00")
    assert len(world.facts(Fact.OVERSTAY)) == 1


def test_who_leaves_just_before_the_end_does_not_overstay(world: World) -> None:
    """B7: a sensor may hold its sign, and a visit its time, for minutes after they went out."""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.enter("study", "1111")
    world.at("09:58")
    world.read("pir/study", True)
    world.leave("study")
    world.read("pir/study", False)
    world.at("10:30")
    assert not world.facts(Fact.OVERSTAY)
    assert world.visits("study") == []


def test_two_who_overstay_in_one_room_are_each_told_once(world: World) -> None:
    """B7: neither makes the desk forget that it has heard of the other."""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.book("b2", "study", "ben", "10:00", "11:00")
    world.enter("study", "1111")
    world.at("10:10")
    world.enter("study", "2222")
    world.at("11:20")
    world.step_clock(600)  # every deadline is looked at again
    world.at("12:30")
    told = [record.data["booking"] for record in world.facts(Fact.OVERSTAY)]
    assert sorted(told) == ["b1", "b2"]


def test_an_overstay_is_over_when_the_room_is_empty(world: World) -> None:
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.enter("study", "1111")
    world.at("10:10")
    world.leave("study")
    world.wait(minutes=11)
    assert world.get(RoomStatus, "study").overstay_of is None


def test_adjacent_bookings_of_one_subject_are_one(world: World) -> None:
    """B7"""
    world.book("b1", "study", "ann", "09:00", "10:00")
    world.book("b2", "study", "ann ben", "10:00", "11:00")
    world.enter("study", "1111")
    world.at("10:20")
    assert standing(world) == {"b1": "ended", "b2": "checked_in"}
    assert world.facts(Fact.BOOKING_ENDING, Fact.OVERSTAY, Fact.BOOKING_NO_SHOW) == []
    assert len(world.facts(Fact.VISIT_OPENED)) == 1
    world.at("10:50")
    assert world.last(Fact.BOOKING_ENDING).data["booking"] == "b2"


def test_adjacent_bookings_in_which_nobody_came_are_judged_each(world: World) -> None:
    world.book("b1", "study", "ann", "09:30", "10:30")
    world.book("b2", "study", "ann", "10:30", "11:30")
    world.at("10:45")
    assert standing(world) == {"b1": "ended", "b2": "no_show"}


def test_without_a_sensor_a_visit_ends_with_its_booking(world: World) -> None:
    """A7"""
    world.book("b1", "store", "ann", "09:00", "10:00")
    world.enter("store", "1111")
    world.leave("store")
    world.at("09:59")
    assert world.visits("store") == ["ann"]
    world.at("10:00")
    assert world.visits("store") == []
    assert world.facts(Fact.OVERSTAY) == []
    closed = world.last(Fact.VISIT_CLOSED)
    assert closed.data["cause"] == "booking_ended"
    assert closed.data["duration_ms"] == HOUR_MS


def test_every_end_is_told_once_even_after_a_month_off(world: World) -> None:
    for n in range(10):
        world.book(f"b{n}", "study", "ann", f"{9 + n}:00".zfill(5), f"{9 + n}:30".zfill(5))
    world.restart(off_ms=31 * 24 * HOUR_MS)
    world.wait(seconds=5)
    assert len(world.facts(Fact.BOOKING_ENDED)) == 10
    assert world.facts(Fact.BOOKING_NO_SHOW) == []
    assert world.state.count(Booking) == 10, "a month off, or a clock that errs by one?"
    world.wait(hours=49)
    assert world.state.count(Booking) == 0
