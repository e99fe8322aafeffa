"""The premises one gateway serves: places, doors, facilities, equipment, safety."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.domain.charging import Outlet
from gateway.domain.hours import Tariff, WeeklyHours
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from gateway.domain.points import PointRef
from gateway.domain.power import Circuit
from gateway.domain.profile import PointSpec, PollClass, Profile


@dataclass(frozen=True, slots=True)
class Name:
    """What people call a thing, in Chinese and English."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self.en


@dataclass(frozen=True, slots=True)
class Place:
    """A compound, building or room; everything is in one."""

    id: str
    name: Name
    parent: str | None


class Egress(StrEnum):
    """How a person inside gets out without us (RULES A2)."""

    MECHANICAL = "mechanical"
    HARDWIRED = "hardwired"


class DoorMode(StrEnum):
    """Who a door lets in (RULES A8)."""

    PER_PERSON = "per_person"
    FIRST_IN = "first_in"  # free passage from check-in to the booking's end or an empty room
    SCHEDULED = "scheduled"  # open to all in the weekly hours


class FireRole(StrEnum):
    """What a door does on fire (RULES A3)."""

    STAYS = "stays"  # keeps its state
    RELEASES = "releases"  # held unlocked by us in addition to the hard wire
    RELEASES_IF_LOST = "releases_if_lost"  # and also while the fire interface is lost


@dataclass(frozen=True, slots=True)
class DoorPoints:
    """The points a door is made of. `strike` releases it; contact or lock reports it.

    `hold` is a level that keeps the door unlocked (free passage, fire), where the device has one.
    """

    strike: PointRef
    contact: PointRef | None = None
    lock: PointRef | None = None
    exit_button: PointRef | None = None
    hold: PointRef | None = None
    readers: tuple[PointRef, ...] = ()

    @property
    def shows_opening(self) -> bool:
        """Something here can tell that the door was opened; else nothing is claimed of it."""
        return self.contact is not None or self.lock is not None


@dataclass(frozen=True, slots=True)
class DoorRules:
    """How a door behaves. `fails` is `safe` or `secure`; times in ms."""

    egress: Egress
    fails: str = "secure"
    mode: DoorMode = DoorMode.PER_PERSON
    fire: FireRole = FireRole.STAYS
    open_hours: WeeklyHours | None = None
    release_ms: int = 5 * SECOND_MS
    enter_within_ms: int = 15 * SECOND_MS
    held_open_ms: int = 30 * SECOND_MS


@dataclass(frozen=True, slots=True)
class Door:
    """A way into a place."""

    id: str
    place: str
    name: Name
    points: DoorPoints
    rules: DoorRules


class BookingPolicy(StrEnum):
    """Whether a facility is used with a booking."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


class SensorKind(StrEnum):
    """What a presence sensor can see."""

    MOTION = "motion"  # blind to people who sit still (RULES B6)
    PRESENCE = "presence"
    CO2 = "co2"  # present above `threshold`


@dataclass(frozen=True, slots=True)
class PresenceSensor:
    """A point that is evidence of presence, held for `hold_ms` after its last sign."""

    point: PointRef
    kind: SensorKind
    hold_ms: int = 5 * MINUTE_MS
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Facility:
    """One thing people share. `doors` are its own; `way` the others one must pass to come to it."""

    id: str
    place: str
    name: Name
    booking: BookingPolicy
    capacity: int = 1
    doors: tuple[str, ...] = ()
    way: tuple[str, ...] = ()
    sensors: tuple[PresenceSensor, ...] = ()
    open_hours: WeeklyHours | None = None  # None: always
    outlet: Outlet | None = None
    tariff: Tariff | None = None

    @property
    def kind(self) -> str:
        """What it is to reports: a room, a charger (its current is set) or a socket (on, off)."""
        if self.outlet is None:
            return "room"
        return "charger" if self.outlet.points.limit is not None else "socket"


class Wiring(StrEnum):
    """How a wired call point shows a press (RULES E1)."""

    LATCHED = "latched"
    COUNTER = "counter"
    MOMENTARY = "momentary"
    MESSAGE = "message"  # fixed, and reports by itself (radio, MQTT)
    WEARABLE = "wearable"  # reports by itself from wherever its wearer is: opens nothing (E6)

    @property
    def reports_by_itself(self) -> bool:
        """Nobody asks it: it says when it is pressed."""
        return self in (Wiring.MESSAGE, Wiring.WEARABLE)


@dataclass(frozen=True, slots=True)
class CallPoint:
    """Where a person calls for help. `releases` are doors (RULES E6)."""

    id: str
    place: str
    name: Name
    point: PointRef
    escalation: str
    wiring: Wiring
    outputs: "CallOutputs"
    supervision_ms: int = 25 * HOUR_MS
    reset_key: PointRef | None = None  # turned on site, it clears its calls (E4)


@dataclass(frozen=True, slots=True)
class CallOutputs:
    """What a call moves on site."""

    sirens: tuple[PointRef, ...] = ()
    lamps: tuple[PointRef, ...] = ()
    releases: tuple[str, ...] = ()  # doors; only for a fixed call point inside them


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an escalation: the channels told `after_ms` since the call was (re)raised."""

    after_ms: int
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Escalation:
    """The steps a call climbs until a person acknowledges it; the last one repeats."""

    id: str
    steps: tuple[Step, ...]
    repeat_ms: int = 5 * MINUTE_MS


