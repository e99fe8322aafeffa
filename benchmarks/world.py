"""How fast worlds are lived, with their auditor, on one core; and what of it the core takes.

A gateway-year is 365 days of 5,000 events. Each world is lived three times and its fastest life
counts: what else a machine has to do only ever adds.
"""

from benchmarks.figures import Figure, emit
from simulators.tally import Tally
from simulators.world import World

WORLDS, DAYS, LIVES = 12, 2.5, 3
CORE_US, YEARS = 60, 10


def main() -> None:
    """Measure."""
    tally = Tally()
    for seed in range(WORLDS):
        tally.add(min((_lived(seed) for _ in range(LIVES)), key=lambda life: life.took_s))
    emit(
        Figure("the core, an event of a world", tally.core_us, "us", at_most=CORE_US),
        Figure("worlds lived, with their auditor", tally.years, "years an hour", at_least=YEARS),
    )


def _lived(seed: int) -> Tally:
    life = Tally()
    breach = life.live(World(seed, DAYS)).breach
    assert breach is None, breach
    return life


if __name__ == "__main__":
    main()
