"""Decide events one after another and gather what one transaction must hold (DESIGN §5).

Rules, sans-I/O:
- Each event is decided against state with all earlier changes applied, durable or not.
- A setpoint that secures leaves at once. A permissive one, a reply to whoever asked, and an
  acknowledgement leave once the records of their batch are durable.
- No commit without a fact: changes of state alone ride with the next record or checkpoint.
- While the store is lost everything leaves at once, marked not durable, and the records are kept,
  bounded, for the store to take when it can again (RULES X1). It is lost until a commit succeeds:
  a card that turned read-only still opens.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from gateway.core.deadlines import TIMED, next_due_ms
from gateway.core.decide import decide
from gateway.core.derive import FOR_EVER, affected, derive, outputs
from gateway.core.draft import Draft
from gateway.core.durations import carried, running
from gateway.domain.bookings import Authority, Booking
from gateway.domain.entity import Entity
from gateway.domain.events import Event, Stream
from gateway.domain.now import Now
from gateway.domain.points import PointRef, ReadingsView, Setpoint
from gateway.domain.quotas import Quota
from gateway.domain.records import TELEMETRY, Fact, Record
from gateway.domain.site import Site
from gateway.domain.state import Change, Decision, Reply, State, drop, put
from gateway.domain.subjects import Credential, StandingRight, Subject
from gateway.ports import Batch, Loaded, Stamped

UNSAVED_MAX = 10_000
_Answer = Callable[[Reply], None]
_Durable = Callable[[], None]
_STREAMS: dict[type[Entity], Stream] = {
    Booking: Stream.BOOKINGS,
    Subject: Stream.SUBJECTS,
    Credential: Stream.SUBJECTS,
    Quota: Stream.SUBJECTS,
    StandingRight: Stream.RIGHTS,
}


@dataclass(frozen=True, slots=True)
class Told:
    """An event with who waits for it: `answer` for a reply, `durable` for the commit.

    `lost` is called when no store can take it for now; `durable` still follows, once it is.
    """

    event: Event
    answer: _Answer | None = None
    durable: _Durable | None = None
    lost: _Durable | None = None


@dataclass(slots=True)
class Released:
    """What may leave now: setpoints to want, and answers to give."""

    setpoints: dict[PointRef, Setpoint | None] = field(default_factory=dict)
    answers: list[tuple[_Answer, Reply]] = field(default_factory=list)
    durable: list[Told] = field(default_factory=list)
    lost: list[Told] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)

    def changed(self) -> list[Entity]:
        """What was changed, each entity once, as it is in the end."""
        last = {
            (type_, id_): entity
            for decision in self.decided
            for type_, id_, entity in decision.changes
        }
        return [entity for entity in last.values() if entity is not None]


@dataclass(slots=True)
class _Gathered:
    """A batch in the making, and what waits for it."""

    records: list[Stamped] = field(default_factory=list)
    changes: dict[tuple[type[Entity], str], Change] = field(default_factory=dict)
    waiting: Released = field(default_factory=Released)


class Step:
    """State, and the only hands that change it."""

    def __init__(
        self, site: Site, loaded: Loaded, readings: ReadingsView, *, lost: str = ""
    ) -> None:
        """`lost`: why the store could not be opened; then `loaded` is what could be read of it."""
        self.site = site
        self.state = State(loaded.entities)
        self.readings = readings
        self.valid_until_ms = 0
        self.lost = lost
        self.blind = bool(lost) and not loaded.head.epoch  # what the store holds is not known
        self._derived: dict[PointRef, Setpoint | None] = {}
        self._gathered = _Gathered()
        self._in_flight: tuple[Batch, _Gathered] | None = None
        self._number = 0
        self._failed: tuple[Batch, _Gathered] | None = None
        self._dropped = 0

    # --- deciding -----------------------------------------------------------------------------

    def take(self, events: Iterable[tuple[Told, Now]]) -> Released:
        """Decide these events, in order; what may leave at once.

        What devices should be is derived once for all of them, as they are few and a moment apart.
        """
        out = Released()
        points: dict[PointRef, None] = {}
        for told, now in events:
            decision = decide(self.site, self.state, self.readings, told.event, now)
            if decision.changes:
                self.state.apply(decision.changes)
                points |= affected(self.site, decision.changes)
            self._gather(decision, now)
            self._wait(told, decision, out)
            out.decided.append(decision)
        if points:
            self._derive(points, now, out)
        return out

    def question(self, event: Event, now: Now) -> Decision:
        """What would be decided, committing nothing."""
        return decide(self.site, self.state, self.readings, event, now)

    def next_due_ms(self, entity: Entity, now: Now) -> int | None:
        """When time alone may next change an entity (monotonic)."""
        if type(entity) not in TIMED:
            return None
        return next_due_ms(Draft(self.site, self.state, self.readings, now), entity)

    def derive_all(self, now: Now) -> Released:
        """Derive every point anew: the slow heartbeat, and after a start."""
        out = Released()
        self.valid_until_ms = FOR_EVER
        self._derive(outputs(self.site), now, out)
        return out

    def reload(self, site: Site, now: Now) -> Released:
        """The site changed: state stays, what it means is derived anew."""
        self.site = site
        left = outputs(site)
        gone = [ref for ref in self._derived if ref not in left]
        out = self.derive_all(now)
        for ref in gone:
            self._derived.pop(ref)
            out.setpoints[ref] = None
        return out

    def _gather(self, decision: Decision, now: Now) -> None:
        gathered = self._gathered
        for record in decision.records:
            gathered.records.append(Stamped(record, now))
        for change in decision.changes:
            gathered.changes[change.type, change.id] = change
        while self.lost and len(gathered.records) > UNSAVED_MAX:
            self._drop_oldest()

    def _wait(self, told: Told, decision: Decision, out: Released) -> None:
        """Who asked waits for the last commit: an event may only repeat what is under way in it."""
        if told.answer is None and told.durable is None:
            return
        waiting = self._unsaved_wait()
        if told.answer is not None:
            reply = decision.reply
            assert reply is not None, "only what is answered may be asked"
            if self.lost and waiting is not None:
                reply = replace(reply, durable=False)
            place = out if waiting is None or self.lost else waiting
            place.answers.append((told.answer, reply))
        if told.durable is not None:
            (waiting or out).durable.append(told)
            if self.lost and waiting is not None:
                out.lost.append(told)

    def _unsaved_wait(self) -> Released | None:
        """What waits for the last fact that is not durable; None if there is none."""
        if self._gathered.records:
            return self._gathered.waiting
        pending = self._in_flight or self._failed
        return pending[1].waiting if pending else None

    def _derive(self, points: Iterable[PointRef], now: Now, out: Released) -> None:
        wanted, until = derive(self.site, self.state, self.readings, now, points)
        self.valid_until_ms = min(self.valid_until_ms, until)
        for ref, setpoint in wanted.items():
            if ref in self._derived and self._derived[ref] == setpoint:
                continue
            self._derived[ref] = setpoint
            # What it rests on may be a fact that is under way, though nothing new was stated.
            waiting = self._unsaved_wait()
            permissive = setpoint is not None and not setpoint.secures
            if permissive and waiting is not None and not self.lost:
                waiting.setpoints[ref] = setpoint
            else:
                self._gathered.waiting.setpoints.pop(ref, None)
                if self._in_flight is not None:
                    self._in_flight[1].waiting.setpoints.pop(ref, None)
                out.setpoints[ref] = setpoint

    # --- committing ---------------------------------------------------------------------------

    def seal(self, *, checkpoint: bool = False) -> Batch | None:
        """The next batch, if there is a fact (or a checkpoint is due) and none is in flight."""
        gathered = self._gathered
        wanted = gathered.records or (checkpoint and gathered.changes)
        if self._in_flight is not None or self.lost or not wanted:
            return None
        return self._take_off()

    def _take_off(self) -> Batch:
        """What is gathered is the batch in flight."""
        gathered = self._gathered
        self._number += 1
        batch = Batch(self._number, tuple(gathered.records), tuple(gathered.changes.values()))
        self._in_flight = (batch, gathered)
        self._gathered = _Gathered()
        return batch

    def durable(self, number: int) -> Released:
        """The batch of that number is committed; what waited for it may leave."""
        assert self._in_flight is not None
        assert self._in_flight[0].number == number
        released = self._in_flight[1].waiting
        self._in_flight = None
        self.lost = ""
        return released

    def failed(self, error: str) -> Released:
        """The commit failed: nothing is durable, and nobody is left waiting (X1)."""
        self.lost = error
        out = Released()
        if self._in_flight is not None:
            # It may have reached the disk after all: the same batch is handed in again later.
            self._failed, self._in_flight = self._in_flight, None
            self._let_go(self._failed[1], out)
        self._let_go(self._gathered, out)
        return out

    def reopened(self, loaded: Loaded, now: Now) -> Batch | None:
        """The store is open again: what it shall prove itself with, and be brought up to date.

        That is the batch that failed, which it tells apart by its number, or the next one.
        """
        if self.blind:
            self.blind = False
            self._adopt(loaded.entities, now)
        self._gathered.changes |= _difference(loaded.entities, self.state)
        if self._failed is None:
            return self._take_off()
        self._in_flight, self._failed = self._failed, None
        return self._in_flight[0]

    def _adopt(self, entities: Sequence[Entity], now: Now) -> None:
        """What a start could not read; what was learned or dropped since is newer (B1)."""
        for entity in entities:
            key, stream = (type(entity), entity.id), _STREAMS.get(type(entity))
            known = self.state.get(*key) is not None or key in self._gathered.changes
            if not known and (stream is None or self.state.get(Authority, stream) is None):
                self.state.apply((put(carried(entity, now)),))

    @property
    def idle(self) -> bool:
        """No fact waits for the store."""
        return self._in_flight is None and not self._gathered.records

    def unsaved(self) -> Sequence[Stamped]:
        """Records that no store is known to hold."""
        if not self.lost:
            return ()
        pending = self._failed or self._in_flight
        return (*(pending[0].records if pending else ()), *self._gathered.records)

    def checkpoint(self, now: Now) -> None:
        """Carry running durations into the state: a restart loses at most a minute of them."""
        tables = [table for type_, table in self.state.tables.items() if running(type_)]
        for entity in [entity for table in tables for entity in table.values()]:
            measured = carried(entity, now)
            if measured is not entity:
                change = put(measured)
                self.state.apply((change,))
                self._gathered.changes[change.type, change.id] = change

    @staticmethod
    def _let_go(gathered: _Gathered, out: Released) -> None:
        """Nobody waits for the disk now but the call latch, until it is written after all."""
        waiting = gathered.waiting
        out.setpoints |= waiting.setpoints
        for answer, reply in waiting.answers:
            out.answers.append((answer, replace(reply, durable=False)))
        out.lost += waiting.durable
        gathered.waiting = Released(durable=waiting.durable)

    def _drop_oldest(self) -> None:
        """A bounded ring, telemetry first to go (U4), calls last; one record says how many went."""
        records = self._gathered.records
        told = records[0].record.fact is Fact.RECORDS_DROPPED and self._dropped > 0
        first = 1 if told else 0
        kept = [(n, stamped.record) for n, stamped in enumerate(records) if n >= first]
        telemetry = (n for n, record in kept if record.fact in TELEMETRY)
        others = (n for n, record in kept if not record.urgent)
        now = records.pop(next(chain(telemetry, others, [first]))).now
        self._dropped += 1
        count = {"count": self._dropped, "why": "storage lost"}
        records[:first] = [Stamped(Record(Fact.RECORDS_DROPPED, count), now)]


def _difference(held: Sequence[Entity], state: State) -> dict[tuple[type[Entity], str], Change]:
    """What must change in a store that holds these for it to hold what is true."""
    gone = {(type(entity), entity.id): entity for entity in held}
    changes: dict[tuple[type[Entity], str], Change] = {}
    for entity in state.entities():
        key = (type(entity), entity.id)
        if gone.pop(key, None) != entity:
            changes[key] = put(entity)
    return changes | {key: drop(*key) for key in gone}
