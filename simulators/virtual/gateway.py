"""The gateway in virtual time: step, reconciler, agenda and readings as they run on site.

Rules, as the engine's:
- Each event is decided when it comes; one commit is under way, and what is decided meanwhile is the
  next. What waits for a commit is let go once it is durable.
- Deadlines are looked at when they are due, writes made when they are, and each ends as its device
  answers.
- Keep-alives are no events here: what a device is told again and again, and answers as before, is
  not told it. So the reconciler is asked while something is under way.
- The slow round is only a net under the deadlines: it comes so seldom that what has none shows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.errors import StoreError
from gateway.domain.events import (
    SUPERVISION,
    ClockChanged,
    CredentialPresented,
    DeadlineReached,
    Event,
    SessionStopAsked,
    Started,
    Stopping,
    StorageChanged,
)
from gateway.domain.faults import Fault
from gateway.domain.now import MINUTE_MS, Now, Trust
from gateway.domain.points import Lease, PointRef, Setpoint, WriteOutcome
from gateway.domain.profile import SetpointSpec
from gateway.domain.records import Position
from gateway.domain.site import Site
from gateway.domain.state import Decision, State
from gateway.ports import Batch, Loaded
from gateway.runtime.agenda import Agenda
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.step import Released, Step, Told
from simulators.virtual.schedule import Schedule

ROUND_MS = 10 * MINUTE_MS
CHECKPOINT_MS = 15 * MINUTE_MS  # one more is made within the minute before a crash
NEVER = 1 << 62
_RESTING_ON_READINGS = (CredentialPresented, SessionStopAsked)
Heard = Callable[[Event, Decision, Now], None]


class Disk(Protocol):
    """What a store is to its writer; `takes_ms` says how long the next commit will take."""

    def open(self) -> Loaded:
        """What it holds."""
        ...

    def commit(self, batch: Batch) -> Position:
        """Keep a batch. Raises StoreError."""
        ...

    def takes_ms(self) -> int:
        """How long the commit that begins now takes; 0: it is done at once."""
        ...


class Devices(Protocol):
    """The devices as the gateway reaches them."""

    def write(self, setpoint: Setpoint, done: Callable[[WriteOutcome], None]) -> None:
        """Write it; `done` is called when the device answered, or did not."""
        ...

    def run_out(self, ref: PointRef) -> None:
        """Nobody plays a pattern any more."""
        ...

    def refresh(self, event: Event) -> None:
        """What the event is about has been polled just before."""
        ...


@dataclass(slots=True)
class WallClock:
    """What the clock of the machine says: the true time and its error, and what it is worth.

    The error was `error_ms` at `since_ms`, in true time; it grows by `fast_ppm`.
    """

    error_ms: int = 0
    trust: Trust = Trust.SYNCHRONISED
    timeline: int = 0
    fast_ppm: int = 0
    since_ms: int = 0

    def error_at(self, true_ms: int) -> int:
        """How far it is ahead at a true time."""
        return self.error_ms + self.fast_ppm * (true_ms - self.since_ms) // 1_000_000


class VirtualGateway:
    """One process of a gateway, from its start to its death."""

    def __init__(
        self, site: Site, schedule: Schedule, disk: Disk, boot: str, clock: WallClock | None = None
    ) -> None:
        self.schedule = schedule
        self.boot = boot
        self.clock = clock or WallClock()
        self.readings = Readings()
        self.alive = True
        self.round_ms = ROUND_MS
        self.heard: list[Heard] = []
        self.disk = disk
        self._booted_ms = schedule.now_ms - 1_000
        self._serial = 0
        loaded = disk.open()
        self.step = Step(site, loaded, self.readings)
        self.reconciler = Reconciler(self._spec_of, self.mono_ms)
        self.agenda = Agenda(self.step.next_due_ms)
        self._devices: Devices | None = None
        self._committing = False
        self._dirty = True
        self._write_ms = self._planned_ms = NEVER
        self._round_ms = self._checkpoint_ms = 0

    def start(self, devices: Devices, started: Started, durable: Callable[[], None]) -> None:
        """Begin, as the engine does, with the devices there are."""
        self._devices = devices
        now = self.now()
        self._round_ms = now.mono_ms + self.round_ms
        self._checkpoint_ms = now.mono_ms + CHECKPOINT_MS
        self.reconciler.recall(self.state.all(Fault))
        self.agenda.note_all(self.state.entities(), now)
        self._release(self.step.derive_all(now), now)
        self.tell(started, durable=durable)

    def stop(self, why: str) -> None:
        """End on purpose: look once more, say so, and carry everything to the disk."""
        self._slow_round()
        self.tell(Stopping(why))
        self.checkpoint()
        self.alive = False

    def kill(self) -> None:
        """The process is no more; whatever was under way is not."""
        self.alive = False

    # --- looking ------------------------------------------------------------------------------

    @property
    def site(self) -> Site:
        """The site as it was loaded."""
        return self.step.site

    @property
    def state(self) -> State:
        """What is true now, decided and perhaps not yet durable."""
        return self.step.state

    @property
    def mono_ms(self) -> int:
        """Monotonic time since the machine started."""
        return self.schedule.now_ms - self._booted_ms

    def now(self) -> Now:
        """An instant for one decision."""
        self._serial += 1
        true_ms, clock = self.schedule.now_ms, self.clock
        return Now(
            true_ms + clock.error_at(true_ms),
            true_ms - self._booted_ms,
            clock.trust,
            self.boot,
            self._serial,
            clock.timeline,
        )

    # --- events -------------------------------------------------------------------------------

    def tell(
        self,
        event: Event,
        answer: Callable[..., None] | None = None,
        durable: Callable[[], None] | None = None,
        lost: Callable[[], None] | None = None,
    ) -> None:
        """Hand over an event, as to the engine; a dead process takes none."""
        if not self.alive:
            return
        if type(event) in _RESTING_ON_READINGS:
            self._polled(event)
        self._decide(Told(event, answer, durable, lost))
        self._settle()

    def confirm(self) -> None:
        """What was driven stood as it was read until now, when something there moves."""
        for event in self.reconciler.check(self.readings, self.now()):
            self._decide(Told(event))
        self._dirty = True

    def clock_changed(self, event: ClockChanged) -> None:
        """The wall clock was stepped, or is worth more or less."""
        if not self.alive:
            return
        self._decide(Told(event))
        now = self.now()
        self.agenda.note_all(self.state.entities(), now)
        self._release(self.step.derive_all(now), now)
        self._settle()

    def checkpoint(self) -> None:
        """Carry running durations to the disk."""
        if self.alive:
            self._checkpoint_ms = self.mono_ms + CHECKPOINT_MS
            self.step.checkpoint(self.now())
            self._commit(checkpoint=True)

    def _decide(self, told: Told) -> None:
        now = self.now()
        released = self.step.take([(told, now)])
        for decision in released.decided:
            for heard in self.heard:
                heard(told.event, decision, now)
        for entity in released.changed():
            self.agenda.note(entity, now)
        self._release(released, now)

    def _release(self, released: Released, now: Now) -> None:
        if released.setpoints:
            self.reconciler.want(released.setpoints, now)
            self._dirty = True
            self._end_keep_alives(released.setpoints.values())
        for answer, reply in released.answers:
            answer(reply)
        for told in released.lost:
            if told.lost is not None:
                told.lost()
        for told in released.durable:
            if told.durable is not None:
                told.durable()

    def _end_keep_alives(self, wanted: Iterable[Setpoint | None]) -> None:
        """A pattern that is to be off is played no more, whether or not that is written."""
        assert self._devices is not None
        for setpoint in wanted:
            if isinstance(setpoint, Lease) and setpoint.value == "off":
                self._devices.run_out(setpoint.ref)

    def _settle(self) -> None:
        """What follows from a decision at once: a commit begins, writes leave."""
        self._commit()
        if self._dirty:
            self._reconcile()
        self._plan()

    # --- time ---------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Wake when something is due."""
        due = min(self.agenda.next_ms(), self.step.valid_until_ms, self._write_ms)
        due = min(due, self._round_ms, self._checkpoint_ms)
        if due < self._planned_ms:
            self._planned_ms = due
            self.schedule.at(due + self._booted_ms, lambda: self._wake(due))

    def _wake(self, planned_ms: int) -> None:
        if not self.alive or planned_ms != self._planned_ms:
            return
        self._planned_ms = NEVER
        mono = self.mono_ms
        while (event := self.agenda.take(self.state, self.now())) is not None:
            self._polled(event)
            self._decide(Told(event))
        if mono >= self._round_ms:
            self._slow_round()
        elif mono >= self.step.valid_until_ms:
            now = self.now()
            self._release(self.step.derive_all(now), now)
        if mono >= self._checkpoint_ms:
            self.checkpoint()
        if mono >= self._write_ms:
            self._dirty = True
        self._settle()

    def _slow_round(self) -> None:
        event = DeadlineReached(SUPERVISION, "")
        self._polled(event)
        now = self.now()
        self._release(self.step.derive_all(now), now)
        self._decide(Told(event))
        self._round_ms = self.mono_ms + self.round_ms

    def _polled(self, event: Event) -> None:
        assert self._devices is not None
        self._devices.refresh(event)

    # --- devices ------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        assert self._devices is not None
        for _ in range(20):
            self._dirty = False
            now = self.now()
            for event in self.reconciler.check(self.readings, now):
                self._decide(Told(event))
            for setpoint in self.reconciler.due(self.readings, now):
                self._devices.write(setpoint, self._answered(setpoint))
            if not self._dirty:
                break
        now = self.now()
        rests = self.reconciler.at_rest(self.readings, now)
        self._write_ms = NEVER if rests else self.reconciler.next_due_ms(now)

    def _answered(self, setpoint: Setpoint) -> Callable[[WriteOutcome], None]:
        def done(outcome: WriteOutcome) -> None:
            if not self.alive:
                return
            for event in self.reconciler.result(setpoint, outcome, self.now()):
                self._decide(Told(event))
            self._dirty = True
            self._settle()

        return done

    def _spec_of(self, ref: PointRef) -> SetpointSpec | None:
        return self.site.equipment.spec_of(ref).setpoint

    # --- the disk -----------------------------------------------------------------------------

    def _commit(self, *, checkpoint: bool = False) -> None:
        """Begin the next commit, if there is a fact and none is under way."""
        while not self._committing:
            batch = self.step.seal(checkpoint=checkpoint)
            if batch is None:
                return
            self._hand_in(batch)
            checkpoint = False

    def _hand_in(self, batch: Batch) -> None:
        takes_ms = self.disk.takes_ms()
        if takes_ms == 0:
            self._written(batch)
            return
        self._committing = True
        self.schedule.after(takes_ms, lambda: self._end_commit(batch))

    def _end_commit(self, batch: Batch) -> None:
        if self.alive:
            self._committing = False
            self._written(batch)
            self._settle()

    def _written(self, batch: Batch) -> None:
        try:
            self.disk.commit(batch)
        except StoreError as error:
            self._lost(str(error))
            return
        was_lost = self.step.lost
        self._release(self.step.durable(batch.number), self.now())
        if was_lost:
            self._decide(Told(StorageChanged(False)))

    def _lost(self, why: str) -> None:
        known = self.step.lost
        self._release(self.step.failed(why), self.now())
        self.schedule.after(self.site.settings.store_reopen_ms, self._reopen)
        if not known:
            self._decide(Told(StorageChanged(True, why)))

    def _reopen(self) -> None:
        """The store is opened afresh, and brought up to date (RULES X1)."""
        if not self.alive:
            return
        try:
            loaded = self.disk.open()
        except StoreError:
            self.schedule.after(self.site.settings.store_reopen_ms, self._reopen)
            return
        now = self.now()
        was_blind = self.step.blind
        batch = self.step.reopened(loaded, now)
        if was_blind:
            self.agenda.note_all(self.state.entities(), now)
            self._release(self.step.derive_all(now), now)
        if batch is not None:
            self._hand_in(batch)
        self._settle()
