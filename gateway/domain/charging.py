"""Outlets, and the sessions at them (RULES C). Energy is whole Wh, in OCPP's words."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.domain.now import HOUR_MS, MINUTE_MS, SECOND_MS, Elapsed
from gateway.domain.points import PointRef
from gateway.domain.power import Load


class ChargerState(StrEnum):
    """What a charger says of itself: the values of a point `state`, whatever its registers hold."""

    AVAILABLE = "available"  # no vehicle
    CONNECTED = "connected"  # a vehicle that takes no energy
    CHARGING = "charging"
    FAULTED = "faulted"
    UNAVAILABLE = "unavailable"


class ConnectorStatus(StrEnum):
    """OCPP's status of a connector."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class StopReason(StrEnum):
    """OCPP's reasons why a session stopped."""

    EMERGENCY_STOP = "EmergencyStop"
    ENERGY_LIMIT = "EnergyLimitReached"
    TIME_LIMIT = "TimeLimitReached"
    TIMEOUT = "Timeout"
    OVERCURRENT = "OvercurrentFault"
    GROUND_FAULT = "GroundFault"
    POWER_LOSS = "PowerLoss"
    OUT_OF_CREDIT = "LocalOutOfCredit"
    DEAUTHORIZED = "DeAuthorized"
    EV_DISCONNECTED = "EVDisconnected"
    MASTER_PASS = "MasterPass"
    STOPPED_BY_EV = "StoppedByEV"
    REMOTE = "Remote"
    LOCAL = "Local"
    OTHER = "Other"


class MeterKind(StrEnum):
    """What an energy register counts (C3)."""

    LIFETIME = "lifetime"
    SESSION = "session"  # begins anew with each


@dataclass(frozen=True, slots=True)
class Meter:
    """The energy register a session rests on: Wh, in steps of `resolution_wh`."""

    energy: PointRef
    kind: MeterKind = MeterKind.LIFETIME
    resolution_wh: int = 1
    rolls_over_wh: int = 0  # 0: never
    serial: PointRef | None = None


@dataclass(frozen=True, slots=True)
class OutletPoints:
    """The points an outlet is made of: `limit` (mA) or `switch` drives it.

    Without a `state` (a ChargerState) its plug is inferred from power alone, and what cannot be
    observed is not claimed (C8).
    """

    limit: PointRef | None = None
    switch: PointRef | None = None
    state: PointRef | None = None
    power: PointRef | None = None
    currents: tuple[PointRef, ...] = ()  # mA, its own L1 first
    temperature: PointRef | None = None
    readers: tuple[PointRef, ...] = ()

    @property
    def drive(self) -> PointRef:
        """The point that lets power through."""
        found = self.limit or self.switch
        assert found is not None, "an outlet has a limit or a switch"
        return found


@dataclass(frozen=True, slots=True)
class Limits:
    """What a session may take; 0: no limit of its own (C3)."""

    most_wh: int = 0
    longest_ms: int = 0


@dataclass(frozen=True, slots=True)
class PowerSigns:
    """What power alone says where no state can be read (C8), in W."""

    full_below_w: int = 20
    judged_below_w: int = 45  # full is judged once power fell below it
    float_ms: int = 45 * MINUTE_MS  # full goes on for so long
    unplugged_below_w: int = 3
    unplugged_after_ms: int = 30 * SECOND_MS


@dataclass(frozen=True, slots=True)
class OutletRules:
    """How sessions at an outlet go."""

    plug_within_ms: int = 5 * MINUTE_MS  # authorised, and no vehicle or load came: Timeout
    limits: Limits = Limits(longest_ms=12 * HOUR_MS)
    signs: PowerSigns = PowerSigns()
    hot_c: int = 65
    resumes_within_ms: int = 15 * MINUTE_MS  # after an outage; a car always does


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where a vehicle charges: one facility's part of a charger, a station or a plug."""

    points: OutletPoints
    load: Load
    meter: Meter | None = None
    rules: OutletRules = OutletRules()


class SessionState(StrEnum):
    """The life of a session here."""

    AUTHORISED = "authorised"  # waits for the plug
    STARTING = "starting"  # power is being set: waits for its opening reading
    ACTIVE = "active"
    STOPPING = "stopping"  # power is being taken: waits for its closing reading


@dataclass(frozen=True, slots=True)
class Segment:
    """Energy by one run of one meter: a reset, roll-over or replacement opens the next (C3)."""

    meter: str  # its serial, or the device's id
    opened_wh: int
    latest_wh: int

    @property
    def energy_wh(self) -> int:
        """What it counted; never negative."""
        return self.latest_wh - self.opened_wh


@dataclass(frozen=True, slots=True)
class Authorisation:
    """Who may charge, by what, and since when."""

    subject: str | None
    basis: str  # id of the booking or right, or "walk_in"
    how: str  # the kind of credential
    at_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is: its state `since`, and how long it `lasted` from its start."""

    state: SessionState
    since: Elapsed
    lasted: Elapsed | None = None
    started_ms: int = 0


@dataclass(frozen=True, slots=True)
class ChargingSession:
    """One use of an outlet, with the meter's registers at both ends."""

    kind: ClassVar[str] = "session"
    indexed: ClassVar[tuple[str, ...]] = ("facility", "subject")
    id: str
    facility: str
    by: Authorisation
    progress: Progress
    limits: Limits
    segments: tuple[Segment, ...] = ()
    stop: StopReason | None = None
    continued: bool = False  # beyond its booking's end, as nobody else is booked (C7)

    @property
    def subject(self) -> str | None:
        """Who charges."""
        return self.by.subject

    @property
    def energy_wh(self) -> int:
        """Energy so far."""
        return sum(segment.energy_wh for segment in self.segments)

    @property
    def powered(self) -> bool:
        """It may have power now."""
        return self.progress.state in (SessionState.STARTING, SessionState.ACTIVE)


@dataclass(frozen=True, slots=True)
class OutletStatus:
    """An outlet now: what it is granted, and what it must be counted at until lower is read."""

    kind: ClassVar[str] = "outlet"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the facility
    granted_ma: int = 0
    counted_ma: int = 0  # never under what it may still draw (C4)
    turn: Elapsed | None = None  # since it was last switched on or off, for turns
    on: bool = False
    latched: str = ""  # the hazard's reason code, until a named person resets it (C2)
    hazard_seen: str = ""  # one plausible reading of a hazard: the next one stops
