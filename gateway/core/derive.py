"""What every writable point should be, from what is true (DESIGN §2.1). Each setpoint has a reason.

`derive` is asked point by point: `affected` tells which points a change can have moved.
"""

from collections.abc import Iterable

from gateway.core import access
from gateway.core.draft import Draft
from gateway.domain.calls import Call, CallState, FireLatch
from gateway.domain.now import MINUTE_MS, Now
from gateway.domain.points import Lease, Level, PointRef, Pulse, ReadingsView, Setpoint, Value
from gateway.domain.reasons import reason
from gateway.domain.site import Door, FireRole, Site
from gateway.domain.state import Change, Put, State
from gateway.domain.uses import Use, uses
from gateway.domain.visits import DoorStatus

_OUTPUTS = frozenset({Use.STRIKE, Use.HOLD, Use.SIREN, Use.LAMP, Use.HEARTBEAT})
FOR_EVER = 1 << 62


def outputs(site: Site) -> tuple[PointRef, ...]:
    """Every point that the core drives."""
    return tuple(
        ref for ref, used_by in uses(site).items() if any(u.use in _OUTPUTS for u in used_by)
    )


def affected(site: Site, changes: Iterable[Change]) -> set[PointRef]:
    """The points whose setpoint these changes can have moved."""
    found: set[PointRef] = set()
    for change in changes:
        if isinstance(change, Put):
            kind, id_ = type(change.entity), change.entity.id
        else:
            kind, id_ = change.type, change.id
        if kind is DoorStatus:
            found.update(_door_outputs(site, id_))
        elif kind is Call and isinstance(change, Put):
            found.update(_call_outputs(site, change.entity))  # type: ignore[arg-type]
        elif kind is FireLatch:
            zone = site.safety.fire_zones.get(id_)
            for door in zone.doors if zone else ():
                found.update(_door_outputs(site, door))
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


def _derive_point(draft: Draft, ref: PointRef) -> tuple[Setpoint | None, int]:
    used_by = [u for u in uses(draft.site).get(ref, ()) if u.use in _OUTPUTS]
    owners = [u.owner for u in used_by]
    match used_by[0].use:
        case Use.STRIKE:
            return _strike(draft, ref, draft.site.doors[owners[0]])
        case Use.HOLD:
            return _hold(draft, ref, draft.site.doors[owners[0]])
        case Use.SIREN:
            return _siren(draft, ref, owners)
        case Use.LAMP:
            return _lamp(draft, ref, owners)
        case _:
            return Lease(ref, "on", secures=True, reason=reason("in_service")), FOR_EVER


# --- doors ------------------------------------------------------------------------------------


def _strike(draft: Draft, ref: PointRef, door: Door) -> tuple[Setpoint | None, int]:
    now = draft.now
    held = _held_open(draft, door)
    if held is not None and door.points.hold is None:
        return _repeated_release(draft, ref, door, held)
    status = draft.state.get(DoorStatus, door.id)
    given = status.grant if status else None
    if given is None or given.boot != now.boot or given.until_mono_ms <= now.mono_ms:
        return None, FOR_EVER
    why = (
        reason("granted") if given.basis != "override" else reason("override", person="–", why="–")
    )
    pulse = Pulse(
        ref=ref,
        token=given.token,
        length_ms=door.rules.release_ms,
        until_mono_ms=given.until_mono_ms,
        boot=given.boot,
        secures=False,
        reason=why,
        confirms=_confirmations(door),
    )
    return pulse, given.until_mono_ms


def _confirmations(door: Door) -> tuple[tuple[PointRef, Value], ...]:
    found: list[tuple[PointRef, Value]] = []
    if door.points.contact is not None:
        found.append((door.points.contact, True))
    if door.points.lock is not None:
        found.append((door.points.lock, "unlocked"))
    return tuple(found)


def _repeated_release(
    draft: Draft, ref: PointRef, door: Door, held: tuple[str, int]
) -> tuple[Setpoint, int]:
    """A door with no way to be held is released again and again: each period is one decision."""
    code, since_ms = held
    now = draft.now
    period = now.mono_ms // door.rules.release_ms
    until = (period + 1) * door.rules.release_ms
    pulse = Pulse(
        ref=ref,
        token=f"{code}-{since_ms}-{now.boot}-{period}",
        length_ms=door.rules.release_ms,
        until_mono_ms=until,
        boot=now.boot,
        secures=True,
        reason=reason(code),
        confirms=_confirmations(door),
    )
    return pulse, until


