"""Emergency calls (RULES E)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.domain.now import Elapsed


class CallState(StrEnum):
    """The life of a call (E4)."""

    RAISED = "raised"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    ATTENDED = "attended"
    CLEARED = "cleared"


class CallOutcome(StrEnum):
    """What a cleared call was."""

    GENUINE = "genuine"
    FALSE = "false"
    TEST = "test"
    TECHNICAL = "technical"


class CallOrigin(StrEnum):
    """Where a call came from. Only a fixed call point may release a door (E6)."""

    FIXED = "fixed"
    WEARABLE = "wearable"
    PAGE = "page"
    PASS = "pass"


@dataclass(frozen=True, slots=True)
class Presses:
    """The presses of one call: how many, the first and last time, and what was recorded last."""

    count: int
    first_ms: int
    last_ms: int
    since: Elapsed  # runs from the first press
    recorded_ms: int = 0  # on `since`: the press that was last recorded
    recent_ms: tuple[int, ...] = ()  # on `since`: those that may be chattering


@dataclass(frozen=True, slots=True)
class Climb:
    """How far a call has climbed: `step` steps were told, the last one `since` ago.

    After an acknowledgement `since` measures the wait for somebody to attend.
    """

    step: int
    since: Elapsed
    raised: Elapsed  # since the last (re)raise: bounds the siren
    raises: int = 1
    fine: bool = False  # the person said they are fine: shown, and stops nothing
    silenced: bool = False  # the siren's time is over, the call is not


@dataclass(frozen=True, slots=True)
class Call:
    """An emergency call: where, since when, and how far it has climbed."""

    kind: ClassVar[str] = "call"
    indexed: ClassVar[tuple[str, ...]] = ("call_point", "place")
    id: str
    call_point: str  # its id, or "" for a page or pass
    place: str
    origin: CallOrigin
    state: CallState
    presses: Presses
    climb: Climb
    person: str = ""
    test: bool = False

    @property
    def open(self) -> bool:
        """Not cleared."""
        return self.state is not CallState.CLEARED

    @property
    def unanswered(self) -> bool:
        """No person has acknowledged it: siren and escalation go on."""
        return self.state in (CallState.RAISED, CallState.DELIVERED)


@dataclass(frozen=True, slots=True)
class CallPointStatus:
    """A call point now: its test, and whether it covers."""

    kind: ClassVar[str] = "call_point"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    test_by: str = ""
    test_since: Elapsed | None = None
    untested_since_ms: int | None = None
    watched: Elapsed | None = None  # since this boot began to listen for it (E5)


@dataclass(frozen=True, slots=True)
class FireLatch:
    """A fire zone: latched until a person resets it on site with the input inactive (A3)."""

    kind: ClassVar[str] = "fire"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    latched: bool
    input_active: bool
    since_ms: int = 0
