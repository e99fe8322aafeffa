"""A feeder shared by 100 chargers, all of them charging, whenever what flows beside them changes.

Two strands of 50 single-phase chargers under a feeder that cannot carry them all. Measured is the
decision of one reading of the feeder's meter by the core as it runs on site, with all grants that
follow from it (RULES C4); then the whole rebalancing: each charger read back by a poll of its own,
and what was freed granted to others. The core decides in the event loop, so a call may have to wait
for one decision.
"""

import statistics
import time
from collections.abc import Sequence

from core.harness import World
from core.sites import court, facility, ref

from benchmarks.figures import Figure, emit
from gateway.core import power
from gateway.domain.charging import Meter, Outlet, OutletPoints, OutletStatus
from gateway.domain.events import CredentialPresented, ReadingsChanged
from gateway.domain.points import Quality, Reading, Value
from gateway.domain.power import Circuit, Load, LoadKind
from gateway.domain.secret import Secret
from gateway.domain.site import BookingPolicy, Facility
from gateway.domain.subjects import CredentialKind, Presented
from gateway.runtime.step import Told

CHARGERS, ROUNDS = 100, 4
SHARINGS = 50
FEEDER_MA, STRAND_MA = (450_000,) * 3, (400_000,) * 3
BESIDE_MA = (60_000, 210_000)  # what else hangs on the feeder, in turn
LASTS_S = 15  # two rounds of polls and more
DECIDED_MS = 20
TICKS, TICKED_MS = 50, 1


def charger(number: int) -> Facility:
    """One of the three phases, on one of two strands."""
    id_ = f"car{number:03}"
    points = OutletPoints(
        limit=ref(f"{id_}/limit"), state=ref(f"{id_}/state"), currents=(ref(f"{id_}/current"),)
    )
    load = Load(f"strand{number % 2}", LoadKind.MODULATED, phases=(1 + number // 2 % 3,))
    outlet = Outlet(points, load, Meter(ref(f"{id_}/energy")))
    return facility(id_, "building", booking=BookingPolicy.NONE, outlet=outlet)


class Park(World):
    """A hundred chargers on one feeder, with a car at each."""

    def __init__(self) -> None:
        meter = tuple(ref(f"feeder/current_{phase}") for phase in (1, 2, 3))
        feeder = Circuit("feeder", "building", FEEDER_MA, meter=meter)
        strands = [Circuit(f"strand{n}", "building", STRAND_MA, "feeder") for n in range(2)]
        self.cars = [charger(number) for number in range(CHARGERS)]
        super().__init__(court(facilities=self.cars, circuits=[feeder, *strands]))
        self.person("ann", pin="1111")
        self.right("r", "ann", *(car.id for car in self.cars))
        idle = {"limit": 0, "current": 0, "energy": 5_000, "state": "connected"}
        self.report(
            {f"{car.id}/{point}": value for car in self.cars for point, value in idle.items()}
        )
        for car in self.cars:
            pin = Presented(CredentialKind.PIN, Secret("pin:1111"))
            reply = self.tell(CredentialPresented(None, pin, facility=car.id))
            assert reply.accepted, reply
        self.wait(seconds=20)
        self.draw()

    def granted_ma(self) -> list[int]:
        """What each charger is granted."""
        return [self.get(OutletStatus, car.id).granted_ma for car in self.cars]

    def report(self, values: dict[str, Value]) -> None:
        """What was read in one turn."""
        readings = tuple(
            Reading(ref(point), value, Quality.GOOD, self.wall_ms, self.mono_ms)
            for point, value in values.items()
            if self.readings.latest(ref(point)).value != value
        )
        for reading in readings:
            self.readings.put(reading)
        self.tell(ReadingsChanged(readings))

    def draw(self) -> None:
        """Each car draws what it is let, as its charger reports in its own time."""
        for car in self.cars:
            limit = self.readings.latest(ref(f"{car.id}/limit")).value
            state = "charging" if limit else "connected"
            self.report({f"{car.id}/state": state, f"{car.id}/current": limit})

    def metered(self, beside_ma: int) -> float:
        """The feeder's meter shows so much beside the cars; seconds to decide what follows.

        What rises over the limit is believed at once, any other change once it has lasted.
        """
        at_once = self._read(beside_ma + 1)
        self.wait(seconds=LASTS_S)
        return max(at_once, self._read(beside_ma))

    def _read(self, beside_ma: int) -> float:
        readings = []
        for phase in (1, 2, 3):
            drawn = sum(
                int(self.readings.latest(car.outlet.points.currents[0]).value or 0)
                for car in self.cars
                if car.outlet is not None and phase in car.outlet.load.phases
            )
            point = ref(f"feeder/current_{phase}")
            readings.append(
                Reading(point, drawn + beside_ma, Quality.GOOD, self.wall_ms, self.mono_ms)
            )
        return self._decided(readings)

    def calm_down(self, beside_ma: int) -> None:
        """What flows is as the meter says, and has been so for a while."""
        for _ in range(3):
            self._read(beside_ma)
            self.wait(seconds=LASTS_S)
            self.draw()

    def ticked(self) -> float:
        """A charger's register moves by its step, as it does with every poll; seconds to decide."""
        ref_ = ref(f"{self.cars[0].id}/energy")
        counted = int(self.readings.latest(ref_).value or 0) + 1
        return self._decided([Reading(ref_, counted, Quality.GOOD, self.wall_ms, self.mono_ms)])

    def _decided(self, readings: Sequence[Reading]) -> float:
        for reading in readings:
            self.readings.put(reading)
        event, now = Told(ReadingsChanged(tuple(readings))), self.now()
        began = time.process_time()
        released = self.step.take([(event, now)])
        took = time.process_time() - began
        self._after(released)
        return took


def sharing_ms() -> float:
    """Milliseconds for the sharing alone, of a hundred claims."""
    circuits = {
        "feeder": Circuit("feeder", "building", FEEDER_MA),
        **{f"strand{n}": Circuit(f"strand{n}", "building", STRAND_MA, "feeder") for n in range(2)},
    }
    claims = [
        power.Claim(car.id, car.outlet.load, 32_000, 6_000, 6_000)
        for car in map(charger, range(CHARGERS))
        if car.outlet is not None
    ]
    began = time.process_time()
    for _ in range(SHARINGS):
        power.share(circuits, claims, {})
    return (time.process_time() - began) / SHARINGS * 1_000


def main() -> None:
    """Measure."""
    park, decided, whole = Park(), [], []
    before = park.granted_ma()
    assert all(before), before
    for turn in range(ROUNDS):
        decided.append(1_000 * park.metered(BESIDE_MA[turn % 2]))
        began = time.process_time()
        park.draw()
        whole.append(decided[-1] + 1_000 * (time.process_time() - began))
        after = park.granted_ma()
        assert after != before, "nothing was rebalanced"
        before = after
    park.calm_down(BESIDE_MA[0])
    ticked = statistics.median(1_000 * park.ticked() for _ in range(TICKS))
    name = f"a feeder's reading decided, {CHARGERS} chargers, CPU"
    emit(
        Figure("sharing alone, a hundred claims", sharing_ms(), "ms"),
        Figure(name, statistics.median(decided), "ms", at_most=DECIDED_MS),
        Figure("the same until all are read back and draw it", statistics.median(whole), "ms"),
        Figure("a register's step of one of them decided, CPU", ticked, "ms", at_most=TICKED_MS),
    )


if __name__ == "__main__":
    main()
