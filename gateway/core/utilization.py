"""In which state each second of each facility was (RULES U2).

- After each decision, what it changed is looked at: the time since the last look belongs to the
  state that held, and the state that holds now is noted. Bookings and opening hours begin and end
  by themselves; both are deadlines of the account.
- What nobody accounted for is unknown: an absence, an untrusted clock, a step forward. A wall time
  that comes twice counts once. A quarter of an hour of which nothing is known leaves no bucket.
- A bucket is closed 10 minutes late, on a trusted clock. What belongs to it and comes later still
  is a fact of its own, to be added to it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from gateway.core import outlets
from gateway.core.calendar import next_change_ms, within
from gateway.core.draft import Draft, zone_of
from gateway.core.layout import door_devices, layout
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.charging import ChargingSession, ConnectorStatus, OutletStatus
from gateway.domain.entity import Entity
from gateway.domain.events import ClockChanged
from gateway.domain.faults import DeviceStatus, Fault
from gateway.domain.now import DAY_MS
from gateway.domain.records import Fact, Record
from gateway.domain.site import Facility
from gateway.domain.utilization import (
    BUCKET_MS,
    CLOSES_AFTER_MS,
    STATES,
    Counts,
    OpenBucket,
    Usage,
    UtilizationState,
)
from gateway.domain.visits import RoomStatus, Visit

_PLACES = {state: place for place, state in enumerate(STATES)}
_STANDS = (BookingStatus.ENFORCED, BookingStatus.CHECKED_IN)
_CUT_OFF = ("device_silent", "link_down", "driver_failed")
_OCCUPIED = frozenset(
    {
        ConnectorStatus.SUSPENDED_EVSE,
        ConnectorStatus.SUSPENDED_EV,
        ConnectorStatus.FINISHING,
    }
)


# --- what moves it ------------------------------------------------------------------------------


def follow(draft: Draft) -> None:
    """Account for what a decision changed. Nothing happens where it changed no facility."""
    for record in draft.records():
        _count_fact(draft, record)
    for id_ in _touched(draft):
        facility = draft.site.facilities.get(id_)
        if facility is not None:
            look(draft, facility)


def look(draft: Draft, facility: Facility) -> None:
    """Account for the time since the last look, and note the state that holds now."""
    now = draft.now
    usage = _usage(draft, facility.id)
    if not now.trusted:
        draft.put(replace(usage, state=UtilizationState.UNKNOWN))
        return
    while usage.until_ms < now.wall_ms:
        edge = min(_next_edge_ms(draft, facility, usage.until_ms) or now.wall_ms, now.wall_ms)
        usage = _spend(usage, edge)
        if edge < now.wall_ms:
            usage = _in_state(usage, state_at(draft, facility, edge))
    draft.put(_close(draft, _in_state(usage, state_at(draft, facility, now.wall_ms))))


def due(draft: Draft, usage: Usage) -> None:
    """Time passed for an account. What it rests on is looked at anew as a bucket closes."""
    facility = draft.site.facilities.get(usage.id)
    if facility is None:
        return
    if not draft.now.trusted or _closing(draft, usage) or _is_at_edge(draft, facility, usage):
        look(draft, facility)
    else:
        draft.put(_spend(usage, draft.now.wall_ms))


def due_in_ms(draft: Draft, usage: Usage) -> int | None:
    """How long until `due` is worth asking; never on a clock that nobody trusts."""
    facility = draft.site.facilities.get(usage.id)
    if facility is None or not draft.now.trusted:
        return None
    due_ms = (usage.until_ms // BUCKET_MS + 1) * BUCKET_MS
    if usage.open:
        due_ms = min(due_ms, usage.open[0].start_ms + BUCKET_MS + CLOSES_AFTER_MS)
    edge = _next_edge_ms(draft, facility, usage.until_ms)
    due_ms = due_ms if edge is None else min(due_ms, edge)
    return max(0, due_ms - draft.now.wall_ms)


def started(draft: Draft, away_ms: int | None) -> None:
    """The gateway was away: what held until then is accounted for, the rest is unknown."""
    now = draft.now
    for id_ in draft.site.facilities:
        usage = _usage(draft, id_)
        if now.trusted:
            if away_ms is not None:
                usage = _spend(usage, now.wall_ms - away_ms)
            usage = replace(usage, until_ms=max(usage.until_ms, now.wall_ms))
        draft.put(usage)
    look_at_all(draft)


def clock_changed(draft: Draft, event: ClockChanged) -> None:
    """The wall clock was stepped, or its trust changed."""
    now = draft.now
    for id_ in draft.site.facilities:
        usage = _usage(draft, id_)
        if event.trusted_before:
            usage = _spend(usage, now.wall_ms - event.step_ms)
        if now.trusted:
            if usage.until_ms - now.wall_ms > DAY_MS:
                usage = _taken_back(usage, now.wall_ms)
            usage = replace(usage, until_ms=max(usage.until_ms, now.wall_ms))
        draft.put(usage)
    look_at_all(draft)


def look_at_all(draft: Draft) -> None:
    """Account for every facility of the site, and for no other."""
    for facility in draft.site.facilities.values():
        look(draft, facility)
    gone = [usage for usage in draft.all(Usage) if usage.id not in draft.site.facilities]
    for usage in gone:
        spent = _spend(usage, draft.now.wall_ms) if draft.now.trusted else usage
        for bucket in spent.open:
            _tell(draft, usage.id, bucket)
        draft.drop(Usage, usage.id)


def metered(draft: Draft, facility: Facility, energy_wh: int) -> None:
    """A facility's register moved: now, or for a session that closed without its last register."""
    at_ms = draft.now.wall_ms
    for session in outlets.sessions_at(draft, facility.id):
        if not session.running:
            at_ms -= session.progress.since.at(draft.now)
            break
    _add(draft, facility.id, at_ms, Counts(energy_wh))


