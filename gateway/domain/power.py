"""Circuits and the loads on them (RULES C4). Currents are whole mA a phase."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.points import PointRef

PerPhase = tuple[int, int, int]  # L1, L2, L3 of the site
NO_CURRENT: PerPhase = (0, 0, 0)


class LoadKind(StrEnum):
    """How a load can be made smaller."""

    MODULATED = "modulated"  # takes a limit, from its minimum to its maximum, or is off
    SWITCHED = "switched"  # on or off: draws what it draws


@dataclass(frozen=True, slots=True)
class Load:
    """How one outlet weighs on its circuit.

    `phases` are the site's (1 to 3), in the order of its own; empty: unknown, and all of them are
    counted on the worst. `maximum_ma` of a switched load is its rating. A limit is rounded down
    to `step_ma`, which is the resolution of its register.
    """

    circuit: str
    kind: LoadKind
    phases: tuple[int, ...] = ()
    minimum_ma: int = 6_000
    maximum_ma: int = 16_000
    step_ma: int = 100
    failsafe_ma: int = 0  # what it takes by itself when nobody speaks to it (C6)
    failsafe_after_s: int = 0  # for so long


@dataclass(frozen=True, slots=True)
class Circuit:
    """A feeder with a limit per phase; 0 where it has no such phase.

    `meter` are points of its own currents (mA), L1 first. `other_ma` is what else hangs on it as
    the site declares it: what counts without a meter, or while the meter is stale.
    """

    id: str
    place: str
    limit_ma: PerPhase
    parent: str | None = None
    other_ma: PerPhase = NO_CURRENT
    meter: tuple[PointRef, ...] = ()
    soft_percent: int = 90  # no switched load starts above it
    breaker: PointRef | None = None  # a level: false opens it (C2)
    energy: PointRef | None = None  # the register (Wh) of a meter over all that hangs on it (C5)


def upwards(circuits: Mapping[str, Circuit], circuit: str) -> Iterator[Circuit]:
    """A circuit and those that feed it, the nearest first."""
    at: str | None = circuit
    while at is not None:
        yield circuits[at]
        at = circuits[at].parent
