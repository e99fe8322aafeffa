"""How far wall time can be believed (DESIGN §6). Pure: samples in, changes out.

Rules:
- Wall time is monotonic time plus an offset, and the offset changes only in `observe` and
  `remember`: so a step is seen by everybody at once, with its event, and never between two reads.
- Synchronised while the system says so. After that *holdover*: the error bound grows by 100 ppm,
  and time is trusted while it is under 5 minutes (five weeks). Holdover outlives a restart of the
  process, and one of the machine if a hardware clock that agreed with us then agrees now.
- Otherwise untrusted: time runs on freely from the best estimate, which is the system's, unless it
  is before the floor or more than 400 days after it; then it is the floor.
- The floor is the last trusted time. A later trusted source always outranks it, also backwards: a
  step back by a trusted source opens a new timeline.
- A step by nobody trusted ends holdover. It counts at its second sight, for time servers step
  first and say a moment later that they are synchronised.
- What trust rests on, and since when, is noted at each sample: that is what people are shown.
"""

from dataclasses import dataclass

from gateway.domain.events import ClockChanged
from gateway.domain.now import DAY_MS, MINUTE_MS, Basis, ClockStanding, Trust

STEP_MS = 500
TRUSTED_ERROR_MS = 5 * MINUTE_MS
_PLAUSIBLE_MS = 400 * DAY_MS
_DRIFT = 10_000  # 100 ppm: one ms in so many


