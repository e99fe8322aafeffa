"""Make devices what they should be, and believe only what they report (DESIGN §2.1, RULES A4).

Rules, sans-I/O:
- A *level* is written until its reading agrees; never before the device's first reading or 15 s
  after the start, unless it secures; not reached in its time, it is missed.
- A *lease* is renewed while it is wanted; `off` is written once and then lets itself run out.
- A *pulse* is written once for its token. Only the device's own refusal, within 2 s of the
  decision, earns one more try. Confirmed by another point; an outcome that stays unknown is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gateway.domain.events import Event, PulseEnd, PulseSettled, SetpointMissed, SetpointReached
from gateway.domain.now import Now
from gateway.domain.points import (
    Lease,
    Level,
    PointRef,
    Pulse,
    Reading,
    ReadingsView,
    Setpoint,
    WriteOutcome,
    WriteResult,
)
from gateway.domain.profile import SetpointSpec

FIRST_WRITE_MS = 15_000
LEASE_MS = 6_000
RENEW_MS = 2_000
RETRY_MS = (500, 1_000, 2_000, 5_000, 10_000, 30_000)
REFUSED_RETRY_WITHIN_MS = 2_000
SPENT_KEPT = 4_096


@dataclass(slots=True)
class _Driven:
    """What is under way at one point."""

    setpoint: Setpoint
    since_ms: int
    writing: bool = False
    tries: int = 0
    next_ms: int = 0
    missed: bool = False
    sent_ms: int = -1
    last: WriteOutcome | None = None


class Reconciler:
    """The difference between what is wanted and what is read, as writes that are due."""

    def __init__(self, spec_of: Callable[[PointRef], SetpointSpec | None], start_ms: int) -> None:
        self._spec_of = spec_of
        self._start_ms = start_ms
        self._driven: dict[PointRef, _Driven] = {}
        self._pulses: dict[str, _Driven] = {}  # sent, waiting for another point to show it
        self._spent: dict[str, None] = {}  # tokens, oldest first
        self._played: dict[PointRef, object] = {}  # what a lease last played
        self._dirty = True

    def want(self, wanted: Mapping[PointRef, Setpoint | None], now: Now) -> None:
        """These points should be so from now on; None asks nothing of a point."""
        for ref, setpoint in wanted.items():
            driven = self._driven.get(ref)
            if setpoint is None:
                self._driven.pop(ref, None)
            elif driven is None or not _same(driven.setpoint, setpoint):
                missed = driven is not None and driven.missed
                self._driven[ref] = _Driven(setpoint, now.mono_ms, missed=missed)
            else:
                driven.setpoint = setpoint
        self._dirty = True

    def desired(self) -> list[Setpoint]:
        """What every driven point should be."""
        return [driven.setpoint for driven in self._driven.values()]

    def due(self, readings: ReadingsView, now: Now) -> list[Setpoint]:
        """The writes to make now, the securing ones first. Each is answered by `result`."""
        writes = [
            write
            for ref, driven in self._driven.items()
            if not driven.writing and (write := self._due(ref, driven, readings, now)) is not None
        ]
        return sorted(writes, key=lambda setpoint: not setpoint.secures)

    def next_due_ms(self, now: Now) -> int:
        """When `due` is worth asking again if nothing else happens (monotonic)."""
        times = [d.next_ms for d in self._driven.values() if not d.writing and d.next_ms]
        return max(min(times, default=now.mono_ms + RENEW_MS), now.mono_ms + 20)

    def result(self, setpoint: Setpoint, outcome: WriteOutcome, now: Now) -> list[Event]:
        """A write ended; what that means."""
        driven = self._driven.get(setpoint.ref)
        if isinstance(setpoint, Pulse):
            return self._pulse_result(setpoint, driven, outcome, now)
        if driven is None or not _same(driven.setpoint, setpoint):
            return []
        driven.writing = False
        driven.last = outcome
        if isinstance(setpoint, Lease):
            return self._lease_result(driven, setpoint, outcome, now)
        driven.next_ms = now.mono_ms + RETRY_MS[min(driven.tries, len(RETRY_MS) - 1)]
        driven.tries += 1
        return []

    def check(self, readings: ReadingsView, now: Now) -> list[Event]:
        """What readings and time say of the points under way: settled, missed or reached."""
        events: list[Event] = []
        for token, driven in list(self._pulses.items()):
            end = self._pulse_end(driven, readings, now)
            if end is not None:
                del self._pulses[token]
                detail = driven.last.detail if driven.last else ""
                events.append(PulseSettled(driven.setpoint.ref, token, end, detail))
        for driven in self._driven.values():
            if isinstance(driven.setpoint, Level):
                events += self._check_level(driven, driven.setpoint, readings, now)
        return events

    # --- each kind ----------------------------------------------------------------------------

    def _due(
        self, ref: PointRef, driven: _Driven, readings: ReadingsView, now: Now
    ) -> Setpoint | None:
        match driven.setpoint:
            case Level() as level:
                return self._due_level(driven, level, readings.latest(ref), now)
            case Lease() as lease:
                return self._due_lease(driven, lease, now)
            case Pulse() as pulse:
                return self._due_pulse(driven, pulse, now)

    def _due_level(
        self, driven: _Driven, level: Level, reading: Reading, now: Now
    ) -> Setpoint | None:
        if reading.good and reading.value == level.value:
            driven.next_ms = 0
            return None
        unseen = reading.value is None and now.mono_ms - self._start_ms < FIRST_WRITE_MS
        urgent = level.secures and level.reason.code in ("fire_release", "call_release")
        if unseen and not urgent:
            driven.next_ms = self._start_ms + FIRST_WRITE_MS
            return None
        if now.mono_ms < driven.next_ms:
            return None
        driven.writing = True
        return level

    def _due_lease(self, driven: _Driven, lease: Lease, now: Now) -> Setpoint | None:
        if lease.value == "off" and self._played.get(lease.ref, "off") == "off":
            driven.next_ms = 0
            return None
        if now.mono_ms < driven.next_ms:
            return None
        driven.writing = True
        return replace(lease, until_mono_ms=now.mono_ms + LEASE_MS)

    def _due_pulse(self, driven: _Driven, pulse: Pulse, now: Now) -> Setpoint | None:
        if pulse.token in self._spent or pulse.boot != now.boot:
            return None
        if now.mono_ms >= pulse.until_mono_ms or now.mono_ms < driven.next_ms:
            return None
        self._spend(pulse.token)
        driven.writing = True
        return pulse

    def _spend(self, token: str) -> None:
        self._spent[token] = None
        while len(self._spent) > SPENT_KEPT:
            del self._spent[next(iter(self._spent))]

    def _lease_result(
        self, driven: _Driven, lease: Lease, outcome: WriteOutcome, now: Now
    ) -> list[Event]:
        if outcome.result is WriteResult.SENT:
            self._played[lease.ref] = lease.value
            driven.tries = 0
            driven.next_ms = now.mono_ms + RENEW_MS
            if driven.missed:
                driven.missed = False
                return [SetpointReached(lease.ref)]
            return []
        driven.tries += 1
        driven.next_ms = now.mono_ms + RETRY_MS[0]
        settles_ms = self._settles_ms(lease.ref)
        if driven.missed or now.mono_ms - driven.since_ms < settles_ms:
            return []
        driven.missed = True
        return [SetpointMissed(lease.ref, lease.value, None, outcome.result, outcome.detail)]

    def _pulse_result(
        self, pulse: Pulse, driven: _Driven | None, outcome: WriteOutcome, now: Now
    ) -> list[Event]:
        current = driven if driven is not None and driven.setpoint == pulse else None
        if current is not None:
            current.writing = False
            current.tries += 1
        if outcome.result is WriteResult.REFUSED:
            started = current.since_ms if current else 0
            if current and current.tries < 2 and self._may_repeat(pulse, started, now):
                del self._spent[pulse.token]
                current.next_ms = now.mono_ms + 100
                return []
            return [PulseSettled(pulse.ref, pulse.token, PulseEnd.REFUSED, outcome.detail)]
        sent = _Driven(pulse, now.mono_ms, sent_ms=now.mono_ms, last=outcome)
        self._pulses[pulse.token] = sent
        return []

    def _may_repeat(self, pulse: Pulse, decided_ms: int, now: Now) -> bool:
        in_time = now.mono_ms - decided_ms < REFUSED_RETRY_WITHIN_MS
        return in_time and now.mono_ms < pulse.until_mono_ms

    def _pulse_end(self, sent: _Driven, readings: ReadingsView, now: Now) -> PulseEnd | None:
        pulse = sent.setpoint
        assert isinstance(pulse, Pulse)
        for ref, value in pulse.confirms:
            reading = readings.latest(ref)
            if reading.good and reading.value == value and reading.mono_ms >= sent.since_ms - 500:
                return PulseEnd.CONFIRMED
        settles_ms = max(pulse.length_ms, self._settles_ms(pulse.ref))
        if now.mono_ms - sent.sent_ms < settles_ms:
            return None
        assert sent.last is not None
        if sent.last.result is WriteResult.UNKNOWN:
            return PulseEnd.UNKNOWN
        # A contact only shows that somebody went through; a lock's own state must show the bolt.
        by_lock = any(isinstance(value, str) for _, value in pulse.confirms)
        return PulseEnd.UNCONFIRMED if by_lock else PulseEnd.SENT

    def _check_level(
        self, driven: _Driven, level: Level, readings: ReadingsView, now: Now
    ) -> list[Event]:
        reading = readings.latest(level.ref)
        if reading.good and reading.value == level.value:
            driven.tries = 0
            if driven.missed:
                driven.missed = False
                return [SetpointReached(level.ref)]
            driven.since_ms = now.mono_ms
            return []
        if driven.missed or driven.tries == 0:
            return []
        if now.mono_ms - driven.since_ms < self._settles_ms(level.ref):
            return []
        driven.missed = True
        result = driven.last.result if driven.last else None
        detail = driven.last.detail if driven.last else ""
        return [SetpointMissed(level.ref, level.value, reading.value, result, detail)]

    def _settles_ms(self, ref: PointRef) -> int:
        spec = self._spec_of(ref)
        return spec.settles_ms if spec else 5_000


def _same(one: Setpoint, other: Setpoint) -> bool:
    """The same demand; a lease's `until` and a sentence do not count."""
    if isinstance(one, Pulse) and isinstance(other, Pulse):
        return one.token == other.token
    if isinstance(one, Level | Lease) and isinstance(other, Level | Lease):
        return type(one) is type(other) and one.value == other.value
    return False
