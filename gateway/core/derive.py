"""What every writable point should be, from what is true (DESIGN §2.1). Each setpoint has a reason.

`derive` is asked point by point: `affected` tells which points a change can have moved.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.core import emergency, fire, outlets, passage, tripping
from gateway.core.draft import Draft
from gateway.core.layout import call_points_of
from gateway.domain.calls import Call, FireLatch
from gateway.domain.charging import CircuitStatus, OutletStatus
from gateway.domain.entity import Entity
from gateway.domain.faults import Fault
from gateway.domain.now import Now
from gateway.domain.points import (
    Lease,
    Level,
    PointRef,
    Pulse,
    ReadingsView,
    Setpoint,
    SetpointKind,
    Value,
)
from gateway.domain.reasons import Reason, reason
from gateway.domain.site import Door, Facility, Site
from gateway.domain.state import Change, State
from gateway.domain.uses import Use, Used, uses
from gateway.domain.visits import DoorStatus

_OUTPUTS = frozenset(
    {Use.STRIKE, Use.HOLD, Use.SIREN, Use.LAMP, Use.HEARTBEAT}
    | {Use.POWER_DRIVE, Use.FAILSAFE, Use.BREAKER}
)
FOR_EVER = 1 << 62
UNLOCKED = "unlocked"
Derived = tuple[Setpoint | None, int]


@lru_cache(maxsize=4)
def outputs(site: Site) -> Mapping[PointRef, tuple[Used, ...]]:
    """Every point that the core drives, and what for."""
    found = {ref: tuple(u for u in all_ if u.use in _OUTPUTS) for ref, all_ in uses(site).items()}
    return {ref: used_by for ref, used_by in found.items() if used_by}


def affected(site: Site, changes: Iterable[Change]) -> dict[PointRef, None]:
    """The points whose setpoint these changes can have moved, in an order that no hash decides."""
    found: dict[PointRef, None] = {}
    for type_, id_, entity in changes:
        if type_ in _MOVED_BY:
            found |= dict.fromkeys(_MOVED_BY[type_](site, id_, entity))
    return found


def derive(
    site: Site, state: State, readings: ReadingsView, now: Now, points: Iterable[PointRef]
) -> tuple[dict[PointRef, Setpoint | None], int]:
    """The setpoints of these points, and the monotonic time until which they hold by themselves.

    None means that nothing is asked of the point: a strike is left alone unless there is a grant.
    """
    draft = Draft(site, state, readings, now)
    wanted: dict[PointRef, Setpoint | None] = {}
    valid_until = FOR_EVER
    for ref in points:
        setpoint, until = _derive_point(draft, ref)
        wanted[ref] = setpoint
        valid_until = min(valid_until, until)
    return wanted, valid_until


def _derive_point(draft: Draft, ref: PointRef) -> Derived:
    used_by = outputs(draft.site)[ref]
    owners = {u.owner for u in used_by}
    match used_by[0].use:
        case Use.STRIKE:
            return _strike(draft, ref, draft.site.doors[used_by[0].owner])
        case Use.HOLD:
            return _hold(draft, ref, draft.site.doors[used_by[0].owner])
        case Use.SIREN:
            return _siren(draft, ref, owners)
        case Use.LAMP:
            return _lamp(draft, ref, owners), FOR_EVER
        case Use.POWER_DRIVE | Use.FAILSAFE | Use.BREAKER:
            return _charging(draft, ref, used_by[0]), FOR_EVER
        case _:
            return Lease(ref, "on", secures=True, reason=reason("in_service")), FOR_EVER


# --- doors ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Held:
    """Why a door is released to all at once: `cause` names the fire or call; and for how long."""

    code: str
    cause: str
    left_ms: int


def _held(draft: Draft, door: Door) -> _Held | None:
    """Fire outranks a call (A3, E6)."""
    latch = fire.releases(draft, door)
    if latch is not None:
        return _Held("fire_release", f"{latch.id}-{latch.since_ms}", FOR_EVER)
    call = emergency.released_by_call(draft, door)
    if call is not None:
        return _Held("call_release", call.id, emergency.release_left_ms(draft, call))
    return None


def _strike(draft: Draft, ref: PointRef, door: Door) -> Derived:
    now = draft.now
    held = _held(draft, door)
    if door.points.hold is not None:
        if held is not None or passage.is_open_to_all(draft, door):
            return None, FOR_EVER  # held already: a pulse that ends would lock it
    elif held is not None:
        return _released_again(draft, ref, door, held)
    status = draft.get(DoorStatus, door.id)
    given = status.grant if status else None
    if given is None or given.boot != now.boot or given.until_mono_ms <= now.mono_ms:
        return None, FOR_EVER
    override = reason("override", person="–", why="–")
    pulse = Pulse(
        ref=ref,
        token=given.token,
        length_ms=door.rules.release_ms,
        until_mono_ms=given.until_mono_ms,
        boot=given.boot,
        secures=False,
        reason=override if given.basis == "override" else reason("granted"),
        confirms=_confirmations(door),
    )
    return pulse, given.until_mono_ms


def _released_again(draft: Draft, ref: PointRef, door: Door, held: _Held) -> Derived:
    """A door with no way to be held is released again and again: each period is one decision."""
    now, length_ms = draft.now, door.rules.release_ms
    period = now.mono_ms // length_ms
    until = (period + 1) * length_ms
    if door.points.lock is not None and _is_unlocked(draft, door.points.lock):
        return None, until
    pulse = Pulse(
        ref=ref,
        token=f"{held.code}-{held.cause}-{now.boot}-{period}",
        length_ms=length_ms,
        until_mono_ms=until,
        boot=now.boot,
        secures=True,
        reason=reason(held.code),
        confirms=_confirmations(door),
    )
    return pulse, until


def _confirmations(door: Door) -> tuple[tuple[PointRef, Value], ...]:
    found: list[tuple[PointRef, Value]] = []
    if door.points.contact is not None:
        found.append((door.points.contact, True))
    if door.points.lock is not None:
        found.append((door.points.lock, UNLOCKED))
    return tuple(found)


def _is_unlocked(draft: Draft, lock: PointRef) -> bool:
    reading = draft.reading(lock)
    return reading.good and reading.value == UNLOCKED


def _hold(draft: Draft, ref: PointRef, door: Door) -> Derived:
    now = draft.now.mono_ms
    held = _held(draft, door)
    if held is not None:
        return Level(ref, True, secures=True, reason=reason(held.code)), now + held.left_ms
    until = _open_hours_hold(draft, door)
    if passage.is_open_to_all(draft, door):
        return Level(ref, True, secures=False, reason=reason("open_mode")), until
    pulse_over = _pulse_over(draft, door)
    if pulse_over > now:
        return None, pulse_over  # hold and strike may be one relay: leave its pulse alone
    return Level(ref, False, secures=True, reason=reason("ok")), until


def _open_hours_hold(draft: Draft, door: Door) -> int:
    """Until when the door's mode says what it says now (monotonic)."""
    wait_ms = passage.next_change_ms(draft, door)
    return FOR_EVER if wait_ms is None else draft.now.mono_ms + wait_ms


