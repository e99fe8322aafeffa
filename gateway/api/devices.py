"""Devices, their points and links: are they heard, what do they say, what should they be."""

from collections import Counter, defaultdict

from fastapi import APIRouter

from gateway.api import setpoints
from gateway.api.auth import Caller, Staff
from gateway.api.common import FaultShown, NameShown, Shown, each
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.api.setpoints import ReadingShown, SetpointShown, Wanted
from gateway.domain.faults import Fault, Health
from gateway.domain.points import PointRef
from gateway.domain.profile import PollClass, ValueKind
from gateway.domain.site import Device, Link
from gateway.domain.uses import uses

router = APIRouter(tags=["devices"])

Counted = defaultdict[str, Counter[str]]


class UseShown(Shown):
    """The part a point plays, and for which door, facility, call point or zone."""

    use: str
    owner: str


class PointShown(Shown):
    """A point of a device: what it is, what was read, and what it should be."""

    point: str
    kind: ValueKind
    unit: str
    poll: PollClass
    uses: list[UseShown]
    read: ReadingShown
    setpoint: SetpointShown | None


class DeviceShown(Shown):
    """A device. `heard_age_ms`: since it was last heard live, None if never since the start."""

    id: str
    name: NameShown
    place: str
    link: str
    profile: str
    health: Health
    heard_age_ms: int | None
    counters: dict[str, int]
    faults: list[FaultShown]


class DeviceInDetail(DeviceShown):
    """A device with its points."""

    points: list[PointShown]


class LinkShown(Shown):
    """A link. `counters` are its own and those of its devices together."""

    id: str
    driver: str
    health: Health
    devices: list[str]
    counters: dict[str, int]
    faults: list[FaultShown]


@router.get("/devices", summary="Every device")
async def devices(parts: Parts, _: Staff) -> list[DeviceShown]:
    """In the order of the site."""
    counted = _counted(parts)
    found = parts.views.site.equipment.devices.values()
    return await each(found, lambda one: _device(parts, one, counted))


@router.get("/devices/{device}", summary="One device's points")
async def device_of(device: str, parts: Parts, caller: Staff) -> DeviceInDetail:
    """With every point of its profile."""
    found = known_device(parts, device)
    points = parts.views.site.equipment.profiles[found.profile].points
    wanted = setpoints.wanted(parts)
    refs = [PointRef(device, name) for name in points]
    shown = await each(refs, lambda ref: point(parts, ref, caller, wanted))
    return DeviceInDetail(**dict(_device(parts, found, _counted(parts))), points=shown)


@router.get("/links", summary="Every link")
async def links(parts: Parts, _: Staff) -> list[LinkShown]:
    """In the order of the site."""
    counted = _counted(parts)
    return [_link(parts, one, counted) for one in parts.views.site.equipment.links.values()]


@router.get("/links/{link}", summary="One link")
async def link_of(link: str, parts: Parts, _: Staff) -> LinkShown:
    """The link; how it is reached is not shown, for there may be a password in it."""
    found = parts.views.site.equipment.links.get(link)
    if found is None:
        raise unknown("link", link, parts.views.site.equipment.links)
    return _link(parts, found, _counted(parts))


def known_device(parts: Gateway, device: str) -> Device:
    """The device of that id. Raises ProblemError."""
    found = parts.views.site.equipment.devices.get(device)
    if found is None:
        raise unknown("device", device, parts.views.site.equipment.devices)
    return found


def known_point(parts: Gateway, text: str) -> PointRef:
    """The point written as `device/point`. Raises ProblemError."""
    name, _, point_name = text.partition("/")
    device = known_device(parts, name)
    points = parts.views.site.equipment.profiles[device.profile].points
    if point_name not in points:
        raise unknown(f"point of {name}", point_name, points)
    return PointRef(name, point_name)


def point(parts: Gateway, ref: PointRef, caller: Caller, wanted: Wanted) -> PointShown:
    """A point as the caller may see it."""
    site = parts.views.site
    spec = site.equipment.spec_of(ref)
    setpoint = wanted.get(ref)
    return PointShown(
        point=str(ref),
        kind=spec.kind,
        unit=spec.unit,
        poll=spec.poll,
        uses=[UseShown(use=one.use.value, owner=one.owner) for one in uses(site).get(ref, ())],
        read=setpoints.reading(parts, ref),
        setpoint=setpoints.show(parts, setpoint, caller) if setpoint is not None else None,
    )


def _counted(parts: Gateway) -> Counted:
    """Counters by link and by device; asked for once a request."""
    counted: Counted = defaultdict(Counter)
    for (link, device, what), count in parts.views.counters().items():
        counted[f"link:{link}"][what] += count
        if device:
            counted[f"device:{device}"][what] += count
    return counted


def _device(parts: Gateway, device: Device, counted: Counted) -> DeviceShown:
    views = parts.views
    heard = views.readings.heard_ms(device.id)
    return DeviceShown(
        id=device.id,
        name=NameShown.of(device.name),
        place=device.place,
        link=device.link,
        profile=device.profile,
        health=views.health().get(f"device:{device.id}", Health.UNKNOWN),
        heard_age_ms=views.now().mono_ms - heard if heard is not None else None,
        counters=dict(counted[f"device:{device.id}"]),
        faults=_faults(parts, device.id),
    )


def _link(parts: Gateway, link: Link, counted: Counted) -> LinkShown:
    views = parts.views
    devices = views.site.equipment.devices.values()
    return LinkShown(
        id=link.id,
        driver=link.driver,
        health=views.health().get(f"link:{link.id}", Health.UNKNOWN),
        devices=[device.id for device in devices if device.link == link.id],
        counters=dict(counted[f"link:{link.id}"]),
        faults=_faults(parts, link.id),
    )


def _faults(parts: Gateway, about: str) -> list[FaultShown]:
    """Faults of a thing and, for a device, of its points."""
    found = parts.views.state.all(Fault)
    mine = [one for one in found if one.about == about or one.about.startswith(f"{about}/")]
    return [FaultShown.of(fault) for fault in mine]
