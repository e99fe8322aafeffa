"""What the rules ask of outlets and circuits (RULES C1, C4, C6)."""

from collections.abc import Mapping

from config.charging import CircuitFile, OutletFile
from config.draft import Draft, Item
from config.models import FacilityFile

PHASES = (1, 2, 3)
IEC_MIN_A = 6  # a limit between 0 and it is invalid


def check_charging(draft: Draft) -> None:
    """Add what is wrong or doubtful about outlets and the circuits they hang on."""
    for item, model in draft.valid(CircuitFile):
        _check_circuit(draft, item, model)
    for facility, its in draft.valid(FacilityFile):
        if its.outlet is not None:
            _check_outlet(draft, facility, its.outlet)
    if not draft.problems.refusing:
        _check_failsafe(draft)


def _check_circuit(draft: Draft, item: Item[CircuitFile], model: CircuitFile) -> None:
    circuits = draft.of(CircuitFile)
    way, at = [item.id], model.parent
    while at is not None and at in circuits and at not in way:
        way.append(at)
        its = circuits[at].model
        at = its.parent if its is not None else None
    if at == item.id == min(way):
        said = f"found a circle: {' in '.join([*way, at])}; expected a tree of circuits"
        draft.wrong(item, ("parent",), said, "C4")
    if not any(model.limit_a):
        draft.wrong(item, ("limit_a",), "found no phase, expected one that may carry current", "C4")


def _check_outlet(draft: Draft, facility: Item[FacilityFile], outlet: OutletFile) -> None:
    points = outlet.points
    if (points.limit is None) == (points.switch is None):
        found = "neither" if points.limit is None else "both"
        said = f"found {found}, expected one of limit and switch"
        draft.wrong(facility, ("outlet", "points"), said, "C1")
    if points.energy is None:
        said = "no energy register: its sessions cannot be billed"
        draft.wrong(facility, ("outlet", "points"), said, "C3", warns=True)
    if points.limit is not None and outlet.max_a < outlet.min_a:
        said = f"found {outlet.max_a:g} A, expected at least min_a, {outlet.min_a:g} A"
        draft.wrong(facility, ("outlet", "max_a"), said, "C4")
    if points.limit is not None and outlet.min_a < IEC_MIN_A:
        said = f"found {outlet.min_a:g} A, expected at least {IEC_MIN_A} A (IEC 61851)"
        draft.wrong(facility, ("outlet", "min_a"), said, "C4")
    if points.limit is not None and 0 < outlet.failsafe_a < outlet.min_a:
        said = f"found {outlet.failsafe_a:g} A, expected 0 or at least {outlet.min_a:g} A"
        draft.wrong(facility, ("outlet", "failsafe_a"), said, "C6")
    if len(set(outlet.phases)) != len(outlet.phases):
        said = f"found {outlet.phases}, expected each phase once"
        draft.wrong(facility, ("outlet", "phases"), said, "C4")
    _check_phases(draft, facility, outlet)


def _check_phases(draft: Draft, facility: Item[FacilityFile], outlet: OutletFile) -> None:
    circuit = draft.of(CircuitFile).get(outlet.circuit)
    if circuit is None or circuit.model is None:
        return
    there = [phase for phase in PHASES if circuit.model.limit_a[phase - 1] > 0]
    for number, phase in enumerate(outlet.phases):
        if phase not in there:
            said = f"found {phase}, expected a phase of the circuit {outlet.circuit!r}: {there}"
            draft.wrong(facility, ("outlet", "phases", number), said, "C4")


def _check_failsafe(draft: Draft) -> None:
    """C6: with nobody to speak to them, all outlets together fit their circuits."""
    drawn: dict[str, list[float]] = {}
    for _, its in draft.valid(FacilityFile):
        for circuit in _upwards(draft, its.outlet.circuit) if its.outlet else ():
            assert its.outlet is not None
            on = drawn.setdefault(circuit, [0.0, 0.0, 0.0])
            for phase in its.outlet.phases or PHASES:
                on[phase - 1] += its.outlet.failsafe_a
    for item, model in draft.valid(CircuitFile):
        for phase, amperes in zip(PHASES, drawn.get(item.id, ()), strict=False):
            most = model.limit_a[phase - 1] - model.other_a[phase - 1]
            if amperes > max(0.0, most):
                said = (
                    f"its outlets' failsafe currents are {amperes:g} A on L{phase}, "
                    f"expected at most {max(0.0, most):g} A"
                )
                draft.wrong(item, ("limit_a",), said, "C6")


def _upwards(draft: Draft, circuit: str) -> list[str]:
    circuits: Mapping[str, Item[CircuitFile]] = draft.of(CircuitFile)
    way: list[str] = []
    at: str | None = circuit
    while at is not None and at in circuits and at not in way:
        way.append(at)
        its = circuits[at].model
        at = its.parent if its is not None else None
    return way
