"""What one piece of a site says of another: every id and point that is named must be there.

A point must also fit what it is used for: a strike is a pulse that its device ends (RULES A4), a
siren a lease that its device lets go (E4), a contact a value of true and false.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from config.base import Strict
from config.charging import CircuitFile, OutletPointsFile, TariffFile
from config.draft import WORDS, Draft, Item
from config.files import KeyPath
from config.models import (
    CallPointFile,
    ChannelFile,
    DeviceFile,
    DoorFile,
    EscalationFile,
    FacilityFile,
    FireZoneFile,
    LinkFile,
    PlaceFile,
    SiteFile,
)
from config.problems import nearest, unknown
from gateway.domain.points import PointRef, SetpointKind
from gateway.domain.profile import Edge, PointSpec, Profile, ValueKind
from gateway.domain.site import SensorKind, Wiring
from gateway.domain.uses import Use

Named = Iterator[tuple[KeyPath, str, type[Strict]]]
Pointed = Iterator[tuple[KeyPath, PointRef, Use]]


def check_references(draft: Draft, profiles: Mapping[str, Profile], known: set[str]) -> None:
    """Add a problem for each id or point that is not there, and each point that does not fit.

    `known` are the ids of all profiles there are, also of those that are not valid.
    """
    for item in draft.items():
        for path, name, kind in named_by(item):
            if name not in draft.of(kind) and not draft.lost(kind):
                word = WORDS[kind]
                draft.wrong(item, path, unknown(name, f"the id of {word}", draft.of(kind)))
        for path, ref, use in pointed_by(item):
            _check_point(draft, profiles, item, path, ref, use)
    for item, model in draft.valid(DeviceFile):
        if model.profile not in known:
            draft.wrong(item, ("profile",), unknown(model.profile, "the id of a profile", known))


def named_by(item: Item[Any]) -> Named:
    """The ids that a piece names: where, which, of what kind."""
    match item.model:
        case PlaceFile(parent=str() as parent):
            yield ("parent",), parent, PlaceFile
        case EscalationFile(steps=steps):
            for number, step in enumerate(steps):
                yield from _each(("steps", number, "channels"), step.channels, ChannelFile)
        case CallPointFile(escalation=escalation, outputs=outputs):
            yield ("escalation",), escalation, EscalationFile
            yield from _each(("outputs", "releases"), outputs.releases, DoorFile)
        case FireZoneFile(doors=doors, outlets=outlets):
            yield from _each(("doors",), doors, DoorFile)
            yield from _each(("outlets",), outlets, FacilityFile)
        case CircuitFile(place=place, parent=parent):
            yield ("place",), place, PlaceFile
            if parent is not None:
                yield ("parent",), parent, CircuitFile
        case DeviceFile(link=link, place=place):
            yield ("link",), link, LinkFile
            yield ("place",), place, PlaceFile
        case FacilityFile():
            yield from _named_by_facility(item.model)
        case ChannelFile(own={"link": str() as link}):
            yield ("link",), link, LinkFile


def _named_by_facility(facility: FacilityFile) -> Named:
    yield ("place",), facility.place, PlaceFile
    yield from _each(("doors",), facility.doors, DoorFile)
    yield from _each(("way",), facility.way, DoorFile)
    if facility.outlet is not None:
        yield ("outlet", "circuit"), facility.outlet.circuit, CircuitFile
    if facility.tariff is not None:
        yield ("tariff",), facility.tariff, TariffFile


def pointed_by(item: Item[Any]) -> Pointed:
    """The points that a piece uses: where, which, for what."""
    match item.model:
        case SiteFile(heartbeat=lamps):
            yield from _points(("heartbeat",), lamps, Use.HEARTBEAT)
        case DoorFile(points=points):
            yield ("points", "strike"), PointRef.parse(points.strike), Use.STRIKE
            for name, use in (
                ("contact", Use.CONTACT),
                ("lock", Use.LOCK),
                ("exit_button", Use.EXIT),
                ("hold", Use.HOLD),
            ):
                if (text := getattr(points, name)) is not None:
                    yield ("points", name), PointRef.parse(text), use
            yield from _points(("points", "readers"), points.readers, Use.READER)
        case CallPointFile() as call_point:
            yield from _call_points(call_point)
        case FireZoneFile(input=text):
            yield ("input",), PointRef.parse(text), Use.FIRE
        case CircuitFile() as circuit:
            yield from _circuit_points(circuit)
        case FacilityFile(sensors=sensors, outlet=outlet):
            for number, sensor in enumerate(sensors):
                yield ("sensors", number, "point"), PointRef.parse(sensor.point), Use.SENSOR
            if outlet is not None:
                yield from _outlet_points(outlet.points)


def _circuit_points(circuit: CircuitFile) -> Pointed:
    yield from _points(("meter",), circuit.meter, Use.CIRCUIT_METER)
    for name, use in (("energy", Use.CIRCUIT_ENERGY), ("breaker", Use.BREAKER)):
        if (text := getattr(circuit, name)) is not None:
            yield (name,), PointRef.parse(text), use


def _call_points(call_point: CallPointFile) -> Pointed:
    yield ("point",), PointRef.parse(call_point.point), Use.CALL
    if call_point.reset_key is not None:
        yield ("reset_key",), PointRef.parse(call_point.reset_key), Use.RESET_KEY
    yield from _points(("outputs", "sirens"), call_point.outputs.sirens, Use.SIREN)
    yield from _points(("outputs", "lamps"), call_point.outputs.lamps, Use.LAMP)


def _outlet_points(points: OutletPointsFile) -> Pointed:
    path = ("outlet", "points")
    for name, use in (
        ("limit", Use.POWER_DRIVE),
        ("switch", Use.POWER_DRIVE),
        ("state", Use.OUTLET),
        ("power", Use.OUTLET),
        ("energy", Use.REGISTER),
        ("serial", Use.OUTLET),
        ("temperature", Use.OUTLET),
    ):
        if (text := getattr(points, name)) is not None:
            yield (*path, name), PointRef.parse(text), use
    yield from _points((*path, "currents"), points.currents, Use.OUTLET)
    yield from _points((*path, "readers"), points.readers, Use.OUTLET_READER)


def profile_of(draft: Draft, profiles: Mapping[str, Profile], device: str) -> Profile | None:
    """The profile of a device, where both are valid."""
    item = draft.of(DeviceFile).get(device)
    if item is None or item.model is None:
        return None
    return profiles.get(item.model.profile)


def spec_of(draft: Draft, profiles: Mapping[str, Profile], text: str) -> PointSpec | None:
    """The profile row of a point written as device/point, where there is one."""
    ref = PointRef.parse(text)
    profile = profile_of(draft, profiles, ref.device)
    return None if profile is None else profile.points.get(ref.point)


def _each(path: KeyPath, names: list[str], kind: type[Strict]) -> Named:
    for number, name in enumerate(names):
        yield (*path, number), name, kind


def _points(path: KeyPath, texts: list[str], use: Use) -> Pointed:
    for number, text in enumerate(texts):
        yield (*path, number), PointRef.parse(text), use


def _check_point(
    draft: Draft,
    profiles: Mapping[str, Profile],
    item: Item[Any],
    path: KeyPath,
    ref: PointRef,
    use: Use,
) -> None:
    if ref.device not in draft.of(DeviceFile):
        devices = draft.of(DeviceFile)
        hint = nearest(ref, (f"{device}/{ref.point}" for device in devices))
        draft.wrong(item, path, f"found {str(ref)!r}, expected a point of a known device{hint}")
        return
    profile = profile_of(draft, profiles, ref.device)
    if profile is None:
        return  # said of the device or its profile
    spec = profile.points.get(ref.point)
    if spec is None:
        hint = nearest(str(ref), (f"{ref.device}/{name}" for name in profile.points))
        said = f"found {str(ref)!r}, expected a point of the profile {profile.id}{hint}"
        draft.wrong(item, path, said)
        return
    expected, rule = _unfit(item, path, spec, use)
    if expected:
        hint = _fitting(item, path, profile, ref, use)
        said = f"found {str(ref)!r} ({_described(spec)}), expected {expected}{hint}"
        draft.wrong(item, path, said, rule)


def _fitting(item: Item[Any], path: KeyPath, profile: Profile, ref: PointRef, use: Use) -> str:
    """The point of the same device most like this one that would fit."""
    fit = (
        f"{ref.device}/{name}"
        for name, spec in profile.points.items()
        if not _unfit(item, path, spec, use)[0]
    )
    ranked = sorted(fit, key=lambda name: name.rpartition("_")[2] != ref.point.rpartition("_")[2])
    return f"; the nearest is {ranked[0]!r}" if ranked else ""


def _unfit(item: Item[Any], path: KeyPath, spec: PointSpec, use: Use) -> tuple[str, str]:
    """What a use expects and the rule it is from, where the point is not so; else empty."""
    match item.model:
        case CallPointFile() as call_point if use is Use.CALL:
            return _unfit_call(call_point.wiring, spec)
        case FacilityFile(sensors=sensors) if use is Use.SENSOR:
            return _unfit_sensor(sensors[int(path[1])].kind, spec)
    expected, rule, fits = _OUTLET_FITS[str(path[2])] if use in _OF_OUTLETS else FITS[use]
    return ("", "") if fits(spec) else (expected, rule)


def _drives(kind: SetpointKind) -> Callable[[PointSpec], bool]:
    return lambda spec: spec.setpoint is not None and spec.setpoint.kind is kind


def _bounded_pulse(spec: PointSpec) -> bool:
    return _drives(SetpointKind.PULSE)(spec) and spec.setpoint.length_ms is not None  # type: ignore[union-attr]  # a pulse has one


def _sets(kind: ValueKind, unit: str) -> Callable[[PointSpec], bool]:
    driven = (SetpointKind.LEVEL, SetpointKind.LEASE)
    return lambda spec: (
        spec.setpoint is not None
        and spec.setpoint.kind in driven
        and spec.kind is kind
        and spec.unit == unit
    )


def _is(kind: ValueKind) -> Callable[[PointSpec], bool]:
    return lambda spec: spec.kind is kind


FITS: Mapping[Use, tuple[str, str, Callable[[PointSpec], bool]]] = {
    Use.STRIKE: ("a pulse whose length_ms the device itself bounds", "A4", _bounded_pulse),
    Use.HOLD: ("a level", "", _drives(SetpointKind.LEVEL)),
    Use.SIREN: ("a lease, which ends when the gateway stops", "E4", _drives(SetpointKind.LEASE)),
    Use.LAMP: ("a lease, which ends when the gateway stops", "E4", _drives(SetpointKind.LEASE)),
    Use.HEARTBEAT: (
        "a lease, which ends when the gateway stops",
        "E8",
        _drives(SetpointKind.LEASE),
    ),
    Use.CONTACT: ("a value of true (open) and false", "", _is(ValueKind.BOOL)),
    Use.EXIT: ("a value of true (pressed) and false", "", _is(ValueKind.BOOL)),
    Use.RESET_KEY: ("a value of true (turned) and false", "E4", _is(ValueKind.BOOL)),
    Use.FIRE: ("a value of true and false", "A3", _is(ValueKind.BOOL)),
    Use.LOCK: ("a text: locked, unlocked, not_fully_locked", "", _is(ValueKind.TEXT)),
    Use.READER: ("edge: credential", "", lambda spec: spec.edge is Edge.CREDENTIAL),
    Use.OUTLET_READER: ("edge: credential", "", lambda spec: spec.edge is Edge.CREDENTIAL),
    Use.CIRCUIT_METER: ("a number of mA", "C4", lambda spec: spec.unit == "mA"),
    Use.CIRCUIT_ENERGY: ("a number of Wh", "C5", lambda spec: spec.unit == "Wh"),
    Use.BREAKER: ("a level", "C2", _drives(SetpointKind.LEVEL)),
}

_OF_OUTLETS = frozenset({Use.OUTLET, Use.REGISTER, Use.POWER_DRIVE})
_OUTLET_FITS: Mapping[str, tuple[str, str, Callable[[PointSpec], bool]]] = {
    "limit": ("a level or lease of whole mA", "C1", _sets(ValueKind.INT, "mA")),
    "switch": ("a level of true (on) and false", "C1", _sets(ValueKind.BOOL, "")),
    "state": ("a text: available, connected, charging …", "", _is(ValueKind.TEXT)),
    "power": ("a number of W", "", lambda spec: spec.unit == "W"),
    "energy": ("a number of Wh", "C3", lambda spec: spec.unit == "Wh"),
    "temperature": ("a number of °C", "C2", lambda spec: spec.unit in ("°C", "C")),
    "currents": ("a number of mA", "C4", lambda spec: spec.unit == "mA"),
    "serial": ("any value", "", lambda _: True),
}


def _unfit_call(wiring: Wiring, spec: PointSpec) -> tuple[str, str]:
    if wiring is Wiring.COUNTER:
        fits = spec.kind is ValueKind.INT
        return ("", "") if fits else ("a whole number that counts presses", "E1")
    if wiring.reports_by_itself:
        fits = spec.edge is Edge.PRESS
        return ("", "") if fits else (f"edge: press, as its wiring is {wiring}", "E1")
    return ("", "") if spec.kind is ValueKind.BOOL else ("a value of true and false", "E1")


def _unfit_sensor(kind: SensorKind, spec: PointSpec) -> tuple[str, str]:
    if kind is SensorKind.CO2:
        fits = spec.kind in (ValueKind.INT, ValueKind.FLOAT)
        return ("", "") if fits else ("a number, as its kind is co2", "")
    return ("", "") if spec.kind is ValueKind.BOOL else ("a value of true and false", "")


def _described(spec: PointSpec) -> str:
    if spec.setpoint is None:
        return f"a reading of type {spec.kind}"
    if spec.setpoint.kind is SetpointKind.PULSE and spec.setpoint.length_ms is None:
        return "a pulse that only the gateway ends"
    return f"a {spec.setpoint.kind}"
