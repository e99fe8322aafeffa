"""Health becomes faults, and silence is not health (RULES E5, X2; DESIGN §5)."""

from dataclasses import replace

from gateway.core import emergency, occupancy
from gateway.core.draft import Draft
from gateway.core.durations import carried
from gateway.core.faults import close_fault, fault_id, open_fault, set_fault
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.calls import CallPointStatus
from gateway.domain.events import (
    ClockChanged,
    DeviceHealthChanged,
    LinkHealthChanged,
    SetpointMissed,
    SetpointReached,
    Started,
    StorageChanged,
)
from gateway.domain.faults import Fault, Health
from gateway.domain.now import DAY_MS, Elapsed
from gateway.domain.points import PointRef
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import CallPoint

BATTERY_LOW_PERCENT = 10
_DEVICE_CODES = ("device_silent", "garbage", "flooding")


def started(draft: Draft, event: Started) -> None:
    """The gateway started: durations go on, calls sound again, nothing is moved (E3, A4)."""
    for entity in list(draft.state.entities()):
        draft.put(carried(entity, draft.now))
    draft.record(
        Fact.STARTED,
        version=event.version,
        boot=draft.now.boot,
        site_digest=event.site_digest or None,
    )
    for call_point in draft.site.safety.call_points.values():
        status = draft.get(CallPointStatus, call_point.id) or CallPointStatus(call_point.id)
        since = status.untested_since_ms
        draft.put(
            replace(
                status,
                watched=Elapsed.started(draft.now),
                untested_since_ms=draft.now.wall_ms if since is None else since,
            )
        )
    for booking in draft.all(Booking):
        _grace_not_seen(draft, booking)
    set_fault(draft, "clock", reason("clock_lost"), not draft.now.trusted)
    emergency.restarted(draft)


def device_health(draft: Draft, event: DeviceHealthChanged) -> None:
    """A device answers, falters or is silent."""
    device = draft.site.equipment.devices.get(event.device)
    if device is None:
        return
    if event.health is Health.ONLINE:
        for code in _DEVICE_CODES:
            close_fault(draft, device.id, code)
    elif event.health in (Health.SILENT, Health.DEGRADED):
        link_down = draft.get(Fault, fault_id(device.link, "link_down"))
        # A device alarm may be inhibited by its bus being down; one fault names all places (E5).
        if link_down is None:
            code = event.reason_code if event.reason_code in _DEVICE_CODES else "device_silent"
            open_fault(draft, device.id, reason(code, device=device.name.en), (device.place,))
    if event.health is Health.SILENT:
        _sensors_lost(draft, device.id)
        _fire_inputs(draft, device.id, lost=True)
    elif event.health is Health.ONLINE:
        _fire_inputs(draft, device.id, lost=False)


def link_health(draft: Draft, event: LinkHealthChanged) -> None:
    """A link is up, down, or its driver failed: one fault, with every place it serves."""
    devices = [d for d in draft.site.equipment.devices.values() if d.link == event.link]
    places = sorted({device.place for device in devices})
    down = reason("link_down", link=event.link)
    failed = reason("driver_failed", link=event.link)
    if event.health is Health.ONLINE:
        close_fault(draft, event.link, down.code)
        close_fault(draft, event.link, failed.code)
    elif event.health is Health.FAILED:
        open_fault(draft, event.link, failed, places, urgent=True)
    elif event.health is Health.SILENT:
        open_fault(draft, event.link, down, places)
        for device in devices:
            close_fault(draft, device.id, "device_silent")


def setpoint_missed(draft: Draft, event: SetpointMissed) -> None:
    """A device did not become what it should be within its time."""
    device = draft.site.equipment.devices.get(event.ref.device)
    why = reason("not_as_set", point=str(event.ref), value=event.wanted)
    open_fault(draft, str(event.ref), why, (device.place,) if device else ())


def setpoint_reached(draft: Draft, event: SetpointReached) -> None:
    """It is as it should be after all."""
    close_fault(draft, str(event.ref), "not_as_set")


def storage_changed(draft: Draft, event: StorageChanged) -> None:
    """The store was lost or is back (X1)."""
    set_fault(draft, "store", reason("storage_lost"), event.lost)
    if not event.lost:
        draft.record(Fact.STORAGE_RESTORED, urgent=True, detail=event.detail or None)


def clock_changed(draft: Draft, event: ClockChanged) -> None:
    """The wall clock was stepped, or its trust changed (DESIGN §6)."""
    now = draft.now
    draft.record(
        Fact.CLOCK_CHANGED, step_ms=event.step_ms, source=event.source, trust=now.trust.value
    )
    set_fault(draft, "clock", reason("clock_lost"), not now.trusted)
    if now.trusted and not event.trusted_before and event.step_ms:
        # Every record of this boot that was stamped without trust is off by the step.
        draft.record(
            Fact.CLOCK_CORRECTED, boot=now.boot, before_mono_ms=now.mono_ms, add_ms=event.step_ms
        )
    for booking in draft.all(Booking):
        _grace_not_seen(draft, booking)


