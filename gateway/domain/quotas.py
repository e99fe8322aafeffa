"""What is left to a subject, as the platform says it, and what is held of it here (RULES B3).

Whole Wh or ms, by what a quota counts. What it costs is the platform's own affair.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Counted(StrEnum):
    """What a quota is of."""

    ENERGY = "energy"  # Wh at outlets
    TIME = "time"  # ms of what is used without a booking of the platform


@dataclass(frozen=True, slots=True)
class QuotaTerms:
    """What the platform said: `left`, at the time when it had booked `used`.

    Both ends count on one odometer a quota, which only grows: each record of a use says where it
    stands, and the platform says where it stood. `targets` are what a standing right may name.
    """

    subject: str
    counts: Counted
    left: int
    used: int = 0
    targets: tuple[str, ...] = ("*",)
    from_ms: int | None = None
    until_ms: int | None = None

    def covers(self, wall_ms: int) -> bool:
        """The instant lies in the half-open window."""
        begun = self.from_ms is None or self.from_ms <= wall_ms
        return begun and (self.until_ms is None or wall_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota, and where its odometer stands here."""

    kind: ClassVar[str] = "quota"
    indexed: ClassVar[tuple[str, ...]] = ("subject",)
    id: str
    terms: QuotaTerms
    used: int = 0

    @property
    def subject(self) -> str:
        """Whose it is."""
        return self.terms.subject

    @property
    def left(self) -> int:
        """What is left of it, held or not; below zero where more was used than there was."""
        return self.terms.used + self.terms.left - self.used


@dataclass(frozen=True, slots=True)
class Hold:
    """What one use may take of a quota, so that no other one takes it too.

    `counted` of it is on the odometer already; the rest is given back when the use ends.
    """

    kind: ClassVar[str] = "hold"
    indexed: ClassVar[tuple[str, ...]] = ("quota", "use")
    id: str
    quota: str
    use: str  # the id of the session, visit or booking
    amount: int
    counted: int = 0
    since_ms: int = 0  # the newest gives way first

    @property
    def open(self) -> int:
        """What nobody else may take."""
        return max(0, self.amount - self.counted)
