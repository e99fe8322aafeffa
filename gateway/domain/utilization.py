"""In which state each second of each facility was (RULES U2, U3)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.domain.now import MINUTE_MS

BUCKET_MS = 15 * MINUTE_MS
CLOSES_AFTER_MS = 10 * MINUTE_MS


class UtilizationState(StrEnum):
    """Exactly one holds at any time; the first that applies, in this order."""

    UNKNOWN = "unknown"
    OUT_OF_SERVICE = "out_of_service"
    IN_USE_BOOKED = "in_use_booked"
    IN_USE_WALK_IN = "in_use_walk_in"
    BLOCKED = "blocked"  # occupied, not used
    HELD = "held"  # booked, nobody there
    CLOSED = "closed"
    IDLE = "idle"


STATES = tuple(UtilizationState)
Spent = tuple[int, ...]  # ms in each state, in the order of STATES
NOTHING: Spent = (0,) * len(STATES)


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened in a time. `refused` is unmet demand, by reason code."""

    energy_wh: int = 0
    sessions: int = 0
    visits: int = 0
    no_shows: int = 0
    refused: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: "Counts") -> "Counts":
        refused = dict(self.refused)
        for code, count in other.refused:
            refused[code] = refused.get(code, 0) + count
        return Counts(
            self.energy_wh + other.energy_wh,
            self.sessions + other.sessions,
            self.visits + other.visits,
            self.no_shows + other.no_shows,
            tuple(sorted(refused.items())),
        )


@dataclass(frozen=True, slots=True)
class OpenBucket:
    """A quarter of an hour (UTC) that is not closed. What is not spent yet is unknown."""

    start_ms: int
    spent: Spent = NOTHING
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True)
class Usage:
    """A facility's account of its time: the state it is in, and the buckets that are open."""

    kind: ClassVar[str] = "usage"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the facility
    state: UtilizationState
    until_ms: int  # wall time up to which it is accounted for
    open: tuple[OpenBucket, ...] = ()  # oldest first


@dataclass(frozen=True, slots=True)
class Bucket:
    """A closed quarter of an hour of one facility; `revision` grows with each late fact.

    A quarter of which nothing is known has no bucket.
    """

    facility: str
    start_ms: int
    revision: int
    spent: Spent
    counts: Counts = Counts()
