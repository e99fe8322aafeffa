"""An outlet's energy register, followed from reading to reading (RULES C3, C5).

- What it moves by belongs to the session that is open, else to nobody: `unattributed`.
- A step back, or one that the outlet could not have delivered, is a bad reading until three agree;
  then a new segment begins. A session register that begins anew, at nothing, is none of that; one
  that fell to more is believed once three agree, for that may as well be a false one.
- A step that it could have delivered only in a long time, as after a silence, is energy once three
  readings agree: a register that stood still may show a false one at any time.
- Nothing is ever negative, and nothing is guessed in silence: each new segment is a record.
"""

from dataclasses import replace

from gateway.core import outlets, residual, tariffs, utilization
from gateway.core.draft import Draft
from gateway.core.durations import first_ahead
from gateway.core.faults import close_fault, set_fault
from gateway.domain.charging import (
    ChargingSession,
    Doubt,
    Meter,
    MeterKind,
    MeterStatus,
    Outlet,
    Segment,
    SessionState,
)
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Elapsed
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Facility

AGREE = 3  # impossible readings in a row that make a new segment
SUDDEN_MS = 15 * MINUTE_MS  # a plug on the air may report so seldom; more than that is sudden
NEAR_MS = 10 * SECOND_MS  # readings that agree lie no further apart, for the time between them
NOMINAL_MV = 240_000
SLACK_PERCENT = 120
STUCK_STEPS = 5  # resolutions' worth of energy that must have moved the register
STUCK_WH = 100
_TAKING = frozenset(
    {SessionState.ACTIVE, SessionState.RESUMING, SessionState.STOPPING, SessionState.CLOSING}
)


def read(draft: Draft, facility: Facility, outlet: Outlet) -> None:
    """Take the register's latest reading in; nothing happens where it has not moved."""
    meter = outlet.meter
    if meter is None:
        return
    reading = draft.reading(meter.energy)
    if not reading.good or isinstance(reading.value, bool | str | None):
        return
    value = int(reading.value)
    status = draft.get(MeterStatus, facility.id)
    if status is None:
        serial = _serial(draft, meter)
        since, wall = Elapsed.started(draft.now), draft.now.wall_ms
        draft.put(MeterStatus(facility.id, value, since, wall, serial))
    elif value != status.latest_wh:
        _moved(draft, facility, outlet, status, value)
    elif status.doubt is not None:
        draft.put(replace(status, doubt=None))


def seen_since(draft: Draft, facility: Facility, since: Elapsed) -> bool:
    """The register was read by a request made after that instant, and is believed."""
    meter = outlets.outlet_of(facility).meter
    if meter is None:
        return True
    status = draft.get(MeterStatus, facility.id)
    believed = status is not None and status.doubt is None
    return believed and draft.reading(meter.energy).good and _read_after(draft, meter, since)


def opened(draft: Draft, facility: Facility) -> tuple[Segment, ...]:
    """The first segment of a session that opens now; what flowed before is nobody's."""
    status = draft.get(MeterStatus, facility.id)
    if status is None:
        return ()
    tell_unattributed(draft, facility)
    wall, register_wh = draft.now.wall_ms, status.latest_wh
    price = tariffs.class_at(draft, facility, wall)
    return (Segment(status.serial, register_wh, register_wh, price, wall),)


def tell_unattributed(draft: Draft, facility: Facility) -> None:
    """Energy outside any session becomes a record, so that all energy adds up (C5)."""
    status = draft.get(MeterStatus, facility.id)
    if status is None or not status.unattributed_wh:
        return
    draft.record(
        Fact.ENERGY_UNATTRIBUTED,
        facility=facility.id,
        energy_wh=status.unattributed_wh,
        register_wh=status.latest_wh,
        meter=status.serial,
    )
    draft.put(replace(status, unattributed_wh=0))


def check_stuck(draft: Draft, facility: Facility, outlet: Outlet) -> None:
    """A register that stands still while power flows is a fault."""
    status = draft.get(MeterStatus, facility.id)
    if status is None or outlet.meter is None or outlet.points.power is None:
        return
    watts = outlets.watts(draft, outlet) or 0
    flows = outlets.since(draft, status.flows, watts > 0)
    if flows != status.flows:
        draft.put(replace(status, flows=flows))
    stuck = flows is not None and flows.at(draft.now) >= _moves_ms(outlet.meter, watts)
    why = reason("meter_stuck", outlet=facility.name.en)
    set_fault(draft, facility.id, why, stuck, (facility.place,))


def due_in_ms(draft: Draft, status: MeterStatus) -> int | None:
    """How long until the register is worth a look, where it is read and does not move."""
    facility = outlets.facility_of(draft, status.id)
    outlet = facility.outlet if facility is not None else None
    if outlet is None or outlet.meter is None or not draft.reading(outlet.meter.energy).good:
        return None
    waits = []
    if status.doubt is not None:
        waits.append(max(0, outlets.ASKED_AFTER_MS - status.doubt.since.at(draft.now)))
    watts = outlets.watts(draft, outlet) or 0
    if status.flows is not None and watts > 0:
        waits.append(_moves_ms(outlet.meter, watts) - status.flows.at(draft.now))
    return first_ahead(waits)


def _flows(draft: Draft, outlet: Outlet) -> bool:
    return (outlets.watts(draft, outlet) or 0) > 0


def _moves_ms(meter: Meter, watts: float) -> int:
    """By then a register must have moved and been read, however slow its device tells."""
    due_wh = max(STUCK_STEPS * meter.resolution_wh, STUCK_WH)
    return max(SUDDEN_MS, int(due_wh * HOUR_MS / watts) + 1)