class ChannelKind(StrEnum):
    """How a call reaches people."""

    OUTPUT = "output"  # siren and lamp on site
    MQTT = "mqtt"  # a topic of a link, e.g. a desk panel
    WEBHOOK = "webhook"
    PLATFORM = "platform"
    DESK = "desk"  # a live page


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to people. `offline` says that it works with no internet. `binding` is its own."""

    id: str
    kind: ChannelKind
    offline: bool
    binding: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FireZone:
    """A supervised fire input and the doors it releases (RULES A3)."""

    id: str
    place: str
    input: PointRef
    doors: tuple[str, ...]
    active: bool = True  # the value that means fire
    outlets: tuple[str, ...] = ()  # facilities whose power it cuts (A3, C2)


@dataclass(frozen=True, slots=True)
class Link:
    """One way to devices; `binding` is its driver's own (host and port, serial line, broker)."""

    id: str
    driver: str
    binding: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Device:
    """A physical thing on a link. `binding` is its driver's own (unit id, topic)."""

    id: str
    profile: str
    link: str
    place: str
    name: Name
    binding: Mapping[str, Any]
    repair_ms: int = 2 * DAY_MS


@dataclass(frozen=True, slots=True)
class Equipment:
    """Everything that is wired."""

    links: Mapping[str, Link]
    devices: Mapping[str, Device]
    profiles: Mapping[str, Profile]
    heartbeat: tuple[PointRef, ...] = ()  # "in service" lamps (RULES E8)

    def spec_of(self, ref: PointRef) -> PointSpec:
        """The profile row of a point. Raises KeyError."""
        return self.profiles[self.devices[ref.device].profile].points[ref.point]


@dataclass(frozen=True, slots=True)
class Safety:
    """Everything that people in need rest on."""

    call_points: Mapping[str, CallPoint]
    escalations: Mapping[str, Escalation]
    channels: Mapping[str, Channel]
    fire_zones: Mapping[str, FireZone]


POLL_MS: Mapping[PollClass, int] = {
    PollClass.SAFETY: 200,
    PollClass.DOOR: 500,
    PollClass.SENSOR: 2 * SECOND_MS,
    PollClass.SLOW: 5 * SECOND_MS,
    PollClass.BATTERY: HOUR_MS,
    PollClass.EVENT: 0,
}


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Figures of RULES A."""

    slow_after_failures: int = 1
    slow_max_ms: int = 30 * SECOND_MS
    tamper_failures_per_hour: int = 20
    clock_uncertain_ms: int = 12 * HOUR_MS
    early_ms: int = 0
    empty_ends_passage_ms: int = 10 * MINUTE_MS
    credential_age_ms: int = 10 * SECOND_MS


@dataclass(frozen=True, slots=True)
class BookingSettings:
    """Figures of RULES B."""

    no_show_grace_ms: int = 15 * MINUTE_MS
    warn_before_end_ms: int = 10 * MINUTE_MS
    return_after_end_ms: int = 15 * MINUTE_MS
    vacant_ms: int = 5 * MINUTE_MS  # no presence for so long after an exit ends a visit (A7)
    offline_extension_ms: int = 60 * MINUTE_MS
    stuck_sensor_ms: int = 24 * HOUR_MS
    command_expiry_ms: int = DAY_MS
    keep_ended_ms: int = 2 * DAY_MS


@dataclass(frozen=True, slots=True)
class EmergencySettings:
    """Figures of RULES E."""

    siren_ms: int = 180 * SECOND_MS
    attend_within_ms: int = 10 * MINUTE_MS
    join_record_ms: int = 10 * SECOND_MS
    chatter_per_minute: int = 10
    release_ms: int = 15 * MINUTE_MS
    test_ms: int = 10 * MINUTE_MS
    untested_ms: int = 35 * DAY_MS
    test_siren_ms: int = 3 * SECOND_MS


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """How much of a quota is held: a use begins with at least the least, and holds a slice more."""

    least_wh: int = 500
    least_ms: int = 5 * MINUTE_MS
    slice_wh: int = 2_000
    slice_ms: int = 30 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Settings:
    """The defaults of the rules, which a site may change."""

    access: AccessSettings = AccessSettings()
    booking: BookingSettings = BookingSettings()
    emergency: EmergencySettings = EmergencySettings()
    quota: QuotaSettings = QuotaSettings()
    poll_ms: Mapping[PollClass, int] = field(default_factory=lambda: dict(POLL_MS))
    listen: str = "127.0.0.1:8080"
    retention_days: Mapping[str, int] = field(default_factory=dict)
    uplink: Mapping[str, Any] = field(default_factory=dict)
    store_reopen_ms: int = 10_000  # how often a lost store is opened afresh (X1)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """All of it. Equal only to itself: indexes are kept by identity."""

    id: str
    zone: str
    places: Mapping[str, Place]
    doors: Mapping[str, Door]
    facilities: Mapping[str, Facility]
    equipment: Equipment
    safety: Safety
    settings: Settings
    circuits: Mapping[str, Circuit] = field(default_factory=dict)
