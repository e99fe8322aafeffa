"""What the API, the uplink and the pages may look at."""

from collections.abc import Mapping, Sequence

from gateway.domain.faults import Health
from gateway.domain.lag import LoopLag
from gateway.domain.now import ClockStanding, Now
from gateway.domain.points import ReadingsView, Setpoint
from gateway.domain.site import Site
from gateway.domain.state import State
from gateway.ports import Clock
from gateway.runtime.engine import Engine
from gateway.runtime.sink import LinkSink


class EngineViews:
    """The `Views` of a running engine and its links."""

    def __init__(self, engine: Engine, clock: Clock, sinks: Mapping[str, LinkSink]) -> None:
        self._engine = engine
        self._clock = clock
        self._sinks = sinks

    @property
    def site(self) -> Site:
        """The site as loaded."""
        return self._engine.site

    @property
    def state(self) -> State:
        """What is true now (decided, perhaps not yet durable)."""
        return self._engine.state

    @property
    def readings(self) -> ReadingsView:
        """The latest readings."""
        return self._engine.readings

    def now(self) -> Now:
        """This instant."""
        return self._clock.now()

    def desired(self) -> Sequence[Setpoint]:
        """What every driven point should be."""
        return self._engine.reconciler.desired()

    def health(self) -> Mapping[str, Health]:
        """Links and devices by id; unknown until their driver has said."""
        equipment = self._engine.site.equipment
        found = {f"link:{id_}": Health.UNKNOWN for id_ in equipment.links}
        found |= {f"device:{id_}": Health.UNKNOWN for id_ in equipment.devices}
        for sink in self._sinks.values():
            found |= sink.health
        return found

    def counters(self) -> Mapping[tuple[str, str, str], int]:
        """(link, device, what) → count since the start; the gateway's own with neither."""
        own = {("", "", what): count for what, count in self._engine.counts.items()}
        return own | {
            (link, device, what): count
            for link, sink in self._sinks.items()
            for (device, what), count in sink.counters.items()
        }

    def clock(self) -> ClockStanding:
        """How far the wall clock is believed, why, and since when."""
        return self._clock.standing()

    def loop_lag(self) -> LoopLag:
        """How late the event loop was, and how long it was held."""
        return self._engine.monitor.seen

    def storage_lost(self) -> str:
        """Why the store cannot be written; empty when it can."""
        return self._engine.step.lost
