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
    basis: str  # id of the booking or right, or "override", "call", "fire", "open_mode"
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
    """A door now: its last grant until entered or out of time, and what its contact says."""

    kind: ClassVar[str] = "door"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    state: DoorState = DoorState.UNKNOWN
    since_mono_ms: int = 0
    boot: str = ""
    grant: Grant | None = None
    exit_until_mono_ms: int = 0  # an exit press explains an opening until then
    passage_until_ms: int | None = None  # free passage, first person in (A8), wall time
    held_open_told: bool = False


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """Failed tries at a reader, or for one subject (A5). Waits are kept over restarts."""

    kind: ClassVar[str] = "reader"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # device/point, `terminal:<door>`, or `subject:<id>` for tries with an identifier
    failures: int = 0
    wait_ms: int = 0
    waited: Elapsed | None = None
    recent_ms: tuple[int, ...] = ()  # elapsed times of failures within the hour, for tamper


@dataclass(frozen=True, slots=True)
class RoomStatus:
    """Presence in a facility. `present` is the sensors' word with their hold times."""

    kind: ClassVar[str] = "room"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the facility
    present: bool | None = None  # None: no living sensor
    since_ms: int = 0
    last_sign_mono_ms: int = 0
    boot: str = ""
    vacant_since_ms: int | None = None  # wall time since when nobody was there, None: occupied
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
    leaving_mono_ms: int | None = None  # an exit was seen then; ends unless presence follows
    leaving_boot: str = ""
