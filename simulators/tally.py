"""What simulated worlds take of one processor, and of it the gateway's core."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import process_time

from gateway.domain.now import Now
from gateway.runtime.step import Released, Step, Told
from simulators.world import Lived, World

YEAR_EVENTS = 365 * 5_000
HOUR_US = 3_600_000_000


class Tally:
    """Worlds that were lived, and how long that took."""

    def __init__(self) -> None:
        self.days, self.events, self.took_s, self.core_s = 0.0, 0, 0.0, 0.0

    def live(self, world: World) -> Lived:
        """Live one more."""
        with self._timed():
            began = process_time()
            lived = world.run()
            self.took_s += process_time() - began
        self.days += lived.days
        self.events += lived.events
        return lived

    def add(self, other: "Tally") -> None:
        """Count what another has counted."""
        self.days += other.days
        self.events += other.events
        self.took_s += other.took_s
        self.core_s += other.core_s

    @property
    def core_us(self) -> float:
        """The core's share of an event, in microseconds."""
        return 1e6 * self.core_s / self.events

    @property
    def event_us(self) -> float:
        """An event with all that simulates and audits it, in microseconds."""
        return 1e6 * self.took_s / self.events

    @property
    def years(self) -> float:
        """How many years of a gateway are lived in an hour."""
        return HOUR_US / (self.event_us * YEAR_EVENTS)

    def __str__(self) -> str:
        return (
            f"{self.days:.0f} days, {self.events:,} events in {self.took_s:.0f} s: "
            f"{self.event_us:.0f} us an event, the core {self.core_us:.0f} us of it; "
            f"{self.years:.1f} gateway-years an hour"
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        take = Step.take

        def timed(step: Step, events: Iterable[tuple[Told, Now]]) -> Released:
            began = process_time()
            released = take(step, events)
            self.core_s += process_time() - began
            return released

        Step.take = timed  # type: ignore[method-assign, assignment]  # all steps of this process
        try:
            yield
        finally:
            Step.take = take  # type: ignore[method-assign]
