"""What is dangerous at an outlet takes its power, and keeps it off (RULES C2).

- Two plausible readings in a row are a hazard; one is only seen. Smoke and fire are the zone's own
  (see `fire`) and need one.
- Heat, and over-current that comes again, latch until a named person resets them. A single
  over-current may be tried again after ten minutes. Inrush of under two seconds is none.
"""

from dataclasses import replace

from gateway.core import outlets
from gateway.core.draft import Draft
from gateway.core.faults import close_fault, open_fault
from gateway.domain.charging import Hazard, HazardState, Outlet, OutletStatus
from gateway.domain.events import HazardResetAsked
from gateway.domain.now import MINUTE_MS, SECOND_MS, Elapsed
from gateway.domain.points import PointRef
from gateway.domain.power import LoadKind
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Facility
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role

HOT = "too_hot"
OVERCURRENT = "overcurrent"
PLAUSIBLE_C = 150  # what says more is broken, and not hot
PLAUSIBLE_TIMES = 8  # an outlet cannot draw more than so many times its most
SLACK_PERCENT = 110
SLACK_MA = 500
INRUSH_MS = 2 * SECOND_MS
COOLS_MS = 10 * MINUTE_MS
_PASSING = (HazardState.SEEN, HazardState.COOLING)
_RESETTING = frozenset({Role.DESK, Role.TECHNICIAN})


def look(draft: Draft, facility: Facility) -> None:
    """Judge what the outlet reports of heat and current."""
    status = draft.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    known = status.hazard
    if known is not None and known.active:
        if known.state is HazardState.COOLING and known.since.at(draft.now) >= COOLS_MS:
            _put(draft, status, known, HazardState.PAST)
            close_fault(draft, facility.id, known.code)
        return
    found = _found(draft, outlets.outlet_of(facility))
    if found is None:
        if known is not None and known.state is HazardState.SEEN:
            past = replace(known, state=HazardState.PAST) if known.stops else None
            draft.put(replace(status, hazard=past))
        return
    code, ref = found
    if known is None or known.code != code or known.state is HazardState.PAST:
        stops = known.stops if known is not None and known.code == code else 0
        _put(draft, status, Hazard(code, HazardState.SEEN, _now(draft), stops), HazardState.SEEN)
    elif _lasts(draft, ref, known):
        _stop(draft, facility, status, known)


def due_in_ms(draft: Draft, status: OutletStatus) -> int | None:
    """How long until `look` is worth asking, where nothing else is read."""
    known = status.hazard
    if known is None or known.state not in _PASSING:
        return None
    seen_ms = INRUSH_MS if known.code == OVERCURRENT else outlets.ASKED_AFTER_MS
    lasts_ms = COOLS_MS if known.state is HazardState.COOLING else seen_ms
    return max(0, lasts_ms - known.since.at(draft.now))


def reset(draft: Draft, event: HazardResetAsked) -> Reply:
    """A named person has looked at it, on site."""
    facility = outlets.facility_of(draft, event.facility)
    if facility is None:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="outlet", id=event.facility))
    if not event.by.name.strip():
        return Reply(Result.REJECTED, reason("person_needed"))
    if event.by.role not in _RESETTING or not event.by.on_site:
        return Reply(Result.REJECTED, reason("role_needed", role="desk, technician"))
    status = draft.get(OutletStatus, facility.id)
    if status is None or status.hazard is None:
        return Reply(Result.ACCEPTED, reason("unchanged"))
    draft.put(replace(status, hazard=None))
    close_fault(draft, facility.id, status.hazard.code)
    draft.record(
        Fact.HAZARD_RESET,
        personal={"person": event.by.name},
        urgent=True,
        facility=facility.id,
        hazard=status.hazard.code,
    )
    return Reply(Result.ACCEPTED, reason("done"), {"facility": facility.id})


def _found(draft: Draft, outlet: Outlet) -> tuple[str, PointRef] | None:
    """A reading that is dangerous and can be: its hazard's code, and the point."""
    points = outlet.points
    if points.temperature is not None:
        celsius = outlets.number(draft, points.temperature)
        if celsius is not None and outlet.rules.hot_c < celsius <= PLAUSIBLE_C:
            return HOT, points.temperature
    most_ma = outlet.load.maximum_ma * SLACK_PERCENT // 100 + SLACK_MA
    for ref, drawn in _drawn_ma(draft, outlet):
        if most_ma < drawn <= outlet.load.maximum_ma * PLAUSIBLE_TIMES:
            return OVERCURRENT, ref
    return None


def _drawn_ma(draft: Draft, outlet: Outlet) -> list[tuple[PointRef, float]]:
    """The currents that are read; of a switched outlet without any, by its power (C8)."""
    seen = outlets.seen(draft, outlet)
    found = list(zip(outlet.points.currents, seen.currents_ma, strict=True))
    power = outlet.points.power
    if not found and power is not None and outlet.load.kind is LoadKind.SWITCHED:
        drawn = seen.watts
        volts = outlets.NOMINAL_V * (len(outlet.load.phases) or 3)  # unknown: as many as there are
        found = [(power, None if drawn is None else drawn * 1_000 / volts)]
    return [(ref, drawn) for ref, drawn in found if drawn is not None]


def _lasts(draft: Draft, ref: PointRef, hazard: Hazard) -> bool:
    """It was read again since; an inrush is over by then."""
    if not outlets.read_since(draft, ref, hazard.since):
        return False
    return hazard.code != OVERCURRENT or hazard.since.at(draft.now) >= INRUSH_MS


def _stop(draft: Draft, facility: Facility, status: OutletStatus, hazard: Hazard) -> None:
    once = hazard.code == OVERCURRENT and not hazard.stops
    state = HazardState.COOLING if once else HazardState.LATCHED
    _put(draft, status, replace(hazard, since=_now(draft), stops=hazard.stops + 1), state)
    why = reason(hazard.code, outlet=facility.name.en)
    draft.record(
        Fact.HAZARD,
        urgent=True,
        why=why,
        facility=facility.id,
        hazard=hazard.code,
        state=state.value,
    )
    open_fault(draft, facility.id, why, (facility.place,), urgent=True)


def _put(draft: Draft, status: OutletStatus, hazard: Hazard, state: HazardState) -> None:
    draft.put(replace(status, hazard=replace(hazard, state=state)))


def _now(draft: Draft) -> Elapsed:
    return Elapsed.started(draft.now)
