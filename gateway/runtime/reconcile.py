"""Make devices what they should be, and believe only what they report (DESIGN §2.1, RULES A4).

Rules, sans-I/O:
- A *level* is written until its reading agrees, ever more seldom, and at once when its device is
  heard again; never before the device's first reading or 15 s after the start, unless a fire, a
  hazard or a call asks for it; not reached in its time, it is missed.
- A *lease* is renewed while it is wanted. A pattern that is not taken is missed once the last
  renewal that was taken has run out: on a bad wire a siren sounds on. Its `off` is written until it
  is taken, or until the last renewal has run out by itself. Any other value is proved by its
  reading, as a level is, and renewed also at its safest: a charger that hears nothing more takes
  what it likes (C6).
- A *pulse* is written once for its token. Only the device's own refusal, within 2 s of the
  decision, earns one more try. Confirmed by another point; an outcome that stays unknown is told,
  and so is a pulse whose time was over before it could be written.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.domain.events import Event, PulseEnd, PulseSettled, SetpointMissed, SetpointReached
from gateway.domain.faults import Fault
from gateway.domain.now import MINUTE_MS, Now
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
LEASE_RETRY_MS = (500, 1_000, 2_000)  # a siren or a lamp waits no longer for its device
REFUSED_RETRY_WITHIN_MS = 2_000
REFUSED_PAUSE_MS = 100
SOONEST_MS = 20
SPENT_KEPT_MS = MINUTE_MS  # beyond its time, when nobody wants it any more
NOT_AS_SET = "not_as_set"
AT_ONCE = frozenset({"fire_release", "call_release", "hazard"})  # waits for no first reading


@dataclass(slots=True)
class _Driven:
    """What is under way at one point."""

    setpoint: Setpoint
    since_ms: int
    writing: bool = False
    tries: int = 0
    next_ms: int = 0
    missed: bool = False
    unheard: bool = False  # no good reading when it was last looked at
    lasts_ms: int = 0  # until when the last renewal that was taken plays
    last: WriteOutcome | None = None


@dataclass(frozen=True, slots=True)
class _Sent:
    """A pulse that was written, waiting for another point to show it."""

    pulse: Pulse
    wrote_ms: int
    answered_ms: int
    outcome: WriteOutcome


class _Spent(NamedTuple):
    """When a pulse was written, or too late, and until when it might have been."""

    wrote_ms: int
    until_ms: int


class Reconciler:
    """The difference between what is wanted and what is read, as writes that are due."""

    def __init__(self, spec_of: Callable[[PointRef], SetpointSpec | None], start_ms: int) -> None:
        self._spec_of = spec_of
        self._start_ms = start_ms
        self._driven: dict[PointRef, _Driven] = {}
        self._sent: dict[str, _Sent] = {}
        self._spent: dict[str, _Spent] = {}  # by token, oldest first
        self._playing_until_ms: dict[PointRef, int] = {}  # leases, at the latest
        self._wrote_ms: dict[PointRef, int] = {}  # levels, to spare non-volatile registers
        self._late: list[Pulse] = []
        self._missed_before: set[PointRef] = set()

    def recall(self, faults: Iterable[Fault]) -> None:
        """What an earlier process could not reach is told as reached once it is so."""
        missed = (fault.about for fault in faults if fault.reason.code == NOT_AS_SET)
        self._missed_before = {PointRef.parse(about) for about in missed}

    def want(self, wanted: Mapping[PointRef, Setpoint | None], now: Now) -> None:
        """These points should be so from now on; None asks nothing of a point."""
        for ref, setpoint in wanted.items():
            driven = self._driven.get(ref)
            if driven is not None and isinstance(driven.setpoint, Pulse):
                self._note_late(driven.setpoint, now)
            if setpoint is None:
                self._driven.pop(ref, None)
            elif driven is None or not _same(driven.setpoint, setpoint):
                missed = driven.missed if driven is not None else ref in self._missed_before
                self._driven[ref] = _Driven(setpoint, now.mono_ms, missed=missed)
            else:
                driven.setpoint = setpoint

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
        return max(min(times, default=now.mono_ms + RENEW_MS), now.mono_ms + SOONEST_MS)

    def at_rest(self, readings: ReadingsView, now: Now) -> bool:
        """Nothing is under way but renewals: what is driven is as read, pulses are settled."""
        return not self._sent and all(
            self._rests(ref, driven, readings, now) for ref, driven in self._driven.items()
        )

    def _rests(self, ref: PointRef, driven: _Driven, readings: ReadingsView, now: Now) -> bool:
        if driven.missed:
            return False
        match driven.setpoint:
            case Pulse() as pulse:
                return pulse.token in self._spent and not driven.writing
            case Lease(plays=True) as lease:
                taken = driven.last is not None and driven.last.result is WriteResult.SENT
                return taken or (lease.value == "off" and not self._plays(ref, now))
            case wanted:
                reading = readings.latest(ref)
                return reading.good and reading.value == wanted.value

    def result(self, setpoint: Setpoint, outcome: WriteOutcome, now: Now) -> list[Event]:
        """A write ended; what that means."""
        driven = self._driven.get(setpoint.ref)
        current = driven if driven is not None and _same(driven.setpoint, setpoint) else None
        if current is not None:
            current.writing = False
            current.last = outcome
        if isinstance(setpoint, Pulse):
            return self._pulse_result(setpoint, current, outcome, now)
        if current is None:
            return []
        if isinstance(setpoint, Lease):
            return self._lease_result(current, setpoint, outcome, now)
        current.next_ms = now.mono_ms + self._level_retry_ms(setpoint, current.tries)
        current.tries += 1
        return []

    def check(self, readings: ReadingsView, now: Now) -> list[Event]:
        """What readings and time say of the points under way: settled, missed or reached."""
        events: list[Event] = []
        for token, sent in list(self._sent.items()):
            end = self._pulse_end(sent, readings, now)
            if end is not None:
                del self._sent[token]
                events.append(PulseSettled(sent.pulse.ref, token, end, sent.outcome.detail))
        for driven in list(self._driven.values()):
            match driven.setpoint:
                case Lease(plays=True) as lease:
                    events += self._check_pattern(driven, lease, now)
                case Level() | Lease() as wanted:
                    events += self._check_value(driven, wanted, readings, now)
                case Pulse() as pulse:
                    self._note_late(pulse, now)
        late, self._late = self._late, []
        why = "its time was over before it could be written"
        return events + [PulseSettled(p.ref, p.token, PulseEnd.REFUSED, why) for p in late]

    def _due(
        self, ref: PointRef, driven: _Driven, readings: ReadingsView, now: Now
    ) -> Setpoint | None:
        match driven.setpoint:
            case Level() as level:
                return self._due_level(driven, level, readings.latest(ref), now)
            case Lease() as lease:
                return self._due_lease(driven, lease, readings.latest(ref), now)
            case Pulse() as pulse:
                return self._due_pulse(driven, pulse, now)

    # --- levels -------------------------------------------------------------------------------

    def _due_level(
        self, driven: _Driven, level: Level, reading: Reading, now: Now
    ) -> Setpoint | None:
        if reading.good and reading.value == level.value:
            driven.next_ms = 0
            return None
        if driven.unheard and reading.good:
            driven.tries = driven.next_ms = 0
        driven.unheard = not reading.good
        if self._unseen(driven, reading, now):
            return None
        wrote_ms = self._wrote_ms.get(level.ref)
        if wrote_ms is not None:
            driven.next_ms = max(driven.next_ms, wrote_ms + self._spares_ms(level))
        if now.mono_ms < driven.next_ms:
            return None
        driven.writing = True
        self._wrote_ms[level.ref] = now.mono_ms
        return level

    def _unseen(self, driven: _Driven, reading: Reading, now: Now) -> bool:
        """Nothing of the point was read yet, and it waits for that."""
        first_ms = self._start_ms + FIRST_WRITE_MS
        waits = reading.value is None and now.mono_ms < first_ms
        if waits and driven.setpoint.reason.code not in AT_ONCE:
            driven.next_ms = first_ms
            return True
        if driven.next_ms == first_ms:
            driven.next_ms = 0
        return False

    def _spares_ms(self, level: Level) -> int:
        """How long a register that wears out is left alone after a write; safety wears it."""
        spec = self._spec_of(level.ref)
        return 0 if spec is None or level.secures else int(spec.write_every_min * MINUTE_MS)

    def _level_retry_ms(self, level: Level, tries: int) -> int:
        return max(RETRY_MS[min(tries, len(RETRY_MS) - 1)], self._spares_ms(level))

    def _check_value(
        self, driven: _Driven, wanted: Level | Lease, readings: ReadingsView, now: Now
    ) -> list[Event]:
        reading = readings.latest(wanted.ref)
        if reading.good and reading.value == wanted.value:
            driven.tries = 0
            driven.since_ms = now.mono_ms
            was_missed, driven.missed = driven.missed, False
            return [SetpointReached(wanted.ref)] if was_missed else []
        if driven.missed or driven.tries == 0:
            return []
        if now.mono_ms - driven.since_ms < self._settles_ms(wanted.ref):
            return []
        driven.missed = True
        result = driven.last.result if driven.last else None
        detail = driven.last.detail if driven.last else ""
        return [SetpointMissed(wanted.ref, wanted.value, reading.value, result, detail)]

    # --- leases -------------------------------------------------------------------------------

    def _due_lease(
        self, driven: _Driven, lease: Lease, reading: Reading, now: Now
    ) -> Setpoint | None:
        if lease.value == "off" and not self._plays(lease.ref, now):
            driven.next_ms = 0
            return None
        if not lease.plays and self._unseen(driven, reading, now):
            return None
        if now.mono_ms < driven.next_ms:
            return None
        driven.writing = True
        until = now.mono_ms + LEASE_MS
        if lease.value != "off":
            # From now on it may play, whatever becomes of the write.
            self._playing_until_ms[lease.ref] = until
        return Lease(lease.ref, lease.value, lease.secures, lease.reason, until)

    def _lease_result(
        self, driven: _Driven, lease: Lease, outcome: WriteOutcome, now: Now
    ) -> list[Event]:
        if outcome.result is WriteResult.SENT:
            driven.next_ms = now.mono_ms + RENEW_MS
            if not lease.plays:
                driven.tries += 1
                return []
            if lease.value == "off":
                self._playing_until_ms.pop(lease.ref, None)
            driven.tries, driven.lasts_ms = 0, now.mono_ms + LEASE_MS
            was_missed, driven.missed = driven.missed, False
            return [SetpointReached(lease.ref)] if was_missed else []
        driven.next_ms = now.mono_ms + LEASE_RETRY_MS[min(driven.tries, len(LEASE_RETRY_MS) - 1)]
        driven.tries += 1
        settling = now.mono_ms - driven.since_ms < self._settles_ms(lease.ref)
        lasts = now.mono_ms < driven.lasts_ms
        if driven.missed or settling or lasts or not lease.plays:
            return []
        driven.missed = True
        return [SetpointMissed(lease.ref, lease.value, None, outcome.result, outcome.detail)]

    def _check_pattern(self, driven: _Driven, lease: Lease, now: Now) -> list[Event]:
        """What cannot be reached goes off by itself."""
        if lease.value != "off" or not driven.missed or self._plays(lease.ref, now):
            return []
        driven.missed = False
        return [SetpointReached(lease.ref)]

    def _plays(self, ref: PointRef, now: Now) -> bool:
        return now.mono_ms < self._playing_until_ms.get(ref, 0)

    # --- pulses -------------------------------------------------------------------------------

    def _due_pulse(self, driven: _Driven, pulse: Pulse, now: Now) -> Setpoint | None:
        if pulse.token in self._spent or pulse.boot != now.boot:
            return None
        if now.mono_ms >= pulse.until_mono_ms or now.mono_ms < driven.next_ms:
            return None
        if driven.tries and now.mono_ms >= _repeatable_until_ms(pulse):
            return None
        self._spend(pulse, now)
        driven.writing = True
        return pulse

    def _spend(self, pulse: Pulse, now: Now) -> None:
        """Its token is known for as long as it could be written, and a little more."""
        for token, spent in list(self._spent.items()):
            if now.mono_ms - spent.until_ms < SPENT_KEPT_MS:
                break
            del self._spent[token]
        self._spent[pulse.token] = _Spent(now.mono_ms, pulse.until_mono_ms)

    def _pulse_result(
        self, pulse: Pulse, driven: _Driven | None, outcome: WriteOutcome, now: Now
    ) -> list[Event]:
        spent = self._spent.get(pulse.token)
        wrote_ms = now.mono_ms if spent is None else spent.wrote_ms
        if outcome.result is not WriteResult.REFUSED:
            self._sent[pulse.token] = _Sent(pulse, wrote_ms, now.mono_ms, outcome)
            return []
        if driven is not None:
            driven.tries += 1
            again_ms = now.mono_ms + REFUSED_PAUSE_MS
            if driven.tries < 2 and again_ms < _repeatable_until_ms(pulse):
                self._spent.pop(pulse.token, None)
                driven.next_ms = again_ms
                return []
        return [PulseSettled(pulse.ref, pulse.token, PulseEnd.REFUSED, outcome.detail)]

    def _pulse_end(self, sent: _Sent, readings: ReadingsView, now: Now) -> PulseEnd | None:
        pulse = sent.pulse
        for ref, value in pulse.confirms:
            reading = readings.latest(ref)
            if reading.good and reading.value == value and _shows(reading, sent):
                return PulseEnd.CONFIRMED
        if now.mono_ms - sent.answered_ms < max(pulse.length_ms, self._settles_ms(pulse.ref)):
            return None
        if sent.outcome.result is WriteResult.UNKNOWN:
            return PulseEnd.UNKNOWN
        # A contact only shows that somebody went through; a lock's own state must show the bolt.
        by_lock = any(isinstance(value, str) for _, value in pulse.confirms)
        return PulseEnd.UNCONFIRMED if by_lock else PulseEnd.SENT

    def _note_late(self, pulse: Pulse, now: Now) -> None:
        late = now.mono_ms >= pulse.until_mono_ms and pulse.token not in self._spent
        if late and pulse.boot == now.boot:
            self._spend(pulse, now)
            self._late.append(pulse)

    def _settles_ms(self, ref: PointRef) -> int:
        spec = self._spec_of(ref)
        return spec.settles_ms if spec else 5_000


def _repeatable_until_ms(pulse: Pulse) -> int:
    """Once more, while the decision is young: a release's time ends a length after it."""
    decided_ms = pulse.until_mono_ms - pulse.length_ms
    return min(decided_ms + REFUSED_RETRY_WITHIN_MS, pulse.until_mono_ms)


def _shows(reading: Reading, sent: _Sent) -> bool:
    """What is reported after the write; a lock unlocked before stays so if the write was taken."""
    stays = isinstance(reading.value, str) and sent.outcome.result is WriteResult.SENT
    return stays or reading.mono_ms >= sent.wrote_ms


def _same(one: Setpoint, other: Setpoint) -> bool:
    """The same demand; a lease's `until` and a sentence do not count."""
    if isinstance(one, Pulse) and isinstance(other, Pulse):
        return one.token == other.token
    if isinstance(one, Level | Lease) and isinstance(other, Level | Lease):
        return type(one) is type(other) and one.value == other.value
    return False
