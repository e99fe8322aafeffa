"""How fast worlds are lived, with their auditor, on one core; and what of it the core takes.

A gateway-year is 365 days of 5,000 events. Each world is measured by itself, and the middle one is
told: the processor is slower at one moment than at another. So is the quickest, beside it.
"""

import statistics

from benchmarks.figures import Figure, emit
from simulators.tally import Tally
from simulators.world import World

WORLDS, DAYS = 24, 2.5
CORE_US, YEARS = 60, 10


def main() -> None:
    """Measure."""
    tallies = []
    for seed in range(WORLDS):
        tally = Tally()
        breach = tally.live(World(seed, DAYS)).breach
        assert breach is None, breach
        tallies.append(tally)
    core_us = [one.core_us for one in tallies]
    years = statistics.median(one.years for one in tallies)
    emit(
        Figure("the core, an event", statistics.median(core_us), "us", at_most=CORE_US),
        Figure("the core, an event of the quickest world", min(core_us), "us"),
        Figure("worlds lived, with their auditor", years, "years an hour", at_least=YEARS),
    )


if __name__ == "__main__":
    main()
