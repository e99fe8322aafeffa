"""What truly flows in feeders and outlets, whatever a meter says (RULES C1, C4, C6).

Rules: looked at after each step that was told something of an outlet or a feeder, and every hour.
What is too much is looked at again when its time is over, whether a step comes then or not.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from gateway.domain.charging import ChargingSession
from gateway.domain.events import Event, ReadingsChanged
from gateway.domain.now import MINUTE_MS, SECOND_MS
from gateway.domain.points import PointRef
from gateway.domain.site import Site
from simulators.models.circuits import STEADY_MS
from simulators.models.connectors import Connector
from simulators.models.vehicles import VOLTS
from simulators.witness import Witness

if TYPE_CHECKING:
    from simulators.world import World

ANSWERED_MS = 30 * SECOND_MS  # what a building draws anew is polled, and others are lowered
# A vehicle has 5 s to follow its pilot (IEC 61851-1); a poll of the meter, one of the charger, and
# the write between them take a second each at most.
FOLLOWS_MS = 8 * SECOND_MS
STEP_MA = 100  # of a meter
STOPS_WITHIN_MS = 3 * MINUTE_MS  # power that no session has
IDLE_W = 20
_Load = tuple[str, Connector, tuple[int, ...]]


class Currents(Witness):
    """All circuits, and the outlets on each."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._site = world.site
        self._loads: dict[str, list[_Load]] = defaultdict(list)
        for facility in self._site.facilities.values():
            if facility.outlet is not None:
                load = facility.outlet.load
                connector = world.place.town.outlets[facility.id]
                phases = load.phases or (1, 2, 3)
                self._loads[load.circuit].append((facility.id, connector, phases))
        self._circuit_of = dict(_points(self._site))
        self._over_ms: dict[str, int] = {}  # since when more flows in a circuit than may
        self._powered_ms: dict[str, int] = {}  # since when an outlet draws without a session

    def stepped(self, event: Event) -> None:
        """A step has been taken."""
        if type(event) is ReadingsChanged and self._circuit_of:
            of = self._circuit_of
            for circuit in sorted({of[one.ref] for one in event.readings if one.ref in of}):
                self.look(circuit)

    def every_hour(self) -> None:
        """All of them."""
        for circuit in self._site.circuits:
            self.look(circuit)

    def look(self, circuit: str) -> None:
        """What flows now, and for how long it has been too much."""
        if self._world.place.gateway is None:
            return
        now_ms = self._now_ms
        flows, meters = list(self._world.place.town.buildings[circuit].amps(now_ms)), 1
        for facility, connector, phases in self._loads[circuit]:
            drawn = connector.amps(now_ms)
            for amps, phase in zip(drawn, phases, strict=False):
                flows[phase - 1] += amps
            meters += any(drawn)
            if any(drawn) or facility in self._powered_ms:
                self._check_power(facility, circuit, sum(drawn) * VOLTS)
        self._check_limit(circuit, flows, meters)

    def _check_limit(self, circuit: str, flows: list[float], meters: int) -> None:
        """C4: too much lasts as long as a vehicle takes to follow.

        Each meter tells a step late. What the building has just switched on no gateway sees
        coming, and a start looks first.
        """
        limits, step_ma = self._site.circuits[circuit].limit_ma, STEP_MA * meters
        now_ms = self._now_ms
        if all(flow * 1_000 <= limit + step_ma for flow, limit in zip(flows, limits, strict=True)):
            self._over_ms.pop(circuit, None)
            return
        since_ms = self._over_ms.setdefault(circuit, now_ms)
        switched_ms = now_ms - now_ms % STEADY_MS
        surprised_ms = max(switched_ms, self._world.booted_ms)
        until_ms = max(since_ms + FOLLOWS_MS, surprised_ms + ANSWERED_MS)
        if now_ms >= until_ms:
            flowing = ", ".join(f"{flow:.1f}" for flow in flows)
            lasts = f"for {now_ms - since_ms} ms"
            self._breach("C4", f"{flowing} A flow in {circuit} of {limits} mA {lasts}")
        self._world.schedule.at(until_ms, partial(self.look, circuit))

    def _check_power(self, facility: str, circuit: str, watts: float) -> None:
        """C1, C6: power that no session has does not last, where the gateway can reach it."""
        gateway, links = self._world.place.gateway, self._world.place.links
        assert gateway is not None
        now_ms = self._now_ms
        sessions = gateway.state.where(ChargingSession, "facility", facility)
        draws = watts > IDLE_W and not any(one.running for one in sessions)
        if not draws or self._world.hidden(links.near(facility), 10 * MINUTE_MS):
            self._powered_ms.pop(facility, None)
            return
        if facility not in self._powered_ms:
            self._powered_ms[facility] = now_ms
            self._world.schedule.after(STOPS_WITHIN_MS, partial(self.look, circuit))
        elif now_ms - self._powered_ms[facility] >= STOPS_WITHIN_MS:
            self._breach("C1", f"{facility} draws power without a session")


def _points(site: Site) -> Iterator[tuple[PointRef, str]]:
    """What tells of a circuit: its meter, and what is read of the outlets on it."""
    for circuit in site.circuits.values():
        yield from ((ref, circuit.id) for ref in circuit.meter)
    for facility in site.facilities.values():
        if facility.outlet is not None:
            points, at = facility.outlet.points, facility.outlet.load.circuit
            read = (points.drive, points.state, points.power, *points.currents)
            yield from ((ref, at) for ref in read if ref is not None)