@dataclass(frozen=True, slots=True)
class Sample:
    """The system's clocks at one instant. `rtc` says that a hardware clock shows the same time.

    `word`: whose it is that they are synchronised or not; of one that disowns them nothing is held.
    """

    mono_ms: int
    wall_ms: int
    synchronised: bool
    rtc: bool = False
    word: Basis = Basis.KERNEL


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives the process: the last trusted time, when in which boot of the machine it was,
    how wrong it could be, whether a hardware clock agreed, and the timeline.
    """

    floor_ms: int
    mono_ms: int
    machine_boot: str
    error_ms: int
    rtc: bool
    timeline: int


class Discipline:
    """The state of wall time, from the samples it is shown."""

    def __init__(self, first: Sample, machine_boot: str) -> None:
        self._machine_boot = machine_boot
        self._system_ms = first.wall_ms - first.mono_ms  # the system's own offset
        self._offset_ms = self._system_ms
        self._synchronised = False
        self._good_mono_ms: int | None = None  # when the error bound was `_error_ms`
        self._error_ms = 0
        self._stepped = False  # a step was seen once, and nobody vouched for it yet
        self._trusted = False  # as last told
        self._rtc = first.rtc
        self._floor_ms = 0
        self.timeline = 0
        self._lacks = Basis.NOBODY  # why it would not be trusted
        self._holds = Basis.HELD  # what holdover rests on
        self._stands: tuple[Trust, Basis, int, bool] | None = None  # with its monotonic time
        self._observe(first)
        self._note(first, at_start=True)

    def wall_ms(self, mono_ms: int) -> int:
        """Wall time at a monotonic instant."""
        return mono_ms + self._offset_ms

    def trust(self, mono_ms: int) -> Trust:
        """How far that can be believed."""
        if self._synchronised:
            return Trust.SYNCHRONISED
        held = self._good_mono_ms is not None and self.error_ms(mono_ms) < TRUSTED_ERROR_MS
        return Trust.HOLDOVER if held else Trust.UNTRUSTED

    def error_ms(self, mono_ms: int) -> int:
        """How wrong wall time can be since it was last synchronised."""
        return self._error_ms + max(0, mono_ms - (self._good_mono_ms or 0)) // _DRIFT

    def standing(self, mono_ms: int) -> ClockStanding:
        """How far, why and since when it is believed, as noted at the last sample."""
        assert self._stands is not None
        trust, basis, since_ms, at_start = self._stands
        good_ms = self._good_mono_ms
        return ClockStanding(
            trust,
            basis,
            since_ms=self.wall_ms(since_ms),
            at_start=at_start,
            error_ms=None if good_ms is None else self.error_ms(mono_ms),
            synchronised_ms=(
                None if good_ms is None else self.wall_ms(good_ms) - self._error_ms * _DRIFT
            ),
        )

    def observe(self, sample: Sample) -> ClockChanged | None:
        """Take note of a sample; what changed by it, if anything that matters."""
        changed = self._observe(sample)
        self._note(sample, at_start=False)
        return changed

    def _observe(self, sample: Sample) -> ClockChanged | None:
        system_ms = sample.wall_ms - sample.mono_ms
        moved_ms = system_ms - self._system_ms
        self._synchronised = sample.synchronised
        self._rtc = sample.rtc
        offset_ms, source = self._offset_ms, "holdover"
        if sample.synchronised:
            offset_ms, source = system_ms, "synchronised"
            self._good_mono_ms, self._error_ms = sample.mono_ms, 0
            self._lacks, self._holds = Basis.WORN, Basis.HELD
        elif abs(moved_ms) <= STEP_MS:
            offset_ms += moved_ms
        elif not self._stepped:
            self._stepped = True
            return None
        else:
            offset_ms, source = self._plausible(system_ms, sample.mono_ms), "set by hand"
            self._good_mono_ms, self._lacks = None, Basis.STEPPED
        self._stepped = False
        self._system_ms = system_ms
        return self._settle(offset_ms, source, sample.mono_ms)

    def remember(self, kept: Kept, now: Sample) -> ClockChanged | None:
        """Take up what an earlier process kept; what changed by it, if anything that matters."""
        changed = self._remember(kept, now)
        self._note(now, at_start=True)
        return changed

    def _remember(self, kept: Kept, now: Sample) -> ClockChanged | None:
        self.timeline = max(self.timeline, kept.timeline)
        if self._floor_ms and self._floor_ms < kept.floor_ms - STEP_MS:
            self.timeline += 1  # trusted already, and earlier than what was trusted before
        self._floor_ms = self._floor_ms or kept.floor_ms
        if self._trusted:
            return None
        if self._still_good(kept, now):
            away_ms = now.wall_ms - kept.floor_ms
            self._good_mono_ms = now.mono_ms
            self._error_ms = kept.error_ms + away_ms // _DRIFT
            same_boot = kept.machine_boot == self._machine_boot
            self._lacks, self._holds = Basis.WORN, Basis.HELD if same_boot else Basis.HARDWARE
            return self._settle(self._system_ms, "kept", now.mono_ms)
        return self._settle(self._plausible(self._system_ms, now.mono_ms), "kept", now.mono_ms)

    def kept(self, mono_ms: int) -> Kept | None:
        """What to keep; None while there is nothing trusted that is worth it."""
        if not self._trusted:
            return None
        error_ms = self.error_ms(mono_ms)
        boot, wall_ms = self._machine_boot, self.wall_ms(mono_ms)
        return Kept(wall_ms, mono_ms, boot, error_ms, self._rtc, self.timeline)

    def _note(self, sample: Sample, *, at_start: bool) -> None:
        trust = self.trust(sample.mono_ms)
        match trust:
            case Trust.SYNCHRONISED:
                basis = sample.word
            case Trust.HOLDOVER:
                basis = self._holds
            case Trust.UNTRUSTED:
                disowned = sample.word is Basis.DISOWNED
                basis = Basis.DISOWNED if disowned else self._lacks
        if self._stands is None or self._stands[:2] != (trust, basis):
            self._stands = (trust, basis, sample.mono_ms, at_start)

    def _still_good(self, kept: Kept, now: Sample) -> bool:
        """Nothing has happened to the system's time since, as far as can be told."""
        if now.wall_ms < kept.floor_ms or now.word is Basis.DISOWNED:
            return False
        if kept.machine_boot == self._machine_boot:
            return abs((kept.floor_ms - kept.mono_ms) - self._system_ms) <= STEP_MS
        return kept.rtc and now.rtc

    def _plausible(self, offset_ms: int, mono_ms: int) -> int:
        """The offset that gives the best estimate without trust."""
        wall_ms = mono_ms + offset_ms
        if not self._floor_ms or 0 <= wall_ms - self._floor_ms <= _PLAUSIBLE_MS:
            return offset_ms
        return self._floor_ms - mono_ms

    def _settle(self, offset_ms: int, source: str, mono_ms: int) -> ClockChanged | None:
        step_ms = offset_ms - self._offset_ms
        before = self._trusted
        self._offset_ms = offset_ms
        self._trusted = self.trust(mono_ms) is not Trust.UNTRUSTED
        if self._trusted:
            wall_ms = self.wall_ms(mono_ms)
            if step_ms < -STEP_MS or wall_ms < self._floor_ms - STEP_MS:
                self.timeline += 1
            self._floor_ms = wall_ms
        if abs(step_ms) <= STEP_MS and before == self._trusted:
            return None
        return ClockChanged(step_ms if abs(step_ms) > STEP_MS else 0, source, before)
