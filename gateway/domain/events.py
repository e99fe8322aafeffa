"""What happens, in the past tense. Everything enters the core as one of these."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.domain.bookings import Terms
from gateway.domain.calls import CallOrigin, CallOutcome
from gateway.domain.charging import NO_WISH, Wish
from gateway.domain.faults import Health
from gateway.domain.points import PointRef, Reading, Value, WriteResult
from gateway.domain.quotas import QuotaTerms
from gateway.domain.reasons import Reason
from gateway.domain.subjects import Credential, Presented, Role, StandingRight, Subject


@dataclass(frozen=True, slots=True)
class Actor:
    """A named person (or the platform, with the person it names) who asked for something."""

    name: str
    role: Role
    on_site: bool = True


# --- from drivers -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PointEdge:
    """A happening at a point: a press, a door that opened, a change that must not be conflated.

    `count` presses are told at once where a counter jumped. `first_sight` says that the value was
    found so at the first reading after a start or reconnect. `detail` is what the device said
    beside it (a lock's action source and user slot). `brief`: it was over before it could be told
    from a bounce.
    """

    ref: PointRef
    value: Value
    count: int = 1
    first_sight: bool = False
    detail: Mapping[str, Value] | None = None
    brief: bool = False


@dataclass(frozen=True, slots=True)
class CredentialPresented:
    """Somebody presented a credential at a reader. `door` is set when there is no reader point."""

    reader: PointRef | None
    presented: Presented
    door: str = ""
    facility: str = ""  # what the person wants to use; at a reader it may be its number
    actor: Actor | None = None
    wish: Wish = NO_WISH


@dataclass(frozen=True, slots=True)
class ReadingsChanged:
    """Telemetry that passed its deadband, conflated: the latest of each point."""

    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class DeviceHealthChanged:
    """A device answers, falters or is silent. `reason_code` is one of domain.reasons."""

    device: str
    health: Health
    reason_code: str = "device_silent"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LinkHealthChanged:
    """A link came up, went down, or its driver failed."""

    link: str
    health: Health
    detail: str = ""


# --- from the reconciler ------------------------------------------------------------------------


class PulseEnd(StrEnum):
    """What became of a pulse."""

    CONFIRMED = "confirmed"  # another point showed it
    SENT = "sent"  # the device took it; nothing here could show more
    UNCONFIRMED = "unconfirmed"  # a lock's own state should have shown it, and did not
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PulseSettled:
    """A pulse ended, well or not; it is never written again."""

    ref: PointRef
    token: str
    end: PulseEnd
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SetpointMissed:
    """A level or lease did not become what it should be within its time."""

    ref: PointRef
    wanted: Value
    found: Value | None
    result: WriteResult | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SetpointReached:
    """A point that was missed is as it should be."""

    ref: PointRef


# --- from time and the gateway itself -----------------------------------------------------------


SUPERVISION = "supervision"  # the kind of deadline that is the slow round


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """Something of this entity may be due; what it is, is recomputed from state."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Started:
    """The gateway started. `latched` are presses in the call latch that the journal lacks.

    `away_ms`: since the last trusted time before; None where nobody can tell. `machine`: the boot
    of the machine, "" if not known; within one monotonic time goes on.
    """

    version: str
    latched: tuple[PointRef, ...] = ()
    site_digest: str = ""
    away_ms: int | None = None
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The gateway is being stopped on purpose."""

    why: str


@dataclass(frozen=True, slots=True)
class ClockChanged:
    """The wall clock was stepped or its trust changed. `step_ms` is new minus old wall time."""

    step_ms: int
    source: str
    trusted_before: bool


@dataclass(frozen=True, slots=True)
class StorageChanged:
    """The store can no longer be written, or can again."""

    lost: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SiteChanged:
    """The site files were reloaded."""

    digest: str
    links_changed: tuple[str, ...]


# --- from people, over the API or a reader ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallRequested:
    """Somebody asked for help from a page or a pass: raises a call, opens nothing (E6)."""

    place: str
    origin: CallOrigin
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class CallAcknowledged:
    """A named person has the call."""

    call: str
    by: Actor


@dataclass(frozen=True, slots=True)
class CallAttended:
    """A responder is at the place."""

    call: str
    by: Actor
    responder: str


@dataclass(frozen=True, slots=True)
class CallCleared:
    """A call is over, with what it was."""

    call: str
    by: Actor
    outcome: CallOutcome
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallerFine:
    """The person who called says they are fine: recorded and shown, stops nothing (E4)."""

    call: str


@dataclass(frozen=True, slots=True)
class CallNotified:
    """A channel of an escalation step did, or did not, take the call."""

    call: str
    step: int
    channel: str
    delivered: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TestModeOpened:
    """A named person tests a call point (E7)."""

    call_point: str
    by: Actor


@dataclass(frozen=True, slots=True)
class FireResetAsked:
    """A person with the role, on site, resets a fire zone (A3)."""

    zone: str
    by: Actor


@dataclass(frozen=True, slots=True)
class DoorOverridden:
    """A named person releases a door for a stated reason (A1)."""

    door: str
    by: Actor
    why: str


@dataclass(frozen=True, slots=True)
class ExtensionAsked:
    """A holder or the desk asks for a booking to go on (B4)."""

    booking: str
    minutes: int
    by: Actor


@dataclass(frozen=True, slots=True)
class WalkInAsked:
    """Somebody asks to use a free facility now (B4)."""

    facility: str
    subject: str
    minutes: int
    by: Actor


@dataclass(frozen=True, slots=True)
class SessionStopAsked:
    """Somebody wants a charging session to stop."""

    session: str
    by: Actor


@dataclass(frozen=True, slots=True)
class HazardResetAsked:
    """A named person has looked at an outlet that a hazard switched off (C2)."""

    facility: str
    by: Actor


# --- from the platform --------------------------------------------------------------------------


class Stream(StrEnum):
    """What the platform keeps in step, each by its own revisions (B1, B3)."""

    BOOKINGS = "bookings"
    SUBJECTS = "subjects"
    RIGHTS = "rights"


@dataclass(frozen=True, slots=True)
class BookingItem:
    """A booking as the platform sent it."""

    id: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class QuotaItem:
    """A quota as the platform sent it."""

    id: str
    terms: QuotaTerms


SyncItem = BookingItem | Subject | Credential | QuotaItem | StandingRight


@dataclass(frozen=True, slots=True)
class Rejection:
    """An item that was not applied, and why.

    Where its id made no sense either it is not `identified`, and `id` says where it stood.
    """

    id: str
    reason: Reason
    identified: bool = True


@dataclass(frozen=True, slots=True)
class SnapshotReceived:
    """Everything of a stream within a window (B1).

    `digest` and `count` are as the sender states them; `digest_found` is what was computed here.
    `rejected` are the items that made no sense at the edge: they were sent, so they are not gone.
    """

    stream: Stream
    epoch: str
    revision: int
    window_ms: tuple[int, int]
    count: int
    digest: str
    digest_found: str
    items: tuple[SyncItem, ...]
    rejected: tuple[Rejection, ...] = ()
    retained: bool = False
    confirmed_by: Actor | None = None


@dataclass(frozen=True, slots=True)
class ChangesReceived:
    """A revision of a stream: what to put and what to remove, applied atomically (B1)."""

    stream: Stream
    epoch: str
    revision: int
    put: tuple[SyncItem, ...]
    removed: tuple[str, ...]
    rejected: tuple[Rejection, ...] = ()  # what made no sense at the edge


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A remote command (B8). `arguments` are checked at the edge for shape, here for sense."""

    id: str
    name: str
    target: str
    expires_ms: int
    arguments: Mapping[str, Any]
    by: Actor


Event = (
    PointEdge
    | CredentialPresented
    | ReadingsChanged
    | DeviceHealthChanged
    | LinkHealthChanged
    | PulseSettled
    | SetpointMissed
    | SetpointReached
    | DeadlineReached
    | Started
    | Stopping
    | ClockChanged
    | StorageChanged
    | SiteChanged
    | CallRequested
    | CallAcknowledged
    | CallAttended
    | CallCleared
    | CallerFine
    | CallNotified
    | TestModeOpened
    | FireResetAsked
    | DoorOverridden
    | ExtensionAsked
    | WalkInAsked
    | SessionStopAsked
    | HazardResetAsked
    | SnapshotReceived
    | ChangesReceived
    | CommandReceived
)
