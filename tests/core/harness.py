"""A world around the real step, reconciler, agenda and readings: time, wires and a disk.

`world.tell(event)` decides, commits, writes; `world.wait(...)` lets time pass on both clocks and
looks at what is due, as the engine does. What devices answer and what the disk does is the test's.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from core.sites import court, ref

from gateway.core.derive import derive, outputs
from gateway.domain.bookings import Booking, Terms
from gateway.domain.entity import Entity
from gateway.domain.events import (
    SUPERVISION,
    Actor,
    BookingItem,
    ChangesReceived,
    ClockChanged,
    CredentialPresented,
    DeadlineReached,
    DeviceHealthChanged,
    Event,
    LinkHealthChanged,
    PointEdge,
    QuotaItem,
    ReadingsChanged,
    SnapshotReceived,
    Started,
    StorageChanged,
    Stream,
    SyncItem,
)
from gateway.domain.faults import Fault, Health
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Now, Trust
from gateway.domain.points import (
    Freshness,
    Lease,
    Level,
    PointRef,
    Pulse,
    Quality,
    Reading,
    Setpoint,
    Value,
    WriteOutcome,
    WriteResult,
)
from gateway.domain.quotas import Counted, QuotaTerms
from gateway.domain.records import Fact, Position, Record
from gateway.domain.secret import Secret
from gateway.domain.site import Site
from gateway.domain.state import Reply, Result, State
from gateway.domain.subjects import (
    Credential,
    CredentialKind,
    PassClaims,
    Presented,
    Role,
    StandingRight,
    Subject,
)
from gateway.domain.uses import Use, uses
from gateway.domain.visits import Visit
from gateway.ports import Batch, Loaded, Stamped
from gateway.runtime.agenda import Agenda
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.step import Released, Step, Told

E = TypeVar("E", bound=Entity)
SENT = WriteOutcome(WriteResult.SENT)
REFUSED = WriteOutcome(WriteResult.REFUSED, "busy")
UNKNOWN = WriteOutcome(WriteResult.UNKNOWN, "no answer")
LOST = WriteOutcome(WriteResult.SENT, "taken, and not done")
DESK = Actor("Ms Chen", Role.DESK)
TICK_MS = 2_000
HEARTBEAT_MS = 5_000


class Disk:
    """What a store keeps. `slow`: a commit ends when the test says so; `broken`: it fails."""

    def __init__(self) -> None:
        self.entities: dict[tuple[type[Entity], str], Entity] = {}
        self.records: list[Stamped] = []
        self.slow = False
        self.broken = False

    def commit(self, batch: Batch) -> None:
        self.records += batch.records
        for type_, id_, entity in batch.changes:
            if entity is not None:
                self.entities[type_, id_] = entity
            else:
                self.entities.pop((type_, id_), None)


class World:
    """One site and everything around it. Times of day are local."""

    def __init__(
        self, site: Site | None = None, at: str = "2026-03-02 09:00", *, quiet: bool = False
    ) -> None:
        self.site = site or court()
        self.wall_ms = self.clock(at)
        self.mono_ms = 1_000_000
        self.trust = Trust.SYNCHRONISED
        self.heartbeat_ms = HEARTBEAT_MS
        self.boot = "boot1"
        self.disk = Disk()
        self.stamped: list[Stamped] = []
        self.writes: list[tuple[int, Setpoint]] = []
        self.answers: list[Reply] = []
        self.wires: dict[str, deque[WriteOutcome]] = defaultdict(deque)
        self.mute: set[str] = set()
        self.latch: Counter[PointRef] = Counter()
        self._serial = 0
        self._revisions: dict[Stream, int] = defaultdict(int)
        self._in_flight: Batch | None = None
        self._checkpoint_ms = self._heartbeat_ms = 0
        self._build()
        if not quiet:
            self.tell(Started("test"))
            self.settle()

    def _build(self) -> None:
        self.readings = Readings()
        self.step = self._new_step()
        self.reconciler = Reconciler(self._spec_of, self.mono_ms)
        self.reconciler.recall(self.step.state.all(Fault))
        self.agenda = Agenda(self.step.next_due_ms)
        self._cells: dict[str, Freshness] = {}
        for device in self.site.equipment.devices.values():
            points = self.site.equipment.profiles[device.profile].points
            self._cells[device.id] = self.readings.freshness(device.id, points, 500)
            if device.id not in self.mute:
                self._cells[device.id].heard_ms = self.mono_ms
        self.agenda.note_all(self.state.entities(), self.now())
        self._after(self.step.derive_all(self.now()))

    def _new_step(self) -> Step:
        return Step(self.site, self._load(), self.readings)

    def settle(self) -> None:
        """Every device has been seen once: doors closed, buttons and sensors at rest."""
        for door in self.site.doors.values():
            if door.points.contact is not None:
                self.edge(door.points.contact, False, first_sight=True)
            if door.points.lock is not None:
                self.read(door.points.lock, "locked")
            if door.points.hold is not None:
                self.read(door.points.hold, False)
        for zone in self.site.safety.fire_zones.values():
            self.edge(zone.input, not zone.active, first_sight=True)
        for facility in self.site.facilities.values():
            for sensor in facility.sensors:
                self.read(sensor.point, False)

    def _spec_of(self, point: PointRef) -> Any:
        return self.site.equipment.spec_of(point).setpoint

    # --- looking ------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self.step.state

    def now(self) -> Now:
        self._serial += 1
        return Now(self.wall_ms, self.mono_ms, self.trust, self.boot, self._serial)

    def clock(self, text: str) -> int:
        """Wall ms of `HH:MM[:SS]` today, or of `YYYY-MM-DD HH:MM`, on the site's wall."""
        zone = ZoneInfo(self.site.zone)
        if "-" not in text:
            today = datetime.fromtimestamp(self.wall_ms / 1000, zone)
            text = f"{today:%Y-%m-%d} {text}"
        return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)

    def facts(self, *wanted: Fact) -> list[Record]:
        """Every fact so far, or those of some kinds."""
        found = (stamped.record for stamped in self.stamped)
        return [record for record in found if not wanted or record.fact in wanted]

    def last(self, fact: Fact) -> Record:
        return self.facts(fact)[-1]

    def names(self, *leave_out: Fact) -> list[str]:
        """The facts since `forget`, by name; time spent is accounted for beside all else."""
        left_out = (Fact.BUCKET_CLOSED, *leave_out)
        return [record.fact.value for record in self.facts() if record.fact not in left_out]

    def forget(self) -> None:
        """What was told so far is of no interest."""
        self.stamped.clear()
        self.writes.clear()

    def get(self, type_: type[E], id_: str) -> E:
        found = self.state.get(type_, id_)
        assert found is not None, f"no {type_.kind} {id_}"
        return found

    def booking(self, id_: str) -> Booking:
        return self.get(Booking, id_)

    def visits(self, facility: str) -> list[str | None]:
        return [visit.subject for visit in self.state.where(Visit, "facility", facility)]

    def faults(self) -> set[str]:
        return {fault.id for fault in self.state.all(Fault)}

    def pulses(self, door: str = "study") -> list[Pulse]:
        """The releases written to a door's strike."""
        strike = self.site.doors[door].points.strike
        return [w for _, w in self.writes if isinstance(w, Pulse) and w.ref == strike]

    def output(self, text: str) -> Value:
        """What a leased output plays now: what was last written, until it runs out by itself."""
        leases = [w for _, w in self.writes if isinstance(w, Lease) and w.ref == ref(text)]
        if not leases or leases[-1].until_mono_ms <= self.mono_ms:
            return "off"
        return leases[-1].value

    def wanted(self, text: str) -> Setpoint | None:
        """What a point should be."""
        return next((s for s in self.reconciler.desired() if s.ref == ref(text)), None)

    # --- telling ------------------------------------------------------------------------------

    def tell(self, event: Event, durable: Callable[[], None] | None = None) -> Reply:
        """Decide an event and do what follows at once; the reply, or a plain accepted."""
        released = self._take(Told(event, None, durable))
        self._after(released)
        return released.decided[0].reply or Reply(Result.ACCEPTED)

    def ask(self, event: Event) -> None:
        """Decide an event; its reply comes into `answers` when it may."""
        self._after(self._take(Told(event, self.answers.append)))

    def _take(self, told: Told) -> Released:
        now = self.now()
        released = self.step.take([(told, now)])
        for decision in released.decided:
            self.stamped += [Stamped(record, now) for record in decision.records]
        for entity in released.changed():
            self.agenda.note(entity, now)
        return released

    def _after(self, released: Released) -> None:
        self._release(released)
        self._settle()

    def _settle(self) -> None:
        """What was decided is committed and written, with all that follows from it."""
        for _ in range(50):
            while self._hand_in() and not self.disk.slow:
                self._end_commit()
            events = self._reconcile()
            if not events:
                return
            for event in events:
                self._release(self._take(Told(event)))
        raise AssertionError("the gateway never comes to rest")

    def _release(self, released: Released) -> None:
        self.reconciler.want(released.setpoints, self.now())
        for answer, reply in released.answers:
            answer(reply)
        for told in released.lost:
            if told.lost is not None:
                told.lost()
        for told in released.durable:
            if told.durable is not None:
                told.durable()

    def commit(self) -> None:
        """Bring to the disk what can be, however slow it is."""
        while self._hand_in():
            self._end_commit()
        self._settle()

    def _hand_in(self, *, checkpoint: bool = False) -> bool:
        """Whether a commit is under way; the next one begins if none is."""
        if self._in_flight is None:
            self._in_flight = self.step.seal(checkpoint=checkpoint)
        return self._in_flight is not None

    def _end_commit(self) -> None:
        """The commit under way ends, well or not."""
        batch, self._in_flight = self._in_flight, None
        assert batch is not None
        was_lost = self.step.lost
        if not self.disk.broken:
            self.disk.commit(batch)
            self._release(self.step.durable(batch.number))
            if was_lost:
                self._release(self._take(Told(StorageChanged(False))))
            return
        self._release(self.step.failed("disk full"))
        if not was_lost:
            self._release(self._take(Told(StorageChanged(True, "disk full"))))

    def disk_takes_all(self) -> None:
        """What is on its way reaches the disk, and the process dies before it hears of it."""
        batch = self._in_flight or self.step.seal()
        if batch is not None:
            self.disk.commit(batch)

    def mend_disk(self) -> None:
        """The disk takes writes again, and is opened afresh."""
        self.disk.broken = False
        self.reopen()

    def reopen(self) -> None:
        """The store opens, and is handed what it lacks; whether it takes that is the disk's."""
        was_blind = self.step.blind
        self._in_flight = self.step.reopened(self._load(), self.now())
        if was_blind:
            self.agenda.note_all(self.state.entities(), self.now())
            self._after(self.step.derive_all(self.now()))

    def _load(self) -> Loaded:
        return Loaded(tuple(self.disk.entities.values()), Position("e", len(self.disk.records)), {})

    def _reconcile(self) -> list[Event]:
        """Make the writes that are due; what came of it."""
        events = self.reconciler.check(self.readings, self.now())
        for setpoint in self.reconciler.due(self.readings, self.now()):
            self.writes.append((self.mono_ms, setpoint))
            outcome = self._write(setpoint)
            if outcome is not None:
                events += self.reconciler.result(setpoint, outcome, self.now())
        return events

    def _write(self, setpoint: Setpoint) -> WriteOutcome | None:
        """What a device answers to a write; None while it has not."""
        planned = self.wires[str(setpoint.ref)]
        outcome = planned.popleft() if planned else SENT
        if setpoint.ref.device in self.mute:
            outcome = UNKNOWN
        if outcome == SENT and isinstance(setpoint, Level):
            self.read(setpoint.ref, setpoint.value)
        return outcome

    # --- time ---------------------------------------------------------------------------------

    def wait(
        self, *, ms: int = 0, seconds: float = 0, minutes: float = 0, hours: float = 0
    ) -> None:
        """Let time pass; looks at what is due, and at everything in ticks."""
        total = int(ms + seconds * SECOND_MS + minutes * MINUTE_MS + hours * HOUR_MS)
        target, tick = self.mono_ms + total, max(TICK_MS, total // 50)
        while self.mono_ms < target:
            due = min(self.agenda.next_ms(), self.step.valid_until_ms, self.mono_ms + tick)
            write_ms = self.reconciler.next_due_ms(self.now())
            due = min(due, write_ms) if write_ms < self.mono_ms + TICK_MS else due
            passed = max(1, min(due, target) - self.mono_ms)
            self.mono_ms += passed
            self.wall_ms += passed
            self._pass()

    def leap(self, hours: float) -> None:
        """Time passes in one piece, as for a machine that slept: all that is due is due now."""
        self.mono_ms += int(hours * HOUR_MS)
        self.wall_ms += int(hours * HOUR_MS)
        self._pass()

    def _pass(self) -> None:
        for device, cell in self._cells.items():
            if device not in self.mute:
                cell.heard_ms = self.mono_ms
        if self.mono_ms >= self._checkpoint_ms:
            self._checkpoint_ms = self.mono_ms + MINUTE_MS
            self.step.checkpoint(self.now())
            self._hand_in(checkpoint=True)
        while (event := self.agenda.take(self.state, self.now())) is not None:
            self._after(self._take(Told(event)))
        if self.mono_ms >= min(self.step.valid_until_ms, self._heartbeat_ms):
            self._release(self.step.derive_all(self.now()))
        if self.mono_ms >= self._heartbeat_ms:
            self._heartbeat_ms = self.mono_ms + self.heartbeat_ms
            self._release(self._take(Told(DeadlineReached(SUPERVISION, ""))))
        self._settle()

    def at(self, text: str) -> None:
        """Let time pass until that local time: today's, or tomorrow's if that is over."""
        target = self.clock(text)
        if target < self.wall_ms and "-" not in text:
            target += DAY_MS
        assert target >= self.wall_ms, f"{text} is over"
        self.wait(ms=target - self.wall_ms)

    def step_clock(self, ms: int, trust: Trust | None = None) -> None:
        """The wall clock jumps, or what it is worth changes."""
        before = self.trust
        self.wall_ms += ms
        self.trust = trust or self.trust
        self.tell(ClockChanged(ms, "test", before is not Trust.UNTRUSTED))
        self.agenda.note_all(self.state.entities(), self.now())
        self._after(self.step.derive_all(self.now()))

    def restart(self, off_ms: int = 2_000, trust: Trust | None = None) -> None:
        """Killed, and started again by the same disk: monotonic time and readings begin anew."""
        self.wall_ms += off_ms
        self.mono_ms = 50_000
        self.trust = trust or self.trust
        self.boot = f"boot{int(self.boot[4:]) + 1}"
        self._in_flight = None
        self._checkpoint_ms = self._heartbeat_ms = 0
        self._build()
        trusted = self.trust is not Trust.UNTRUSTED
        found = tuple(ref for ref, presses in self.latch.items() if presses)
        started = Started("test", found, away_ms=off_ms if trusted else None)
        self.latch = Counter(found)
        self.tell(started, lambda: self.latch.subtract(found))

    # --- devices ------------------------------------------------------------------------------

    def read(self, point: PointRef | str, value: Value, quality: Quality = Quality.GOOD) -> None:
        """A point reports a value."""
        at = ref(point) if isinstance(point, str) else point
        reading = Reading(at, value, quality, self.wall_ms, self.mono_ms)
        self.readings.put(reading)
        self.tell(ReadingsChanged((reading,)))

    def edge(self, point: PointRef | str, value: Value, **more: Any) -> Reply:
        """A happening at a point, which its reading shows too."""
        at = ref(point) if isinstance(point, str) else point
        self.readings.put(Reading(at, value, Quality.GOOD, self.wall_ms, self.mono_ms))
        return self.tell(PointEdge(at, value, **more), self._latch(at))

    def _latch(self, point: PointRef) -> Callable[[], None] | None:
        """A press is in the call latch until what it caused is durable (DESIGN §5)."""
        if all(used.use is not Use.CALL for used in uses(self.site).get(point, ())):
            return None
        self.latch[point] += 1
        return lambda: self.latch.subtract([point])

    def silence(self, device: str) -> None:
        """A device answers no more, and its driver says so."""
        self.mute.add(device)
        stale = tuple(self.readings.device_silent(device))
        if stale:
            self.tell(ReadingsChanged(stale))
        self.tell(DeviceHealthChanged(device, Health.SILENT))

    def heal(self, device: str) -> None:
        """It answers again, with the values it had."""
        self.mute.discard(device)
        self.tell(DeviceHealthChanged(device, Health.ONLINE, "ok"))
        for reading in list(self.readings.all()):
            if reading.ref.device == device and reading.value is not None:
                self.read(reading.ref, reading.value)

    def tell_health(self, device: str, health: Health, code: str = "device_silent") -> None:
        self.tell(DeviceHealthChanged(device, health, code))

    def link(self, link: str, health: Health) -> None:
        self.tell(LinkHealthChanged(link, health))

    def answer(self, point: str, *outcomes: WriteOutcome) -> None:
        """What the next writes to a point end with; after them it takes everything."""
        self.wires[point].extend(outcomes)

    # --- people -------------------------------------------------------------------------------

    def open(self, door: str) -> None:
        contact = self.site.doors[door].points.contact
        assert contact is not None
        self.edge(contact, True)

    def close(self, door: str) -> None:
        contact = self.site.doors[door].points.contact
        assert contact is not None
        self.edge(contact, False)

    def pass_through(self, door: str) -> None:
        """Open, go, and let it fall shut."""
        self.open(door)
        self.wait(seconds=2)
        self.close(door)

    def enter(self, door: str, pin: str) -> Reply:
        """Type a PIN and go in."""
        reply = self.pin(door, pin)
        assert reply.accepted, reply
        self.pass_through(door)
        return reply

    def leave(self, door: str) -> None:
        """Press the exit button and go out."""
        button = self.site.doors[door].points.exit_button
        assert button is not None
        self.edge(button, True)
        self.pass_through(door)

    def lock_acts(self, action: str, **detail: Value) -> None:
        """The lock on the air tells what its own users did."""
        self.tell(PointEdge(ref("lock/action"), action, detail=detail))

    def pin(self, door: str, pin: str, identifier: str | None = None) -> Reply:
        digest = Secret(f"pin:{pin}")
        return self.present(door, Presented(CredentialKind.PIN, digest, identifier))

    def ask_pin(self, door: str, pin: str) -> None:
        """Type a PIN; the reply comes into `answers` when it may."""
        (reader, *_) = self.site.doors[door].points.readers
        presented = Presented(CredentialKind.PIN, Secret(f"pin:{pin}"))
        self.ask(CredentialPresented(reader, presented))

    def card(self, door: str, card: str) -> Reply:
        return self.present(door, Presented(CredentialKind.CARD, Secret(f"card:{card}")))

    def remote(self, door: str, subject: str) -> Reply:
        presented = Presented(CredentialKind.REMOTE, identifier=subject)
        actor = Actor(subject, Role.RESIDENT)
        return self.tell(CredentialPresented(None, presented, door=door, actor=actor))

    def signed_pass(self, door: str, booking: str, subject: str, **claims: Any) -> Reply:
        revision = claims.get("revision")
        if revision is None:
            revision = self.booking(booking).terms.revision
        expires = claims.get("expires_ms", self.wall_ms + DAY_MS)
        found = PassClaims("pass1", subject, booking, revision, expires)
        return self.present(door, Presented(CredentialKind.PASS, claims=found))

    def present(self, door: str, presented: Presented) -> Reply:
        (reader, *_) = self.site.doors[door].points.readers
        return self.tell(CredentialPresented(reader, presented))

    def press(self, call_point: str = "help", count: int = 1) -> str:
        """Press for help; the call's id."""
        point = self.site.safety.call_points[call_point].point
        return str(self.edge(point, True, count=count).data["call"])

    # --- the platform -------------------------------------------------------------------------

    def sync(self, stream: Stream, put: Iterable[SyncItem], removed: Iterable[str] = ()) -> Reply:
        """The next revision of a stream."""
        self._revisions[stream] += 1
        revision = self._revisions[stream]
        return self.tell(ChangesReceived(stream, "p1", revision, tuple(put), tuple(removed)))

    def snapshot(
        self, stream: Stream, window_ms: tuple[int, int], items: Iterable[SyncItem]
    ) -> Reply:
        """Everything of a stream in a window, as the next revision of it."""
        self._revisions[stream] += 1
        told = tuple(items)
        digest = f"{stream} {self._revisions[stream]}"
        return self.tell(
            SnapshotReceived(
                stream, "p1", self._revisions[stream], window_ms, len(told), digest, digest, told
            )
        )

    def person(self, id_: str, pin: str = "", card: str = "", role: Role = Role.RESIDENT) -> None:
        """A subject with their credentials."""
        items: list[SyncItem] = [Subject(id_, (role,))]
        if pin:
            digest = Secret(f"pin:{pin}")
            items.append(Credential(f"{id_}-pin", id_, CredentialKind.PIN, digest))
        if card:
            digest = Secret(f"card:{card}")
            items.append(Credential(f"{id_}-card", id_, CredentialKind.CARD, digest))
        self.sync(Stream.SUBJECTS, items)

    def item(
        self, id_: str, facility: str, who: str, start: str, end: str, **more: Any
    ) -> BookingItem:
        """A booking as the platform says it; `who` are subjects, parted by spaces."""
        revision = more.pop("revision", self._revisions[Stream.BOOKINGS] + 1)
        created = more.pop("created_ms", self._revisions[Stream.BOOKINGS] + 1)
        window = (self.clock(start), self.clock(end))
        return BookingItem(
            id_,
            Terms(
                facility,
                tuple(who.split()),
                *window,
                created_ms=created,
                revision=revision,
                **more,
            ),
        )

    def book(self, id_: str, facility: str, who: str, start: str, end: str, **more: Any) -> Reply:
        return self.sync(Stream.BOOKINGS, [self.item(id_, facility, who, start, end, **more)])

    def cancel(self, *ids: str) -> Reply:
        return self.sync(Stream.BOOKINGS, (), ids)

    def quota(self, id_: str, subject: str, counts: Counted, left: int, **more: Any) -> Reply:
        """What the platform says is left; `used` is how far it had booked then."""
        item = QuotaItem(id_, QuotaTerms(subject, counts, left, **more))
        return self.sync(Stream.SUBJECTS, [item])

    def right(self, id_: str, subject: str, *targets: str, **more: Any) -> Reply:
        return self.sync(Stream.RIGHTS, [StandingRight(id_, subject, targets, **more)])


def comes_true(world: World) -> None:
    """Levels are read as they are wanted, once their devices do what they are told."""
    world.wires.clear()
    world.wait(minutes=2)
    for setpoint in world.reconciler.desired():
        if isinstance(setpoint, Level) and setpoint.ref.device not in world.mute:
            read = world.readings.latest(setpoint.ref).value
            assert read == setpoint.value, f"DESIGN 2.1: {setpoint.ref} is {read}"


def driven_as_derived(world: World) -> None:
    """What is driven is what a fresh look would drive; what is permissive may wait for the disk."""
    fresh, _ = derive(world.site, world.state, world.readings, world.now(), outputs(world.site))
    driven = {one.ref: one for one in world.reconciler.desired()}
    for ref_, wanted in fresh.items():
        found = driven.get(ref_)
        if wanted is None or (not wanted.secures and not world.step.idle):
            continue
        if isinstance(wanted, Pulse):
            assert isinstance(found, Pulse), ref_
            assert found.token == wanted.token, ref_
        else:
            assert found is not None, ref_
            assert found.value == wanted.value, ref_  # type: ignore[union-attr]
