"""Bookings, and whose word they rest on (RULES B)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class BookingStatus(StrEnum):
    """The life of a booking on the gateway."""

    ENFORCED = "enforced"
    CONFLICTED = "conflicted"  # lost to another; judged again at every change (B2)
    CHECKED_IN = "checked_in"
    NO_SHOW = "no_show"  # released; a late holder is let in if nobody else has the facility (B6)
    ENDED = "ended"


class Origin(StrEnum):
    """Who made a booking (B4)."""

    PLATFORM = "platform"
    GATEWAY = "gateway"  # an extension or walk-in, proposed to the platform


@dataclass(frozen=True, slots=True)
class Terms:
    """What the platform said of a booking: facility, subjects, the half-open UTC window."""

    facility: str
    subjects: tuple[str, ...]
    start_ms: int
    end_ms: int
    priority: int = 100
    created_ms: int = 0
    revision: int = 0
    origin: Origin = Origin.PLATFORM
    needed_wh: int = 0  # the energy that is wanted by its end; no limit (C4)


@dataclass(frozen=True, slots=True)
class Booking:
    """One right to a facility, and what became of it here."""

    kind: ClassVar[str] = "booking"
    indexed: ClassVar[tuple[str, ...]] = ("facility", "subjects")
    id: str
    terms: Terms
    status: BookingStatus = BookingStatus.ENFORCED
    checked_in_ms: int | None = None
    warned: bool = False
    grace_observed: bool = True  # False once the grace time was not wholly seen (B6)
    overstayed: bool = False  # the desk has heard that somebody stays by it (B7)

    @property
    def facility(self) -> str:
        """The facility's id."""
        return self.terms.facility

    @property
    def subjects(self) -> tuple[str, ...]:
        """Who may use it."""
        return self.terms.subjects

    @property
    def live(self) -> bool:
        """True while it stands against others for the facility."""
        return self.status in (BookingStatus.ENFORCED, BookingStatus.CHECKED_IN)

    @property
    def rank(self) -> tuple[int, int, str]:
        """Lower wins (B2)."""
        return (self.terms.priority, self.terms.created_ms, self.id)

    def overlaps(self, other: "Booking") -> bool:
        """Two half-open windows share an instant."""
        return self.terms.start_ms < other.terms.end_ms and other.terms.start_ms < self.terms.end_ms

    def covers(self, wall_ms: int) -> bool:
        """The instant lies in the half-open window."""
        return self.terms.start_ms <= wall_ms < self.terms.end_ms


@dataclass(frozen=True, slots=True)
class Authority:
    """The newest revision applied, by stream: `(platform epoch, revision)` (B1)."""

    kind: ClassVar[str] = "authority"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the stream: "bookings", "subjects", "rights"
    epoch: str = ""
    revision: int = 0
    held_digest: str = ""  # of a snapshot that waits for a second, confirming one
    held_revision: int = 0  # and its revision: the same one sent again confirms nothing
    held: tuple[str, ...] = ()  # what it would remove
    former: tuple[str, ...] = ()  # epochs that are over


@dataclass(frozen=True, slots=True)
class CommandSeen:
    """A remote command that was taken: it never runs again (B8)."""

    kind: ClassVar[str] = "command"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    name: str
    expires_ms: int
    result: str
    boot: str
    token: str = ""  # of the pulse it asked for, while its outcome is open
