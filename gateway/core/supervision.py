"""Health becomes faults, and silence is not health (RULES A3, B6, E5, X2).

- A device's alarm is inhibited while its link is down: that one fault names all places. A call
  point's never is: every place without cover is a fault of its own (E9).
- A device that is silent, or whose link is down, sees nobody and lets nobody in: a grace time is
  not seen through it. It is the same on its return: what happened meanwhile nobody knows.
"""

from collections.abc import Iterable

from gateway.core import call_test, doors, fire, grace, occupancy
from gateway.core.draft import Draft
from gateway.core.faults import close_fault, fault_id, open_fault, set_fault
from gateway.core.layout import layout
from gateway.domain.calls import CallPointStatus
from gateway.domain.events import (
    DeviceHealthChanged,
    LinkHealthChanged,
    SetpointMissed,
    SetpointReached,
    StorageChanged,
)
from gateway.domain.faults import DeviceStatus, Fault, Health
from gateway.domain.points import NUMBERS, PointRef
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import CallPoint, Device, Facility

BATTERY_LOW_PERCENT = 10
_LINK_CODES = ("link_down", "driver_failed")
_LASTING = ("garbage", "flooding")  # what a device may do while it answers
_SILENT = (Health.SILENT, Health.FAILED)


def device_health(draft: Draft, event: DeviceHealthChanged) -> None:
    """A device answers, falters or is silent."""
    device = draft.site.equipment.devices.get(event.device)
    if device is None:
        return
    draft.put(DeviceStatus(device.id, event.health, draft.now.boot))
    for code in _LASTING:
        wrong = event.health is Health.DEGRADED and event.reason_code == code
        set_fault(draft, device.id, reason(code, device=device.name.en), wrong, (device.place,))
    _judge_devices(draft, [device])


def link_health(draft: Draft, event: LinkHealthChanged) -> None:
    """A link is up, down, or its driver failed: one fault, with every place it serves."""
    devices = [d for d in draft.site.equipment.devices.values() if d.link == event.link]
    places = sorted({device.place for device in devices})
    if event.health is Health.ONLINE:
        for code in _LINK_CODES:
            close_fault(draft, event.link, code)
    elif event.health in _SILENT:
        code = "driver_failed" if event.health is Health.FAILED else "link_down"
        urgent = event.health is Health.FAILED
        open_fault(draft, event.link, reason(code, link=event.link), places, urgent=urgent)
    _judge_devices(draft, devices)


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
    set_fault(draft, "store", reason("storage_lost"), event.lost, urgent=True)
    if not event.lost:
        draft.record(Fact.STORAGE_RESTORED, urgent=True, detail=event.detail or None)


def supervise(draft: Draft) -> None:
    """The slow round: cover, tests, batteries, stuck sensors, locks."""
    site = draft.site
    batteries_low = _batteries(draft)
    for call_point in site.safety.call_points.values():
        call_test.check_tested(draft, call_point)
    for place, call_points in layout(site).covering.items():
        _check_cover(draft, place, call_points, batteries_low)
    for facility in site.facilities.values():
        _check_sensors(draft, facility)
    for door in site.doors.values():
        doors.supervise(draft, door)


def forget_gone(draft: Draft) -> None:
    """Faults about what the site no longer has are over."""
    site = draft.site
    known = {"store", "clock", *site.places, *site.doors, *site.facilities}
    known |= {*site.equipment.links, *site.equipment.devices, *site.circuits}
    known |= {*site.safety.call_points, *site.safety.fire_zones}
    for fault in draft.all(Fault):
        device, slash, _ = fault.about.partition("/")
        gone = device not in site.equipment.devices if slash else fault.about not in known
        if gone and not fault.about.startswith(("call-", "terminal:")):
            close_fault(draft, fault.about, fault.reason.code)


# --- devices ------------------------------------------------------------------------------------


