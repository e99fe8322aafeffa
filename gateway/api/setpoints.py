"""Setpoints beside what is read: what a point should be, why, and what it is."""

from typing import Literal

from gateway.api.common import ReasonShown, Shown
from gateway.api.parts import Gateway
from gateway.domain.points import Lease, Level, PointRef, Pulse, Quality, Setpoint, Value
from gateway.domain.profile import Edge
from gateway.domain.uses import Use, uses

Kind = Literal["level", "lease", "pulse"]


class ReadingShown(Shown):
    """A point as last reported. `at_ms` is when it became so; `age_ms` since."""

    value: bool | int | float | str | None
    quality: Quality
    at_ms: int | None
    age_ms: int | None


class SetpointShown(Shown):
    """What a writable point should be and why, beside what is read from it."""

    point: str
    kind: Kind
    wanted: bool | int | float | str
    secures: bool
    reason: ReasonShown
    until_ms: int | None
    read: ReadingShown
    agrees: bool | None


def reading(gateway: Gateway, ref: PointRef) -> ReadingShown:
    """The latest reading of a point. A reader's is never shown: it may be what was typed (U5)."""
    latest = gateway.views.readings.latest(ref)
    seen = latest.value is not None
    hidden = _is_reader(gateway, ref)
    return ReadingShown(
        value=None if hidden else latest.value,
        quality=latest.quality,
        at_ms=latest.at_ms if seen else None,
        age_ms=max(0, gateway.views.now().mono_ms - latest.mono_ms) if seen else None,
    )


def setpoints(gateway: Gateway) -> dict[PointRef, Setpoint]:
    """Every setpoint there is, by its point."""
    return {wanted.ref: wanted for wanted in gateway.views.desired()}


def show(gateway: Gateway, wanted: Setpoint) -> SetpointShown:
    """A setpoint and its reading."""
    read = reading(gateway, wanted.ref)
    return SetpointShown(
        point=str(wanted.ref),
        kind=_kind(wanted),
        wanted=_value(wanted),
        secures=wanted.secures,
        reason=ReasonShown.of(wanted.reason),
        until_ms=_until_ms(gateway, wanted),
        read=read,
        agrees=_agrees(wanted, read),
    )


def of_points(gateway: Gateway, *refs: PointRef | None) -> list[SetpointShown]:
    """What is wanted of these points, where anything is."""
    wanted = setpoints(gateway)
    return [show(gateway, wanted[ref]) for ref in refs if ref is not None and ref in wanted]


def _kind(wanted: Setpoint) -> Kind:
    match wanted:
        case Level():
            return "level"
        case Lease():
            return "lease"
        case Pulse():
            return "pulse"


def _value(wanted: Setpoint) -> Value:
    return True if isinstance(wanted, Pulse) else wanted.value


def _until_ms(gateway: Gateway, wanted: Setpoint) -> int | None:
    """As wall time: monotonic time means nothing to a reader of this."""
    if not isinstance(wanted, Pulse):
        return None
    now = gateway.views.now()
    return now.wall_ms + wanted.until_mono_ms - now.mono_ms


def _agrees(wanted: Setpoint, read: ReadingShown) -> bool | None:
    """Only a level is proved by its own reading (DESIGN §2.1)."""
    if not isinstance(wanted, Level) or read.quality is not Quality.GOOD:
        return None
    return read.value == wanted.value


def _is_reader(gateway: Gateway, ref: PointRef) -> bool:
    site = gateway.views.site
    if any(used.use is Use.READER for used in uses(site).get(ref, ())):
        return True
    try:
        return site.equipment.spec_of(ref).edge is Edge.CREDENTIAL
    except KeyError:
        return False
