"""Decide events one after another and gather what one transaction must hold (DESIGN §5).

Rules, sans-I/O:
- Each event is decided against state with all earlier changes applied, durable or not.
- A setpoint that secures leaves at once. A permissive one, a reply to whoever asked, and an
  acknowledgement leave once the records of their batch are durable.
- No commit without a fact: changes of state alone ride with the next record or checkpoint.
- While the store is lost everything leaves at once, marked not durable, and the records are kept,
  bounded, for the store to take when it can again (RULES X1).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.deadlines import TIMED, next_due_ms
from gateway.core.decide import decide
from gateway.core.derive import affected, derive, outputs
from gateway.core.draft import Draft
from gateway.core.durations import carried
from gateway.domain.entity import Entity
from gateway.domain.events import Event
from gateway.domain.now import Now
from gateway.domain.points import PointRef, ReadingsView, Setpoint
from gateway.domain.records import Fact, Record
from gateway.domain.site import Site
from gateway.domain.state import Change, Decision, Put, Reply, State
from gateway.ports import Batch, Loaded, Stamped

UNSAVED_MAX = 10_000
_Answer = Callable[[Reply], None]
_Durable = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Told:
    """An event with who waits for it: `answer` for a reply, `durable` for the commit."""

    event: Event
    answer: _Answer | None = None
    durable: _Durable | None = None


@dataclass(slots=True)
class Released:
    """What may leave now: setpoints to want, and answers to give."""

    setpoints: dict[PointRef, Setpoint | None] = field(default_factory=dict)
    answers: list[tuple[_Answer, Reply]] = field(default_factory=list)
    durable: list[_Durable] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)


@dataclass(slots=True)
class _Gathered:
    """A batch in the making, and what waits for it."""

    records: list[Stamped] = field(default_factory=list)
    changes: dict[tuple[type[Entity], str], Change] = field(default_factory=dict)
    waiting: Released = field(default_factory=Released)


class Step:
    """State, and the only hands that change it."""

    def __init__(self, site: Site, loaded: Loaded, readings: ReadingsView) -> None:
        self.site = site
        self.state = State(loaded.entities)
        self.readings = readings
        self.valid_until_ms = 0
        self.lost = ""
        self._derived: dict[PointRef, Setpoint | None] = {}
        self._gathered = _Gathered()
        self._in_flight: tuple[Batch, _Gathered] | None = None
        self._number = 0
        self._epoch = loaded.head.epoch
        self._failed: Batch | None = None
        self._dropped = 0

    # --- deciding -----------------------------------------------------------------------------

    def take(self, events: Sequence[tuple[Told, Now]]) -> Released:
        """Decide these events, in order; what may leave at once."""
        out = Released()
        for told, now in events:
            decision = decide(self.site, self.state, self.readings, told.event, now)
            self.state.apply(decision.changes)
            self._gather(decision, now)
            self._wait(told, decision, out)
            points = affected(self.site, decision.changes)
            if points:
                self._derive(points, now, out)
            out.decided.append(decision)
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
        self.valid_until_ms = now.mono_ms + 60_000
        self._derive(outputs(self.site), now, out)
        return out

    def reload(self, site: Site, now: Now) -> Released:
        """The site changed: state stays, what it means is derived anew."""
        self.site = site
        gone = set(self._derived) - set(outputs(site))
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
            gathered.changes[_key(change)] = change

    def _wait(self, told: Told, decision: Decision, out: Released) -> None:
        held = bool(decision.records) and not self.lost
        place = self._gathered.waiting if held else out
        if told.answer is not None:
            reply = decision.reply
            assert reply is not None, "only what is answered may be asked"
            if self.lost and decision.records:
                reply = replace(reply, durable=False)
                self._bound_unsaved()
            place.answers.append((told.answer, reply))
        if told.durable is not None and not self.lost:
            self._last_commit(out).durable.append(told.durable)

    def _last_commit(self, out: Released) -> Released:
        """What waits for the last commit: an event may have joined the batch of an earlier one."""
        if self._gathered.records:
            return self._gathered.waiting
        return self._in_flight[1].waiting if self._in_flight else out

    def _derive(self, points: Sequence[PointRef] | set[PointRef], now: Now, out: Released) -> None:
        wanted, until = derive(self.site, self.state, self.readings, now, points)
        self.valid_until_ms = min(self.valid_until_ms, until)
        for ref, setpoint in wanted.items():
            if ref in self._derived and self._derived[ref] == setpoint:
                continue
            self._derived[ref] = setpoint
            waiting = self._gathered.waiting.setpoints
            permissive = setpoint is not None and not setpoint.secures
            if permissive and self._gathered.records and not self.lost:
                waiting[ref] = setpoint
            else:
                waiting.pop(ref, None)
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
        return released

    def failed(self, error: str) -> Released:
        """The commit failed: nothing is durable, and nobody is left waiting (X1)."""
        self.lost = error
        out = Released()
        if self._in_flight is not None:
            # It may have reached the disk after all: the same batch is handed in again later.
            self._failed, gathered = self._in_flight
            self._let_go(gathered.waiting, out)
            self._in_flight = None
        self._let_go(self._gathered.waiting, out)
        self._gathered.waiting = Released()
        self._bound_unsaved()
        return out

    def recovered(self, loaded: Loaded) -> Batch | None:
        """The store is open again; the batch that failed, which it tells apart by its number."""
        self.lost = ""
        if loaded.head.epoch != self._epoch:
            # Another folder under our feet: it must hold all that is true.
            self._epoch = loaded.head.epoch
            for entity in self.state.entities():
                self._gathered.changes.setdefault((type(entity), entity.id), Put(entity))
        if self._failed is None:
            return self.seal(checkpoint=True)
        failed, self._failed = self._failed, None
        self._in_flight = (failed, _Gathered())
        return failed

    @property
    def idle(self) -> bool:
        """No fact waits for the store."""
        return self._in_flight is None and not self._gathered.records

    def unsaved(self) -> Sequence[Stamped]:
        """Records that no store is known to hold."""
        failed = self._failed.records if self._failed else ()
        return (*failed, *self._gathered.records)

    def checkpoint(self, now: Now) -> None:
        """Carry running durations into the state: a restart loses at most a minute of them."""
        for entity in list(self.state.entities()):
            measured = carried(entity, now)
            if measured is not entity:
                change = Put(measured)
                self.state.apply((change,))
                self._gathered.changes[_key(change)] = change

    @staticmethod
    def _let_go(waiting: Released, out: Released) -> None:
        out.setpoints |= waiting.setpoints
        for answer, reply in waiting.answers:
            out.answers.append((answer, replace(reply, durable=False)))

    def _bound_unsaved(self) -> None:
        records = self._gathered.records
        over = len(records) - UNSAVED_MAX
        if over > 0:
            del records[:over]
            self._dropped += over
            stamp = records[0].now
            lost = Record(Fact.RECORDS_DROPPED, {"count": self._dropped, "why": "storage lost"})
            records[0] = Stamped(lost, stamp)


def _key(change: Change) -> tuple[type[Entity], str]:
    if isinstance(change, Put):
        return type(change.entity), change.entity.id
    return change.type, change.id
