"""What an outlet draws that it was not let: without a session, or beyond its limit (RULES C4, C6).

One sample is none: meter chips give readings that nothing drew. What is read again is a fault; what
drives the outlet is told its setpoint again and again, and the circuit counts what is seen to flow.
Others give way to it once it had the time to follow; that it ignores its limit is said later.
"""

from dataclasses import replace

from gateway.core import outlets
from gateway.core.draft import Draft
from gateway.core.durations import first_ahead
from gateway.core.faults import fault_id, set_fault
from gateway.domain.charging import Amiss, Outlet, OutletStatus, SessionState
from gateway.domain.faults import Fault
from gateway.domain.now import SECOND_MS, Elapsed
from gateway.domain.reasons import reason
from gateway.domain.site import Facility

STAYS_AFTER_MS = 6 * SECOND_MS  # a vehicle has 5 s to follow its limit (IEC 61851)
IGNORES_AFTER_MS = 15 * SECOND_MS
SLACK_PERCENT = 110
SLACK_MA = 500
_UNASKED = "unauthorised_energy"
_NOTHING = Amiss()


def look(draft: Draft, facility: Facility) -> None:
    """Judge what the outlet draws by what it may."""
    status = draft.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    known = status.amiss
    unasked, beyond = _draws_unasked(draft, facility), _draws_beyond(draft, facility)
    unread = not outlets.is_fresh(draft, outlets.outlet_of(facility))
    if known == _NOTHING and not (unasked or beyond or unread):
        return  # as before
    amiss = Amiss(
        unasked=outlets.since(draft, known.unasked, unasked),
        beyond=outlets.since(draft, known.beyond, beyond),
        unread=outlets.since(draft, known.unread, unread),
    )
    if amiss != known:
        draft.put(replace(status, amiss=amiss))
    power, name = outlets.outlet_of(facility).points.power, facility.name.en
    again = power is not None and outlets.read_since(draft, power, amiss.unasked)
    why = reason(_UNASKED, outlet=name)
    set_fault(draft, facility.id, why, again, (facility.place,), urgent=True)
    ignored = ignores_limit(draft, amiss)
    set_fault(draft, facility.id, reason("limit_ignored", outlet=name), ignored, (facility.place,))


def restarted(draft: Draft) -> None:
    """Nothing is read yet, of any outlet."""
    for status in draft.all(OutletStatus):
        if status.amiss.unread is None:
            amiss = replace(status.amiss, unread=Elapsed.started(draft.now))
            draft.put(replace(status, amiss=amiss))


def due_in_ms(draft: Draft, status: OutletStatus) -> int | None:
    """How long until `look` is worth asking, where nothing else is read."""
    waits, amiss = [], status.amiss
    if amiss.beyond is not None:
        lasts_ms = amiss.beyond.at(draft.now)
        waits += [STAYS_AFTER_MS - lasts_ms, IGNORES_AFTER_MS - lasts_ms]
    known = draft.get(Fault, fault_id(status.id, _UNASKED)) is not None
    if amiss.unasked is not None and not known:
        # read again, and not another: nobody tells
        waits.append(max(0, outlets.ASKED_AFTER_MS - amiss.unasked.at(draft.now)))
    return first_ahead(waits)


def stays_beyond(draft: Draft, outlet: Outlet, amiss: Amiss) -> bool:
    """It had the time to follow its limit, and was read again: it has not."""
    if amiss.beyond is None or amiss.beyond.at(draft.now) < STAYS_AFTER_MS:
        return False
    read = (*outlet.points.currents, outlet.points.power)
    return any(ref is not None and outlets.read_since(draft, ref, amiss.beyond) for ref in read)


def ignores_limit(draft: Draft, amiss: Amiss) -> bool:
    """It has not followed its limit for so long that it is at fault."""
    return amiss.beyond is not None and amiss.beyond.at(draft.now) >= IGNORES_AFTER_MS


def _draws_unasked(draft: Draft, facility: Facility) -> bool:
    outlet = outlets.outlet_of(facility)
    session = outlets.session_at(draft, facility.id)
    if session is not None and session.progress.state is not SessionState.AUTHORISED:
        return False  # it is let, or power is being taken
    return (outlets.watts(draft, outlet) or 0) > outlet.rules.signs.judged_below_w


def _draws_beyond(draft: Draft, facility: Facility) -> bool:
    """It has taken its limit, or is off, and does not keep to it."""
    outlet = outlets.outlet_of(facility)
    drawn_ma = outlets.seen(draft, outlet).drawn_ma
    if drawn_ma <= SLACK_MA:
        return False
    limit = outlet.points.limit
    allowed_ma = outlets.number(draft, limit) if limit is not None else None
    if outlets.is_on(draft, outlet) is False:
        allowed_ma = 0
    return allowed_ma is not None and drawn_ma > allowed_ma * SLACK_PERCENT / 100 + SLACK_MA
