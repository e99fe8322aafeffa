"""How fast worlds are lived, with their auditor, on one core; and what of it the core takes.

A gateway-year is 365 days of 5,000 events.
"""

from benchmarks.figures import Figure, emit
from simulators.tally import Tally
from simulators.world import World

WORLDS, DAYS = 24, 2.5
CORE_US, YEARS = 60, 10


def main() -> None:
    """Measure."""
    tally = Tally()
    for seed in range(WORLDS):
        breach = tally.live(World(seed, DAYS)).breach
        assert breach is None, breach
    emit(
        Figure("the core, an event of a world", tally.core_us, "us", at_most=CORE_US),
        Figure("worlds lived, with their auditor", tally.years, "years an hour", at_least=YEARS),
    )


if __name__ == "__main__":
    main()
