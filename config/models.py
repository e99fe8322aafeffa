"""What the files of a site and a profile may hold, as pydantic models: our edge to YAML.

Keys mirror the fields of the domain's values. Where the columns are ours an unknown key is an
error; links, devices, channels and profile rows also carry keys of their driver's own (`own`).
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from config.base import Chosen, Id, Milliseconds, Open, Reference, Strict, Text, default
from config.charging import CircuitFile, OutletFile, TariffFile
from config.figures import SettingsFile
from config.hours import readable
from gateway.domain.points import SetpointKind
from gateway.domain.profile import Edge, PollClass, SetpointSpec, ValueKind
from gateway.domain.site import (
    BookingPolicy,
    ChannelKind,
    Device,
    DoorMode,
    DoorRules,
    Egress,
    Escalation,
    Facility,
    FireRole,
    PresenceSensor,
    SensorKind,
    Wiring,
)


class NameFile(Strict):
    """What people call a thing."""

    zh: Text = Field(description="The name in Chinese.")
    en: Text = Field(description="The name in English.")


# --- site.yaml ----------------------------------------------------------------------------------


class LinkFile(Open):
    """One way to devices: a host, a bus, a broker. More keys are its driver's (host, port …)."""

    driver: Id = Field(description="The kind of link, such as modbus or mqtt.")


class ChannelFile(Open):
    """One way to people. More keys are the channel's own (link and topic, url …)."""

    kind: Annotated[ChannelKind, Chosen] = Field(description="How a call reaches people.")
    offline: bool | None = Field(
        default=None,
        description="Whether it works with no internet; said by the kind for output, desk "
        "and platform.",
    )


class StepFile(Strict):
    """One step of an escalation."""

    after_ms: Milliseconds = Field(description="How long after the call was raised (or again).")
    channels: list[Id] = Field(description="The channels that are told.", min_length=1)


class EscalationFile(Strict):
    """The steps a call climbs until a person acknowledges it; the last one repeats."""

    steps: list[StepFile] = Field(description="The steps, earliest first.", min_length=1)
    repeat_ms: Milliseconds = Field(
        default=default(Escalation, "repeat_ms"), description="How often the last step repeats."
    )


class SiteFile(Strict):
    """site.yaml: the premises that one gateway serves."""

    id: Id = Field(description="The site's id, also its name at the platform.")
    zone: str = Field(description="The time zone, such as Asia/Shanghai.")
    links: dict[Id, LinkFile] = Field(description="The ways to devices, by id.")
    channels: dict[Id, ChannelFile] = Field(default={}, description="The ways to people, by id.")
    escalations: dict[Id, EscalationFile] = Field(
        default={}, description="The steps that calls climb, by id."
    )
    circuits: dict[Id, CircuitFile] = Field(
        default={}, description="The feeders that outlets hang on, by id (rule C4)."
    )
    tariffs: dict[Id, TariffFile] = Field(
        default={}, description="When a facility is in which class of price, by id."
    )
    heartbeat: list[Reference] = Field(
        default=[], description='Lamps that say "in service" while the gateway lives (rule E8).'
    )
    settings: SettingsFile = Field(default=SettingsFile(), description="The figures of the rules.")


# --- places.yaml --------------------------------------------------------------------------------


class DoorPointsFile(Strict):
    """The points a door is made of."""

    strike: Reference = Field(description="The pulse that releases it (rule A4).")
    contact: Reference | None = Field(default=None, description="The contact; true is open.")
    lock: Reference | None = Field(default=None, description="The lock's own state.")
    exit_button: Reference | None = Field(default=None, description="The exit button.")
    hold: Reference | None = Field(default=None, description="The level that keeps it unlocked.")
    readers: list[Reference] = Field(default=[], description="The keypads and card readers.")


