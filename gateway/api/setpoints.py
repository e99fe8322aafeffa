"""Setpoints beside what is read: what a point should be, why, and what it is."""

from collections.abc import Mapping
from typing import Literal

from gateway.api.auth import Caller
from gateway.api.common import ReasonShown, Shown
from gateway.api.parts import Gateway
from gateway.domain.points import Lease, Level, PointRef, Pulse, Quality, Setpoint, Value
from gateway.domain.profile import Edge
from gateway.domain.reasons import Reason, reason
from gateway.domain.uses import Use, uses

Kind = Literal["level", "lease", "pulse"]
Wanted = Mapping[PointRef, Setpoint]


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


def wanted(gateway: Gateway) -> Wanted:
    """Every setpoint there is, by its point; asked for once a request."""
    return {one.ref: one for one in gateway.views.desired()}


def show(gateway: Gateway, setpoint: Setpoint, caller: Caller) -> SetpointShown:
    """A setpoint and its reading, as the caller may see them."""
    read = reading(gateway, setpoint.ref)
    return SetpointShown(
        point=str(setpoint.ref),
        kind=_kind(setpoint),
        wanted=_value(setpoint),
        secures=setpoint.secures,
        reason=ReasonShown.of(_without_person(setpoint.reason, caller)),
        until_ms=_until_ms(gateway, setpoint),
        read=read,
        agrees=_agrees(setpoint, read),
    )


def _without_person(why: Reason, caller: Caller) -> Reason:
    """A lamp burns steadily because somebody by name has the call: not everybody may read who."""
    named = why.code == "call_acknowledged" and not caller.sees_people
    return reason("call_acknowledged", person="–") if named else why


def _kind(setpoint: Setpoint) -> Kind:
    match setpoint:
        case Level():
            return "level"
        case Lease():
            return "lease"
        case Pulse():
            return "pulse"


def _value(setpoint: Setpoint) -> Value:
    return True if isinstance(setpoint, Pulse) else setpoint.value


def _until_ms(gateway: Gateway, setpoint: Setpoint) -> int | None:
    """As wall time: monotonic time means nothing to a reader of this."""
    if not isinstance(setpoint, Pulse):
        return None
    now = gateway.views.now()
    return now.wall_ms + setpoint.until_mono_ms - now.mono_ms


def _agrees(setpoint: Setpoint, read: ReadingShown) -> bool | None:
    """A pulse or a pattern is not proved by its own reading (DESIGN §2.1)."""
    shown = isinstance(setpoint, Level) or (isinstance(setpoint, Lease) and not setpoint.plays)
    if not shown or read.quality is not Quality.GOOD:
        return None
    return read.value == _value(setpoint)


def _is_reader(gateway: Gateway, ref: PointRef) -> bool:
    site = gateway.views.site
    if any(used.use is Use.READER for used in uses(site).get(ref, ())):
        return True
    try:
        return site.equipment.spec_of(ref).edge is Edge.CREDENTIAL
    except KeyError:
        return False
