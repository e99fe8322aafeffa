"""What leases play at points, as timed pulses of the device or values written again. Pure.

Rules:
- A pattern is played until its lease runs out. A pulse never reaches past the lease, so that all
  is dark when nobody renews it, and when the gateway stops.
- `on` is given again when half of it is over; `flash` is half a second in every second; `test` is
  one pulse, once, below the 3 s of RULES E7.
- A lease on a register is its value written again when half of its `length_ms` is over; when the
  lease runs out it is not, and the device's own failsafe acts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.domain.points import Lease, PointRef

OFF = "off"
PATTERNS = ("on", "flash", "test")
FLASH_MS, FLASH_EVERY_MS = 500, 1_000
TEST_MS = 2_500
ON_MS = 5_000
NEVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Beat:
    """What is written at each beat lasts `pulse_ms` (0: not timed); again every `every_ms`."""

    pulse_ms: int
    every_ms: int


def rewriting(length_ms: int) -> Beat:
    """How a value is kept alive in a device that forgets it after so long."""
    return Beat(0, length_ms // 2)


def pattern(value: object, length_ms: int | None) -> Beat | None:
    """How a pattern is played with pulses of at most `length_ms`; None if there is no such one."""
    longest_ms = length_ms or ON_MS
    match value:
        case "on":
            return Beat(longest_ms, longest_ms // 2)
        case "flash":
            return Beat(min(FLASH_MS, longest_ms), FLASH_EVERY_MS)
        case "test":
            return Beat(min(TEST_MS, longest_ms), NEVER_MS)
        case _:
            return None


class Played:
    """One lease that is being played."""

    __slots__ = ("beat", "due_ms", "lease")

    def __init__(self, lease: Lease, beat: Beat, due_ms: int) -> None:
        self.lease = lease
        self.beat = beat
        self.due_ms = due_ms

    def pulse_ms(self, now_ms: int) -> int:
        """How long the pulse given now may be."""
        return min(self.beat.pulse_ms, self.lease.until_mono_ms - now_ms)


class Player:
    """Everything that is played on one link."""

    def __init__(self) -> None:
        self._played: dict[PointRef, Played] = {}

    def renewed(self, lease: Lease) -> bool:
        """True when this value is playing already: its lease is longer now."""
        played = self._played.get(lease.ref)
        if played is None or played.lease.value != lease.value:
            return False
        played.lease = lease
        return True

    def start(self, lease: Lease, beat: Beat, now_ms: int) -> Played:
        """Play this from now on; its first beat is given by the caller."""
        played = self._played[lease.ref] = Played(lease, beat, now_ms + beat.every_ms)
        return played

    def stop(self, ref: PointRef) -> None:
        """Play nothing there."""
        self._played.pop(ref, None)

    def plays(self, device: str) -> bool:
        """True while something is played on the device."""
        return any(ref.device == device for ref in self._played)

    def next(self, now_ms: int, parked: frozenset[str]) -> Played | None:
        """The beat to give now; what ran out is dropped, what is on a parked device waits."""
        for ref, played in list(self._played.items()):
            if played.lease.until_mono_ms <= now_ms:
                del self._played[ref]
            elif played.due_ms <= now_ms and ref.device not in parked:
                played.due_ms = now_ms + played.beat.every_ms
                return played
        return None

    def due_ms(self, parked: frozenset[str]) -> int | None:
        """When the next beat is due, or the next lease runs out."""
        return min(self._times(parked), default=None)

    def resume(self, device: str, now_ms: int) -> None:
        """The device is back: what it should be playing is due, save what is given only once."""
        for ref, played in self._played.items():
            if ref.device == device and played.beat.every_ms != NEVER_MS:
                played.due_ms = now_ms

    def __bool__(self) -> bool:
        return bool(self._played)

    def _times(self, parked: frozenset[str]) -> Iterator[int]:
        for ref, played in self._played.items():
            yield played.lease.until_mono_ms
            if ref.device not in parked:
                yield played.due_ms
