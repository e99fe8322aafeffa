"""A hazard whose power is not seen to go opens the next switch upstream (RULES C2).

It stays open until a named person has reset every hazard under it; then it is closed again. Whoever
opened it by hand is never overruled: a switch that nothing here opened is left alone.
"""

from collections.abc import Iterator
from dataclasses import replace

from gateway.core import outlets
from gateway.core.draft import Draft
from gateway.core.faults import close_fault, open_fault
from gateway.domain.charging import CircuitStatus, HazardState, OutletStatus
from gateway.domain.now import SECOND_MS, Elapsed
from gateway.domain.points import PointRef
from gateway.domain.power import Circuit, upwards
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Facility

OFF_WITHIN_MS = 5 * SECOND_MS


def look(draft: Draft, facility: Facility) -> None:
    """Is the power of a dangerous outlet off? And may what was opened for it be closed again?"""
    status = draft.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    danger = outlets.hazard(draft, facility)
    if not danger or _is_off(draft, facility):
        if status.unconfirmed is not None:
            draft.put(replace(status, unconfirmed=None))
    elif status.unconfirmed is None:
        draft.put(replace(status, unconfirmed=Elapsed.started(draft.now)))
    elif status.unconfirmed.at(draft.now) >= OFF_WITHIN_MS:
        _open(draft, facility, status, danger)
    for circuit in _switched_above(draft, facility):
        close(draft, circuit)


def due_in_ms(draft: Draft, status: OutletStatus) -> int | None:
    """How long until `look` is worth asking."""
    facility = outlets.facility_of(draft, status.id)
    if status.unconfirmed is None or facility is None:
        return None
    circuit = next(_switched_above(draft, facility), None)
    if circuit is None or draft.get(CircuitStatus, circuit.id) is not None:
        return None  # there is no switch, or it is told
    return max(0, OFF_WITHIN_MS - status.unconfirmed.at(draft.now))


def breaker_of(circuit: Circuit) -> PointRef:
    """The switch of a circuit that has one."""
    assert circuit.breaker is not None
    return circuit.breaker


def _is_off(draft: Draft, facility: Facility) -> bool:
    """What drives the outlet was read as off, and nothing is seen to flow."""
    outlet = outlets.outlet_of(facility)
    drawn = outlets.watts(draft, outlet) or 0
    return outlets.is_on(draft, outlet) is False and drawn <= outlet.rules.signs.judged_below_w


def _open(draft: Draft, facility: Facility, status: OutletStatus, danger: str) -> None:
    circuit = next(_switched_above(draft, facility), None)
    if circuit is None or draft.get(CircuitStatus, circuit.id) is not None:
        return
    if status.hazard is not None:  # one that would not go off is not tried again
        draft.put(replace(status, hazard=replace(status.hazard, state=HazardState.LATCHED)))
    draft.put(CircuitStatus(circuit.id, facility.id))
    why = reason("breaker_open", circuit=circuit.id, outlet=facility.name.en)
    draft.record(
        Fact.BREAKER_OPENED,
        urgent=True,
        why=why,
        circuit=circuit.id,
        facility=facility.id,
        hazard=danger,
    )
    open_fault(draft, circuit.id, why, (circuit.place,), urgent=True)


def close(draft: Draft, circuit: Circuit) -> None:
    """What was opened here is closed again once nothing below is dangerous, and told once it is."""
    status = draft.get(CircuitStatus, circuit.id)
    if status is None:
        return
    if status.closing and draft.reading(breaker_of(circuit)).value is True:
        draft.drop(CircuitStatus, circuit.id)
        close_fault(draft, circuit.id, "breaker_open")
        draft.record(Fact.BREAKER_CLOSED, urgent=True, circuit=circuit.id)
        return
    below = (
        one
        for one in draft.site.facilities.values()
        if one.outlet is not None and circuit in _switched_above(draft, one)
    )
    safe = not any(outlets.hazard(draft, one) for one in below)
    draft.put(replace(status, closing=safe))


def _switched_above(draft: Draft, facility: Facility) -> Iterator[Circuit]:
    """The circuits above an outlet that have a switch, the nearest first."""
    for circuit in upwards(draft.site.circuits, outlets.outlet_of(facility).load.circuit):
        if circuit.breaker is not None:
            yield circuit