# --- the state ----------------------------------------------------------------------------------


def state_at(draft: Draft, facility: Facility, wall_ms: int) -> UtilizationState:
    """The state of a facility at an instant, by what is known now; the first that applies."""
    if _is_unknown(draft, facility):
        return UtilizationState.UNKNOWN
    if _is_out_of_service(draft, facility):
        return UtilizationState.OUT_OF_SERVICE
    bookings = draft.where(Booking, "facility", facility.id)
    covering = [b for b in bookings if b.status in _STANDS and b.covers(wall_ms)]
    if _is_in_use(draft, facility):
        booked = _is_booked(draft, facility, covering)
        return UtilizationState.IN_USE_BOOKED if booked else UtilizationState.IN_USE_WALK_IN
    if facility.outlet is not None and _is_occupied(draft, facility):
        return UtilizationState.BLOCKED
    if covering or _is_promised(draft, facility):
        return UtilizationState.HELD
    is_open = within(facility.open_hours, wall_ms, zone_of(draft.site.zone))
    return UtilizationState.IDLE if is_open else UtilizationState.CLOSED


def _is_unknown(draft: Draft, facility: Facility) -> bool:
    """The evidence is silent: no living sensor, or an outlet that is not read."""
    if facility.outlet is not None:
        return not outlets.is_fresh(draft, facility.outlet)
    room = draft.get(RoomStatus, facility.id)
    return bool(facility.sensors) and (room is None or room.present is None)


def _is_out_of_service(draft: Draft, facility: Facility) -> bool:
    """Faulted, or no door of its own can let anybody in."""
    if facility.outlet is not None:
        return _status(draft, facility) in (ConnectorStatus.FAULTED, ConnectorStatus.UNAVAILABLE)
    strikes = layout(draft.site).strikes[facility.id]
    return bool(strikes) and all(_is_cut_off(draft, device) for device in strikes)


def _is_cut_off(draft: Draft, device_id: str) -> bool:
    device = draft.site.equipment.devices.get(device_id)
    for about in (device_id, device.link if device else ""):
        for fault in draft.where(Fault, "about", about):
            if fault.reason.code in _CUT_OFF:
                return True
    return False


def _is_in_use(draft: Draft, facility: Facility) -> bool:
    if facility.outlet is not None:
        return _status(draft, facility) is ConnectorStatus.CHARGING
    room = draft.get(RoomStatus, facility.id)
    present = bool(facility.sensors) and room is not None and room.present is True
    return present or bool(draft.where(Visit, "facility", facility.id))


def _is_booked(draft: Draft, facility: Facility, covering: list[Booking]) -> bool:
    if facility.outlet is not None:
        session = outlets.session_at(draft, facility.id)
        return session is not None and draft.get(Booking, session.by.basis) is not None
    return any(booking.status is BookingStatus.CHECKED_IN for booking in covering)


def _is_occupied(draft: Draft, facility: Facility) -> bool:
    plugged = facility.outlet is not None and outlets.plugged(draft, facility.outlet)
    return _status(draft, facility) in _OCCUPIED or bool(plugged)


