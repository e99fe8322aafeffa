"""Circuits as they are now: what flows on each phase, and what may (RULES C4)."""

from collections.abc import Iterator

from fastapi import APIRouter

from gateway.api.auth import Anybody
from gateway.api.common import FaultShown, Shown
from gateway.api.parts import Gateway, Parts
from gateway.domain.charging import CircuitStatus
from gateway.domain.faults import Fault
from gateway.domain.points import PointRef
from gateway.domain.power import Circuit, PerPhase, upwards
from gateway.domain.site import Facility

router = APIRouter(prefix="/circuits", tags=["charging"])


class CircuitShown(Shown):
    """A circuit; currents in mA on L1, L2, L3.

    `load_ma`: as its meter says (`metered`), else what its outlets are seen to draw and what the
    site declares beside them. `open`: its switch was opened for a hazard (C2).
    """

    id: str
    place: str
    parent: str | None
    limit_ma: PerPhase
    load_ma: PerPhase
    metered: bool
    open: bool
    outlets: list[str]
    faults: list[FaultShown]


@router.get("", summary="Every circuit, as it is now")
async def circuits(parts: Parts, _: Anybody) -> list[CircuitShown]:
    """Circuits in the order of the site."""
    return [_circuit(parts, one) for one in parts.views.site.circuits.values()]


def load_ma(parts: Gateway, circuit: Circuit) -> tuple[PerPhase, bool]:
    """What flows on each phase, and whether a meter says so."""
    metered = [number(parts, ref) for ref in circuit.meter]
    known = [round(one) for one in metered if one is not None]
    if known and len(known) == len(metered):
        return _phases(known), True
    flows = list(circuit.other_ma)
    for facility in _under(parts, circuit):
        assert facility.outlet is not None
        phases = facility.outlet.load.phases or (1, 2, 3)
        for phase, ref in zip(phases, facility.outlet.points.currents, strict=False):
            flows[phase - 1] += round(number(parts, ref) or 0)
    return _phases(flows), False


def number(parts: Gateway, ref: PointRef | None) -> float | None:
    """The latest good number of a point."""
    reading = parts.views.readings.latest(ref) if ref is not None else None
    if reading is None or not reading.good or not isinstance(reading.value, int | float):
        return None
    return reading.value


def _circuit(parts: Gateway, circuit: Circuit) -> CircuitShown:
    flows, metered = load_ma(parts, circuit)
    state = parts.views.state
    about = (circuit.id, *sorted({ref.device for ref in circuit.meter}))
    return CircuitShown(
        id=circuit.id,
        place=circuit.place,
        parent=circuit.parent,
        limit_ma=circuit.limit_ma,
        load_ma=flows,
        metered=metered,
        open=state.get(CircuitStatus, circuit.id) is not None,
        outlets=[facility.id for facility in _under(parts, circuit)],
        faults=[
            FaultShown.of(fault) for one in about for fault in state.where(Fault, "about", one)
        ],
    )


def _under(parts: Gateway, circuit: Circuit) -> Iterator[Facility]:
    """The facilities whose outlet hangs on a circuit, or on one that it feeds."""
    site = parts.views.site
    for facility in site.facilities.values():
        if facility.outlet is None:
            continue
        if circuit in upwards(site.circuits, facility.outlet.load.circuit):
            yield facility


def _phases(found: list[int]) -> PerPhase:
    l1, l2, l3 = (*found, 0, 0, 0)[:3]
    return l1, l2, l3
