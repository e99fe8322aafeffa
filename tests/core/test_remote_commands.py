"""Remote commands: at most once, never late, never on a clock nobody trusts (RULES B8)."""

from dataclasses import replace

import pytest
from core.harness import REFUSED, UNKNOWN, World

from gateway.domain.bookings import CommandSeen
from gateway.domain.calls import Call, CallState
from gateway.domain.events import Actor, CommandReceived
from gateway.domain.now import DAY_MS, HOUR_MS
from gateway.domain.records import Fact
from gateway.domain.state import Result
from gateway.domain.subjects import Role

ZHAO = Actor("Mr Zhao", Role.PLATFORM, on_site=False)


@pytest.fixture
def world() -> World:
    found = World()
    found.forget()
    return found


def command(world: World, name: str = "release_door", target: str = "study") -> CommandReceived:
    arguments = {"why": "forgot the card"} if name == "release_door" else {}
    return CommandReceived("c1", name, target, world.wall_ms + HOUR_MS, arguments, ZHAO)


def test_a_release_names_its_person_and_is_answered(world: World) -> None:
    """A1, B8"""
    reply = world.tell(command(world))
    assert reply.accepted
    assert len(world.pulses()) == 1
    answered = world.last(Fact.COMMAND_ANSWERED).data
    assert (answered["command"], answered["result"]) == ("c1", "Accepted")
    assert "Zhao" not in repr([dict(fact.data) for fact in world.facts()])
    for lacking in (
        replace(command(world), id="c2", by=Actor("", Role.PLATFORM)),
        replace(command(world), id="c3", arguments={}),
        replace(command(world), id="c4", arguments={"why": 7}),
    ):
        assert world.tell(lacking).reason.code == "person_needed"
    assert len(world.pulses()) == 1


def test_a_repeated_command_is_answered_and_not_run_again(world: World) -> None:
    """B8"""
    world.tell(command(world))
    for _ in range(3):
        world.wait(seconds=1)
        again = world.tell(command(world))
        assert (again.result, again.reason.code) == (Result.ACCEPTED, "already_done")
    assert len(world.pulses()) == 1
    assert len(world.facts(Fact.GRANTED)) == 1


@pytest.mark.parametrize(
    ("in_ms", "code"),
    [(0, "expired"), (-1, "expired"), (DAY_MS + 1, "expiry_too_far"), (DAY_MS, "")],
)
def test_a_command_runs_before_its_expiry_of_at_most_a_day(
    world: World, in_ms: int, code: str
) -> None:
    """B8"""
    reply = world.tell(replace(command(world), expires_ms=world.wall_ms + in_ms))
    assert reply.accepted is (code == "")
    assert len(world.pulses()) == (code == "")
    assert code in ("", reply.reason.code)


def test_nothing_runs_on_a_clock_nobody_trusts_but_a_stop(world: World) -> None:
    """B8"""
    world.person("ann", pin="1111")
    world.book("g1", "gym", "ann", "09:00", "11:00")
    world.enter("gym", "1111")
    world.step_clock(0, world.trust.UNTRUSTED)
    assert world.tell(command(world)).reason.code == "clock_untrusted"
    assert world.pulses() == []
    assert world.tell(replace(command(world, "end_passage", "gym"), id="c2")).accepted
    world.step_clock(0, world.trust.SYNCHRONISED)
    assert world.tell(command(world)).accepted  # what was refused was not run


def test_an_id_is_kept_until_the_expiry_and_a_day_more(world: World) -> None:
    """B8"""
    world.tell(command(world))
    world.wait(hours=25, seconds=-1)
    assert world.state.get(CommandSeen, "c1") is not None
    world.wait(seconds=1)
    assert world.state.get(CommandSeen, "c1") is None


def test_an_unknown_command_or_target_is_answered(world: World) -> None:
    assert world.tell(command(world, "open_sesame")).reason.code == "unknown_command"
    assert world.tell(replace(command(world, target="attic"), id="c2")).result is Result.UNKNOWN
    assert world.tell(replace(command(world, "end_passage", "attic"), id="c3")).result is (
        Result.UNKNOWN
    )


def test_the_platform_acknowledges_and_attends_and_neither_clears_nor_resets(world: World) -> None:
    """E4, A3"""
    call = world.press()
    assert world.tell(replace(command(world, "acknowledge_call", call), id="c1")).accepted
    assert world.get(Call, call).state is CallState.ACKNOWLEDGED
    attend = command(world, "attend_call", call)
    assert world.tell(replace(attend, id="c2", arguments={"responder": "Dr Wu"})).accepted
    for name, target in (("clear_call", call), ("reset_fire", "fire")):
        reply = world.tell(replace(command(world, name, target), id=name))
        assert reply.reason.code == "on_site_only"
    assert world.get(Call, call).state is CallState.ATTENDED


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        ([], Result.ACCEPTED),
        ([UNKNOWN], Result.UNKNOWN),
        ([REFUSED, REFUSED], Result.REJECTED),
    ],
)
def test_what_became_of_the_release_completes_the_answer(
    world: World, outcomes: list, result: Result
) -> None:
    """B8, A4"""
    world.answer(str(world.site.doors["study"].points.strike), *outcomes)
    world.tell(command(world))
    world.wait(seconds=15)
    assert world.last(Fact.COMMAND_ANSWERED).data["result"] == result.value
    assert world.tell(command(world)).result is result


def test_a_release_that_a_restart_spent_answers_unknown(world: World) -> None:
    """A4, B8"""
    world.tell(command(world))
    world.restart()
    assert world.last(Fact.COMMAND_ANSWERED).data["result"] == "Unknown"
    again = world.tell(command(world))
    assert again.result is Result.UNKNOWN
    world.wait(minutes=1)
    assert len(world.pulses()) == 1
    world.restart()
    assert len(world.facts(Fact.COMMAND_ANSWERED)) == 2


def test_a_release_that_was_settled_before_the_restart_stays_as_it_was(world: World) -> None:
    world.tell(command(world))
    world.open("study")
    world.wait(seconds=10)
    world.restart()
    assert world.tell(command(world)).result is Result.ACCEPTED
