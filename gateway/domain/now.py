"""What time it is, as an argument: wall time with its trust, monotonic time, the boot."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class Trust(StrEnum):
    """How far the wall clock can be believed."""

    SYNCHRONISED = "synchronised"
    HOLDOVER = "holdover"  # synchronised once; the error bound has grown since, but is small
    UNTRUSTED = "untrusted"


_UNTRUSTED = Trust.UNTRUSTED  # as points._GOOD


class Basis(StrEnum):
    """What the trust in the wall clock rests on, or what took it away."""

    KERNEL = "kernel"  # it says that a time source sets the clock
    VOUCHED = "vouched"  # whoever runs the gateway says so
    HELD = "held"  # synchronised before, and nothing has moved it since
    HARDWARE = "hardware"  # over a power cut, by a hardware clock that agreed before
    NOBODY = "nobody"  # no source has vouched for it yet
    DISOWNED = "disowned"  # whoever runs the gateway says that it is not to be believed
    STEPPED = "stepped"  # somebody whom nobody trusts has set it
    WORN = "worn"  # held over for so long that it may be minutes off


@dataclass(frozen=True, slots=True)
class ClockStanding:
    """How far the wall clock is believed, why, and since when.

    `at_start`: it was so when the gateway started, which is what `since_ms` says then.
    `error_ms`: how far it can be off by now; None where nobody can tell. `synchronised_ms`: when a
    trusted source last set it.
    """

    trust: Trust
    basis: Basis
    since_ms: int
    at_start: bool
    error_ms: int | None
    synchronised_ms: int | None


class Now(NamedTuple):
    """One instant. Wall time is for bookings, monotonic time for durations and time-outs.

    `serial` numbers the decisions of a boot, so that every id is an argument as well.
    """

    wall_ms: int
    mono_ms: int
    trust: Trust
    boot: str
    serial: int = 0
    timeline: int = 0

    @property
    def trusted(self) -> bool:
        """True when wall time may end, expire or close something."""
        return self.trust is not _UNTRUSTED

    def new_id(self, kind: str) -> str:
        """An id no other decision of any boot has; at most one a kind and decision."""
        return f"{kind}-{self.boot}-{self.serial:x}"


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A duration that goes on over restarts: what is persisted plus what this boot has measured."""

    before_ms: int
    since_mono_ms: int
    boot: str

    @classmethod
    def started(cls, now: Now) -> "Elapsed":
        """A duration that begins now."""
        return cls(0, now.mono_ms, now.boot)

    def at(self, now: Now) -> int:
        """Milliseconds so far; time in which the gateway was off does not count."""
        if self.boot != now.boot:
            return self.before_ms
        return self.before_ms + max(0, now.mono_ms - self.since_mono_ms)

    def checkpoint(self, now: Now) -> "Elapsed":
        """The same duration, carried by this boot from now on."""
        return Elapsed(self.at(now), now.mono_ms, now.boot)
