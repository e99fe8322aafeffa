"""Who lives in the demo's compound, what they booked, and when they charge. Plans, and no deeds.

Rules: everything follows from the site's own facilities, the time it begins and a source of chance
that is passed in. Most places are in use from the beginning, so that there is something to see; one
charger and every second socket are left for whoever wants to try.
"""

from collections.abc import Iterator
from random import Random

from gateway.domain.now import HOUR_MS, MINUTE_MS
from gateway.domain.site import BookingPolicy, Facility, Site
from simulators.parking import Parking
from simulators.residents import Stay, stay_of

PEOPLE = {"ada": "48291357", "bo": "73950162", "chen": "61837402", "dana": "20594873"}
STAFF = {"wei": "90417265"}
TURNS = 4
CHARGES_H = {"charger": 1.5, "socket": 3.0}
LEFT_FREE_MS = 25 * MINUTE_MS
APART_MS = 1_500  # nobody types a PIN while another does


def stays(site: Site, from_ms: int) -> Iterator[tuple[str, Stay]]:
    """What is booked in rooms, by the facility: a person an hour each."""
    rooms = [one for one in site.facilities.values() if one.outlet is None and _bookable(one)]
    for index, room in enumerate(rooms):
        for turn, person in enumerate(_in_turn(index)):
            start_ms = from_ms - 2 * MINUTE_MS + turn * HOUR_MS
            window = (start_ms, start_ms + HOUR_MS)
            yield room.id, stay_of(site, room.id, person, PEOPLE[person], window)


def parkings(site: Site, from_ms: int, random: Random) -> Iterator[tuple[Parking, bool]]:
    """Who charges where and when, and whether they book it."""
    outlets = [one for one in site.facilities.values() if one.outlet is not None]
    last = max((i for i, one in enumerate(outlets) if one.kind == "charger"), default=None)
    for index, outlet in enumerate(outlets):
        free = index == last or (outlet.kind == "socket" and index % 2)
        at_ms = from_ms + index * APART_MS + (LEFT_FREE_MS if free else 0)
        for person in _in_turn(index)[:TURNS]:
            length_ms = round(CHARGES_H[outlet.kind] * HOUR_MS * random.uniform(0.8, 1.2))
            window = (at_ms, at_ms + length_ms)
            yield _parking(outlet, person, window, random), _bookable(outlet)
            at_ms += length_ms + round(random.uniform(10, 30) * MINUTE_MS)


def _parking(outlet: Facility, person: str, window: tuple[int, int], random: Random) -> Parking:
    vehicle = random.choice(("car", "car", "small_car")) if outlet.kind == "charger" else "ebike"
    percent = random.uniform(15, 70)
    return Parking(person, PEOPLE[person], outlet.id, *window, vehicle, percent)


def _bookable(facility: Facility) -> bool:
    return facility.booking is not BookingPolicy.NONE


def _in_turn(first: int) -> list[str]:
    names = list(PEOPLE)
    return names[first % len(names) :] + names[: first % len(names)]
