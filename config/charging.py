"""What a site says of outlets and circuits, as pydantic models, and the domain's values of it.

Currents are in ampere in the files, and whole mA inside.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from config.base import Chosen, Id, Milliseconds, Reference, Strict, default
from config.hours import parse_hours, readable
from gateway.domain.charging import (
    Limits,
    Meter,
    MeterKind,
    Outlet,
    OutletPoints,
    OutletRules,
    PowerSigns,
)
from gateway.domain.hours import Tariff
from gateway.domain.points import PointRef, refs
from gateway.domain.power import Circuit, Load, LoadKind, PerPhase
from gateway.domain.profile import Profile

Ampere = Annotated[float, Field(ge=0, le=6_300)]
Phase = Annotated[int, Field(ge=1, le=3)]
ProfileOf = Callable[[PointRef], Profile | None]


Hours = Annotated[list[str], AfterValidator(readable)]


class TariffFile(Strict):
    """In which class of price a facility is at any time; what one costs the platform knows."""

    otherwise: Id = Field(description="The class outside all hours, such as normal or subsidised.")
    classes: dict[Id, Hours] = Field(
        default={},
        description='Classes by their hours, as night: ["mon-sun 22:00-06:00"]; the first that is.',
    )


class CircuitFile(Strict):
    """A feeder, with the most it may carry per phase (rule C4)."""

    place: Id = Field(description="Where it is.")
    parent: Id | None = Field(default=None, description="The circuit that feeds it.")
    limit_a: list[Ampere] = Field(
        description="The most it may carry on L1, L2, L3; 0 where it has no such phase.",
        min_length=3,
        max_length=3,
    )
    other_a: list[Ampere] = Field(
        default=[0, 0, 0],
        description="What else hangs on it: what counts while no meter says better.",
        min_length=3,
        max_length=3,
    )
    meter: list[Reference] = Field(
        default=[], description="Points of its own currents (mA), L1 first.", max_length=3
    )
    soft_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=default(Circuit, "soft_percent"),
        description="Above this share of the limit no switched outlet starts.",
    )
    breaker: Reference | None = Field(
        default=None, description="A level whose false opens the circuit (rule C2)."
    )
    energy: Reference | None = Field(
        default=None, description="The register (Wh) of a meter over all outlets on it (rule C5)."
    )


class OutletPointsFile(Strict):
    """The points an outlet is made of."""

    limit: Reference | None = Field(default=None, description="Its current limit, in mA.")
    switch: Reference | None = Field(default=None, description="Its switch, where it has no limit.")
    state: Reference | None = Field(default=None, description="What the charger says of itself.")
    power: Reference | None = Field(default=None, description="The power it draws, in W.")
    energy: Reference | None = Field(default=None, description="Its energy register, in Wh.")
    serial: Reference | None = Field(default=None, description="The serial of that meter.")
    currents: list[Reference] = Field(
        default=[], description="The currents it draws (mA), its own L1 first.", max_length=3
    )
    temperature: Reference | None = Field(default=None, description="Its temperature, in °C.")
    readers: list[Reference] = Field(default=[], description="The keypads and card readers.")


class PowerSignsFile(Strict):
    """What power alone says of an outlet that has no state (rule C8), in W."""

    full_below_w: int = Field(
        default=default(PowerSigns, "full_below_w"), ge=0, description="Full."
    )
    judged_below_w: int = Field(
        default=default(PowerSigns, "judged_below_w"), ge=0, description="Full is judged below it."
    )
    float_ms: Milliseconds = Field(
        default=default(PowerSigns, "float_ms"), description="How long a full battery goes on."
    )
    unplugged_below_w: int = Field(
        default=default(PowerSigns, "unplugged_below_w"), ge=0, description="Nothing is plugged in."
    )
    swap_after_ms: Milliseconds = Field(
        default=default(PowerSigns, "swap_after_ms"),
        description="Nothing for so long and then a rise is another vehicle.",
    )
    gone_after_ms: Milliseconds = Field(
        default=default(PowerSigns, "gone_after_ms"),
        description="Nothing for so long is a vehicle that has gone.",
    )


class OutletFile(Strict):
    """Where a vehicle charges (rules C)."""

    points: OutletPointsFile = Field(description="The points it is made of.")
    circuit: Id = Field(description="The circuit it hangs on.")
    phases: list[Phase] = Field(
        default=[],
        description="The site's phases that its own are on, in order; none: not known.",
        max_length=3,
    )
    max_a: Ampere = Field(description="The most it may draw a phase.")
    min_a: Ampere = Field(default=6, description="Less than this is off (IEC 61851: 6 A).")
    failsafe_a: Ampere = Field(
        default=0, description="What it draws by itself when nobody speaks to it (rule C6)."
    )
    plug_within_ms: Milliseconds = Field(
        default=default(OutletRules, "plug_within_ms"),
        description="How long an authorisation waits for the plug.",
    )
    longest_ms: Milliseconds = Field(
        default=OutletRules().limits.longest_ms, description="The longest session; 0: any."
    )
    most_kwh: float = Field(default=0, ge=0, le=1_000, description="The most energy; 0: any.")
    hot_c: int = Field(default=default(OutletRules, "hot_c"), description="Too hot (rule C2).")
    resumes_within_ms: Milliseconds = Field(
        default=default(OutletRules, "resumes_within_ms"),
        description="A session goes on after an outage of at most this (rule C8).",
    )
    hours: Hours | None = Field(
        default=None,
        description='When it may charge, as "mon-sun 06:00-23:00" (rule C8); else always.',
    )
    signs: PowerSignsFile = Field(
        default=PowerSignsFile(), description="What power alone says, without a state."
    )
    meter_kind: Annotated[MeterKind, Chosen] | None = Field(
        default=None, description="lifetime or session, where the meter's profile does not say."
    )


def tariff_of(id_: str, model: TariffFile) -> Tariff:
    """A tariff as the rules see it."""
    classes = ((name, parse_hours(hours)) for name, hours in model.classes.items())
    return Tariff(id_, model.otherwise, tuple(classes))


def circuit_of(id_: str, model: CircuitFile) -> Circuit:
    """A circuit as the rules see it."""
    return Circuit(
        id=id_,
        place=model.place,
        limit_ma=_per_phase(model.limit_a),
        parent=model.parent,
        other_ma=_per_phase(model.other_a),
        meter=refs(model.meter),
        soft_percent=model.soft_percent,
        breaker=_ref(model.breaker),
        energy=_ref(model.energy),
    )


def outlet_of(model: OutletFile, profile_of: ProfileOf) -> Outlet:
    """An outlet as the rules see it; steps and registers are as its profiles say."""
    points = model.points
    kind = LoadKind.MODULATED if points.limit is not None else LoadKind.SWITCHED
    drive, switch = _ref(points.limit), _ref(points.switch)
    return Outlet(
        points=OutletPoints(
            limit=drive,
            switch=None if drive is not None else switch,
            state=_ref(points.state),
            power=_ref(points.power),
            currents=refs(points.currents),
            temperature=_ref(points.temperature),
            readers=refs(points.readers),
            failsafe_current=_beside(profile_of, drive or switch, "failsafe_current"),
            failsafe_timeout=_beside(profile_of, drive or switch, "failsafe_timeout"),
        ),
        load=Load(
            circuit=model.circuit,
            kind=kind,
            phases=tuple(model.phases),
            minimum_ma=_ma(model.min_a if points.limit is not None else model.max_a),
            maximum_ma=_ma(model.max_a),
            step_ma=int(_trait(profile_of, drive, "step_ma", default(Load, "step_ma"))),
            failsafe_ma=_ma(model.failsafe_a),
            failsafe_after_s=int(_trait(profile_of, drive or switch, "failsafe_timeout_s", 0)),
        ),
        meter=_meter(model, profile_of),
        rules=OutletRules(
            plug_within_ms=model.plug_within_ms,
            limits=Limits(round(model.most_kwh * 1_000), model.longest_ms),
            signs=PowerSigns(**model.signs.model_dump()),
            hot_c=model.hot_c,
            resumes_within_ms=model.resumes_within_ms,
            hours=None if model.hours is None else parse_hours(model.hours),
        ),
    )


def _meter(model: OutletFile, profile_of: ProfileOf) -> Meter | None:
    energy = _ref(model.points.energy)
    if energy is None:
        return None
    kind = model.meter_kind or MeterKind(_trait(profile_of, energy, "energy", "lifetime"))
    return Meter(
        energy=energy,
        kind=kind,
        resolution_wh=int(_trait(profile_of, energy, "energy_resolution_wh", 1)),
        rolls_over_wh=int(_trait(profile_of, energy, "energy_rolls_over_wh", 0)),
        serial=_ref(model.points.serial),
    )


def _trait(profile_of: ProfileOf, ref: PointRef | None, name: str, otherwise: Any) -> Any:
    """A fact of the model of device that a point is of."""
    profile = None if ref is None else profile_of(ref)
    return otherwise if profile is None else profile.traits.get(name, otherwise)


def _beside(profile_of: ProfileOf, drive: PointRef | None, name: str) -> PointRef | None:
    """A setting of what drives an outlet: its connector's own, or its device's; if it has one."""
    profile = None if drive is None else profile_of(drive)
    if drive is None or profile is None:
        return None
    _, mark, number = drive.point.rpartition("_")
    for point in (f"{name}{mark}{number}", name):
        if point in profile.points and profile.points[point].setpoint is not None:
            return PointRef(drive.device, point)
    return None


def _per_phase(amperes: list[float]) -> PerPhase:
    l1, l2, l3 = (_ma(one) for one in amperes)
    return (l1, l2, l3)


def _ma(ampere: float) -> int:
    return round(ampere * 1_000)


def _ref(text: str | None) -> PointRef | None:
    return None if text is None else PointRef.parse(text)
