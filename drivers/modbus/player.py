"""Patterns of leases, played with the device's own timed pulses: dark when nobody plays. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.points import Lease, PointRef

OFF = "off"


@dataclass(frozen=True, slots=True)
class Beat:
    """One pattern: a timed pulse of `pulse_ms`, given again every `every_ms`."""

    pulse_ms: int
    every_ms: int


PATTERNS: Mapping[str, Beat] = {
    "on": Beat(5_000, 2_000),
    "flash": Beat(500, 1_000),
    "test": Beat(2_500, 10_000),  # at most 3 s of siren (RULES E7)
}


@dataclass(slots=True)
class _Played:
    lease: Lease
    due_ms: int


class Player:
    """What is played at each point, and when its next pulse is due."""

    def __init__(self) -> None:
        self._played: dict[PointRef, _Played] = {}

    def play(self, lease: Lease, now_ms: int) -> bool:
        """Take a lease; True when the device must be written at once, not only renewed."""
        played = self._played.get(lease.ref)
        if lease.value == OFF:
            self._played.pop(lease.ref, None)
            return True
        if played is not None and played.lease.value == lease.value:
            played.lease = lease
            return False
        self._played[lease.ref] = _Played(lease, now_ms + PATTERNS[str(lease.value)].every_ms)
        return True

    def due(self, now_ms: int) -> list[Lease]:
        """Pulses to give now; what was not renewed in time is played no more."""
        found = []
        for ref, played in list(self._played.items()):
            if played.lease.until_mono_ms <= now_ms:
                del self._played[ref]
            elif played.due_ms <= now_ms:
                played.due_ms = now_ms + PATTERNS[str(played.lease.value)].every_ms
                found.append(played.lease)
        return found

    def due_ms(self) -> int | None:
        """When the next pulse is due."""
        return min((played.due_ms for played in self._played.values()), default=None)

    def failed(self, lease: Lease) -> None:
        """The first pulse was not taken: the next renewal tries again."""
        self._played.pop(lease.ref, None)
