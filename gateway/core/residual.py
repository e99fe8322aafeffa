"""What a parent meter counted beside the outlets under it: a signed figure of its own (RULES C5).

An hour at least, and so much energy that steps of registers do not matter, are a period; then the
difference is a record. Over 5 % it is a fault, where nothing else hangs on the circuit. A register
that begins anew, or jumps, begins its period anew: what cannot be compared is not told.
"""

from dataclasses import replace

from gateway.core import outlets
from gateway.core.draft import Draft
from gateway.core.faults import set_fault
from gateway.domain.charging import CircuitEnergy
from gateway.domain.now import HOUR_MS, Elapsed
from gateway.domain.power import NO_CURRENT, Circuit, upwards
from gateway.domain.reasons import reason
from gateway.domain.records import Fact
from gateway.domain.site import Facility

PERIOD_MS = HOUR_MS
LEAST_WH = 1_000
FAULT_PERCENT = 5
NOMINAL_V = 240
SLACK_PERCENT = 120


def read(draft: Draft, circuit: Circuit) -> None:
    """Take the parent meter's latest reading in, and compare once a period is over."""
    value = outlets.number(draft, circuit.energy) if circuit.energy is not None else None
    if value is None:
        return
    register_wh = int(value)
    known = draft.get(CircuitEnergy, circuit.id)
    step_wh = register_wh - known.latest_wh if known is not None else -1
    if known is None or not 0 <= step_wh <= _most_wh(draft, circuit, known):
        draft.put(_begun(draft, circuit, register_wh))
        return
    moved = Elapsed.started(draft.now) if step_wh else known.moved
    metered_wh = known.metered_wh + step_wh
    known = replace(known, latest_wh=register_wh, moved=moved, metered_wh=metered_wh)
    draft.put(known)
    if known.since.at(draft.now) >= PERIOD_MS and metered_wh >= _enough_wh(draft, circuit):
        _compare(draft, circuit, known)


def counted(draft: Draft, facility: Facility, energy_wh: int) -> None:
    """An outlet's own meter counted so much."""
    for circuit in upwards(draft.site.circuits, outlets.outlet_of(facility).load.circuit):
        known = draft.get(CircuitEnergy, circuit.id)
        if known is not None and energy_wh:
            draft.put(replace(known, outlets_wh=known.outlets_wh + energy_wh))


def _compare(draft: Draft, circuit: Circuit, known: CircuitEnergy) -> None:
    residual_wh = known.metered_wh - known.outlets_wh
    draft.record(
        Fact.RESIDUAL,
        circuit=circuit.id,
        metered_wh=known.metered_wh,
        outlets_wh=known.outlets_wh,
        residual_wh=residual_wh,
        duration_ms=known.since.at(draft.now),
    )
    alone = circuit.other_ma == NO_CURRENT
    over = alone and abs(residual_wh) * 100 > known.metered_wh * FAULT_PERCENT
    why = reason("residual", circuit=circuit.id)
    set_fault(draft, circuit.id, why, over, (circuit.place,))
    draft.put(_begun(draft, circuit, known.latest_wh))


def _begun(draft: Draft, circuit: Circuit, register_wh: int) -> CircuitEnergy:
    now = Elapsed.started(draft.now)
    return CircuitEnergy(circuit.id, register_wh, now, now)


def _most_wh(draft: Draft, circuit: Circuit, known: CircuitEnergy) -> int:
    """What the circuit could have delivered since its register last moved, a fifth over."""
    flowed_wh = sum(circuit.limit_ma) * NOMINAL_V * known.moved.at(draft.now) // (HOUR_MS * 1_000)
    return flowed_wh * SLACK_PERCENT // 100 + LEAST_WH


def _enough_wh(draft: Draft, circuit: Circuit) -> int:
    """So much that one step of every register below is within what is no fault."""
    steps = 0
    for facility in draft.site.facilities.values():
        outlet = facility.outlet
        if outlet is not None and outlet.meter is not None:
            above = upwards(draft.site.circuits, outlet.load.circuit)
            steps += outlet.meter.resolution_wh if circuit in above else 0
    return max(LEAST_WH, steps * 100 // FAULT_PERCENT)
