"""Outlets, and the sessions at them (RULES C). Energy is whole Wh, in OCPP's words."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.domain.hours import WeeklyHours
from gateway.domain.now import HOUR_MS, MINUTE_MS, SECOND_MS, Elapsed
from gateway.domain.points import PointRef
from gateway.domain.power import NO_CURRENT, Load, PerPhase


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

    `failsafe_current` (mA) and `failsafe_timeout` (s) are written where its charger has them (C6).
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
    failsafe_current: PointRef | None = None
    failsafe_timeout: PointRef | None = None

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

    def within(self, other: "Limits") -> "Limits":
        """The lesser of each."""
        most = [one for one in (self.most_wh, other.most_wh) if one]
        longest = [one for one in (self.longest_ms, other.longest_ms) if one]
        return Limits(min(most, default=0), min(longest, default=0))


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks of a session; 0: nothing.

    A need is weighed when current is shared, and nothing ends with it; a limit ends the session.
    """

    needed_wh: int = 0
    leaves_ms: int = 0  # wall time by which it is needed
    limits: Limits = Limits()


NO_WISH = Wish()


@dataclass(frozen=True, slots=True)
class PowerSigns:
    """What power alone says where no state can be read (C8), in W."""

    full_below_w: int = 20
    judged_below_w: int = 45  # full is judged once power fell below it
    float_ms: int = 45 * MINUTE_MS  # full goes on for so long
    unplugged_below_w: int = 3
    swap_after_ms: int = 30 * SECOND_MS  # near zero for so long, and then a rise: another plug
    gone_after_ms: int = 10 * MINUTE_MS  # near zero for so long: nothing is plugged in


@dataclass(frozen=True, slots=True)
class OutletRules:
    """How sessions at an outlet go."""

    plug_within_ms: int = 5 * MINUTE_MS  # authorised, and no vehicle or load came: Timeout
    limits: Limits = Limits(longest_ms=12 * HOUR_MS)
    signs: PowerSigns = PowerSigns()
    hot_c: int = 65
    resumes_within_ms: int = 15 * MINUTE_MS  # after an outage; a car always does
    hours: WeeklyHours | None = None  # nothing charges outside them; None: always


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where a vehicle charges: one facility's part of a charger, a station or a plug."""

    points: OutletPoints
    load: Load
    meter: Meter | None = None
    rules: OutletRules = OutletRules()


class SessionState(StrEnum):
    """The life of a session here, in this order; a register is read at both ends (C3)."""

    AUTHORISED = "authorised"  # waits for the plug
    STARTING = "starting"  # power is being set
    OPENING = "opening"  # it is set: waits for a register asked for after that
    ACTIVE = "active"
    RESUMING = "resuming"  # a restart in its midst: waits to see what its outlet does
    STOPPING = "stopping"  # power is being taken
    CLOSING = "closing"  # it is taken: waits for a register asked for after that
    PROVISIONAL = "provisional"  # closed without it; a later record completes it


_PROVISIONAL = SessionState.PROVISIONAL  # as points._GOOD


@dataclass(frozen=True, slots=True)
class Segment:
    """Energy by one run of one meter in one class of price.

    A reset, roll-over or replacement opens the next (C3), and so does another class.
    """

    meter: str  # its serial, or the device's id
    opened_wh: int
    latest_wh: int
    price: str = ""  # the class; "" without a tariff
    from_ms: int = 0  # wall time when it was opened

    @property
    def energy_wh(self) -> int:
        """What it counted; never negative."""
        return self.latest_wh - self.opened_wh


