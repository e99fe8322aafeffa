"""The doors between rooms, as protocols. `Driver` and its friends are stable for third parties."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gateway.domain.entity import Entity
from gateway.domain.errors import Problem
from gateway.domain.events import (
    ChangesReceived,
    CredentialPresented,
    Event,
    PointEdge,
    SnapshotReceived,
    Stream,
)
from gateway.domain.faults import Health
from gateway.domain.feedback import Answer
from gateway.domain.lag import LoopLag
from gateway.domain.now import ClockStanding, Now
from gateway.domain.points import (
    Freshness,
    PointRef,
    Reading,
    ReadingsView,
    Setpoint,
    WriteOutcome,
)
from gateway.domain.profile import PollClass, Profile
from gateway.domain.records import JournalRecord, Position, Record
from gateway.domain.site import Channel, Device, Link, Site
from gateway.domain.state import Change, Decision, Reply, State
from gateway.domain.subjects import Presented, Role
from gateway.domain.uses import Watch
from gateway.domain.utilization import Changed, ReportAsked, ReportLine, Total


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> Now:
        """This instant."""
        ...

    def mono_ms(self) -> int:
        """Monotonic milliseconds, cheaper than `now`."""
        ...

    def wall_ms(self) -> int:
        """UTC milliseconds as the wall clock has them, trusted or not."""
        ...

    def standing(self) -> ClockStanding:
        """How far wall time is believed, why, and since when."""
        ...


# --- drivers ------------------------------------------------------------------------------------


class Sink(Protocol):
    """What a driver tells the gateway. No call blocks, none raises."""

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> Freshness:
        """The cell whose `heard_ms` the driver sets whenever this group is heard live."""
        ...

    def reading(self, reading: Reading) -> None:
        """A value that passed its deadband, or whose quality changed. Conflated."""
        ...

    def edge(self, edge: PointEdge, durable: Callable[[], None] | None = None) -> None:
        """A happening. Never conflated. `durable` is called once its record is committed."""
        ...

    def presented(self, event: CredentialPresented, answer: Answer | None = None) -> None:
        """Somebody presented a credential. `answer` is called at most once, in the loop: when what
        was decided is durable, or at once while the store is lost (RULES X1).
        """
        ...

    def device_health(
        self, device: str, health: Health, reason_code: str = "device_silent", detail: str = ""
    ) -> None:
        """The device's health changed."""
        ...

    def link_health(self, health: Health, detail: str = "") -> None:
        """The link's health changed."""
        ...

    def count(self, what: str, device: str = "") -> None:
        """Add one to a counter: `polls`, `timeouts`, `garbage`, `messages`, `reconnects` …"""
        ...


class Credentials(Protocol):
    """Turns what people present into digests and claims, before anything else sees it."""

    def pin(self, text: str, identifier: str | None = None) -> Presented:
        """A typed PIN, as a keyed digest."""
        ...

    def card(self, uid: str) -> Presented:
        """A card's number, as a keyed digest."""
        ...

    def signed_pass(self, token: str) -> Presented:
        """A signed pass, verified offline; `problem` is set when it cannot be."""
        ...


class Driver(Protocol):
    """One link and the devices on it."""

    async def run(self) -> None:
        """Serve the link until cancelled, reconnecting for ever. An exception here is a bug."""
        ...

    async def write(self, setpoint: Setpoint, *, urgent: bool = False) -> WriteOutcome:
        """Write one setpoint to its device, ahead of reads. Never raises for what a device does."""
        ...


@dataclass(frozen=True, slots=True)
class LinkSetup:
    """What a driver is made from: one link, its devices and profiles, and its surroundings.

    `watches` overrides a profile's edge and poll class for points that the site uses for more.
    """

    link: Link
    devices: Sequence[Device]
    profiles: Mapping[str, Profile]
    watches: Mapping[PointRef, Watch]
    poll_ms: Mapping[PollClass, int]
    sink: Sink
    credentials: Credentials
    clock: Clock


class DriverKind(Protocol):
    """A way to talk to devices, found by name in the registry or a third party's entry point."""

    name: str

    def check_profile(self, profile: Profile) -> list[Problem]:
        """What is wrong in the bindings of a profile. `Problem.file` may be left empty."""
        ...

    def check_link(
        self, link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
    ) -> list[Problem]:
        """What would fail at run time on a link: addresses, line settings, call points."""
        ...

    def open(self, setup: LinkSetup) -> Driver:
        """A driver for the link. Connects in `run`, not here."""
        ...


# --- store --------------------------------------------------------------------------------------


class Stamped(NamedTuple):
    """A record with the instant of its decision."""

    record: Record
    now: Now


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction commits: records, and the entities they changed."""

    number: int
    records: tuple[Stamped, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the store really holds."""

    entities: tuple[Entity, ...]
    head: Position
    meta: Mapping[str, str]


