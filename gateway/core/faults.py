"""Faults open and close by themselves, each with a reason and a repair deadline."""

from collections.abc import Iterable

from gateway.core.draft import Draft
from gateway.domain.faults import Fault
from gateway.domain.now import DAY_MS
from gateway.domain.reasons import Reason
from gateway.domain.records import Fact


def fault_id(about: str, code: str) -> str:
    """A fault of one kind about one thing exists once."""
    return f"{code}:{about}"


def open_fault(
    draft: Draft, about: str, why: Reason, places: Iterable[str] = (), *, urgent: bool = False
) -> None:
    """Open a fault; nothing happens where it is open already."""
    id_ = fault_id(about, why.code)
    if draft.get(Fault, id_) is not None:
        return
    device = draft.site.equipment.devices.get(about)
    repair_ms = device.repair_ms if device else 2 * DAY_MS
    wall = draft.now.wall_ms
    fault = Fault(id_, about, why, wall, wall + repair_ms, tuple(sorted(places)), urgent)
    draft.put(fault)
    draft.record(
        Fact.FAULT_OPENED,
        why=why,
        urgent=urgent,
        fault=id_,
        about=about,
        places=list(fault.places) or None,
        repair_by_ms=fault.repair_by_ms,
    )


def close_fault(draft: Draft, about: str, code: str) -> None:
    """Close a fault if it is open."""
    fault = draft.get(Fault, fault_id(about, code))
    if fault is None:
        return
    draft.drop(Fault, fault.id)
    draft.record(
        Fact.FAULT_CLOSED,
        why=fault.reason,
        urgent=fault.urgent,
        fault=fault.id,
        about=about,
        open_ms=max(0, draft.now.wall_ms - fault.opened_ms),
    )


def set_fault(
    draft: Draft,
    about: str,
    why: Reason,
    wrong: bool,
    places: Iterable[str] = (),
    *,
    urgent: bool = False,
) -> None:
    """Open the fault while something is wrong, close it once it is not."""
    if wrong:
        open_fault(draft, about, why, places, urgent=urgent)
    else:
        close_fault(draft, about, why.code)