def _hold(draft: Draft, ref: PointRef, door: Door) -> tuple[Setpoint | None, int]:
    held = _held_open(draft, door)
    if held is not None:
        return Level(ref, True, secures=True, reason=reason(held[0])), FOR_EVER
    status = draft.state.get(DoorStatus, door.id)
    if access.is_open_to_all(door, status, draft.now.wall_ms, draft):
        until = draft.now.mono_ms + MINUTE_MS  # hours and windows are wall time: look again
        return Level(ref, True, secures=False, reason=reason("open_mode")), until
    given = status.grant if status else None
    if given is not None and given.boot == draft.now.boot:
        over = given.until_mono_ms + door.rules.release_ms
        if draft.now.mono_ms < over:
            return None, over  # hold and strike may be one relay: leave its pulse alone
    return Level(ref, False, secures=True, reason=reason("ok")), draft.now.mono_ms + MINUTE_MS


def _held_open(draft: Draft, door: Door) -> tuple[str, int] | None:
    """Why a door is released to all at once, and since when: fire outranks a call (A3, E6)."""
    for zone in draft.site.safety.fire_zones.values():
        if door.id in zone.doors and door.rules.fire is FireRole.RELEASES:
            latch = draft.state.get(FireLatch, zone.id)
            if latch is not None and latch.latched:
                return "fire_release", latch.since_ms
    for call_point in draft.site.safety.call_points.values():
        if door.id not in call_point.outputs.releases:
            continue
        for call in draft.state.where(Call, "call_point", call_point.id):
            if releases_door(draft, call):
                return "call_release", call.presses.first_ms
    return None


def releases_door(draft: Draft, call: Call) -> bool:
    """E6: until attended, or 15 min after it was first raised."""
    lasted = call.climb.raised.at(draft.now)
    waits = call.state in (CallState.RAISED, CallState.DELIVERED, CallState.ACKNOWLEDGED)
    return waits and not call.test and lasted < draft.site.settings.emergency.release_ms


# --- calls ------------------------------------------------------------------------------------


def _siren(draft: Draft, ref: PointRef, owners: list[str]) -> tuple[Setpoint, int]:
    now, settings = draft.now, draft.site.settings.emergency
    until = FOR_EVER
    test: Lease | None = None
    for call in _open_calls(draft, owners):
        left = settings.siren_ms - call.climb.raised.at(now)
        if call.test:
            left = settings.test_siren_ms - call.climb.raised.at(now)
        if not call.unanswered or left <= 0:
            continue
        until = min(until, now.mono_ms + left)
        place = draft.site.places[call.place].name.en
        if not call.test:
            return Lease(ref, "on", secures=True, reason=reason("call_raised", place=place)), until
        test = Lease(ref, "test", secures=True, reason=reason("call_test", place=place))
    return test or Lease(ref, "off", secures=True, reason=reason("call_over")), until


def _lamp(draft: Draft, ref: PointRef, owners: list[str]) -> tuple[Setpoint, int]:
    calls = list(_open_calls(draft, owners))
    for call in calls:
        if call.unanswered:
            place = draft.site.places[call.place].name.en
            why = reason("call_raised", place=place)
            return Lease(ref, "flash", secures=True, reason=why), FOR_EVER
    if calls:
        why = reason("call_acknowledged", person=calls[0].person or "–")
        return Lease(ref, "on", secures=True, reason=why), FOR_EVER
    return Lease(ref, "off", secures=True, reason=reason("call_over")), FOR_EVER


def _open_calls(draft: Draft, owners: Iterable[str]) -> Iterable[Call]:
    """Calls of these call points, and those asked for from a page at their places."""
    call_points = [draft.site.safety.call_points[owner] for owner in owners]
    for call_point in call_points:
        yield from (c for c in draft.state.where(Call, "call_point", call_point.id) if c.open)
    for place in {call_point.place for call_point in call_points}:
        calls = draft.state.where(Call, "place", place)
        yield from (c for c in calls if c.open and not c.call_point)


def _door_outputs(site: Site, door_id: str) -> list[PointRef]:
    door = site.doors.get(door_id)
    if door is None:
        return []
    return [ref for ref in (door.points.strike, door.points.hold) if ref is not None]


def _call_outputs(site: Site, call: Call) -> list[PointRef]:
    found: list[PointRef] = []
    for call_point in site.safety.call_points.values():
        outs = call_point.outputs
        if call_point.id == call.call_point:
            found += [ref for door in outs.releases for ref in _door_outputs(site, door)]
        elif call.call_point or call_point.place != call.place:
            continue
        found += [*outs.sirens, *outs.lamps]
    return found
