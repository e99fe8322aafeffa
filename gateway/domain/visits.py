"""Doors, readers and rooms as they are now; a visit is one use of a room (RULES A6–A8, B5–B7)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.domain.now import Elapsed


@dataclass(frozen=True, slots=True)
class Grant:
    """A decision that somebody may pass a door now, and its one release (A4)."""

    token: str
    subject: str | None
    basis: str  # id of the booking or right, or "override", "walk_in", "open_mode"
    facility: str | None
    given_wall_ms: int
    until_mono_ms: int
    boot: str
    person: str = ""  # who overrode, for an override (A1)


class DoorState(StrEnum):
    """What the contact or lock last reported."""

    UNKNOWN = "unknown"
    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class DoorStatus:
    """A door now: the grants nobody has entered by yet, and what its contact says.

    Monotonic times are of the boot that is running; a start begins them anew.
    """

    kind: ClassVar[str] = "door"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    state: DoorState = DoorState.UNKNOWN
    since_mono_ms: int = 0
    grants: tuple[Grant, ...] = ()  # one a subject, the newest last
    exit_until_mono_ms: int = 0  # an exit press explains an opening until then
    released_until_mono_ms: int = 0  # a release that was used, or the lock's own user, until then
    passage_until_ms: int | None = None  # free passage, first person in (A8), wall time
    held_open_told: bool = False
    glimpsed_mono_ms: int | None = None  # when it last seemed to open, while a grant waited

    @property
    def grant(self) -> Grant | None:
        """The newest grant, if there is one."""
        return self.grants[-1] if self.grants else None


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """Failed tries at a reader, or for one subject (A5). Waits are kept over restarts."""

    kind: ClassVar[str] = "reader"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # device/point, `terminal:<door>`, or `subject:<id>` for tries with an identifier
    failures: int = 0
    since: Elapsed | None = None  # runs from the first failure
    wait_until_ms: int = 0  # on `since`: no PIN is looked at before
    recent_ms: tuple[int, ...] = ()  # on `since`: the failures within the hour, for tamper


@dataclass(frozen=True, slots=True)
class RoomStatus:
    """Presence in a facility. `present` is the sensors' word with their hold times.

    `vacant` measures for how long nobody has been known to be in: no visit, and no presence.
    """

    kind: ClassVar[str] = "room"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the facility
    present: bool | None = None  # None: no living sensor
    since_ms: int = 0  # wall time since when `present` is what it is
    lasted: Elapsed | None = None  # and for how long
    held_until_mono_ms: int = 0  # the last sign of presence counts until then
    boot: str = ""
    vacant: Elapsed | None = None
    overstay_of: str | None = None  # the booking whose holder has not left


@dataclass(frozen=True, slots=True)
class Visit:
    """One use of a room, from entering to leaving."""

    kind: ClassVar[str] = "visit"
    indexed: ClassVar[tuple[str, ...]] = ("facility", "booking")
    id: str
    facility: str
    subject: str | None
    booking: str | None
    entered_ms: int
    spent: Elapsed
    leaving: Elapsed | None = None  # since an exit was seen; ends unless presence follows
