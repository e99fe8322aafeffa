"""What leaves a step when: safe at once, the rest once durable, and what a lost store changes."""

from simulation.sites import small_site

from gateway.domain.bookings import Booking, Terms
from gateway.domain.entity import Entity
from gateway.domain.events import CredentialPresented, PointEdge, ReadingsChanged, Stopping
from gateway.domain.now import Now, Trust
from gateway.domain.points import PointRef, Quality, Reading
from gateway.domain.records import Fact, Position
from gateway.domain.secret import Secret
from gateway.domain.state import Reply
from gateway.domain.subjects import Credential, CredentialKind, Presented, Subject
from gateway.ports import Batch, Loaded
from gateway.runtime import step as step_module
from gateway.runtime.readings import Readings
from gateway.runtime.step import Step, Told

WALL_MS = 1_750_000_000_000
PIN = Secret("digest")
PRESENTED = CredentialPresented(None, Presented(CredentialKind.PIN, PIN), door="study_room_door")
PRESS = PointEdge(PointRef("board", "input_3"), True)
STRIKE = PointRef("board", "pulse_1")
PEOPLE: tuple[Entity, ...] = (
    Subject("ada"),
    Credential("pin", "ada", CredentialKind.PIN, PIN),
    Booking("b", Terms("study", ("ada",), WALL_MS - 1_000, WALL_MS + 3_600_000)),
)


class Site:
    """A step with a clock, and what was said to whom."""

    def __init__(self, entities: tuple[Entity, ...] = PEOPLE, lost: str = "") -> None:
        epoch = "" if lost and not entities else "e"
        loaded = Loaded(entities, Position(epoch, 0), {})
        self.step = Step(small_site(), loaded, Readings(), lost=lost)
        self.mono_ms = 1_000
        self.serial = 0
        self.replies: list[Reply] = []

    def now(self) -> Now:
        self.serial += 1
        self.mono_ms += 1
        return Now(WALL_MS + self.mono_ms, self.mono_ms, Trust.SYNCHRONISED, "boot", self.serial)

    def ask(self, event: object) -> step_module.Released:
        released = self.step.take([(Told(event, self.replies.append), self.now())])
        self.answer(released)
        return released

    def tell(self, event: object, **waiting: object) -> step_module.Released:
        return self.step.take([(Told(event, None, **waiting), self.now())])

    def answer(self, released: step_module.Released) -> None:
        for answer, reply in released.answers:
            answer(reply)


def test_a_release_and_its_reply_leave_once_durable_and_a_siren_at_once() -> None:
    site = Site()
    assert STRIKE not in site.ask(PRESENTED).setpoints
    assert site.replies == []
    assert any(point.secures for point in site.tell(PRESS).setpoints.values() if point)
    batch = site.step.seal()
    assert batch is not None
    released = site.step.durable(batch.number)
    site.answer(released)
    assert STRIKE in released.setpoints
    assert [reply.durable for reply in site.replies] == [True]


def test_whoever_repeats_what_is_under_way_waits_with_it() -> None:
    site = Site()
    site.ask(PRESENTED)
    batch = site.step.seal()
    assert batch is not None
    unknown = CredentialPresented(None, PRESENTED.presented, door="nowhere")
    site.ask(unknown)
    assert site.replies == []
    site.answer(site.step.durable(batch.number))
    assert len(site.replies) == 2


def test_a_commit_that_fails_lets_all_go_marked_and_the_call_latch_waits_on() -> None:
    site = Site()
    said: list[str] = []
    site.ask(PRESENTED)
    site.tell(PRESS, durable=lambda: said.append("durable"), lost=lambda: said.append("lost"))
    batch = site.step.seal()
    assert batch is not None
    released = site.step.failed("the disk is gone")
    site.answer(released)
    assert STRIKE in released.setpoints
    assert [reply.durable for reply in site.replies] == [False]
    assert [told.event for told in released.lost] == [PRESS]
    assert not released.durable
    assert site.step.seal() is None

    again = site.step.reopened(Loaded(PEOPLE, Position("e", 0), {}), site.now())
    assert again == batch, "the very same, which may have reached the disk"
    assert site.step.lost, "until a commit succeeds"
    released = site.step.durable(batch.number)
    assert [told.event for told in released.durable] == [PRESS]
    assert not site.step.lost


def test_while_lost_each_reply_says_so_and_presses_are_not_held_back() -> None:
    site = Site(lost="read-only")
    released = site.ask(PRESENTED)
    assert STRIKE in released.setpoints
    assert not site.replies[0].durable
    assert [told.event for told in site.tell(PRESS, durable=lambda: None).lost] == [PRESS]
    assert {stamped.record.fact for stamped in site.step.unsaved()} >= {
        Fact.GRANTED,
        Fact.CALL_RAISED,
    }


def test_unsaved_facts_are_a_bounded_ring_that_keeps_calls(monkeypatch) -> None:
    monkeypatch.setattr(step_module, "UNSAVED_MAX", 5)
    site = Site(lost="read-only")
    site.tell(PRESS)
    calls = [s for s in site.step.unsaved() if s.record.urgent]
    for number in range(20):
        site.tell(Stopping(f"{number}"))
    records = [stamped.record for stamped in site.step.unsaved()]
    assert len(records) == 5
    assert records[0].fact is Fact.RECORDS_DROPPED
    assert records[0].data["count"] == 20 + len(calls) - 4
    assert [s for s in site.step.unsaved() if s.record.urgent] == calls
    assert records[-1].fact is Fact.STOPPED


def test_of_facts_that_no_store_holds_telemetry_goes_first(monkeypatch) -> None:
    """U4, X1"""
    monkeypatch.setattr(step_module, "UNSAVED_MAX", 5)
    site = Site(lost="read-only")
    for number in range(4):
        site.tell(Stopping(f"{number}"))
    seen = Reading(PointRef("board", "input_5"), True, Quality.GOOD, WALL_MS, 1_000)
    site.step.readings.put(seen)
    site.tell(ReadingsChanged((seen,)))
    assert site.step.unsaved()[-1].record.fact is Fact.PRESENCE_BEGAN
    site.tell(Stopping("4"))
    facts = [stamped.record.fact for stamped in site.step.unsaved()]
    assert facts == [Fact.RECORDS_DROPPED, *[Fact.STOPPED] * 4]


def test_a_store_that_opens_with_less_is_brought_up_to_date() -> None:
    site = Site()
    site.ask(PRESENTED)
    batch = site.step.seal()
    assert batch is not None
    site.step.failed("gone")
    held = (*PEOPLE[:2], Subject("left long ago"))
    site.step.reopened(Loaded(held, Position("other", 0), {}), site.now())
    site.step.durable(batch.number)
    rest = site.step.seal(checkpoint=True)
    assert rest is not None
    gone = {change.id: change.entity is None for change in rest.changes}
    assert gone["b"] is False
    assert gone["left long ago"] is True


def test_a_start_that_read_nothing_takes_up_what_the_store_holds() -> None:
    site = Site((), lost="unreadable")
    site.tell(PRESS)
    batch = site.step.reopened(Loaded(PEOPLE, Position("e", 7), {}), site.now())
    assert isinstance(batch, Batch)
    site.step.durable(batch.number)
    assert site.step.state.get(Subject, "ada") is not None
    assert site.ask(PRESENTED).decided[0].reply.accepted
