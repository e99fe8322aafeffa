"""What the wall clock did, and what follows for all that was stamped or ended by it (DESIGN §6).

- What was stamped on an untrusted clock is corrected once the offset is known: one record for each
  stretch of such time, also those of an earlier process in the same boot of the machine. Of an
  earlier boot nobody can know.
- A clock that leapt ahead by more than a day makes nothing be forgotten for two: when a time
  source errs by years, what it ended is still needed once the source is put right.
- A trusted step back lets stand again what ended, or was given up, at a time that is yet to come.
"""

from collections.abc import Iterable
from dataclasses import replace

from gateway.core import grace, overlaps
from gateway.core.draft import Draft
from gateway.core.faults import set_fault
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.clock import LEAP_MS, ClockStatus, Doubt
from gateway.domain.events import ClockChanged, Started
from gateway.domain.now import Now
from gateway.domain.reasons import reason
from gateway.domain.records import Fact

DOUBTS_MAX = 32


def started(draft: Draft, event: Started) -> None:
    """The gateway started: whether its clock is trusted, and what an earlier process left open."""
    status = _status(draft)
    same = bool(event.machine) and event.machine == status.machine
    leapt = event.away_ms is not None and event.away_ms > LEAP_MS
    draft.put(
        replace(
            status,
            machine=event.machine,
            doubts=status.doubts if same else (),
            leapt_ms=draft.now.wall_ms if leapt else status.leapt_ms,
        )
    )
    _judge(draft)


def changed(draft: Draft, event: ClockChanged) -> None:
    """The wall clock was stepped, or its trust changed."""
    now = draft.now
    draft.record(
        Fact.CLOCK_CHANGED, step_ms=event.step_ms, source=event.source, trust=now.trust.value
    )
    if now.trusted and event.step_ms > LEAP_MS:
        draft.put(replace(_status(draft), leapt_ms=now.wall_ms))
    _judge(draft)
    grace.nothing_seen(draft)
    if now.trusted and event.step_ms < 0:
        _stand_again(draft)


def kept_until_ms(draft: Draft, until_ms: int) -> int:
    """How long something is kept that may go at `until_ms`, by a clock that may have leapt."""
    return _status(draft).kept_until_ms(draft.now, until_ms)


def _judge(draft: Draft) -> None:
    """A fault while it is untrusted; corrections once it is trusted."""
    now, status = draft.now, _status(draft)
    set_fault(draft, "clock", reason("clock_lost"), not now.trusted)
    doubts = tuple(_ended(status.doubts, now))
    if now.trusted:
        for doubt in doubts:
            draft.record(
                Fact.CLOCK_CORRECTED,
                boot=doubt.boot,
                before_mono_ms=doubt.until_mono_ms,
                add_ms=_offset_ms(now) - doubt.offset_ms,
            )
        doubts = ()
    else:
        doubts = _doubted(doubts, Doubt(now.boot, _offset_ms(now)))
    draft.put(replace(status, doubts=doubts))


def _doubted(doubts: tuple[Doubt, ...], fresh: Doubt) -> tuple[Doubt, ...]:
    """With the stretch that begins now, or goes on: the latest few."""
    same = bool(doubts) and replace(doubts[-1], until_mono_ms=None) == fresh
    return (*(doubts[:-1] if same else doubts), fresh)[-DOUBTS_MAX:]


def _ended(doubts: Iterable[Doubt], now: Now) -> Iterable[Doubt]:
    """The one that lasted has ended here: monotonic time is one for a boot of the machine."""
    for doubt in doubts:
        lasts = doubt.until_mono_ms is None
        yield replace(doubt, until_mono_ms=now.mono_ms) if lasts else doubt


def _stand_again(draft: Draft) -> None:
    wall_ms = draft.now.wall_ms
    grace_ms = draft.site.settings.booking.no_show_grace_ms
    touched: set[str] = set()
    for booking in draft.all(Booking):
        terms = booking.terms
        ended = booking.status is BookingStatus.ENDED and wall_ms < terms.end_ms
        given_up = booking.status is BookingStatus.NO_SHOW and wall_ms < terms.start_ms + grace_ms
        if ended or given_up:
            again = replace(booking, status=overlaps.standing(booking), warned=False)
            draft.put(grace.began(draft, again))
            draft.record(Fact.BOOKING_RESTORED, booking=booking.id, facility=booking.facility)
            touched.add(booking.facility)
    for facility in sorted(touched):
        overlaps.resolve(draft, facility)


def _offset_ms(now: Now) -> int:
    return now.wall_ms - now.mono_ms


def _status(draft: Draft) -> ClockStatus:
    return draft.get(ClockStatus, "clock") or ClockStatus()
