"""People who charge: come, plug in, type a PIN at the keypad, leave, forget to unplug.

Rules: as with rooms, what a person will do is planned beforehand from the parking, the habits and a
source of chance that is passed in. Who finds the place taken, or is refused again and again, goes
home. Nobody types a PIN to stop what does not charge any more: that would begin anew.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from simulators.devices import SimulatedSite
from simulators.residents import Act, Deed, live, mistyped

TRIES_AT_KEYPAD = 5
AGAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Parking:
    """A vehicle's time at an outlet, as its owner means it; wall times. It comes so full."""

    person: str
    pin: str
    outlet: str
    start_ms: int
    end_ms: int
    vehicle: str = "car"
    percent: float = 30.0


@dataclass(frozen=True, slots=True)
class ParkingHabits:
    """How often people do what, as shares of all parkings."""

    stays_away: float = 0.05
    mistypes: float = 0.1
    authorises_first: float = 0.2  # the PIN before the plug
    forgets_pin: float = 0.05  # plugged in, and nothing more
    stops_first: float = 0.4  # the PIN again before the plug is taken out
    forgets_vehicle: float = 0.1
    comes_within_ms: int = 60_000


def plan_parking(parking: Parking, habits: ParkingHabits, random: Random) -> tuple[Act, ...]:
    """What a vehicle's owner will do, in order; nothing if they stay away."""
    if random.random() < habits.stays_away:
        return ()
    comes_ms = parking.start_ms + random.randrange(habits.comes_within_ms)
    first, second = comes_ms + 3_000, comes_ms + 8_000
    authorises_first = random.random() < habits.authorises_first
    plugs_ms, types_ms = (second, first) if authorises_first else (first, second)
    acts = [Act(plugs_ms, Deed.PLUG_IN)]
    if random.random() >= habits.forgets_pin:
        if random.random() < habits.mistypes:
            acts.append(Act(types_ms - 2_500, Deed.MISTYPE))
        acts.append(Act(types_ms, Deed.AUTHORISE))
    late = random.random() < habits.forgets_vehicle
    leaves_ms = _at(parking, random.uniform(1.05, 1.3) if late else random.uniform(0.7, 0.98))
    if random.random() < habits.stops_first:
        acts.append(Act(leaves_ms - 15_000, Deed.STOP))
    acts.append(Act(leaves_ms, Deed.UNPLUG))
    return tuple(sorted(acts, key=lambda act: act.at_ms))


def _at(parking: Parking, part: float) -> int:
    return parking.start_ms + round((parking.end_ms - parking.start_ms) * part)


class Motorist:
    """One person with one vehicle at an outlet of a simulated site."""

    def __init__(self, world: SimulatedSite, parking: Parking, wall_ms: Callable[[], int]) -> None:
        self._world = world
        self._parking = parking
        self._wall_ms = wall_ms
        self._here = False

    async def live(self, acts: tuple[Act, ...]) -> None:
        """Do what was planned, each at its time; what is overdue is done at once."""
        await live(acts, self.do, self._wall_ms)

    async def do(self, deed: Deed) -> None:
        """One deed, as far as the outlet lets them."""
        parking, connector = self._parking, self._world.town.connector(self._parking.outlet)
        match deed:
            case Deed.PLUG_IN if connector.vehicle is None:
                self._world.plug_in(parking.outlet, parking.vehicle, parking.percent)
                self._here = True
            case Deed.MISTYPE:
                await self._world.present_pin(parking.outlet, mistyped(parking.pin))
            case Deed.AUTHORISE if self._here or connector.vehicle is None:
                await self._authorise()
            case Deed.STOP if self._here and connector.offered_a():
                await self._world.present_pin(parking.outlet, parking.pin)
            case Deed.UNPLUG if self._here:
                self._world.unplug(parking.outlet)
                self._here = False
            case _:
                pass  # the place is taken, or there is nothing to be done

    async def _authorise(self) -> None:
        """The PIN, again where the keypad says nothing or makes them wait."""
        for _ in range(TRIES_AT_KEYPAD):
            shown = await self._world.present_pin(self._parking.outlet, self._parking.pin) or {}
            if shown.get("result") == "Accepted":
                return
            await asyncio.sleep(shown.get("retry_after_s") or AGAIN_S)
