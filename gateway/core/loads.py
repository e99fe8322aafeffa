"""What flows, or may, on the circuits of the site, and who is granted what of it (RULES C1, C4).

- An outlet counts at its grant once a lower one has been read back, and at what it is seen to draw
  if that is more; until then at what it was granted before.
- One that is not heard counts at that or at its failsafe current, whichever is more. Its grant
  holds for a minute; then it is its failsafe current, and after five minutes nothing.
- Beside our outlets, a circuit carries what its meter says less what they draw (see `beside`), else
  what the site declares.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from gateway.core import beside, outlets, power, straying
from gateway.core.draft import Draft
from gateway.core.durations import first_ahead
from gateway.core.power import Claim, Share
from gateway.domain.bookings import Booking
from gateway.domain.charging import (
    ChargerState,
    ChargingSession,
    CircuitLoad,
    Outlet,
    OutletStatus,
    SessionState,
)
from gateway.domain.now import HOUR_MS, MINUTE_MS, SECOND_MS, Elapsed
from gateway.domain.power import NO_CURRENT, Circuit, Load, LoadKind, PerPhase
from gateway.domain.site import Facility, Site

FAILSAFE_AFTER_MS = MINUTE_MS
OFF_AFTER_MS = 5 * MINUTE_MS
MEASURED_AFTER_MS = 30 * SECOND_MS
MEASURED_PERCENT = 120
WEIGHT_MAX = 32
STANDS_AFTER = 4  # shares, at the most
_UNHEARD = "outlet_unheard"
# since it was last switched: when a switched load is taken as measured, and when turns change
_TURNS = {LoadKind.SWITCHED: (MEASURED_AFTER_MS,), LoadKind.MODULATED: (power.TURN_MS,)}


def settle(draft: Draft, circuits: Iterable[str]) -> None:
    """Share out anew what these circuits, and those above and below them, may carry."""
    for tree in _trees_of(draft.site, circuits):
        _share(draft, tree, _flows(draft, tree))


def metered(draft: Draft, circuits: Iterable[str]) -> None:
    """Their meters moved: shared out anew where something else is believed to flow beside us."""
    for tree in _trees_of(draft.site, circuits):
        before = {id_: _believed(draft, id_) for id_, one in tree.circuits.items() if one.meter}
        flows = _flows(draft, tree)
        if any(flows[id_] != known for id_, known in before.items()):
            _share(draft, tree, flows)


def _share(draft: Draft, tree: "_Tree", flows: Mapping[str, PerPhase]) -> None:
    """Until it stands: what one is granted changes what the next share rests on."""
    for _ in range(STANDS_AFTER):
        claims = [_claim(draft, one) for one in tree.members]
        shares = power.share(tree.circuits, claims, flows)
        moved = [one.outlet for one in claims if shares[one.outlet].granted_ma != one.granted_ma]
        for claim in claims:
            _grant(draft, claim, shares[claim.outlet])
        if not moved:
            return


def _believed(draft: Draft, circuit: str) -> PerPhase | None:
    """What was shared out last beside; None where no meter said."""
    known = draft.get(CircuitLoad, circuit)
    return known.beside_ma if known is not None and known.read else None


def _flows(draft: Draft, tree: "_Tree") -> dict[str, PerPhase]:
    """What each circuit carries beside our outlets."""
    found = [(tree.above[one.id], _drawn_per_phase(draft, one)) for one in tree.measured]
    drawn = [one for one in found if one[1] != NO_CURRENT]
    return {id_: _beside(draft, circuit, drawn) for id_, circuit in tree.circuits.items()}


def due_in_ms(draft: Draft, status: OutletStatus) -> int | None:
    """How long until time alone changes what an outlet is let, or leaves to others."""
    facility = outlets.facility_of(draft, status.id)
    if facility is None:
        return None
    outlet, waits = outlets.outlet_of(facility), []
    if status.turn is not None:
        waits += [at_ms - status.turn.at(draft.now) for at_ms in _TURNS[outlet.load.kind]]
    if status.granted_ma and status.amiss.unread is not None:
        silent_ms = _silent_ms(draft, outlet, status)
        waits += [FAILSAFE_AFTER_MS - silent_ms, OFF_AFTER_MS - silent_ms]
    return first_ahead(waits)


def load_due(draft: Draft, load: CircuitLoad) -> None:
    """What else flows on a circuit has changed for long enough to be believed."""
    metered(draft, [load.id])


def is_set(draft: Draft, facility: Facility) -> bool:
    """Power is granted, and what drives the outlet reports just that."""
    status = draft.get(OutletStatus, facility.id)
    if status is None or not status.granted_ma:
        return False
    outlet = outlets.outlet_of(facility)
    wanted = status.granted_ma if outlet.points.limit is not None else True
    reading = draft.reading(outlet.points.drive)
    return reading.good and reading.value == wanted


def _claim(draft: Draft, facility: Facility) -> Claim:
    """What an outlet wants of its circuit, and what it must be counted at."""
    outlet = outlets.outlet_of(facility)
    status = draft.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    session = outlets.session_at(draft, facility.id)
    seen = outlets.seen(draft, outlet)
    drawn_ma = seen.drawn_ma
    is_off = seen.fresh and seen.on is False and not drawn_ma
    if is_off and session is None and not status.granted_ma:
        return Claim(facility.id, outlet.load, 0)
    ignores = straying.ignores_limit(draft, status.amiss)
    most_ma = outlet.load.maximum_ma if seen.fresh else _unheard_limit_ma(draft, outlet, status)
    deaf = "" if seen.fresh else _UNHEARD
    if straying.stays_beyond(draft, outlet, status.amiss):
        deaf = "limit_ignored"
    takes_ma = _takes_ma(draft, outlet.load, status, drawn_ma)
    wanted = takes_ma if _wants_power(draft, facility, session) else 0
    return Claim(
        outlet=facility.id,
        load=outlet.load,
        wanted_ma=min(wanted, outlet.load.minimum_ma) if ignores else min(wanted, most_ma),
        deaf=deaf,
        granted_ma=status.granted_ma,
        counted_ma=_counted_ma(draft, outlet, status, takes_ma, drawn_ma),
        held_ms=status.turn.at(draft.now) if status.turn is not None else 0,
        since_ms=session.by.at_ms if session is not None else 0,
        weight=_weight(draft, outlet.load, session) if session is not None else 1,
    )


def _wants_power(draft: Draft, facility: Facility, session: ChargingSession | None) -> bool:
    """Not under a hazard or fault; what a power cut switched off waits for its turn (C1, C8)."""
    if session is None or not session.powered or outlets.hazard(draft, facility):
        return False
    if outlets.charger_state(draft, outlets.outlet_of(facility)) is ChargerState.FAULTED:
        return False
    resuming = session.progress.state is SessionState.RESUMING
    return not resuming or outlets.is_on(draft, outlets.outlet_of(facility)) is not False


def _takes_ma(draft: Draft, load: Load, status: OutletStatus, drawn_ma: int) -> int:
    """What it can use: a switched load its rating, until it was measured (C4)."""
    drawing = load.kind is LoadKind.SWITCHED and status.granted_ma and drawn_ma
    if drawing and status.turn is not None and status.turn.at(draft.now) >= MEASURED_AFTER_MS:
        return min(load.maximum_ma, drawn_ma * MEASURED_PERCENT // 100)
    return load.maximum_ma


def _weight(draft: Draft, load: Load, session: ChargingSession) -> int:
    """Who leaves soon and lacks much goes before who stays: by the current it needs."""
    booking = draft.get(Booking, session.by.basis)
    terms = booking.terms if booking is not None else None
    needed_wh = session.by.needed_wh or (terms.needed_wh if terms is not None else 0)
    leaves_ms = session.by.leaves_ms or (terms.end_ms if terms is not None else 0)
    if not needed_wh or not leaves_ms or not draft.now.trusted:
        return 1
    left_ms = max(MINUTE_MS, leaves_ms - draft.now.wall_ms)
    lacking_wh = max(0, needed_wh - session.energy_wh)
    needed_a = lacking_wh * HOUR_MS // (left_ms * outlets.NOMINAL_V * max(1, len(load.phases)))
    return min(WEIGHT_MAX, max(1, needed_a))


def _counted_ma(
    draft: Draft, outlet: Outlet, status: OutletStatus, takes_ma: int, drawn_ma: int
) -> int:
    """Never less than what it may still draw, by what drives it, or is seen to draw."""
    drive = draft.reading(outlet.points.drive)
    if not drive.good:
        return max(status.counted_ma, status.granted_ma, outlet.load.failsafe_ma)
    if outlet.points.limit is None:
        return max(takes_ma if drive.value or status.granted_ma else 0, drawn_ma)
    may_ma = int(drive.value) if isinstance(drive.value, int | float) else 0
    return max(status.granted_ma, min(may_ma, outlet.load.maximum_ma), drawn_ma)


def _unheard_limit_ma(draft: Draft, outlet: Outlet, status: OutletStatus) -> int:
    """C1: what a grant may still be while nothing is heard of what it rests on."""
    if not status.granted_ma:
        return outlet.load.maximum_ma
    silent_ms = _silent_ms(draft, outlet, status)
    if silent_ms < FAILSAFE_AFTER_MS:
        return status.granted_ma
    return outlet.load.failsafe_ma if silent_ms < OFF_AFTER_MS else 0


def _silent_ms(draft: Draft, outlet: Outlet, status: OutletStatus) -> int:
    """How long nothing was heard of what its grant rests on."""
    heard = draft.readings.seen_ms(outlet.points.drive)
    unread_ms = status.amiss.unread.at(draft.now) if status.amiss.unread is not None else 0
    return max(unread_ms, draft.now.mono_ms - heard if heard is not None else 0)


def _beside(
    draft: Draft, circuit: Circuit, drawn: Iterable[tuple[tuple[str, ...], PerPhase]]
) -> PerPhase:
    """What a circuit carries beside our outlets, by what each draws of which circuits."""
    l1, l2, l3 = 0, 0, 0
    for above, its in drawn:
        if circuit.id in above:
            l1, l2, l3 = l1 + its[0], l2 + its[1], l3 + its[2]
    return beside.believed(draft, circuit, (l1, l2, l3))


def _drawn_per_phase(draft: Draft, facility: Facility) -> PerPhase:
    """What an outlet is seen to draw on the site's phases; nothing is taken off where unknown."""
    outlet = outlets.outlet_of(facility)
    drawn = outlets.seen(draft, outlet).currents_ma
    if not any(drawn):
        return NO_CURRENT
    found = [0, 0, 0]
    for phase, drawn_ma in zip(outlet.load.phases, drawn, strict=False):
        found[phase - 1] = round(drawn_ma or 0)
    l1, l2, l3 = found
    return (l1, l2, l3)