class Store(Protocol):
    """Durable state and journal. Used from the one writer thread alone; raises StoreError."""

    def open(self) -> Loaded:
        """Open or make the database, migrate it, and load everything."""
        ...

    def commit(self, batch: Batch) -> Position:
        """Commit a batch in one transaction, durably; the position of its last record."""
        ...

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Keep small facts of the gateway itself (last trusted time, boot)."""
        ...

    def close(self) -> None:
        """Close the database. May be opened again."""
        ...


class JournalReader(Protocol):
    """Readers of the journal, each with a cursor of its own. Safe from any thread."""

    def head(self) -> Position:
        """The last record committed."""
        ...

    def read(self, after: int, limit: int = 500) -> list[JournalRecord]:
        """Records with a greater seq, in order."""
        ...

    def read_urgent(self, after: int, limit: int = 100) -> list[JournalRecord]:
        """Urgent records with a greater seq, in order: calls go up ahead of the backlog."""
        ...

    def cursor(self, reader: str) -> int:
        """How far a named reader has got; 0 if never."""
        ...

    def set_cursor(self, reader: str, seq: int) -> None:
        """A reader has everything up to seq."""
        ...

    def earlier(self, reader: str) -> "Sequence[JournalReader]":
        """Journals of earlier epochs of which the reader lacks something, oldest first."""
        ...


class UtilizationReader(Protocol):
    """Closed buckets, from any thread (RULES U2, U3)."""

    def totals(
        self, groups: Iterable[Sequence[str]], periods: Sequence[tuple[int, int]]
    ) -> Iterator[Mapping[int, Total]]:
        """For each group of facilities what their buckets within a period add up to, by its place.

        A period without any bucket is left out.
        """
        ...

    def changed(self, cursor: str, limit: int = 1_000) -> Changed:
        """Buckets that were closed or amended since, oldest change first."""
        ...


class Reports(Protocol):
    """Utilization as people and the platform ask for it (RULES U3), from any thread."""

    def lines(self, asked: ReportAsked) -> Iterator[ReportLine]:
        """The lines asked for, up to the last closed bucket. Raises MalformedError at once."""
        ...

    def changed(self, cursor: str, limit: int = 1_000) -> Changed:
        """Buckets that were closed or amended since, oldest change first."""
        ...


# --- engine -------------------------------------------------------------------------------------


class Engine(Protocol):
    """The only writer: two doors."""

    def tell(self, event: Event, durable: Callable[[], None] | None = None) -> None:
        """Hand over an event; `durable` is called once what it caused is committed."""
        ...

    async def ask(self, event: Event) -> Reply:
        """Hand over an event and wait for its reply, which comes once its record is durable."""
        ...

    def question(self, event: Event) -> Decision:
        """What would be decided now: commits nothing, moves nothing."""
        ...

    async def committed(self, after: int) -> Position:
        """Wait until a record beyond `after` is durable; the position of the last one."""
        ...


class Views(Protocol):
    """What the API, the uplink and the pages may look at. Nothing here changes anything."""

    @property
    def site(self) -> Site:
        """The site as loaded."""
        ...

    @property
    def state(self) -> State:
        """What is true now (decided, perhaps not yet durable)."""
        ...

    @property
    def readings(self) -> ReadingsView:
        """The latest readings."""
        ...

    def now(self) -> Now:
        """This instant."""
        ...

    def desired(self) -> Sequence[Setpoint]:
        """What every writable point should be."""
        ...

    def health(self) -> Mapping[str, Health]:
        """Links and devices by id (`link:<id>`, `device:<id>`)."""
        ...

    def counters(self) -> Mapping[tuple[str, str, str], int]:
        """(link, device, what) → count since the start; the gateway's own with neither."""
        ...

    def loop_lag(self) -> LoopLag:
        """How late the event loop was: while it is, no call is taken."""
        ...

    def storage_lost(self) -> str:
        """Why the store cannot be written; empty when it can."""
        ...

    def clock(self) -> ClockStanding:
        """How far the wall clock is believed, why, and since when."""
        ...


# --- people and platform ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notification:
    """A call, as one step of its escalation tells it to one channel."""

    call: str
    step: int
    channel: Channel
    body: Mapping[str, Any]
    decided: Now | None = None  # when the step was taken


class TokenHolder(Protocol):
    """Who presents a bearer token: a named person with a role, a resident with their subject."""

    @property
    def id(self) -> str:
        """The token's id, which is no secret."""
        ...

    @property
    def name(self) -> str:
        """The person."""
        ...

    @property
    def role(self) -> Role:
        """What they may do."""
        ...

    @property
    def subject(self) -> str:
        """The subject a resident acts for; "" for all others."""
        ...


class Tokens(Protocol):
    """Who may speak to the API."""

    def holder(self, token: str) -> TokenHolder | None:
        """Who presents this token, None if nobody we know. Never raises."""
        ...


class SyncReader(Protocol):
    """Understands what the platform says of a stream, the same over every way it comes (B1, B3)."""

    def read(self, stream: Stream, payload: bytes) -> SnapshotReceived | ChangesReceived:
        """What a message stands for. Raises MalformedError, which repeats no secret."""
        ...

    def schema(self, stream: Stream) -> Mapping[str, Any]:
        """The JSON Schema of a stream's messages, with its definitions under `$defs`."""
        ...


class Notifier(Protocol):
    """Carries notifications to people; never groups, delays or drops one (E9)."""

    async def deliver(self, notification: Notification) -> str:
        """Deliver; the detail of the confirmation. Raises GatewayError when it could not."""
        ...


class Transport(Protocol):
    """How the uplink's messages travel."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker, QoS 1. Raises UplinkError."""
        ...

    def messages(self) -> AsyncIterator[tuple[str, bytes, bool]]:
        """(topic, payload, retained) as they come. Raises UplinkError when the link breaks."""
        ...


__all__ = [
    "Batch",
    "Clock",
    "Credentials",
    "Driver",
    "DriverKind",
    "Engine",
    "JournalReader",
    "LinkSetup",
    "Loaded",
    "Notification",
    "Notifier",
    "Reports",
    "Sink",
    "Stamped",
    "Store",
    "SyncReader",
    "TokenHolder",
    "Tokens",
    "Transport",
    "UtilizationReader",
    "Views",
]
