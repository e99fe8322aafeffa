"""Route one event to the rule that decides it."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from gateway.core import (
    access,
    answering,
    authority,
    call_test,
    charging,
    commands,
    deadlines,
    doors,
    emergency,
    fire,
    hazards,
    loads,
    occupancy,
    plugging,
    proposals,
    residual,
    running,
    supervision,
    tripping,
    utilization,
)
from gateway.core.draft import Draft
from gateway.domain import events
from gateway.domain.now import Now
from gateway.domain.points import Reading, ReadingsView
from gateway.domain.site import Facility, Site
from gateway.domain.state import Decision, Reply, State
from gateway.domain.uses import Use, uses


def decide(
    site: Site, state: State, readings: ReadingsView, event: events.Event, now: Now
) -> Decision:
    """What is now true because of one event: changes, facts, and the reply to who asked."""
    draft = Draft(site, state, readings, now)
    reply = _RULES[type(event)](draft, event)
    utilization.follow(draft)
    return draft.decision(reply)


def _edge(draft: Draft, event: events.PointEdge) -> Reply | None:
    reply: Reply | None = None
    site = draft.site
    for used in uses(site).get(event.ref, ()):
        match used.use:
            case Use.CALL:
                reply = emergency.pressed(draft, site.safety.call_points[used.owner], event)
            case Use.RESET_KEY:
                answering.key_turned(draft, site.safety.call_points[used.owner], event)
            case Use.FIRE:
                zone = site.safety.fire_zones[used.owner]
                fire.input_moved(draft, zone, event)
                charging.look(draft, *(site.facilities[id_] for id_ in zone.outlets))
            case Use.CONTACT:
                doors.contact_moved(draft, site.doors[used.owner], event)
            case Use.EXIT:
                doors.exit_pressed(draft, site.doors[used.owner])
            case Use.LOCK:
                doors.lock_read(draft, site.doors[used.owner], draft.reading(event.ref))
            case _:
                pass
    if event.ref not in uses(site):
        _own_action(draft, event)
    return reply


def _own_action(draft: Draft, event: events.PointEdge) -> None:
    """A lock tells what its own users did at a point beside its state (A9)."""
    for door in draft.site.doors.values():
        lock = door.points.lock
        if lock is not None and lock.device == event.ref.device:
            doors.lock_acted(draft, door, event)


def _presented(draft: Draft, event: events.CredentialPresented) -> Reply:
    here = plugging.outlets_at(draft, event)
    return plugging.present(draft, event, here) if here else access.present(draft, event)


def _readings(draft: Draft, event: events.ReadingsChanged) -> None:
    """Sensors and locks one by one; then each outlet once, with all that was read of it."""
    used_by = uses(draft.site)
    read: defaultdict[Use, dict[str, None]] = defaultdict(dict)
    for reading in event.readings:
        for used in used_by.get(reading.ref, ()):
            if used.use is Use.SENSOR:
                _sensed(draft, draft.site.facilities[used.owner], reading)
            elif used.use is Use.LOCK:
                doors.lock_read(draft, draft.site.doors[used.owner], reading)
            else:
                read[used.use][used.owner] = None
    if read:
        _outlets(draft, read)


def _sensed(draft: Draft, facility: Facility, reading: Reading) -> None:
    for sensor in facility.sensors:
        if sensor.point == reading.ref:
            occupancy.sensed(draft, facility, sensor, reading)


def _outlets(draft: Draft, read: defaultdict[Use, dict[str, None]]) -> None:
    """What was read of outlets and circuits, whose they are by use."""
    facilities, circuits = draft.site.facilities, draft.site.circuits
    if read[Use.CIRCUIT_METER]:
        loads.metered(draft, read[Use.CIRCUIT_METER])
    looked = {**read[Use.OUTLET], **read[Use.POWER_DRIVE]}
    if looked:
        charging.look(draft, *(facilities[id_] for id_ in looked))
    for id_ in read[Use.REGISTER]:
        if id_ not in looked:
            charging.counted(draft, facilities[id_])
    for id_ in read[Use.BREAKER]:
        tripping.close(draft, circuits[id_])
    for id_ in read[Use.CIRCUIT_ENERGY]:
        residual.read(draft, circuits[id_])


def _deadline(draft: Draft, event: events.DeadlineReached) -> None:
    if event.kind == events.SUPERVISION:
        supervision.supervise(draft)
        charging.supervise(draft)
    else:
        deadlines.due(draft, event.kind, event.id)


def _snapshot(draft: Draft, event: events.SnapshotReceived) -> Reply | None:
    reply = authority.snapshot_received(draft, event)
    charging.rights_changed(draft)
    return reply


def _changes(draft: Draft, event: events.ChangesReceived) -> Reply | None:
    reply = authority.changes_received(draft, event)
    charging.rights_changed(draft)
    return reply


def _hazard_reset(draft: Draft, event: events.HazardResetAsked) -> Reply:
    reply = hazards.reset(draft, event)
    charging.look_at(draft, event.facility)
    return reply


def _started(draft: Draft, event: events.Started) -> None:
    running.started(draft, event)
    for ref in event.latched:
        _edge(draft, events.PointEdge(ref, True))


def _pulse_settled(draft: Draft, event: events.PulseSettled) -> None:
    doors.pulse_settled(draft, event)
    commands.pulse_settled(draft, event)


_RULES: dict[type[Any], Callable[[Draft, Any], Reply | None]] = {
    events.PointEdge: _edge,
    events.CredentialPresented: _presented,
    events.ReadingsChanged: _readings,
    events.DeviceHealthChanged: supervision.device_health,
    events.LinkHealthChanged: supervision.link_health,
    events.PulseSettled: _pulse_settled,
    events.SetpointMissed: supervision.setpoint_missed,
    events.SetpointReached: supervision.setpoint_reached,
    events.DeadlineReached: _deadline,
    events.Started: _started,
    events.Stopping: running.stopping,
    events.ClockChanged: running.clock_changed,
    events.StorageChanged: supervision.storage_changed,
    events.SiteChanged: running.site_changed,
    events.CallRequested: emergency.requested,
    events.CallAcknowledged: answering.acknowledged,
    events.CallAttended: answering.attended,
    events.CallCleared: answering.cleared,
    events.CallerFine: answering.fine,
    events.CallNotified: answering.notified,
    events.TestModeOpened: call_test.opened,
    events.FireResetAsked: fire.reset,
    events.DoorOverridden: access.override,
    events.ExtensionAsked: proposals.extend,
    events.WalkInAsked: proposals.walk_in,
    events.SessionStopAsked: plugging.stop_asked,
    events.HazardResetAsked: _hazard_reset,
    events.SnapshotReceived: _snapshot,
    events.ChangesReceived: _changes,
    events.CommandReceived: commands.received,
}
