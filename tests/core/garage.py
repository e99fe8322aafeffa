"""A garage around the core: cars that draw what they are let, and registers that count it."""

from dataclasses import dataclass
from typing import Any

from core.harness import World
from core.sites import court, facility, ref

from gateway.domain.charging import (
    ChargingSession,
    Meter,
    Outlet,
    OutletPoints,
    OutletRules,
    OutletStatus,
    Wish,
)
from gateway.domain.events import CredentialPresented
from gateway.domain.points import PointRef, Value
from gateway.domain.power import Circuit, Load, LoadKind
from gateway.domain.secret import Secret
from gateway.domain.site import BookingPolicy, Facility, FireZone
from gateway.domain.state import Reply
from gateway.domain.subjects import CredentialKind, Presented

VOLTS = 230


@dataclass(slots=True)
class Car:
    """What is plugged in at an outlet, and the register behind it."""

    plugged: bool = False
    most_ma: int = 16_000
    wh: float = 5_000.0
    surge_ma: int = 0  # draws this, whatever it is let

    def draws_ma(self, limit_ma: int) -> int:
        if self.surge_ma and limit_ma:
            return self.surge_ma
        return min(limit_ma, self.most_ma) if self.plugged else 0


def charger(id_: str, *, rules: OutletRules | None = None, **load: Any) -> Facility:
    """A single-phase charger with a limit, a state and a meter of its own."""
    points = OutletPoints(
        limit=ref(f"{id_}/limit"),
        state=ref(f"{id_}/state"),
        power=ref(f"{id_}/power"),
        currents=(ref(f"{id_}/current"),),
        temperature=ref(f"{id_}/temperature"),
        readers=(ref("garage_keypad/presented"),),
    )
    load.setdefault("phases", (1,))
    outlet = Outlet(
        points,
        Load("garage", LoadKind.MODULATED, **load),
        Meter(ref(f"{id_}/energy")),
        rules or OutletRules(),
    )
    booking = BookingPolicy.OPTIONAL
    return facility(id_, "building", booking=booking, outlet=outlet)


def station(id_: str) -> Facility:
    """One outlet of an e-bike station: a switch, its power and its register."""
    points = OutletPoints(switch=ref(f"{id_}/switch"), power=ref(f"{id_}/power"))
    load = Load("garage", LoadKind.SWITCHED, phases=(1,), minimum_ma=5_000, maximum_ma=5_000)
    outlet = Outlet(points, load, Meter(ref(f"{id_}/energy")))
    return facility(id_, "building", booking=BookingPolicy.NONE, outlet=outlet)


class Garage(World):
    """The standard court with two chargers, `car1` and `car2`, and two e-bike outlets."""

    def __init__(
        self,
        limit_a: int = 40,
        at: str = "2026-03-02 09:00",
        *,
        zone: str = "Asia/Shanghai",
        meter: str = "",
        **charger_more: Any,
    ) -> None:
        limit = (limit_a * 1_000,) * 3
        metered = (ref(meter),) if meter else ()
        feeder = Circuit("garage", "building", limit, breaker=ref("panel/breaker"), meter=metered)
        shed = FireZone("shed", "building", ref("panel/smoke"), (), outlets=("car1", "car2"))
        chargers = [charger("car1", **charger_more), charger("car2", **charger_more)]
        bikes = [station("bike1"), station("bike2")]
        self.cars = {one.id: Car() for one in (*chargers, *bikes)}
        parts = {"facilities": [*chargers, *bikes], "circuits": [feeder], "fire_zones": [shed]}
        super().__init__(court(zone=zone, **parts), at)
        for id_ in self.cars:
            self.seen(id_, 0)
        self.look()

    def seen(self, id_: str, limit_ma: int) -> None:
        """The first readings of a charger: what it lets through, and that it is cool."""
        if id_.startswith("bike"):
            self.read(f"{id_}/switch", limit_ma > 0)
        else:
            self.read(f"{id_}/limit", limit_ma)
            self.read(f"{id_}/temperature", 30)

    def look(self) -> None:
        """Every charger reports itself, as its driver would."""
        for id_, car in self.cars.items():
            if id_ in self.mute:
                continue
            drawn = car.draws_ma(self.limit(id_))
            state: Value = "available" if not car.plugged else "charging" if drawn else "connected"
            told: list[tuple[str, Value]] = [
                ("power", drawn * VOLTS // 1000),
                ("energy", int(car.wh)),
            ]
            if not id_.startswith("bike"):
                told += [("state", state), ("current", drawn)]
            for name, value in told:
                if self.readings.latest(ref(f"{id_}/{name}")).value != value:
                    self.read(f"{id_}/{name}", value)

    def limit(self, id_: str) -> int:
        """What the charger lets through."""
        if id_.startswith("bike"):
            return 5_000 if self.readings.latest(ref(f"{id_}/switch")).value else 0
        return int(self.readings.latest(ref(f"{id_}/limit")).value or 0)

    def plug(self, id_: str, most_ma: int = 16_000) -> None:
        self.cars[id_].plugged, self.cars[id_].most_ma = True, most_ma
        self.look()

    def unplug(self, id_: str) -> None:
        self.cars[id_].plugged = False
        self.look()

    def run(self, seconds: int, step_s: int = 2) -> None:
        """Cars charge, registers count, time passes."""
        for _ in range(seconds // step_s):
            for id_, car in self.cars.items():
                car.wh += car.draws_ma(self.limit(id_)) * VOLTS / 1000 * step_s / 3600
            self.wait(seconds=step_s)
            self.look()

    def type_pin(self, pin: str, outlet: str = "") -> Reply:
        """A PIN at the garage's keypad, perhaps with the outlet's number."""
        presented = Presented(CredentialKind.PIN, Secret(f"pin:{pin}"))
        reader: PointRef = ref("garage_keypad/presented")
        return self.tell(CredentialPresented(reader, presented, facility=outlet))

    def want(self, id_: str, pin: str, **wish: Any) -> Reply:
        """Authorise by PIN over a terminal, perhaps for so much."""
        presented = Presented(CredentialKind.PIN, Secret(f"pin:{pin}"))
        wanted = Wish(**wish)
        return self.tell(CredentialPresented(None, presented, facility=id_, wish=wanted))

    def start(self, id_: str, pin: str, *, plug: bool = True, **wish: Any) -> None:
        """Plug in, and authorise by PIN over a terminal."""
        if plug:
            self.plug(id_)
        reply = self.want(id_, pin, **wish)
        assert reply.accepted, reply
        self.run(10)

    def session(self, id_: str) -> ChargingSession:
        found = [s for s in self.state.where(ChargingSession, "facility", id_) if s.running]
        assert len(found) == 1, found
        return found[0]

    def outlet(self, id_: str) -> OutletStatus:
        return self.state.get(OutletStatus, id_) or OutletStatus(id_)
