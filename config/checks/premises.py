"""The premises as a whole: places, the time zone, poll periods, links nobody uses."""

import os
from zoneinfo import ZoneInfo, available_timezones

from config.draft import Draft
from config.models import ChannelFile, DeviceFile, FacilityFile, LinkFile, PlaceFile, SiteFile
from config.problems import unknown
from gateway.domain.profile import PollClass
from gateway.domain.site import BookingPolicy, SensorKind

SAFETY_MAX_MS = 300


def check_premises(draft: Draft) -> None:
    """Add what is wrong or doubtful about places, facilities, settings and links."""
    for item, _ in draft.valid(PlaceFile):
        way = _way_up(draft, item.id)
        if len(way) > 1 and way[-1] == item.id == min(way):
            said = f"found a circle: {' in '.join(way)}; expected a tree of places"
            draft.wrong(item, ("parent",), said)
    for facility, its in draft.valid(FacilityFile):
        unseen = not its.sensors and its.outlet is None  # who charges is seen by that
        if its.booking is BookingPolicy.REQUIRED and unseen:
            said = "needs a booking, but no sensor sees presence: no no-show can be judged"
            draft.wrong(facility, (), said, "B6", warns=True)
        for number, sensor in enumerate(its.sensors):
            if sensor.kind is SensorKind.CO2 and sensor.threshold <= 0:
                said = "missing, expected: the ppm above which somebody is present"
                draft.wrong(facility, ("sensors", number, "threshold"), said)
    _check_settings(draft)
    _check_serial_ports(draft)
    _check_links_used(draft)


def _way_up(draft: Draft, place: str) -> list[str]:
    """A place and those it is in, up to the root or to one that was there before."""
    places = draft.of(PlaceFile)
    way = [place]
    while (model := places[way[-1]].model) is not None and model.parent in places:
        assert model.parent is not None
        way.append(model.parent)
        if model.parent in way[:-1]:
            break
    return way


def _check_settings(draft: Draft) -> None:
    head = draft.of(SiteFile).get("site")
    if head is None or head.model is None:
        return
    try:
        ZoneInfo(head.model.zone)
    except (ValueError, LookupError, OSError):
        said = unknown(head.model.zone, "a time zone, such as Asia/Shanghai", available_timezones())
        draft.wrong(head, ("zone",), said)
    safety = head.model.settings.poll_class_ms()[PollClass.SAFETY]
    if not 0 < safety <= SAFETY_MAX_MS:
        said = f"found {safety} ms, expected 1 to {SAFETY_MAX_MS} ms"
        draft.wrong(head, ("settings", "poll_ms", "safety"), said, "C2")


def _check_serial_ports(draft: Draft) -> None:
    """Two links on one serial port would take the bytes from one another."""
    first: dict[str, str] = {}
    for item, model in draft.valid(LinkFile):
        port = model.own.get("port")
        if not isinstance(port, str):
            continue  # a TCP port is a number, and may serve several
        real = os.path.realpath(port)
        if real in first:
            said = f"found {port!r}, which is the serial port of the link {first[real]!r} already"
            draft.wrong(item, ("port",), f"{said}; expected one link a port")
        first.setdefault(real, item.id)


def _check_links_used(draft: Draft) -> None:
    if draft.problems.refusing:
        return
    used = {its.link for _, its in draft.valid(DeviceFile)}
    used |= {str(its.own.get("link")) for _, its in draft.valid(ChannelFile)}
    for item in draft.of(LinkFile).values():
        if item.id not in used:
            draft.wrong(item, (), "no device is on this link", warns=True)