def _pulse_over(draft: Draft, door: Door) -> int:
    """When the last pulse that was granted in this boot has surely ended (monotonic)."""
    status = draft.get(DoorStatus, door.id)
    if status is None:
        return 0
    ours = (g.until_mono_ms for g in status.grants if g.boot == draft.now.boot)
    last = max(status.released_until_mono_ms, *ours, 0)
    return last + door.rules.release_ms if last else 0


# --- calls ------------------------------------------------------------------------------------


def _siren(draft: Draft, ref: PointRef, owners: set[str]) -> Derived:
    """On for each raise at most its time (E4); a test sounds for 3 s, under any real call (E7)."""
    sounding = [
        call
        for call in _calls_of(draft, owners)
        if call.unanswered and emergency.siren_left_ms(draft, call)
    ]
    if not sounding:
        return Lease(ref, "off", secures=True, reason=reason("call_over")), FOR_EVER
    until = draft.now.mono_ms + min(emergency.siren_left_ms(draft, call) for call in sounding)
    first = min(sounding, key=lambda call: call.test)
    value = "test" if first.test else "on"
    return Lease(ref, value, secures=True, reason=_raised(draft, first)), until


def _lamp(draft: Draft, ref: PointRef, owners: set[str]) -> Lease:
    """Flashes while a call is unanswered, steady until it is cleared (E4)."""
    calls = _calls_of(draft, owners)
    waiting = next((call for call in calls if call.unanswered), None)
    if waiting is not None:
        return Lease(ref, "flash", secures=True, reason=_raised(draft, waiting))
    if calls:
        why = reason("call_acknowledged", person=calls[0].person or "–")
        return Lease(ref, "on", secures=True, reason=why)
    return Lease(ref, "off", secures=True, reason=reason("call_over"))


