"""The asyncio shell around `Step` and `Reconciler`: queues, the writer thread, the timer. No rule.

Two lanes in, emergency first. Each event is decided when it comes; one commit is in flight, in the
one writer thread; what is decided meanwhile is the next commit.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

import structlog

from gateway.domain.errors import StoreError
from gateway.domain.events import (
    SUPERVISION,
    CallRequested,
    ClockChanged,
    DeadlineReached,
    Event,
    PointEdge,
    ReadingsChanged,
    StorageChanged,
)
from gateway.domain.faults import Fault
from gateway.domain.now import Now
from gateway.domain.points import PointRef, Pulse, Reading, Setpoint, WriteOutcome, WriteResult
from gateway.domain.records import Position
from gateway.domain.site import Site
from gateway.domain.state import Decision, Reply, State
from gateway.domain.uses import Use, uses
from gateway.ports import Batch, Clock, Driver, Loaded, Store
from gateway.runtime.agenda import Agenda
from gateway.runtime.lag import LoopMonitor
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.step import Released, Step, Told
from gateway.runtime.writer import Work, Writer

log = structlog.get_logger()

TURN_EVENTS = 256
TAKEN_AT_ONCE = 16
TURN_MS = 5
HEARTBEAT_MS = 5_000
CHECKPOINT_MS = 60_000
_URGENT_USES = frozenset({Use.CALL, Use.FIRE})


class Engine:
    """The only writer. `tell` and `ask` may be called from the event loop alone."""

    def __init__(
        self, step: Step, reconciler: Reconciler, readings: Readings, store: Store, clock: Clock
    ) -> None:
        self.step = step
        self.reconciler = reconciler
        self.readings = readings
        self._clock = clock
        self._writer = Writer(store, self._written)
        self._drivers: dict[str, Driver] = {}
        self._urgent: deque[Told] = deque()
        self._lane: deque[Told] = deque()
        self._changed: dict[PointRef, Reading] = {}
        self._wake = asyncio.Event()
        self._serial = 0
        self._agenda = Agenda(step.next_due_ms)
        self._writes: set[asyncio.Task[None]] = set()
        self._head = Position("", 0)
        self._committed = asyncio.Condition()
        self._listeners: list[Callable[[Decision], None]] = []
        self.counts: Counter[str] = Counter()
        self.monitor = LoopMonitor()
        self._next_heartbeat_ms = 0
        self._next_checkpoint_ms = 0
        self._next_reopen_ms = 0
        self._reopening = False  # until it failed, or what was committed then is settled
        self._next_write_ms = 0

    # --- the two doors ------------------------------------------------------------------------

    def tell(
        self,
        event: Event,
        durable: Callable[[], None] | None = None,
        lost: Callable[[], None] | None = None,
        answer: Callable[[Reply], None] | None = None,
    ) -> None:
        """Hand over an event; `durable` is called once what it caused is committed.

        `lost` is called when that cannot be for now: the store is lost. `answer` gets the reply
        when `ask` would.
        """
        self._put(Told(event, answer, durable, lost))

    async def ask(self, event: Event) -> Reply:
        """Hand over an event; its reply, once durable (or marked as not)."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def answer(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        self.tell(event, answer=answer)
        return await future

    def question(self, event: Event) -> Decision:
        """What would be decided now; commits nothing, moves nothing."""
        return self.step.question(event, self._now())

    def changed(self, reading: Reading) -> None:
        """A reading passed its deadband; the core sees the latest of each point, once a turn."""
        self._changed[reading.ref] = reading
        self._wake.set()

    # --- looking ------------------------------------------------------------------------------

    @property
    def site(self) -> Site:
        """The site as loaded."""
        return self.step.site

    @property
    def state(self) -> State:
        """What is true now, decided and perhaps not yet durable."""
        return self.step.state

    @property
    def head(self) -> Position:
        """The last record that is durable."""
        return self._head

    async def committed(self, after: int) -> Position:
        """Wait until a record beyond `after` is durable; the position of the last one."""
        async with self._committed:
            await self._committed.wait_for(lambda: self._head.seq > after)
            return self._head

    def listen(self, listener: Callable[[Decision], None]) -> None:
        """Call the listener with every decision, in the loop, before it is durable."""
        self._listeners.append(listener)

    def do(self, work: Work) -> None:
        """Have the store do something else, in its own thread, between two batches."""
        self._writer.do(work)

    # --- life ---------------------------------------------------------------------------------

    def start(self, head: Position, drivers: Mapping[str, Driver]) -> None:
        """Begin: the writer thread, the deadlines of what is loaded, every setpoint derived."""
        self._head = head
        self._drivers = dict(drivers)
        self._writer.start()
        now = self._now()
        self.reconciler.recall(self.state.all(Fault))
        self._agenda.note_all(self.state.entities(), now)
        self._release(self.step.derive_all(now), now)
        if self.step.lost:
            self._next_reopen_ms = now.mono_ms + self.site.settings.store_reopen_ms
            self.tell(StorageChanged(True, self.step.lost))

    def reload(self, site: Site, drivers: Mapping[str, Driver]) -> None:
        """The site changed; state stays."""
        self._drivers = dict(drivers)
        now = self._now()
        self._release(self.step.reload(site, now), now)
        self._agenda.note_all(self.state.entities(), now)
        self._wake.set()

    async def run(self) -> None:
        """Decide, commit and reconcile until cancelled. An exception here ends the process."""
        self.monitor.start()
        while True:
            self._turn()
            if not (self._urgent or self._lane or self._changed):
                await self._sleep()
            else:
                await asyncio.sleep(0)

    async def stop(self, last: Event | None = None) -> None:
        """Commit what is decided, then stop the writer. Call after `run` was cancelled."""
        if last is not None:
            self.tell(last)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 3
        while loop.time() < deadline:
            self._turn()
            idle = not (self._urgent or self._lane or self._changed)
            if idle and (self.step.idle or self.step.lost):
                break
            await asyncio.sleep(0.01)
        self.step.checkpoint(self._now())
        await self._writer.stop(self.step.seal(checkpoint=True))
        self.monitor.stop()
        for task in self._writes:
            task.cancel()

    # --- one turn -----------------------------------------------------------------------------

    def _turn(self) -> None:
        instant = self._clock.now()  # one for all of a turn, which is shorter than what it is for
        self._wake.clear()
        taken, urgent = 0, bool(self._urgent)
        while taken < TURN_EVENTS and (told := self._next_events()):
            self._decide(told, instant)
            taken += len(told)
            if self._clock.mono_ms() - instant.mono_ms >= TURN_MS:
                break
            if urgent and not self._urgent:
                break  # a siren does not wait for what else there is
        self._due_deadlines()
        now = self._now()
        self._heartbeat(now)
        self._reconcile(now)
        self._commit()

    def _next_events(self) -> list[Told]:
        """The next few events, of one lane, emergency first."""
        lane = self._urgent or self._lane
        if lane:
            return [lane.popleft() for _ in range(min(len(lane), TAKEN_AT_ONCE))]
        if self._changed:
            readings = tuple(self._changed.values())
            self._changed.clear()
            return [Told(ReadingsChanged(readings))]
        return []

    def _decide(self, events: Iterable[Told], instant: Now) -> None:
        numbered = [(told, self._numbered(instant)) for told in events]
        self.counts["events"] += len(numbered)
        released = self.step.take(numbered)
        for decision in released.decided:
            for listener in self._listeners:
                listener(decision)
        for entity in released.changed():
            self._agenda.note(entity, instant)
        self._release(released, instant)

    def _release(self, released: Released, now: Now) -> None:
        if released.setpoints:
            self.reconciler.want(released.setpoints, now)
            self._next_write_ms = 0
        for answer, reply in released.answers:
            answer(reply)
        for told in released.lost:
            if told.lost is not None:
                told.lost()
        for told in released.durable:
            if told.durable is not None:
                told.durable()

    def _put(self, told: Told) -> None:
        event = told.event
        urgent = isinstance(event, CallRequested) or (
            isinstance(event, PointEdge)
            and any(u.use in _URGENT_USES for u in uses(self.site).get(event.ref, ()))
        )
        (self._urgent if urgent else self._lane).append(told)
        self._wake.set()

    # --- time ---------------------------------------------------------------------------------

    def _now(self) -> Now:
        return self._numbered(self._clock.now())

    def _numbered(self, now: Now) -> Now:
        """An instant for one decision: its serial makes its ids its own."""
        self._serial += 1
        return Now(now.wall_ms, now.mono_ms, now.trust, now.boot, self._serial, now.timeline)

    def _due_deadlines(self) -> None:
        while (event := self._agenda.take(self.state, self._now())) is not None:
            self._decide([Told(event)], self._now())

    def clock_changed(self, event: ClockChanged) -> None:
        """Wall time was stepped: every deadline by the wall is measured anew."""
        # Ahead of all else: no deadline is judged by a clock before the core knows that it moved.
        self._urgent.appendleft(Told(event))
        now = self._now()
        self._agenda.note_all(self.state.entities(), now)
        self._next_heartbeat_ms = 0  # opening hours may have begun or ended
        self._wake.set()

    def _heartbeat(self, now: Now) -> None:
        if now.mono_ms >= self.step.valid_until_ms or now.mono_ms >= self._next_heartbeat_ms:
            self._release(self.step.derive_all(now), now)
        if now.mono_ms >= self._next_heartbeat_ms:
            self._next_heartbeat_ms = now.mono_ms + HEARTBEAT_MS
            self._decide([Told(DeadlineReached(SUPERVISION, ""))], now)
        if now.mono_ms >= self._next_checkpoint_ms:
            self._next_checkpoint_ms = now.mono_ms + CHECKPOINT_MS
            self.step.checkpoint(now)
            self._writer.commit(self.step.seal(checkpoint=True))
        if self.step.lost and not self._reopening and now.mono_ms >= self._next_reopen_ms:
            self._reopening = True
            self._writer.reopen()

    async def _sleep(self) -> None:
        due = [self._next_heartbeat_ms, self._next_checkpoint_ms, self._next_write_ms]
        due.append(self.step.valid_until_ms)
        if self.step.lost and not self._reopening:
            due.append(self._next_reopen_ms)
        due.append(self._agenda.next_ms())
        wait_ms = max(1, min(due) - self._clock.mono_ms())
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._wake.wait()
        except TimeoutError:
            return

    # --- devices ------------------------------------------------------------------------------

    def _reconcile(self, now: Now) -> None:
        for event in self.reconciler.check(self.readings, now):
            self._put(Told(event))
        for setpoint in self.reconciler.due(self.readings, now):
            task = asyncio.create_task(self._write(setpoint))
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)
        self._next_write_ms = self.reconciler.next_due_ms(now)

    async def _write(self, setpoint: Setpoint) -> None:
        device = self.site.equipment.devices.get(setpoint.ref.device)
        driver = self._drivers.get(device.link) if device else None
        if driver is None:
            outcome = WriteOutcome(WriteResult.REFUSED, "no driver serves this device")
        else:
            outcome = await driver.write(setpoint, urgent=setpoint.secures)
        if isinstance(setpoint, Pulse) or outcome.result is not WriteResult.SENT:
            log.info("written", point=str(setpoint.ref), result=outcome.result.value)
        for event in self.reconciler.result(setpoint, outcome, self._now()):
            self._put(Told(event))
        self._wake.set()

    # --- store --------------------------------------------------------------------------------

    def _commit(self) -> None:
        self._writer.commit(self.step.seal())

    def _written(self, batch: Batch | None, result: object) -> None:
        """The writer thread finished; called in the loop."""
        now = self._now()
        if isinstance(result, StoreError):
            self._lost(batch, result, now)
        elif isinstance(result, Loaded):
            self._reopened(result, now)
        else:
            assert isinstance(result, Position)
            self._head = result
            if batch is not None:
                self._durable(batch, now)
            self._tell_committed()
        self._wake.set()

    def _durable(self, batch: Batch, now: Now) -> None:
        self.counts["commits"] += 1
        self._reopening = False
        was_lost = self.step.lost
        self._release(self.step.durable(batch.number), now)
        if was_lost:
            self._put(Told(StorageChanged(False)))
            log.info("storage_restored", head=self._head.seq)

    def _lost(self, batch: Batch | None, error: StoreError, now: Now) -> None:
        """A commit failed; the store is opened afresh after a while, until one succeeds (X1)."""
        self._reopening = False
        self._next_reopen_ms = now.mono_ms + self.site.settings.store_reopen_ms
        if batch is None:
            return  # it does not even open
        known = self.step.lost
        self._release(self.step.failed(str(error)), now)
        if not known:
            log.error("storage_lost", error=str(error))
            self._put(Told(StorageChanged(True, str(error))))

    def _reopened(self, loaded: Loaded, now: Now) -> None:
        self._head = loaded.head
        was_blind = self.step.blind
        self._writer.commit(self.step.reopened(loaded, now))
        if was_blind:
            self._agenda.note_all(self.state.entities(), now)
            self._release(self.step.derive_all(now), now)

    def _tell_committed(self) -> None:
        async def notify() -> None:
            async with self._committed:
                self._committed.notify_all()

        task = asyncio.ensure_future(notify())
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