@dataclass(frozen=True, slots=True)
class _Tree:
    """The circuits under one that nothing feeds, and the outlets on them; what feeds each.

    `measured`: those whose currents are read, under a meter that counts them too.
    """

    root: str
    circuits: Mapping[str, Circuit]
    members: tuple[Facility, ...]
    measured: tuple[Facility, ...]
    above: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=4)
def _trees(site: Site) -> Mapping[str, _Tree]:
    """The tree that each circuit is of."""
    above = {id_: _above(site, id_) for id_ in site.circuits}
    roots = {id_: above[id_][-1] for id_ in site.circuits}
    with_outlets = [one for one in site.facilities.values() if one.outlet is not None]
    feeds = {one.id: above[outlets.outlet_of(one).load.circuit] for one in with_outlets}
    found: dict[str, _Tree] = {}
    for root in roots.values():
        circuits = {id_: one for id_, one in site.circuits.items() if roots[id_] == root}
        members = tuple(one for one in with_outlets if feeds[one.id][-1] == root)
        measured = tuple(
            one
            for one in members
            if outlets.outlet_of(one).points.currents
            and any(circuits[id_].meter for id_ in feeds[one.id])
        )
        found[root] = _Tree(root, circuits, members, measured, feeds)
    return {id_: found[root] for id_, root in roots.items()}


def _trees_of(site: Site, circuits: Iterable[str]) -> list[_Tree]:
    trees = _trees(site)
    return [trees[root] for root in sorted({trees[circuit].root for circuit in circuits})]


def _above(site: Site, circuit: str) -> tuple[str, ...]:
    """A circuit, and those that feed it, to the last."""
    found = [circuit]
    while (parent := site.circuits[found[-1]].parent) is not None:
        found.append(parent)
    return tuple(found)


def _grant(draft: Draft, claim: Claim, share: Share) -> None:
    """The outlet may draw so much from now on, and why no more."""
    granted_ma = share.granted_ma
    known = draft.get(OutletStatus, claim.outlet) or OutletStatus(claim.outlet)
    counted_ma = max(claim.counted_ma, granted_ma)
    granted = (granted_ma, counted_ma, share.limited_by)
    if granted == (known.granted_ma, known.counted_ma, known.limited_by):
        return
    turned = bool(known.granted_ma) != bool(granted_ma)
    draft.put(
        replace(
            known,
            granted_ma=granted_ma,
            counted_ma=counted_ma,
            limited_by=share.limited_by,
            turn=Elapsed.started(draft.now) if turned else known.turn,
        )
    )
