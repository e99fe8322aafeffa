"""A whole world in virtual time, from one seed: premises, people, platform, disk, and troubles.

Rules:
- One seed picks everything, through sources of chance of their own for each part, so that the same
  seed lives the same life to the last record. `trace` is the hash over every event and record.
- First a safety phase with every trouble there is; then a last stretch without: by its end all must
  have come right. The auditor looks at what every step touched, and knows the truth.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import Random

from gateway.domain.calls import Call, CallOutcome
from gateway.domain.events import (
    Actor,
    CallAcknowledged,
    CallAttended,
    CallCleared,
    ClockChanged,
    CredentialPresented,
    DeadlineReached,
    Event,
    PointEdge,
    Started,
    Stream,
)
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Now, Trust
from gateway.domain.points import PointRef
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.state import Decision, Reply
from gateway.domain.subjects import CredentialKind, Presented, Role
from simulators.auditor import Auditor
from simulators.residents import Habits
from simulators.virtual.disk import MemoryDisk
from simulators.virtual.gateway import Heard, VirtualGateway, WallClock
from simulators.virtual.life import Life, ms
from simulators.virtual.platform import VirtualPlatform
from simulators.virtual.premises import draw_site
from simulators.virtual.schedule import Schedule
from simulators.virtual.site import VirtualSite
from simulators.virtual.troubles import Troubles
from simulators.witness import Breach

CALM = 0.25  # of a world's time is without troubles, at least a day
CALM_LEAST_MS = 30 * HOUR_MS
HABITS = Habits(calls_for_help=0.05)
# a little before the clocks change somewhere, or anywhen in the year
BEGINS = tuple(
    int(datetime(2026, month, day, tzinfo=UTC).timestamp() * 1000)
    for month, day in ((1, 5), (3, 6), (3, 27), (4, 3), (6, 15), (10, 2), (10, 23), (10, 30))
)
CANCELLED = 0.04
STEPS_KEPT = 40
DESK = Actor("Ms Chen", Role.DESK)


@dataclass(frozen=True, slots=True)
class Lived:
    """What became of a world."""

    seed: int
    days: float
    events: int
    records: int
    trace: str
    breach: Breach | None


class _WatchedSite(VirtualSite):
    """A site whose auditor hears of what people do there."""

    auditor: Auditor

    def ask(self, event: CredentialPresented, answered: Callable[[Reply], None]) -> None:
        """A credential has reached the gateway."""
        self.auditor.presented(event)

        def heard(reply: Reply) -> None:
            self.auditor.answered(reply)
            answered(reply)

        super().ask(event, heard)


class World:
    """One seed's world."""

    COMMIT_MS = (2, 25)

    def __init__(self, seed: int, days: float, *, begins_ms: int = 0, zone: str = "") -> None:
        """`begins_ms` and `zone` are drawn where they are not named."""
        self.seed, self.days = seed, days
        begins = self._chance("begin")
        self.site = draw_site(self._chance("site"), zone)
        self.schedule = Schedule(begins_ms or begins.choice(BEGINS) + begins.randrange(DAY_MS))
        self.ends_ms = self.schedule.now_ms + round(days * DAY_MS)
        self.commit_ms = self.COMMIT_MS
        disk_chance = self._chance("disk")
        takes: Callable[[], int] = lambda: disk_chance.randint(*self.commit_ms)  # noqa: E731
        self.disk = MemoryDisk(disk_chance, takes=takes)
        self.place = _WatchedSite(self.site, self.schedule, self._chance("place"))
        self._near_the_end_of_registers()
        self.platform = VirtualPlatform(self.place, self.disk, self._chance("platform"))
        self.auditor = self.place.auditor = Auditor(self)
        self.last: deque[str] = deque(maxlen=STEPS_KEPT)
        self.events = 0
        self.heard: list[Heard] = [self._heard]
        self._trace = hashlib.sha256()
        self._boots = 0
        self.booted_ms = 0
        self._crashing = False
        self._latched: Counter[PointRef] = Counter()
        self._last_trusted_ms = self.schedule.now_ms
        self.clock_erred = False
        people = {f"p{n}": f"{10_000_000 + 7_654_321 * n % 90_000_000}" for n in range(1, 6)}
        self.people_by_pin = {pin: who for who, pin in people.items()}
        self._desk = self._chance("desk")
        self._life = Life(self.place, people, _pin, HABITS, self._chance("people"))
        self._life.rivals = self._chance("rivals")
        self._fickle = self._chance("fickle")
        calm_ms = max(round(days * DAY_MS * CALM), CALM_LEAST_MS)
        self.calm_from_ms = self.ends_ms - calm_ms
        self.troubles = Troubles(self, self._chance("troubles"), self.calm_from_ms)

    def run(self) -> Lived:
        """Live it, to its end or to the first breach of a rule."""
        self.place.links.latch = self._latch
        self.place.links.acted = self.auditor.acted
        breach = None
        try:
            self._boot(WallClock(), None)
            self.platform.applied.append(self.auditor.applied)
            self.platform.change(Stream.SUBJECTS, self._life.introduce())
            self.platform.turn()
            for day in self._life.days(self.ends_ms):
                at_ms = max(ms(day) + MINUTE_MS, self.schedule.now_ms)
                self.schedule.at(at_ms, lambda day=day: self._day(day))  # type: ignore[misc]
            self.troubles.begin()
            self._every_hour()
            self.schedule.run(self.ends_ms)
            self.auditor.the_end()
        except Breach as found:
            breach = found
        lived = 1 - (self.ends_ms - self.schedule.now_ms) / (self.days * DAY_MS)
        self._trace.update(self.disk.rows[-1].chain if self.disk.rows else b"")
        trace = self._trace.hexdigest()
        return Lived(self.seed, lived * self.days, self.events, len(self.disk.rows), trace, breach)

    def _chance(self, part: str) -> Random:
        return Random(f"{self.seed} {part}")  # noqa: S311  # a simulation, to be repeated

    def _near_the_end_of_registers(self) -> None:
        """Those that roll over will soon (C3)."""
        chance = self._chance("registers")
        for facility, connector in self.place.town.outlets.items():
            outlet = self.site.facilities[facility].outlet
            if outlet is not None and outlet.meter is not None and outlet.meter.rolls_over_wh:
                connector.energy_wh = outlet.meter.rolls_over_wh - chance.uniform(0, 3_000)

    def _day(self, day: datetime) -> None:
        booked = self._life.day(day, self.ends_ms - 3 * HOUR_MS)
        if booked:
            self.auditor.booked(booked)
            self.platform.change(Stream.BOOKINGS, booked)
        for item in booked:
            if self._fickle.random() < CANCELLED:
                self.schedule.at(item.terms.start_ms - HOUR_MS, partial(self._cancel, item.id))

    def _cancel(self, booking: str) -> None:
        """It is taken back; whoever had it has not heard."""
        self.auditor.recalled(booking)
        self.platform.change(Stream.BOOKINGS, [], [booking])

    def _every_hour(self) -> None:
        self.schedule.after(HOUR_MS, self._every_hour)
        self.auditor.every_hour()

    # --- the machine --------------------------------------------------------------------------

    def crash(self, off_ms: int, wakes: WallClock | None = None) -> None:
        """The process dies within a minute of its last checkpoint, and comes back later.

        It wakes with the time there was, or with another.
        """
        gateway = self.place.gateway
        if gateway is None or not gateway.alive:
            return
        self._crashing = True
        gateway.checkpoint()
        since_ms = self._chance(f"crash {self._boots}").randrange(MINUTE_MS)
        self.schedule.after(since_ms, lambda: self._die(gateway, off_ms, wakes))

    def _die(self, gateway: VirtualGateway, off_ms: int, wakes: WallClock | None) -> None:
        if not gateway.alive:
            return
        self.keep_time()
        gateway.kill()
        self.place.links.end()
        self.place.gateway = None
        self.auditor.died()
        clock = wakes or WallClock()
        if wakes is None and gateway.clock.trust is not Trust.SYNCHRONISED:
            clock = gateway.clock  # the machine's, which goes on
        self.schedule.after(off_ms, lambda: self._boot(clock, off_ms))

    def _boot(self, clock: WallClock, off_ms: int | None) -> None:
        if self.disk.wrong:  # it cannot even be read: the machine tries again
            self.schedule.after(MINUTE_MS, lambda: self._boot(clock, off_ms))
            return
        self._boots += 1
        self._crashing = False
        self.booted_ms = self.schedule.now_ms
        self._doubt(clock)
        boot = f"boot{self._boots}"
        gateway = VirtualGateway(self.site, self.schedule, self.disk, boot, clock)
        gateway.heard += self.heard
        self.place.gateway = gateway
        away = None
        if clock.trust is not Trust.UNTRUSTED and off_ms is not None:
            woken_ms = self.schedule.now_ms + clock.error_at(self.schedule.now_ms)
            away = max(0, woken_ms - self._last_trusted_ms)
        found = tuple(ref for ref, presses in self._latched.items() if presses)
        self._latched = Counter(found)

        def durable() -> None:
            self._latched.subtract(found)

        gateway.start(self.place.links, Started("world", found, away_ms=away), durable)
        self.place.links.begin(gateway)

    def keep_time(self) -> None:
        """What is the time is on the disk, if anybody trusts it and anything can be kept."""
        gateway = self.place.gateway
        if gateway is None or self.disk.wrong or self.disk.full:
            return
        if gateway.clock.trust is not Trust.UNTRUSTED:
            self._last_trusted_ms = gateway.now().wall_ms

    def learn_time(self) -> None:
        """A trusted source tells the time again."""
        gateway = self.place.gateway
        if gateway is None or self._crashing:
            self.schedule.after(5 * MINUTE_MS, self.learn_time)
        elif gateway.clock.trust is not Trust.SYNCHRONISED or gateway.clock.error_ms:
            self.set_clock(WallClock())

    def hold_over(self, fast_ppm: int) -> None:
        """No source tells the time any more; the machine's own goes on, at its rate.

        Nothing steps and nothing is trusted less, so that the gateway is told nothing.
        """
        gateway = self.place.gateway
        assert gateway is not None
        clock, now_ms = gateway.clock, self.schedule.now_ms
        clock.error_ms, clock.since_ms = clock.error_at(now_ms), now_ms
        clock.fast_ppm, clock.trust = fast_ppm, Trust.HOLDOVER

    def set_clock(self, to: WallClock) -> None:
        """The clock of the gateway that runs is stepped, by a trusted source or by somebody."""
        gateway = self.place.gateway
        assert gateway is not None
        clock = gateway.clock
        step_ms = to.error_ms - clock.error_at(self.schedule.now_ms)
        trusted = clock.trust is not Trust.UNTRUSTED
        self.keep_time()
        clock.error_ms, clock.trust, clock.fast_ppm = to.error_ms, to.trust, 0
        clock.timeline += step_ms < 0 and to.trust is not Trust.UNTRUSTED
        self._doubt(to)
        gateway.clock_changed(ClockChanged(step_ms, "world", trusted))

    def _doubt(self, clock: WallClock) -> None:
        """A bucket that was closed by a clock that erred may be closed again."""
        erred = abs(clock.error_ms) > SECOND_MS or clock.trust is Trust.UNTRUSTED
        self.clock_erred = self.clock_erred or erred

    def _latch(self, ref: PointRef) -> Callable[[], None]:
        self._latched[ref] += 1
        self.auditor.cries.press_arrived(ref)
        return lambda: self._latched.subtract([ref])

    def _heard(self, event: Event, decision: Decision, now: Now) -> None:
        self.events += 1
        line = f"{now.wall_ms} {now.mono_ms} {_short(event)}"
        self._trace.update(line.encode())
        self.last.append(line)
        self.auditor.currents.stepped(event)
        if decision.records:
            self.auditor.decided(decision.records, now)
            for record in decision.records:
                if record.fact in (Fact.CALL_RAISED, Fact.CALL_RAISED_AGAIN):
                    self._desk_hears(record.data["call"])

    # --- the desk -----------------------------------------------------------------------------

    def _desk_hears(self, call: str) -> None:
        """Somebody acknowledges, goes there, turns the key and clears: sooner or later."""
        assert self.place.gateway is not None
        found = self.place.gateway.state.get(Call, call)
        assert found is not None
        answers_ms = self._desk.randint(20 * SECOND_MS, 12 * MINUTE_MS)
        arrives_ms = answers_ms + self._desk.randint(MINUTE_MS, 15 * MINUTE_MS)
        self.schedule.after(answers_ms, partial(self._say, CallAcknowledged(call, DESK)))
        self.schedule.after(arrives_ms, partial(self._say, CallAttended(call, DESK, "Rolf")))
        self.schedule.after(arrives_ms + MINUTE_MS, partial(self.place.turn_key, found.call_point))
        self.schedule.after(arrives_ms + 2 * MINUTE_MS, partial(self._clear, call))

    def _say(self, event: Event) -> None:
        if self.place.gateway is not None:
            self.place.gateway.tell(event)

    def _clear(self, call: str) -> None:
        """Until it is cleared: the gateway may be away just then."""
        gateway = self.place.gateway
        found = gateway.state.get(Call, call) if gateway is not None else None
        if gateway is not None and (found is None or not found.open):
            return
        self._say(CallCleared(call, DESK, CallOutcome.GENUINE))
        self.schedule.after(5 * MINUTE_MS, partial(self._clear, call))

    # --- what excuses -------------------------------------------------------------------------

    def hidden(self, devices: Collection[str], within_ms: int) -> bool:
        """The gateway has not seen all that these devices did of late, or was not there."""
        since_ms = self.schedule.now_ms - within_ms
        return self.booted_ms > since_ms or any(
            not trouble.devices.isdisjoint(devices) for trouble in self.troubles.since(since_ms)
        )

    def stuck(self, place: str) -> bool:
        """What watches a place may not tell the truth."""
        return any(
            device.place == place and not self.place.links.reaches(device.id)
            for device in self.site.equipment.devices.values()
        ) or bool(self.place.town.stuck)


def _pin(text: str) -> Presented:
    return Presented(CredentialKind.PIN, Secret(f"pin:{text}"))


def _short(event: Event) -> str:
    match event:
        case DeadlineReached():
            return f"{event.kind} {event.id} is due"
        case PointEdge():
            return f"{event.ref} {event.value}"
        case _:
            return type(event).__name__