class DoorRulesFile(Strict):
    """How a door behaves."""

    egress: Annotated[Egress, Chosen] = Field(
        description="How a person inside gets out without the gateway: mechanical or hardwired."
    )
    fails: Literal["safe", "secure"] = Field(
        default=default(DoorRules, "fails"),
        description="What the lock does without power: safe (unlocks) or secure.",
    )
    fire_release: Literal["hardwired"] | None = Field(
        default=None,
        description="hardwired: the fire panel cuts the lock's power itself (rule A3).",
    )
    mode: Annotated[DoorMode, Chosen] = Field(
        default=default(DoorRules, "mode"), description="Whom the door lets in (rule A8)."
    )
    fire: Annotated[FireRole, Chosen] = Field(
        default=default(DoorRules, "fire"), description="What it does on fire (rule A3)."
    )
    open_hours: list[str] | None = Field(
        default=None,
        description='When a scheduled door is open, as "mon-fri 08:00-22:00"; a date has hours of '
        'its own: "2026-12-24 08:00-14:00", "2026-12-25..2026-12-31 closed".',
    )
    release_ms: Milliseconds = Field(
        default=default(DoorRules, "release_ms"), description="How long a grant releases it."
    )
    enter_within_ms: Milliseconds = Field(
        default=default(DoorRules, "enter_within_ms"),
        description="How long after a grant an opening is an entering (rule A6).",
    )
    held_open_ms: Milliseconds = Field(
        default=default(DoorRules, "held_open_ms"),
        description="How long it may stand open before it is held open (rule A6).",
    )

    _hours = field_validator("open_hours")(readable)


class DoorFile(Strict):
    """A way into a place."""

    name: NameFile = Field(description="What people call it.")
    points: DoorPointsFile = Field(description="The points it is made of.")
    rules: DoorRulesFile = Field(description="How it behaves.")


class CallOutputsFile(Strict):
    """What a call moves on site."""

    sirens: list[Reference] = Field(default=[], description="Sirens that sound (rule E4).")
    lamps: list[Reference] = Field(default=[], description="Lamps that flash (rule E4).")
    releases: list[Id] = Field(default=[], description="Doors it releases (rule E6).")


class CallPointFile(Strict):
    """Where a person calls for help."""

    name: NameFile = Field(description="What people call it.")
    point: Reference = Field(description="The point that shows a press.")
    wiring: Annotated[Wiring, Chosen] = Field(description="How a press shows (rule E1).")
    escalation: Id = Field(description="The steps its calls climb.")
    outputs: CallOutputsFile = Field(
        default=CallOutputsFile(), description="What a call moves on site."
    )
    reset_key: Reference | None = Field(
        default=None, description="A key at the place that clears its calls (rule E4)."
    )
    shortest_press_ms: Milliseconds | None = Field(
        default=None, description="The shortest press that a momentary button can show (rule E1)."
    )
    supervision_ms: Milliseconds | None = Field(
        default=None, description="Not heard for so long, it gives no cover (rule E5)."
    )


class FireZoneFile(Strict):
    """A supervised fire input and the doors it releases."""

    input: Reference = Field(description="The input from the fire panel.")
    doors: list[Id] = Field(default=[], description="The doors it releases (rule A3).")
    active: bool = Field(default=True, description="The value that means fire.")
    outlets: list[Id] = Field(
        default=[], description="Facilities whose power it cuts (rules A3, C2)."
    )


class PlaceFile(Strict):
    """A compound, building or room, with what is in it."""

    name: NameFile = Field(description="What people call it.")
    parent: Id | None = Field(default=None, description="The place it is in.")
    doors: dict[Id, DoorFile] = Field(default={}, description="The ways into it, by id.")
    call_points: dict[Id, CallPointFile] = Field(
        default={}, description="Where people call for help."
    )
    fire_zones: dict[Id, FireZoneFile] = Field(default={}, description="Fire inputs, by id.")


# --- devices/<id>.yaml and facilities/<id>.yaml -------------------------------------------------


class DeviceFile(Open):
    """devices/<id>.yaml: a physical thing on a link. More keys are its driver's (unit, topic …)."""

    profile: Id = Field(description="The table that says what its model can do.")
    link: Id = Field(description="The link it is on.")
    place: Id = Field(description="Where it is.")
    name: NameFile = Field(description="What people call it.")
    repair_ms: Milliseconds = Field(
        default=default(Device, "repair_ms"),
        description="How long a repair may take before the desk is told again.",
    )