@dataclass(frozen=True, slots=True)
class Authorisation:
    """Who may charge, by what, since when, and what they need by when (0: nobody said)."""

    subject: str | None
    basis: str  # id of the booking or right, or "walk_in"
    how: str  # the kind of credential
    at_ms: int
    needed_wh: int = 0
    leaves_ms: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is: its state `since`, and how long it `lasted` from its start."""

    state: SessionState
    since: Elapsed
    lasted: Elapsed | None = None
    started_ms: int = 0


@dataclass(frozen=True, slots=True)
class Draw:
    """What the power of a session has shown, where there is no state to read (C8)."""

    loaded: bool = False
    near_zero: Elapsed | None = None
    full: Elapsed | None = None
    rise: Elapsed | None = None  # power was seen again: believed once it is read again


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
    draw: Draw = Draw()
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

    def metered(self, register_wh: int) -> "ChargingSession":
        """Its register shows so much now: that is of the last segment."""
        *before, last = self.segments
        latest = Segment(last.meter, last.opened_wh, register_wh, last.price, last.from_ms)
        return ChargingSession(  # often; and `replace` takes twice as long
            self.id,
            self.facility,
            self.by,
            self.progress,
            self.limits,
            (*before, latest),
            self.draw,
            self.stop,
            self.continued,
        )

    @property
    def powered(self) -> bool:
        """It may have power now."""
        return self.progress.state in _POWERED

    @property
    def running(self) -> bool:
        """It has the outlet to itself."""
        return self.progress.state is not _PROVISIONAL


_POWERED = frozenset(
    {SessionState.STARTING, SessionState.OPENING, SessionState.ACTIVE, SessionState.RESUMING}
)


@dataclass(frozen=True, slots=True)
class Doubt:
    """An impossible value of a register: how often it was read in a row, the last time `since`."""

    value_wh: int
    times: int
    since: Elapsed


@dataclass(frozen=True, slots=True)
class MeterStatus:
    """The energy register of an outlet, followed all the time: sessions take from it (C3, C5)."""

    kind: ClassVar[str] = "meter"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the facility
    latest_wh: int
    since: Elapsed  # from when the register last moved
    moved_ms: int  # and when that was
    serial: str = ""
    unattributed_wh: int = 0  # what flowed outside any session since the last record of it
    doubt: Doubt | None = None
    flows: Elapsed | None = None  # since power is seen to flow, and the register has not moved


class HazardState(StrEnum):
    """How far a hazard has come (C2)."""

    SEEN = "seen"  # one plausible reading: the next one stops
    COOLING = "cooling"  # power may come back after a while
    PAST = "past"  # it did; the next time it latches
    LATCHED = "latched"  # until a named person resets it


@dataclass(frozen=True, slots=True)
class Hazard:
    """What is dangerous at an outlet, by its reason code; `stops`: how often it took the power."""

    code: str
    state: HazardState
    since: Elapsed
    stops: int = 0

    @property
    def active(self) -> bool:
        """No power may flow."""
        return self.state in (HazardState.COOLING, HazardState.LATCHED)


@dataclass(frozen=True, slots=True)
class Amiss:
    """Since when something is not as it should be at an outlet (C1, C4, C6)."""

    unasked: Elapsed | None = None  # it draws without a session
    beyond: Elapsed | None = None  # it draws more than its limit
    unread: Elapsed | None = None  # something that its power rests on has no good reading


@dataclass(frozen=True, slots=True)
class OutletStatus:
    """An outlet now: what it is granted, and what it must be counted at until lower is read."""

    kind: ClassVar[str] = "outlet"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the facility
    granted_ma: int = 0
    counted_ma: int = 0  # never under what it may still draw (C4)
    turn: Elapsed | None = None  # since it was last granted something, or nothing
    status: ConnectorStatus = ConnectorStatus.UNAVAILABLE
    hazard: Hazard | None = None
    amiss: Amiss = Amiss()
    limited_by: str = ""  # reason code, where it is granted less than it could use
    unconfirmed: Elapsed | None = None  # since a hazard was to take its power, and it is not off


@dataclass(frozen=True, slots=True)
class CircuitStatus:
    """A circuit whose switch was opened for a hazard below; `closing` once that is reset (C2)."""

    kind: ClassVar[str] = "circuit"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    facility: str  # whose power would not go
    closing: bool = False


@dataclass(frozen=True, slots=True)
class CircuitLoad:
    """What is believed to flow on a metered circuit beside our outlets, and where that is going.

    `toward_ma`: the least of a change that was seen `since`; as `beside_ma` where nothing changes.
    """

    kind: ClassVar[str] = "circuit_load"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the circuit
    beside_ma: PerPhase
    toward_ma: PerPhase
    since: tuple[Elapsed, ...]  # of each phase
    metered_ma: PerPhase = NO_CURRENT  # what the meter said last
    read: bool = True  # else what is declared stands for it


@dataclass(frozen=True, slots=True)
class CircuitEnergy:
    """What a circuit's meter counted in this period, and the outlets' own meters under it (C5)."""

    kind: ClassVar[str] = "circuit_energy"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str  # the circuit
    latest_wh: int
    since: Elapsed  # the period
    moved: Elapsed  # since its register last moved
    metered_wh: int = 0
    outlets_wh: int = 0
