"""What is remembered of the wall clock itself (DESIGN §6)."""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.now import DAY_MS, Now, Trust

LEAP_MS = DAY_MS
SETTLES_MS = 2 * DAY_MS


@dataclass(frozen=True, slots=True)
class Doubt:
    """A stretch of a boot whose time nobody vouched for: wall time was monotonic time plus this.

    `until_mono_ms`: where it ended; None while it lasts.
    """

    boot: str
    offset_ms: int
    until_mono_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """One for the gateway. `machine` is the boot of the machine in which the doubts were.

    `leapt_ms`: to where the clock last leapt ahead, by more than a day.
    """

    kind: ClassVar[str] = "clock"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str = "clock"
    machine: str = ""
    doubts: tuple[Doubt, ...] = ()
    leapt_ms: int | None = None

    def kept_until_ms(self, now: Now, until_ms: int) -> int:
        """How long something is kept that may go at `until_ms`: not soon after a leap ahead."""
        if self.leapt_ms is None or now.wall_ms < self.leapt_ms:
            return until_ms
        return max(until_ms, self.leapt_ms + SETTLES_MS)

    def settled(self, now: Now) -> Now:
        """The instant by which things may go by their age: untrusted soon after a leap ahead."""
        soon = self.kept_until_ms(now, now.wall_ms) > now.wall_ms
        return now._replace(trust=Trust.UNTRUSTED) if soon else now