def _is_promised(draft: Draft, facility: Facility) -> bool:
    """Somebody was authorised at an outlet and has not plugged in yet."""
    return outlets.session_at(draft, facility.id) is not None


def _status(draft: Draft, facility: Facility) -> ConnectorStatus:
    found = draft.get(OutletStatus, facility.id)
    return found.status if found is not None else ConnectorStatus.UNAVAILABLE


# --- the account --------------------------------------------------------------------------------


def _usage(draft: Draft, facility: str) -> Usage:
    found = draft.get(Usage, facility)
    return found or Usage(facility, UtilizationState.UNKNOWN, draft.now.wall_ms)


def _in_state(usage: Usage, state: UtilizationState) -> Usage:
    return usage if usage.state is state else Usage(usage.id, state, usage.until_ms, usage.open)


def _spend(usage: Usage, until_ms: int) -> Usage:
    """The time up to then belongs to the state that holds."""
    if until_ms <= usage.until_ms:
        return usage
    if usage.state is UtilizationState.UNKNOWN:
        return replace(usage, until_ms=until_ms)  # it is what remains
    place = _PLACES[usage.state]
    at, buckets = usage.until_ms, {bucket.start_ms: bucket for bucket in usage.open}
    while at < until_ms:
        start = at // BUCKET_MS * BUCKET_MS
        end = min(start + BUCKET_MS, until_ms)
        bucket = buckets.get(start) or OpenBucket(start)
        spent = list(bucket.spent)
        spent[place] += end - at
        buckets[start] = OpenBucket(start, tuple(spent), bucket.counts)
        at = end
    return Usage(usage.id, usage.state, until_ms, _in_order(buckets))


