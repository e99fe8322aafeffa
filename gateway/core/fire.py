"""Fire (RULES A3): it latches, outranks everything, and only a person on site resets it."""

from dataclasses import replace

from gateway.core.draft import Draft
from gateway.core.faults import fault_id, set_fault
from gateway.core.layout import layout
from gateway.domain.calls import FireLatch
from gateway.domain.events import FireResetAsked, PointEdge
from gateway.domain.faults import Fault
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Door, Facility, FireRole, FireZone
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role

_LOST = "fire_interface_lost"
_RESETTING = frozenset({Role.DESK, Role.TECHNICIAN})


def input_moved(draft: Draft, zone: FireZone, edge: PointEdge) -> None:
    """The supervised input changed; the driver has seen it twice."""
    active = edge.value == zone.active
    latch = draft.get(FireLatch, zone.id) or FireLatch(zone.id, False, False)
    if active and not latch.latched:
        latch = FireLatch(zone.id, True, True, draft.now.wall_ms)
        why = reason("fire_release")
        draft.record(Fact.FIRE, urgent=True, why=why, zone=zone.id, place=zone.place)
    draft.put(replace(latch, input_active=active))


def interface(draft: Draft, device: str, *, lost: bool) -> None:
    """A lost input is a fault; the doors keep their last state unless they say otherwise."""
    for zone in draft.site.safety.fire_zones.values():
        if zone.input.device == device:
            set_fault(draft, zone.id, reason(_LOST, zone=zone.id), lost, (zone.place,))


def reset(draft: Draft, event: FireResetAsked) -> Reply:
    """On site, by a named person with the role, with the input inactive; never by command."""
    zone = draft.site.safety.fire_zones.get(event.zone)
    if zone is None:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="fire zone", id=event.zone))
    problem = _reset_problem(draft, zone, event)
    if problem is not None:
        return problem
    latch = draft.get(FireLatch, zone.id)
    if latch is None or not latch.latched:
        return Reply(Result.ACCEPTED, reason("unchanged"))
    draft.put(replace(latch, latched=False))
    draft.record(
        Fact.FIRE_RESET,
        personal={"person": event.by.name},
        urgent=True,
        zone=zone.id,
        place=zone.place,
    )
    return Reply(Result.ACCEPTED, reason("done"), {"zone": zone.id})


def releases(draft: Draft, door: Door) -> FireLatch | None:
    """The latch that holds the door released, if one does."""
    for zone in layout(draft.site).fire_zones[door.id]:
        latch = draft.get(FireLatch, zone.id)
        if latch is not None and latch.latched:
            return latch
        if door.rules.fire is FireRole.RELEASES_IF_LOST:
            lost = draft.get(Fault, fault_id(zone.id, _LOST))
            if lost is not None:
                return FireLatch(zone.id, False, False, lost.opened_ms)
    return None


def cuts(draft: Draft, facility: Facility) -> bool:
    """A latched zone keeps the power of this facility off."""
    zones = layout(draft.site).cut_by.get(facility.id, ())
    latches = (draft.get(FireLatch, zone.id) for zone in zones)
    return any(latch is not None and latch.latched for latch in latches)


def _reset_problem(draft: Draft, zone: FireZone, event: FireResetAsked) -> Reply | None:
    if not event.by.name.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    if event.by.role not in _RESETTING:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, technician"))
    if not event.by.on_site:
        return Reply(Result.REJECTED, reason("on_site_only"))
    latch = draft.get(FireLatch, zone.id)
    reading = draft.reading(zone.input)
    if not reading.good:
        return Reply(Result.REJECTED, reason(_LOST, zone=zone.id))
    if reading.value == zone.active or (latch is not None and latch.input_active):
        return Reply(Result.REJECTED, reason("fire_active"))
    return None