def _judge_devices(draft: Draft, devices: Iterable[Device]) -> None:
    for device in devices:
        health = _health(draft, device.id)
        cut_off = _link_is_down(draft, device.link)
        why = reason("device_silent", device=device.name.en)
        if health in _SILENT and not cut_off:
            open_fault(draft, device.id, why, (device.place,))
        elif cut_off or health is not Health.UNKNOWN:
            close_fault(draft, device.id, why.code)
        lost = cut_off or health in _SILENT
        if lost or health is not Health.UNKNOWN:
            fire.interface(draft, device.id, lost=lost)
        for facility in layout(draft.site).observers.get(device.id, ()):
            if _is_blind(draft, facility, device.id):
                grace.not_seen(draft, facility.id)


def _is_blind(draft: Draft, facility: Facility, device: str) -> bool:
    """Without this device nobody knows who comes: no other sensor lives, or a door needs it."""
    own = [sensor for sensor in facility.sensors if sensor.point.device == device]
    if len(own) == 0:
        return True
    living = occupancy.living_sensors(draft, facility)
    return all(sensor.point.device == device for sensor in living)


def _health(draft: Draft, device: str) -> Health:
    status = draft.get(DeviceStatus, device)
    known = status is not None and status.boot == draft.now.boot
    return status.health if status is not None and known else Health.UNKNOWN


def _link_is_down(draft: Draft, link: str) -> bool:
    return any(draft.get(Fault, fault_id(link, code)) is not None for code in _LINK_CODES)


# --- the slow round -----------------------------------------------------------------------------


def _check_cover(
    draft: Draft, place: str, call_points: tuple[CallPoint, ...], batteries_low: set[str]
) -> None:
    """No cover for what a call point alone covers; reduced if one of several is lost (E5)."""
    name = draft.site.places[place].name.en
    covering = [call_point for call_point in call_points if _covers(draft, call_point)]
    if covering:
        close_fault(draft, place, "no_cover")
    else:
        open_fault(draft, place, reason("no_cover", place=name), (place,), urgent=True)
    weak = any(call_point.point.device in batteries_low for call_point in call_points)
    reduced = bool(covering) and (len(covering) < len(call_points) or weak)
    set_fault(draft, place, reason("cover_reduced", place=name), reduced, (place,))


def _covers(draft: Draft, call_point: CallPoint) -> bool:
    """Heard within its supervision class, over a path that is up (E5)."""
    device = draft.site.equipment.devices[call_point.point.device]
    if _link_is_down(draft, device.link) or _health(draft, device.id) in _SILENT:
        return False
    heard = draft.readings.heard_ms(device.id)
    if heard is not None:
        return draft.now.mono_ms - heard < call_point.supervision_ms
    status = draft.get(CallPointStatus, call_point.id)
    watched = status.watched if status else None
    return watched is None or watched.at(draft.now) < call_point.supervision_ms


def _batteries(draft: Draft) -> set[str]:
    """Devices whose battery is low; each is a fault. What was never told changes nothing."""
    low: set[str] = set()
    for device, points in layout(draft.site).batteries:
        is_low = _battery_is_low(draft, points)
        if is_low is None:
            continue
        why = reason("battery_low", device=device.name.en)
        set_fault(draft, device.id, why, is_low, (device.place,))
        if is_low:
            low.add(device.id)
    return low


def _battery_is_low(draft: Draft, points: tuple[PointRef, ...]) -> bool | None:
    low: bool | None = None
    for ref in points:
        told = draft.reading(ref).value
        if isinstance(told, bool):
            low = low or told
        elif isinstance(told, NUMBERS):
            low = low or told <= BATTERY_LOW_PERCENT
    return low


def _check_sensors(draft: Draft, facility: Facility) -> None:
    for sensor in facility.sensors:
        stuck = occupancy.is_stuck(draft, facility, sensor)
        why = reason("stuck_sensor", point=str(sensor.point))
        set_fault(draft, str(sensor.point), why, stuck, (facility.place,))