class SensorFile(Strict):
    """A point that is evidence of presence."""

    point: Reference = Field(description="The sensor's point.")
    kind: Annotated[SensorKind, Chosen] = Field(description="What it can see (rule B6).")
    hold_ms: Milliseconds = Field(
        default=default(PresenceSensor, "hold_ms"), description="How long its last sign holds."
    )
    threshold: float = Field(
        default=default(PresenceSensor, "threshold"), description="Present above it, for CO₂ (ppm)."
    )


class FacilityFile(Strict):
    """facilities/<id>.yaml: one thing people share."""

    place: Id = Field(description="Where it is.")
    name: NameFile = Field(description="What people call it.")
    booking: Annotated[BookingPolicy, Chosen] = Field(
        description="Whether it is used with a booking."
    )
    capacity: int = Field(
        default=default(Facility, "capacity"),
        ge=1,
        description="How many bookings at a time (rule B2).",
    )
    doors: list[Id] = Field(default=[], description="Its own doors.")
    way: list[Id] = Field(default=[], description="Other doors one must pass to come to it.")
    sensors: list[SensorFile] = Field(
        default=[], description="What sees whether somebody is there."
    )
    open_hours: list[str] | None = Field(
        default=None,
        description='When it is open, as "mon-fri 08:00-22:00", else always; a date has hours of '
        'its own: "2026-12-24 08:00-14:00", "2026-12-25..2026-12-31 closed".',
    )
    outlet: OutletFile | None = Field(default=None, description="Where a vehicle charges at it.")
    tariff: Id | None = Field(
        default=None, description="The tariff whose classes its records name; else none."
    )

    _hours = field_validator("open_hours")(readable)


# --- profiles/<id>.yaml -------------------------------------------------------------------------

PlainValue = bool | int | float | str


class PointRow(Open):
    """One quantity of a device. More columns are the driver's own (table, address, topic …)."""

    value: Annotated[ValueKind, Chosen] = Field(description="The type of its value.")
    unit: str = Field(default="", description="The unit, such as W or ppm.")
    poll: Annotated[PollClass, Chosen] = Field(
        default=PollClass.SENSOR, description="How fresh it must be; event: it reports by itself."
    )
    edge: Annotated[Edge, Chosen] = Field(
        default=Edge.NONE, description="Which changes are happenings, never conflated."
    )
    setpoint: Annotated[SetpointKind, Chosen] | None = Field(
        default=None, description="How it is driven, if it can be: level, lease or pulse."
    )
    length_ms: int | None = Field(
        default=default(SetpointSpec, "length_ms"),
        ge=1,
        description="The device-side length of a pulse, or how soon a lease is forgotten there.",
    )
    secures: list[PlainValue] = Field(default=[], description="The values in the safe direction.")
    minimum: float | None = Field(default=None, description="The least value that may be written.")
    maximum: float | None = Field(
        default=None, description="The greatest value that may be written."
    )
    values: list[PlainValue] = Field(
        default=[],
        description="The only values that may be written, beside those from minimum to maximum.",
    )
    write_every_min: float = Field(
        default=default(SetpointSpec, "write_every_min"),
        ge=0,
        description="Least time between writes, to spare a non-volatile register.",
    )
    settles_ms: Milliseconds = Field(
        default=default(SetpointSpec, "settles_ms"),
        description="How long the device may take to show what was written.",
    )
    deadband: float = Field(default=0.0, ge=0, description="Smaller changes are not reported.")


class ProfileFile(Strict):
    """profiles/<id>.yaml: what a model of device can do."""

    id: Id = Field(description="The profile's id, as its file is named.")
    title: Text = Field(description="Make and model.")
    driver: Id = Field(description="The kind of link its devices are on.")
    source: Text = Field(description="Where its figures come from: manual, page, version.")
    traits: dict[str, Any] = Field(default={}, description="Facts of the model for `check`.")
    device: dict[str, Any] = Field(
        default={}, description="What the driver must know of the model."
    )
    points: dict[Id, PointRow] = Field(
        description="Its points, by name. Writable points whose names end in the same _<number> "
        "(relay_3, pulse_3) are one output.",
        min_length=1,
    )
