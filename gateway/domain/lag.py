"""How late the event loop was, as its monitor counted it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Beats:
    """Beats that came so late: `counts` by upper bound in ms, the last one without; all together.

    `worst_ms` is the longest since the start.
    """

    bounds_ms: tuple[int, ...]
    counts: tuple[int, ...]
    sum_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class LoopLag:
    """`late`: whatever made the loop so; `held`: without its wait for a processor."""

    late: Beats
    held: Beats