def _moved(
    draft: Draft, facility: Facility, outlet: Outlet, status: MeterStatus, value: int
) -> None:
    meter = outlet.meter
    assert meter is not None
    step = value - status.latest_wh
    since_ms = _since_moved_ms(draft, status)
    most_wh = _most_wh(outlet, meter, since_ms)
    anew = meter.kind is MeterKind.SESSION and step < 0
    if 0 <= step <= _most_wh(outlet, meter, min(since_ms, SUDDEN_MS)):
        _count(draft, facility, status, value, step)
    elif anew and value <= _most_wh(outlet, meter, NEAR_MS):
        _begin_segment(draft, facility, status, (0, value))
    elif meter.rolls_over_wh and 0 <= meter.rolls_over_wh + step <= most_wh:
        _count(draft, facility, status, meter.rolls_over_wh, meter.rolls_over_wh - status.latest_wh)
        _begin_segment(draft, facility, draft.get(MeterStatus, facility.id) or status, (0, value))
    else:
        _doubt(draft, facility, status, value, possible=0 <= (value if anew else step) <= most_wh)


def _count(draft: Draft, facility: Facility, status: MeterStatus, value: int, step: int) -> None:
    """The register moved as it may."""
    utilization.metered(draft, facility, step)
    residual.counted(draft, facility, step)
    session = _taking(draft, facility)
    if session is not None and session.segments:
        draft.put(session.metered(value))
        step = 0
    outlet, now = outlets.outlet_of(facility), Elapsed.started(draft.now)
    draft.put(
        MeterStatus(
            facility.id,
            latest_wh=value,
            since=now,
            moved_ms=draft.now.wall_ms,
            serial=status.serial,
            unattributed_wh=status.unattributed_wh + step,
            flows=now if _flows(draft, outlet) else None,
        )
    )
    close_fault(draft, facility.id, "meter_implausible")


def _begin_segment(
    draft: Draft, facility: Facility, status: MeterStatus, registers: tuple[int, int]
) -> None:
    """The register begins anew, from the first of these; what it showed before stands."""
    opened_wh, value = registers
    serial = status.serial
    found = draft.site.facilities[facility.id].outlet
    if found is not None and found.meter is not None:
        serial = _serial(draft, found.meter)
    draft.record(
        Fact.METER_SEGMENT,
        facility=facility.id,
        before_wh=status.latest_wh,
        opened_wh=opened_wh,
        meter=serial,
    )
    session = _taking(draft, facility)
    if session is not None and session.segments:
        price, wall = session.segments[-1].price, draft.now.wall_ms
        fresh = Segment(serial, opened_wh, opened_wh, price, wall)
        draft.put(replace(session, segments=(*session.segments, fresh)))
    _count(
        draft,
        facility,
        replace(status, serial=serial, latest_wh=opened_wh),
        value,
        value - opened_wh,
    )


def _doubt(
    draft: Draft, facility: Facility, status: MeterStatus, value: int, *, possible: bool
) -> None:
    """What cannot be, or comes suddenly, is not believed until it has been said three times."""
    outlet = outlets.outlet_of(facility)
    meter = outlet.meter
    assert meter is not None
    before = status.doubt
    if before is not None and not _read_after(draft, meter, before.since):
        return  # the same answer, looked at again
    waited_ms = before.since.at(draft.now) if before is not None else 0
    near_wh = _most_wh(outlet, meter, waited_ms + NEAR_MS)
    again = before is not None and 0 <= value - before.value_wh <= near_wh
    times = before.times + 1 if before is not None and again else 1
    if times >= AGREE and possible and value >= status.latest_wh:
        _count(draft, facility, status, value, value - status.latest_wh)
    elif times >= AGREE:
        _begin_segment(draft, facility, status, (0 if possible else value, value))
    else:
        draft.put(replace(status, doubt=Doubt(value, times, Elapsed.started(draft.now))))
        why = reason("meter_implausible", outlet=facility.name.en, value=value)
        set_fault(draft, facility.id, why, not possible, (facility.place,))


def _since_moved_ms(draft: Draft, status: MeterStatus) -> int:
    """At the most: while the gateway was off a charger may have gone on."""
    measured = status.since.at(draft.now)
    by_wall = draft.now.wall_ms - status.moved_ms if draft.now.trusted else DAY_MS
    return max(measured, by_wall)


def _read_after(draft: Draft, meter: Meter, since: Elapsed) -> bool:
    """The latest answer is to a request made after `since` began."""
    seen_ms = draft.readings.seen_ms(meter.energy)
    if seen_ms is None or since.boot != draft.now.boot:
        return False
    return seen_ms >= since.since_mono_ms - since.before_ms + outlets.ASKED_AFTER_MS


def _most_wh(outlet: Outlet, meter: Meter, elapsed_ms: int) -> int:
    """What the outlet could have delivered at most, a fifth over, and the register's step."""
    phases = max(1, len(outlet.load.phases)) if outlet.load.phases else 3
    most_mw = outlet.load.maximum_ma * phases * NOMINAL_MV // 1000
    flowed_wh = most_mw * elapsed_ms // (HOUR_MS * 1000)
    return flowed_wh * SLACK_PERCENT // 100 + 2 * meter.resolution_wh


def _taking(draft: Draft, facility: Facility) -> ChargingSession | None:
    """The session that the register's energy belongs to; one that waits for its last reading."""
    waiting: ChargingSession | None = None
    for session in outlets.sessions_at(draft, facility.id):
        if session.progress.state in _TAKING:
            return session
        if session.progress.state is SessionState.PROVISIONAL:
            waiting = waiting or session
    return waiting


def _serial(draft: Draft, meter: Meter) -> str:
    if meter.serial is not None:
        reading = draft.reading(meter.serial)
        if reading.good and reading.value not in (None, ""):
            return str(reading.value)
    return meter.energy.device
