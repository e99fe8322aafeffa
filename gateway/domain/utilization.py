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
        refused = self.refused
        if other.refused:
            both = dict(refused)
            for code, count in other.refused:
                both[code] = both.get(code, 0) + count
            refused = tuple(sorted(both.items()))
        return Counts(
            self.energy_wh + other.energy_wh,
            self.sessions + other.sessions,
            self.visits + other.visits,
            self.no_shows + other.no_shows,
            refused,
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
class Total:
    """What some time of a facility adds up to."""

    spent: Spent = NOTHING
    counts: Counts = Counts()

    def __add__(self, other: "Total") -> "Total":
        spent = tuple(a + b for a, b in zip(self.spent, other.spent, strict=True))
        return Total(spent, self.counts + other.counts)


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


@dataclass(frozen=True, slots=True)
class Changed:
    """Buckets that changed after a cursor, under which epoch, and the cursor to ask with again.

    Revisions are of the epoch. A store that was restored begins another, and may then count a
    bucket's revisions again from one that it had before.
    """

    buckets: list[Bucket]
    epoch: str
    cursor: str


class Grain(StrEnum):
    """How long the periods of a report are, by the site's own days (U3)."""

    QUARTER = "quarter"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Grouping(StrEnum):
    """What the lines of a report are of."""

    FACILITY = "facility"
    PLACE = "place"
    KIND = "kind"


@dataclass(frozen=True, slots=True)
class ReportAsked:
    """Which report: `start` and `end` as ISO 8601 (in the site's zone if they name none) or ms."""

    start: str
    end: str
    grain: Grain = Grain.DAY
    facilities: tuple[str, ...] = ()  # none named: all
    group: Grouping = Grouping.FACILITY


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One period of a facility, or of all of a place or kind. Shares are None where nothing was."""

    of: str
    from_ms: int
    to_ms: int
    total: Total

    @property
    def utilization(self) -> float | None:
        """In use ÷ (open − out of service − unknown) (U3)."""
        _, _, booked, walk_in, *_ = self.total.spent
        return self._share(booked + walk_in)

    @property
    def idle(self) -> float | None:
        """Idle ÷ the same."""
        return self._share(self.total.spent[-1])

    @property
    def unknown(self) -> float:
        """Unknown ÷ all of the time: no other share means anything without it."""
        return self.total.spent[0] / sum(self.total.spent)

    def _share(self, part_ms: int) -> float | None:
        _, _, booked, walk_in, blocked, held, _, idle = self.total.spent
        known = booked + walk_in + blocked + held + idle
        return part_ms / known if known else None
