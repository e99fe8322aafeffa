"""Who wants what on a day: bookings as a platform tells them, and people who come for them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from gateway.domain.bookings import Terms
from gateway.domain.events import BookingItem, SyncItem
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS
from gateway.domain.site import BookingPolicy, Facility
from gateway.domain.subjects import Credential, CredentialKind, Presented, Role, Subject
from simulators.parking import Parking, ParkingHabits, plan_parking
from simulators.residents import Habits, plan, stay_of
from simulators.virtual.people import Guest, Motorist
from simulators.virtual.site import VirtualSite

Window = tuple[int, int]
QUARTER_MS = 15 * MINUTE_MS
RIVALS = 0.08
OPENS, CLOSES = 8, 22  # local hours in which people come


class Life:
    """The days of a site. `people` are residents by id, with the PIN they type.

    With `rivals` set, a source of chance, a room is now and then promised to two, who both come.
    """

    def __init__(
        self,
        place: VirtualSite,
        people: Mapping[str, str],
        pin: Callable[[str], Presented],
        habits: Habits,
        random: Random,
    ) -> None:
        self.rivals: Random | None = None
        self._place = place
        self._people = people
        self._pin = pin
        self._habits = habits
        self._random = random
        self._zone = ZoneInfo(place.site.zone)
        self._busy: dict[tuple[str, bool], list[Window]] = {}  # a parked car waits alone

    def introduce(self) -> list[SyncItem]:
        """What the platform tells of the people and their PINs."""
        items: list[SyncItem] = []
        for who, pin in self._people.items():
            digest = self._pin(pin).digest
            assert digest is not None
            items.append(Subject(who, (Role.RESIDENT,)))
            items.append(Credential(f"{who}-pin", who, CredentialKind.PIN, digest))
        return items

    def days(self, until_ms: int) -> Iterator[datetime]:
        """Every local day from now to then, by its midnight."""
        at = datetime.fromtimestamp(self._place.now_ms / 1000, self._zone)
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        while ms(day) < until_ms:
            yield day
            day = (day + timedelta(hours=30)).replace(hour=0)

    def day(self, day: datetime, last_ms: int) -> list[BookingItem]:
        """Plan a day, nothing of it after `last_ms`; the bookings that its people made."""
        booked: list[BookingItem] = []
        for facility in self._place.site.facilities.values():
            for window in self._windows(day, last_ms):
                booked += self._use(facility, window)
        for taken in self._busy.values():
            taken[:] = [one for one in taken if one[1] > self._place.now_ms]
        return booked

    def _windows(self, day: datetime, last_ms: int) -> Iterator[Window]:
        """When a facility is wanted on a day: whole quarters of an hour, one after another."""
        at_ms = ms(day.replace(hour=OPENS)) + self._random.randrange(16) * QUARTER_MS
        closes_ms = min(ms(day.replace(hour=CLOSES)), last_ms)
        while (ends_ms := at_ms + self._random.randint(3, 10) * QUARTER_MS) <= closes_ms:
            if at_ms > self._place.now_ms + 2 * HOUR_MS:
                yield at_ms, ends_ms
            at_ms = ends_ms + self._random.randint(0, 16) * QUARTER_MS

    def _use(self, facility: Facility, window: Window) -> list[BookingItem]:
        """Somebody who has nothing else to do comes; what they booked, if anything."""
        who = self._free(window, facility.kind == "room", self._random)
        if who is None:
            return []
        walks_in = facility.booking is BookingPolicy.NONE or (
            facility.booking is BookingPolicy.OPTIONAL and self._random.random() < 0.5
        )
        if facility.outlet is None:
            self._visit(facility, who, window, self._random)
        else:
            self._park(facility, who, window)
        if walks_in:
            return []
        return [_booking(facility, who, window), *self._promised_again(facility, window)]

    def _free(self, window: Window, inside: bool, random: Random) -> str | None:
        """Somebody who has nothing else to do then, and has this to do from now on."""
        busy = {who: self._busy.setdefault((who, inside), []) for who in self._people}
        free = [who for who, taken in busy.items() if not _overlaps(window, taken)]
        if not free:
            return None
        who = random.choice(free)
        busy[who].append((window[0] - HOUR_MS, window[1] + HOUR_MS))
        return who

    def _visit(self, facility: Facility, who: str, window: Window, random: Random) -> None:
        stay = stay_of(self._place.site, facility.id, who, self._people[who], window)
        guest = Guest(self._place, stay, self._pin, random)
        guest.live(plan(stay, self._habits, random))

    def _promised_again(self, facility: Facility, window: Window) -> list[BookingItem]:
        """Somebody else has booked it too, before the other or after."""
        if self.rivals is None or facility.outlet is not None or self.rivals.random() > RIVALS:
            return []
        who = self._free(window, True, self.rivals)
        if who is None:
            return []
        self._visit(facility, who, window, self.rivals)
        item = _booking(facility, who, window)
        created_ms = item.terms.created_ms + self.rivals.choice((-HOUR_MS, HOUR_MS))
        terms = replace(item.terms, created_ms=created_ms)
        return [BookingItem(f"{item.id}-{who}", terms)]

    def _park(self, facility: Facility, who: str, window: Window) -> None:
        kinds = ("ebike",) if facility.kind == "socket" else ("car", "small_car")
        vehicle, percent = self._random.choice(kinds), self._random.uniform(10, 60)
        pin = self._people[who]
        parking = Parking(who, pin, facility.id, *window, vehicle=vehicle, percent=percent)
        motorist = Motorist(self._place, parking, self._pin)
        motorist.live(plan_parking(parking, ParkingHabits(), self._random))


def ms(at: datetime) -> int:
    """UTC milliseconds."""
    return int(at.timestamp() * 1000)


def _booking(facility: Facility, who: str, window: Window) -> BookingItem:
    terms = Terms(facility.id, (who,), *window, created_ms=window[0] - DAY_MS, revision=1)
    return BookingItem(f"{facility.id}-{window[0] // QUARTER_MS}", terms)


def _overlaps(window: Window, others: list[Window]) -> bool:
    return any(window[0] < end and start < window[1] for start, end in others)