def supervise(draft: Draft) -> None:
    """The slow round: call points heard, batteries, sensors, untested call points, locks."""
    batteries = _batteries(draft)
    by_place: dict[str, list[tuple[CallPoint, bool]]] = {}
    for call_point in draft.site.safety.call_points.values():
        covers = _covers(draft, call_point)
        by_place.setdefault(call_point.place, []).append((call_point, covers))
        _check_tested(draft, call_point)
    for place, found in by_place.items():
        _check_cover(draft, place, found, batteries)
    for facility in draft.site.facilities.values():
        occupancy.living_sensors(draft, facility)


def _check_cover(
    draft: Draft, place: str, found: list[tuple[CallPoint, bool]], batteries_low: set[str]
) -> None:
    name = draft.site.places[place].name.en
    covered = sum(covers for _, covers in found)
    weak = any(call_point.point.device in batteries_low for call_point, _ in found)
    none_left = covered == 0
    if none_left:
        open_fault(draft, place, reason("no_cover", place=name), (place,), urgent=True)
    else:
        close_fault(draft, place, "no_cover")
    reduced = not none_left and (covered < len(found) or weak)
    set_fault(draft, place, reason("cover_reduced", place=name), reduced, (place,))


def _covers(draft: Draft, call_point: CallPoint) -> bool:
    """Heard within its supervision class, over a path that is up (E5)."""
    device = draft.site.equipment.devices[call_point.point.device]
    for about, code in (
        (device.link, "link_down"),
        (device.link, "driver_failed"),
        (device.id, "device_silent"),
    ):
        if draft.get(Fault, fault_id(about, code)) is not None:
            return False
    heard = draft.readings.heard_ms(device.id)
    status = draft.get(CallPointStatus, call_point.id)
    if heard is None:
        watched = status.watched if status else None
        return watched is None or watched.at(draft.now) < call_point.supervision_ms
    return draft.now.mono_ms - heard < call_point.supervision_ms


def _check_tested(draft: Draft, call_point: CallPoint) -> None:
    status = draft.get(CallPointStatus, call_point.id)
    if status is None or status.untested_since_ms is None or not draft.now.trusted:
        return
    untested_ms = draft.now.wall_ms - status.untested_since_ms
    limit_ms = draft.site.settings.emergency.untested_ms
    why = reason("call_point_untested", point=call_point.name.en)
    # After a boot in the past the start counts for nothing: two years is no plausible wait.
    wrong = limit_ms <= untested_ms < 730 * DAY_MS
    set_fault(draft, call_point.id, why, wrong, (call_point.place,))


def _batteries(draft: Draft) -> set[str]:
    """Devices whose battery is low; each is a fault."""
    low: set[str] = set()
    equipment = draft.site.equipment
    for device in equipment.devices.values():
        points = equipment.profiles[device.profile].points
        if "battery" not in points and "battery_low" not in points:
            continue
        level = draft.reading(PointRef(device.id, "battery"))
        flag = draft.reading(PointRef(device.id, "battery_low"))
        number = isinstance(level.value, int | float) and not isinstance(level.value, bool)
        if flag.value is True or (number and float(level.value or 0) <= BATTERY_LOW_PERCENT):
            low.add(device.id)
        why = reason("battery_low", device=device.name.en)
        set_fault(draft, device.id, why, device.id in low, (device.place,))
    return low


def _sensors_lost(draft: Draft, device: str) -> None:
    """A grace time that was not wholly seen judges nobody (B6)."""
    for facility in draft.site.facilities.values():
        if any(sensor.point.device == device for sensor in facility.sensors):
            for booking in draft.where(Booking, "facility", facility.id):
                _grace_not_seen(draft, booking)


def _grace_not_seen(draft: Draft, booking: Booking) -> None:
    grace_ms = draft.site.settings.booking.no_show_grace_ms
    start = booking.terms.start_ms
    watched = booking.status is BookingStatus.ENFORCED and booking.grace_observed
    if watched and start <= draft.now.wall_ms < start + grace_ms:
        draft.put(replace(booking, grace_observed=False))


def _fire_inputs(draft: Draft, device: str, *, lost: bool) -> None:
    """A lost fire input is a fault; the doors keep their last state (A3)."""
    for zone in draft.site.safety.fire_zones.values():
        if zone.input.device == device:
            why = reason("fire_interface_lost", zone=zone.id)
            set_fault(draft, zone.id, why, lost, (zone.place,))
