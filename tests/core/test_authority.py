"""What the platform says is so, by revision (RULES B1, B3)."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from core.harness import DESK, World

from gateway.domain.bookings import Authority, Booking
from gateway.domain.events import (
    Actor,
    BookingItem,
    ChangesReceived,
    ExtensionAsked,
    Rejection,
    SnapshotReceived,
    Stream,
    SyncItem,
)
from gateway.domain.now import DAY_MS, HOUR_MS
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Credential, CredentialKind, Role, StandingRight, Subject


@pytest.fixture
def world() -> World:
    return World()


def items(world: World, *ids: str) -> list[BookingItem]:
    """One booking an hour from 10:00, in the study."""
    return [
        world.item(id_, "study", "ann", f"{10 + n}:00", f"{11 + n}:00", created_ms=n, revision=1)
        for n, id_ in enumerate(ids)
    ]


def snapshot(
    world: World, put: Iterable[SyncItem], revision: int = 1, **more: object
) -> SnapshotReceived:
    whole = tuple(put)
    window = (world.wall_ms - DAY_MS, world.wall_ms + 30 * DAY_MS)
    event = SnapshotReceived(
        Stream.BOOKINGS, "p1", revision, window, len(whole), "digest", "digest", whole
    )
    return replace(event, **more)  # type: ignore[arg-type]


def changes(put: Iterable[SyncItem] = (), *removed: str, **more: object) -> ChangesReceived:
    event = ChangesReceived(Stream.BOOKINGS, "p1", 2, tuple(put), removed)
    return replace(event, **more)  # type: ignore[arg-type]


def senseless(id_: str, identified: bool = True) -> Rejection:
    return Rejection(id_, reason("malformed", why="start_ms: expected an integer"), identified)


def held(world: World) -> set[str]:
    return {booking.id for booking in world.state.all(Booking)}


def follows(world: World) -> tuple[str, int]:
    authority = world.get(Authority, "bookings")
    return authority.epoch, authority.revision


def opened(world: World, *ids: str) -> Reply:
    return world.tell(snapshot(world, items(world, *ids)))


# --- revisions ----------------------------------------------------------------------------------


def test_a_snapshot_and_then_changes_are_applied_and_answered(world: World) -> None:
    """B1"""
    assert opened(world, "b1", "b2").accepted
    reply = world.tell(changes(items(world, "x", "x", "x", "b3")[3:], "b1"))
    assert (reply.result, reply.reason.code) == (Result.ACCEPTED, "applied")
    assert held(world) == {"b2", "b3"}
    assert follows(world) == ("p1", 2)
    answered = world.last(Fact.SYNC_ANSWERED).data
    assert (answered["stream"], answered["revision"], answered["result"]) == (
        *("bookings", 2, "Accepted"),
    )


@pytest.mark.parametrize("revision", [1, 2, 3])
def test_an_older_or_repeated_revision_changes_nothing_and_is_answered(
    world: World, revision: int
) -> None:
    """B1"""
    opened(world, "b1")
    world.tell(changes([], revision=3))
    world.forget()
    reply = world.tell(changes([], "b1", revision=revision))
    assert (reply.result, reply.reason.code) == (Result.ACCEPTED, "old_revision")
    assert reply.data["revision"] == 3
    assert held(world) == {"b1"}
    assert world.names() == ["sync.answered"]


def test_a_new_epoch_starts_with_a_snapshot(world: World) -> None:
    """B1"""
    opened(world, "b1")
    assert world.tell(changes([], "b1", epoch="p2")).result is Result.REJECTED
    assert held(world) == {"b1"}
    assert world.tell(snapshot(world, items(world, "b1"), 1, epoch="p2")).accepted
    assert follows(world) == ("p2", 1)
    assert world.tell(changes([], "b1", epoch="p2")).accepted
    assert held(world) == set()


def test_a_gateway_with_nothing_takes_no_changes_that_others_came_before(world: World) -> None:
    """B1"""
    assert world.tell(changes(items(world, "b1"), revision=51)).result is Result.REJECTED
    assert held(world) == set()
    assert world.tell(changes(items(world, "b1"), revision=1)).accepted


def test_an_epoch_that_is_over_does_not_come_back(world: World) -> None:
    """B1: never older than what is applied."""
    opened(world, "b1")
    world.tell(snapshot(world, items(world, "b1", "b2"), 1, epoch="p2"))
    late = snapshot(world, items(world, "b1"), 99, epoch="p1", confirmed_by=DESK)
    assert world.tell(late).reason.code == "old_revision"
    assert held(world) == {"b1", "b2"}
    assert follows(world) == ("p2", 1)


def test_a_revision_is_applied_whole_and_senseless_items_are_rejected_one_by_one(
    world: World,
) -> None:
    """B1"""
    good, other, inverted, nobody = items(world, "b1", "b2", "b3", "b4")
    bad = [
        replace(other, terms=replace(other.terms, facility="sauna")),
        replace(inverted, terms=replace(inverted.terms, end_ms=inverted.terms.start_ms)),
        replace(nobody, terms=replace(nobody.terms, subjects=())),
    ]
    event = changes([good, *bad], revision=1, rejected=(senseless("b5"),))
    reply = world.tell(event)
    assert reply.accepted
    assert {r["id"]: r["code"] for r in reply.data["rejected"]} == {
        "b2": "unknown_facility",
        "b3": "inverted_window",
        "b4": "malformed",
        "b5": "malformed",
    }
    assert held(world) == {"b1"}
    assert world.last(Fact.SYNC_ANSWERED).data["rejected"] == reply.data["rejected"]


def test_revocation_beats_grant(world: World) -> None:
    """B1: what is both put and removed is removed."""
    opened(world, "b1")
    world.tell(changes(items(world, "b1", "b2"), "b1", "b2"))
    assert held(world) == set()


def test_streams_have_revisions_of_their_own(world: World) -> None:
    opened(world, "b1")
    right = StandingRight("r1", "ann", ("study",))
    event = changes([right], stream=Stream.RIGHTS, epoch="p9", revision=1)
    assert world.tell(event).accepted
    assert follows(world) == ("p1", 1)
    assert world.get(Authority, "rights").epoch == "p9"


# --- snapshots ----------------------------------------------------------------------------------


def test_what_a_snapshot_garbles_is_kept_and_named(world: World) -> None:
    """B1: it was sent, so it is not gone."""
    opened(world, "b1", "b2", "b3")
    garbled = snapshot(world, items(world, "b1"), 2, count=2, rejected=(senseless("b2"),))
    reply = world.tell(garbled)
    assert (reply.result, reply.reason.code) == (Result.ACCEPTED, "applied")
    assert held(world) == {"b1", "b2"}
    assert [one["id"] for one in reply.data["rejected"]] == ["b2"]
    assert world.last(Fact.SYNC_ANSWERED).data["rejected"] == reply.data["rejected"]


def test_while_an_id_of_a_snapshot_makes_no_sense_it_removes_nothing(world: World) -> None:
    """B1: whose it is nobody knows; what it adds applies at once, and a person may settle it."""
    opened(world, "b1", "b2", "b3")
    lost = (senseless("item.2", identified=False),)
    added = items(world, "b1", "b2", "b4")
    reply = world.tell(snapshot(world, added, 2, count=4, rejected=lost))
    assert (reply.result, reply.reason.code) == (Result.HELD, "snapshot_illegible")
    assert held(world) == {"b1", "b2", "b3", "b4"}
    again = snapshot(world, added, 3, count=4, rejected=lost)
    assert world.tell(again).reason.code == "snapshot_illegible"
    assert world.tell(replace(again, confirmed_by=DESK)).result is Result.ACCEPTED
    assert held(world) == {"b1", "b2", "b4"}


def test_a_snapshot_that_lost_an_item_on_the_way_is_refused(world: World) -> None:
    """B1: the rejected ones count as sent."""
    opened(world, "b1")
    short = snapshot(world, items(world, "b1"), 2, count=3, rejected=(senseless("b2"),))
    assert world.tell(short).reason.code == "digest_mismatch"


def test_a_snapshot_makes_the_stream_what_it_says(world: World) -> None:
    opened(world, "b1", "b2", "b3")
    assert world.tell(snapshot(world, items(world, "b1", "b2", "b4"), 2)).accepted
    assert held(world) == {"b1", "b2", "b4"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"retained": True}, "snapshot_retained"),
        ({"count": 9}, "digest_mismatch"),
        ({"digest_found": "other"}, "digest_mismatch"),
        ({"window_ms": (10, 10)}, "inverted_window"),
        ({"revision": 4}, "old_revision"),
    ],
)
def test_a_snapshot_that_does_not_hold_is_refused(world: World, wrong: dict, code: str) -> None:
    """B1"""
    world.tell(snapshot(world, items(world, "b1"), 5))
    reply = world.tell(replace(snapshot(world, items(world, "b2"), 6), **wrong))
    assert (reply.result, reply.reason.code) == (Result.REJECTED, code)
    assert held(world) == {"b1"}
    assert follows(world) == ("p1", 5)


def test_only_bookings_inside_the_window_are_removed(world: World) -> None:
    """B1"""
    opened(world, "b1", "b2", "b3", "b4", "b5")
    window = (world.clock("13:30"), world.clock("20:00"))  # touches b4 and b5
    assert world.tell(snapshot(world, items(world, "b1")[:0], 2, window_ms=window)).accepted
    assert held(world) == {"b1", "b2", "b3"}


def test_our_own_proposals_stay(world: World) -> None:
    """B4"""
    opened(world, "b1")
    own = world.tell(ExtensionAsked("b1", 30, Actor("ann", Role.RESIDENT))).data["booking"]
    world.tell(snapshot(world, items(world, "b1"), 2))
    assert held(world) == {"b1", own}
    world.tell(changes([], own, revision=3))
    assert held(world) == {"b1"}


def test_an_empty_snapshot_waits_for_a_second_of_a_newer_revision(world: World) -> None:
    """B1"""
    opened(world, "b1", "b2", "b3")
    first = world.tell(snapshot(world, [], 2))
    assert (first.result, first.reason.code) == (Result.HELD, "snapshot_held")
    assert held(world) == {"b1", "b2", "b3"}
    assert follows(world) == ("p1", 1)
    assert world.tell(snapshot(world, [], 2)).result is Result.HELD  # sent again: no second word
    assert world.tell(snapshot(world, [], 3)).accepted
    assert held(world) == set()


def test_a_person_confirms_at_once(world: World) -> None:
    """B1"""
    opened(world, "b1", "b2", "b3")
    nameless = Actor(" ", Role.DESK)
    assert world.tell(snapshot(world, [], 2, confirmed_by=nameless)).result is Result.HELD
    assert world.tell(snapshot(world, [], 2, confirmed_by=DESK)).accepted
    assert held(world) == set()


@pytest.mark.parametrize(("kept", "result"), [(2, Result.ACCEPTED), (1, Result.HELD)])
def test_exactly_half_may_go_and_more_may_not(world: World, kept: int, result: Result) -> None:
    """B1"""
    opened(world, "b1", "b2", "b3", "b4")
    assert world.tell(snapshot(world, items(world, "b1", "b2")[:kept], 2)).result is result


def test_what_lies_beyond_the_next_24_h_may_go_unasked(world: World) -> None:
    """B1"""
    (near,) = items(world, "b1")
    terms = replace(
        near.terms, start_ms=world.wall_ms + 25 * HOUR_MS, end_ms=world.wall_ms + 26 * HOUR_MS
    )
    far = [BookingItem(f"far{n}", replace(terms, created_ms=n)) for n in range(5)]
    world.tell(snapshot(world, [near, *far]))
    assert world.tell(snapshot(world, [near], 2)).accepted
    assert held(world) == {"b1"}


def test_what_a_held_snapshot_adds_applies_at_once(world: World) -> None:
    """B1"""
    opened(world, "b1", "b2", "b3")
    new = items(world, "x", "x", "x", "x", "b5")[4:]
    assert world.tell(snapshot(world, new, 2)).result is Result.HELD
    assert held(world) == {"b1", "b2", "b3", "b5"}


def test_moving_bookings_out_of_the_day_does_not_hide_that_others_go(world: World) -> None:
    """B1: half of what the next 24 h held before."""
    opened(world, "b1", "b2", "b3")
    moved = items(world, "b1")[0]
    week = 7 * DAY_MS
    later = replace(
        moved.terms, start_ms=moved.terms.start_ms + week, end_ms=moved.terms.end_ms + week
    )
    reply = world.tell(snapshot(world, [BookingItem("b1", later)], 2))
    assert reply.result is Result.HELD
    assert {"b2", "b3"} <= held(world)


def test_a_second_snapshot_that_removes_something_else_confirms_nothing(world: World) -> None:
    """B1"""
    opened(world, "b1", "b2", "b3", "b4")
    assert world.tell(snapshot(world, items(world, "b1"), 2)).result is Result.HELD
    assert world.tell(snapshot(world, [], 3)).result is Result.HELD
    assert world.tell(snapshot(world, items(world, "b1"), 4)).accepted  # asks for less than before
    assert held(world) == {"b1"}


def test_a_held_snapshot_is_forgotten_with_one_that_harms_nobody(world: World) -> None:
    """B1"""
    opened(world, "b1", "b2", "b3")
    world.tell(snapshot(world, [], 2))
    world.tell(snapshot(world, items(world, "b1", "b2", "b3"), 3))
    assert world.tell(snapshot(world, [], 4)).result is Result.HELD


def test_changes_go_on_while_a_snapshot_is_held(world: World) -> None:
    opened(world, "b1", "b2", "b3")
    world.tell(snapshot(world, [], 2))
    assert world.tell(changes([], "b1", revision=3)).accepted
    assert held(world) == {"b2", "b3"}
    assert world.tell(snapshot(world, [], 4)).accepted


def test_an_empty_snapshot_of_an_empty_day_is_nothing_special(world: World) -> None:
    assert world.tell(snapshot(world, [])).accepted


# --- people and rights (B3) ---------------------------------------------------------------------


def people(world: World, *put: SyncItem, removed: tuple[str, ...] = (), revision: int = 1) -> Reply:
    return world.tell(changes(put, *removed, stream=Stream.SUBJECTS, revision=revision))


def card(id_: str, subject: str) -> Credential:
    return Credential(id_, subject, CredentialKind.CARD, Secret(f"card:{id_}"))


def test_a_credential_needs_its_subject_in_whatever_order_they_come(world: World) -> None:
    """B3"""
    reply = people(world, card("c1", "ann"), Subject("ann"), card("c2", "nobody"))
    assert [r["id"] for r in reply.data["rejected"]] == ["c2"]
    assert world.state.get(Credential, "c1") is not None


def test_a_removed_subject_takes_its_credentials_along_and_keeps_its_rights(world: World) -> None:
    """B3: rights are a stream of their own; without its subject a right opens nothing."""
    people(world, Subject("ann"), card("c1", "ann"))
    world.right("r1", "ann", "study")
    assert world.card("study", "c1").accepted
    people(world, removed=("ann",), revision=2)
    assert not world.card("study", "c1").accepted
    people(world, Subject("ann"), card("c1", "ann"), revision=3)
    assert world.card("study", "c1").accepted


def test_a_right_to_something_that_is_not_there_is_rejected(world: World) -> None:
    reply = world.right("r1", "ann", "study", "sauna")
    assert reply.data["rejected"][0]["code"] == "unknown_target"


def test_a_snapshot_of_people_that_would_remove_most_of_them_is_held(world: World) -> None:
    """B1, B3"""
    people(world, *(Subject(f"s{n}") for n in range(5)))
    event = snapshot(world, [Subject("s1")], 2, stream=Stream.SUBJECTS)
    assert world.tell(event).result is Result.HELD
    assert world.state.count(Subject) == 5
