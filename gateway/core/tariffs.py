"""The class of price of a facility by the site's own hours, so that a record can be priced."""

from dataclasses import replace

from gateway.core import calendar
from gateway.core.draft import Draft, zone_of
from gateway.domain.charging import ChargingSession
from gateway.domain.site import Facility


def class_at(draft: Draft, facility: Facility, wall_ms: int) -> str:
    """The class of price at an instant; "" where the facility has no tariff."""
    tariff = facility.tariff
    if tariff is None:
        return ""
    zone = zone_of(draft.site.zone)
    within = (name for name, hours in tariff.classes if calendar.within(hours, wall_ms, zone))
    return next(within, tariff.otherwise)


def next_change_ms(draft: Draft, facility: Facility, wall_ms: int) -> int | None:
    """The next instant at which a class begins or ends; None for never."""
    if facility.tariff is None:
        return None
    zone = zone_of(draft.site.zone)
    edges = (calendar.next_change_ms(hours, wall_ms, zone) for _, hours in facility.tariff.classes)
    return min((edge for edge in edges if edge is not None), default=None)


def turn(draft: Draft, facility: Facility, session: ChargingSession) -> None:
    """Another class begins: the register is noted, and what it counts from now on is of that.

    What flows while nobody reads is of the class in which it is read; a clock that nobody trusts
    changes nothing.
    """
    if facility.tariff is None or not session.segments or not draft.now.trusted:
        return
    last, now_ms = session.segments[-1], draft.now.wall_ms
    price = class_at(draft, facility, now_ms)
    if price != last.price:
        fresh = replace(last, opened_wh=last.latest_wh, price=price, from_ms=now_ms)
        draft.put(replace(session, segments=(*session.segments, fresh)))


def energy(session: ChargingSession) -> dict[str, int] | None:
    """The energy of a session by class; None without a tariff."""
    found: dict[str, int] = {}
    for segment in session.segments:
        if segment.price:
            found[segment.price] = found.get(segment.price, 0) + segment.energy_wh
    return found or None


def duration(draft: Draft, facility_id: str, from_ms: int, lasted_ms: int) -> dict[str, int] | None:
    """How much of a time from that instant on was in each class; None without a tariff."""
    facility = draft.site.facilities.get(facility_id)
    if facility is None or facility.tariff is None or lasted_ms <= 0:
        return None
    found: dict[str, int] = {}
    at_ms, end_ms = from_ms, from_ms + lasted_ms
    while at_ms < end_ms:
        edge_ms = min(next_change_ms(draft, facility, at_ms) or end_ms, end_ms)
        price = class_at(draft, facility, at_ms)
        found[price] = found.get(price, 0) + edge_ms - at_ms
        at_ms = edge_ms
    return found
