"""How long the event loop was held, as its monitor counted it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoopLag:
    """Beats that came so late: `counts` by upper bound in ms, the last one without; all together.

    `worst_ms` is the longest that anything held the loop since the start.
    """

    bounds_ms: tuple[int, ...]
    counts: tuple[int, ...]
    sum_ms: float
    worst_ms: float