def _taken_back(usage: Usage, wall_ms: int) -> Usage:
    """It had never been so late: no time was spent beyond now, and what happened did so now."""
    kept = tuple(bucket for bucket in usage.open if bucket.start_ms <= wall_ms)
    beyond = usage.open[len(kept) :]
    usage = replace(usage, until_ms=wall_ms, open=kept)
    counts = sum((bucket.counts for bucket in beyond), start=Counts())
    if counts == Counts():
        return usage
    bucket = _open_bucket(usage, wall_ms // BUCKET_MS * BUCKET_MS)
    return _with(usage, replace(bucket, counts=bucket.counts + counts))


def _open_bucket(usage: Usage, start_ms: int) -> OpenBucket:
    for bucket in usage.open:
        if bucket.start_ms == start_ms:
            return bucket
    return OpenBucket(start_ms)


def _with(usage: Usage, bucket: OpenBucket) -> Usage:
    buckets = {one.start_ms: one for one in usage.open}
    buckets[bucket.start_ms] = bucket
    return _opened(usage, _in_order(buckets))


def _in_order(buckets: Mapping[int, OpenBucket]) -> tuple[OpenBucket, ...]:
    """Buckets by their start, oldest first."""
    return tuple([buckets[start] for start in sorted(buckets)])


def _opened(usage: Usage, buckets: tuple[OpenBucket, ...]) -> Usage:
    return Usage(usage.id, usage.state, usage.until_ms, buckets)


def _closing(draft: Draft, usage: Usage) -> tuple[OpenBucket, ...]:
    """The buckets that are closed now."""
    over_ms = draft.now.wall_ms - CLOSES_AFTER_MS
    return tuple([bucket for bucket in usage.open if bucket.start_ms + BUCKET_MS <= over_ms])


def _close(draft: Draft, usage: Usage) -> Usage:
    closed = _closing(draft, usage)
    for bucket in closed:
        _tell(draft, usage.id, bucket)
    return _opened(usage, usage.open[len(closed) :]) if closed else usage


def _tell(draft: Draft, facility: str, bucket: OpenBucket) -> None:
    unknown = BUCKET_MS - sum(bucket.spent)
    spent = (unknown, *bucket.spent[1:])
    draft.record(
        Fact.BUCKET_CLOSED,
        facility=facility,
        start_ms=bucket.start_ms,
        spent_ms={state.value: ms for state, ms in zip(STATES, spent, strict=True) if ms},
        **_counted(bucket.counts),
    )


def _counted(counts: Counts) -> dict[str, Any]:
    return {
        "energy_wh": counts.energy_wh or None,
        "sessions": counts.sessions or None,
        "visits": counts.visits or None,
        "no_shows": counts.no_shows or None,
        "refused": dict(counts.refused) or None,
    }


def _add(draft: Draft, facility: str, at_ms: int, counts: Counts) -> None:
    """Count what happened at an instant, also where its bucket is closed."""
    usage = _usage(draft, facility)
    at_ms = at_ms if draft.now.trusted else usage.until_ms
    start = at_ms // BUCKET_MS * BUCKET_MS
    bucket = _open_bucket(usage, start)
    closed = draft.now.trusted and start + BUCKET_MS + CLOSES_AFTER_MS <= draft.now.wall_ms
    if bucket in usage.open or not closed:
        draft.put(_with(usage, OpenBucket(start, bucket.spent, bucket.counts + counts)))
        return
    draft.record(Fact.BUCKET_AMENDED, facility=facility, start_ms=start, **_counted(counts))


# --- what touches it ----------------------------------------------------------------------------


def _count_fact(draft: Draft, record: Record) -> None:
    data, wall = record.data, draft.now.wall_ms
    match record.fact:
        case Fact.VISIT_OPENED:
            _add(draft, data["facility"], wall, Counts(visits=1))
        case Fact.SESSION_STARTED:
            _add(draft, data["facility"], wall, Counts(sessions=1))
        case Fact.BOOKING_NO_SHOW:
            booking = draft.get(Booking, data["booking"])
            at = booking.terms.start_ms if booking is not None else wall
            _add(draft, data["facility"], at, Counts(no_shows=1))
        case Fact.REFUSED:
            for id_ in _refused_at(draft, record):
                _add(draft, id_, wall, Counts(refused=((data["reason"]["code"], 1),)))
        case _:
            pass


def _refused_at(draft: Draft, record: Record) -> Iterable[str]:
    if "facility" in record.data:
        return (record.data["facility"],)
    return [one.id for one in layout(draft.site).own.get(record.data.get("door", ""), ())]


def _touched(draft: Draft) -> dict[str, None]:
    """The facilities whose state may be another now, in an order that no hash decides."""
    found: dict[str, None] = {}
    for type_, over in draft.changed().items():
        if type_ is DeviceStatus:
            for id_ in over:
                found |= {one.id: None for one in layout(draft.site).observers.get(id_, ())}
        elif type_ is Fault:
            for id_ in over:
                found |= dict.fromkeys(_served(draft, id_.partition(":")[2]))
        elif (rests_on := _RESTS_ON.get(type_)) is not None:
            for id_, entity in over.items():
                before = draft.state.get(type_, id_)
                if before is None or entity is None or rests_on(before) != rests_on(entity):
                    found |= {_facility_of(e): None for e in (before, entity) if e is not None}
    return found


def _facility_of(entity: Entity) -> str:
    match entity:
        case RoomStatus() | OutletStatus():
            return entity.id
        case Booking() | Visit() | ChargingSession():
            return entity.facility
    raise AssertionError(entity)


# What of an entity the state of its facility rests on; it is otherwise enough that it is there.
_RESTS_ON: dict[type[Entity], Callable[[Any], object]] = {
    Booking: lambda booking: booking,
    Visit: lambda _visit: None,
    RoomStatus: lambda room: room.present,
    OutletStatus: lambda outlet: (outlet.status, outlet.amiss.unread is None),
    ChargingSession: lambda session: (session.progress.state, session.by.basis),
}


def _served(draft: Draft, about: str) -> list[str]:
    """The facilities that one can come into by a device, or by any of a link."""
    site = draft.site
    devices = {d.id for d in site.equipment.devices.values() if about in (d.id, d.link)}
    return [
        facility.id
        for facility in site.facilities.values()
        if any(door_devices(site.doors[id_]) & devices for id_ in facility.doors)
    ]


def _is_at_edge(draft: Draft, facility: Facility, usage: Usage) -> bool:
    """Time alone has changed the state since it was last looked at."""
    edge = _next_edge_ms(draft, facility, usage.until_ms)
    return edge is not None and edge <= draft.now.wall_ms


def _next_edge_ms(draft: Draft, facility: Facility, after_ms: int) -> int | None:
    """The next instant at which time alone changes the state."""
    times = [
        at
        for booking in draft.where(Booking, "facility", facility.id)
        for at in (booking.terms.start_ms, booking.terms.end_ms)
        if at > after_ms
    ]
    if facility.open_hours is not None:
        change = next_change_ms(facility.open_hours, after_ms, zone_of(draft.site.zone))
        times += [change] if change is not None else []
    return min(times, default=None)