def _raised(draft: Draft, call: Call) -> Reason:
    place = draft.site.places.get(call.place)
    name = place.name.en if place else call.place
    return reason("call_test" if call.test else "call_raised", place=name)


def _calls_of(draft: Draft, owners: set[str]) -> list[Call]:
    """Open calls that move the outputs of these call points."""
    return [
        call
        for call in draft.state.all(Call)
        if call.open and any(c.id in owners for c in call_points_of(draft.site, call))
    ]


# --- charging ---------------------------------------------------------------------------------


def _charging(draft: Draft, ref: PointRef, used: Used) -> Lease | Level | None:
    if used.use is Use.BREAKER:
        return _breaker(draft, ref, used.owner)
    facility = draft.site.facilities[used.owner]
    drives = used.use is Use.POWER_DRIVE
    return _power(draft, ref, facility) if drives else _failsafe(ref, facility)


def _power(draft: Draft, ref: PointRef, facility: Facility) -> Lease | Level:
    """What is granted: nothing without a session (C1). Less than before never waits for disk.

    Less than a grant that has not reached the charger yet is more than it has.
    """
    status = draft.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    outlet = outlets.outlet_of(facility)
    value = status.granted_ma if outlet.points.limit is not None else status.granted_ma > 0
    read = draft.reading(ref)
    raises = read.good and not isinstance(read.value, str | None) and read.value < value
    secures = not status.granted_ma or (status.counted_ma > status.granted_ma and not raises)
    why = outlets.power_reason(draft, facility)
    spec = draft.site.equipment.spec_of(ref).setpoint
    kind = Lease if spec is not None and spec.kind is SetpointKind.LEASE else Level
    return kind(ref, value, secures, why)


def _failsafe(ref: PointRef, facility: Facility) -> Level:
    """What the charger does when nobody speaks to it, and after how long: as the site says (C6)."""
    outlet = outlets.outlet_of(facility)
    current = ref == outlet.points.failsafe_current
    value = outlet.load.failsafe_ma if current else outlet.load.failsafe_after_s
    return Level(ref, value, secures=True, reason=reason("failsafe", outlet=facility.name.en))


def _breaker(draft: Draft, ref: PointRef, circuit: str) -> Level | None:
    """Opened for a hazard, closed once that is reset; else a person's own (C2)."""
    status = draft.get(CircuitStatus, circuit)
    if status is None:
        return None
    if status.closing:
        return Level(ref, True, secures=False, reason=reason("ok"))
    facility = draft.site.facilities.get(status.facility)
    outlet = facility.name.en if facility is not None else status.facility
    return Level(ref, False, secures=True, reason=reason("hazard", outlet=outlet))


# --- which points -----------------------------------------------------------------------------


def _door_outputs(site: Site, door_id: str) -> list[PointRef]:
    door = site.doors.get(door_id)
    if door is None:
        return []
    return [ref for ref in (door.points.strike, door.points.hold) if ref is not None]


def _zone_outputs(site: Site, zone_id: str) -> list[PointRef]:
    zone = site.safety.fire_zones.get(zone_id)
    return [ref for door in zone.doors for ref in _door_outputs(site, door)] if zone else []


def _outlet_outputs(site: Site, facility_id: str) -> list[PointRef]:
    facility = site.facilities.get(facility_id)
    if facility is None or facility.outlet is None:
        return []
    return [facility.outlet.points.drive]


def _breaker_outputs(site: Site, circuit_id: str) -> list[PointRef]:
    circuit = site.circuits.get(circuit_id)
    return [tripping.breaker_of(circuit)] if circuit is not None else []


def _call_outputs(site: Site, call: Call) -> list[PointRef]:
    found: list[PointRef] = []
    for call_point in call_points_of(site, call):
        outs = call_point.outputs
        found += [*outs.sirens, *outs.lamps]
        found += [ref for door in outs.releases for ref in _door_outputs(site, door)]
    return found


# By type: what an entity of that id moves, and the entity itself unless it is no more.
_MOVED_BY: dict[type[Entity], Callable[[Site, str, Any], Iterable[PointRef]]] = {
    DoorStatus: lambda site, id_, _: _door_outputs(site, id_),
    Call: lambda site, _, call: _call_outputs(site, call) if call is not None else (),
    FireLatch: lambda site, id_, _: _zone_outputs(site, id_),
    Fault: lambda site, id_, _: _zone_outputs(site, id_.partition(":")[2]),
    OutletStatus: lambda site, id_, _: _outlet_outputs(site, id_),
    CircuitStatus: lambda site, id_, _: _breaker_outputs(site, id_),
}
