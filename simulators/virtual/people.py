"""People in virtual time: they live the stays and parkings that are planned for them.

Rules: as `simulators.residents` plans a stay, so it is lived here. Whoever is not let in tries
again as the keypad asks, a few times, and then goes home; so it is with `simulators.parking`.
"""

from collections.abc import Callable
from functools import partial
from random import Random

from gateway.domain.now import MINUTE_MS, SECOND_MS
from gateway.domain.state import Reply
from gateway.domain.subjects import Presented
from simulators.models.vehicles import KINDS
from simulators.parking import AGAIN_S, TRIES_AT_KEYPAD, Parking
from simulators.residents import TRIES_AT_DOOR, Act, Deed, Stay, mistyped
from simulators.virtual.site import VirtualSite

Pin = Callable[[str], Presented]
Then = Callable[[], None]
WALKS_MS = (3 * SECOND_MS, 10 * SECOND_MS)


class Guest:
    """One person living one stay."""

    def __init__(self, site: VirtualSite, stay: Stay, pin: Pin, random: Random) -> None:
        self._site = site
        self._stay = stay
        self._pin = pin
        self._random = random

    @property
    def inside(self) -> bool:
        """They are in the place they booked."""
        return self._site.town.whereabouts.get(self._stay.person) == self._stay.place

    def live(self, acts: tuple[Act, ...]) -> None:
        """Do what was planned, each at its time."""
        for act in acts:
            self._site.schedule.at(act.at_ms, partial(self.do, act.deed))

    def do(self, deed: Deed) -> None:
        """One deed; what is done inside is left out by a person who is not there."""
        stay = self._stay
        if deed is Deed.MISTYPE:
            self._type(stay.doors[-1], mistyped(stay.pin), lambda _reply: None)
        elif deed is Deed.COME_IN:
            self._come_in(list(stay.doors))
        elif deed is Deed.PROP:
            self._prop(stay.doors[-1])
        elif self.inside:
            self._inside(deed)

    def _inside(self, deed: Deed) -> None:
        site, stay = self._site, self._stay
        room = site.town.rooms[stay.place]
        if deed is Deed.GO_OUT:
            self._go_out(list(reversed(stay.doors)))
        elif deed is Deed.CALL:
            site.press(stay.call_point)
        elif deed is Deed.STIR:
            room.stir(stay.person, site.now_ms)
            site.see(stay.place)
        else:
            room.sit_still(stay.person, site.now_ms)

    # --- doors --------------------------------------------------------------------------------

    def _come_in(self, doors: list[str]) -> None:
        if doors and not self.inside:
            self._pass(doors[0], TRIES_AT_DOOR, lambda: self._walk(doors[1:]))

    def _walk(self, doors: list[str]) -> None:
        wait_ms = self._random.randint(*WALKS_MS)
        self._site.schedule.after(wait_ms, lambda: self._come_in(doors))

    def _pass(self, door: str, tries: int, then: Then) -> None:
        """Type the PIN, pull at the door; again if it did not open, as often as patience lasts."""
        if tries == 0:
            return
        site, person = self._site, self._stay.person

        def again(went: bool) -> None:
            if went:
                then()
            else:
                self._pass(door, tries - 1, then)

        def shown(reply: Reply) -> None:
            waits_s = reply.data.get("retry_after_s", 0)
            if waits_s:
                site.schedule.after(1_000 * int(waits_s), lambda: self._pass(door, tries - 1, then))
            else:
                site.enter(door, person, again)

        if site.site.doors[door].points.readers:
            self._type(door, self._stay.pin, shown)
        else:
            site.enter(door, person, again)

    def _type(self, door: str, pin: str, shown: Callable[[Reply], None]) -> None:
        (reader, *_) = self._site.site.doors[door].points.readers
        self._site.present(reader, self._pin(pin), shown)

    def _go_out(self, doors: list[str]) -> None:
        if doors:
            self._site.leave(doors[0], self._stay.person, lambda _went: self._go_out(doors[1:]))

    def _prop(self, door: str) -> None:
        """Leave the door propped open; somebody shuts it later."""
        site = self._site
        site.town.doors[door].propped = True
        site.moved(door)

        def shut() -> None:
            site.town.doors[door].close()
            site.moved(door)

        site.schedule.after(self._random.randint(MINUTE_MS, 10 * MINUTE_MS), shut)


class Motorist:
    """One person with one vehicle at an outlet."""

    def __init__(self, site: VirtualSite, parking: Parking, pin: Pin) -> None:
        self._site = site
        self._parking = parking
        self._pin = pin
        self._here = False

    def live(self, acts: tuple[Act, ...]) -> None:
        """Do what was planned, each at its time."""
        for act in acts:
            self._site.schedule.at(act.at_ms, partial(self.do, act.deed))

    def do(self, deed: Deed) -> None:
        """One deed, as far as the outlet lets them."""
        parking, connector = self._parking, self._site.town.connector(self._parking.outlet)
        match deed:
            case Deed.PLUG_IN if connector.vehicle is None:
                vehicle = KINDS[parking.vehicle](parking.percent / 100)
                self._site.plug_in(parking.outlet, vehicle)
                self._here = True
            case Deed.MISTYPE:
                self._type(mistyped(parking.pin), 1)
            case Deed.AUTHORISE if self._here or connector.vehicle is None:
                self._type(parking.pin, TRIES_AT_KEYPAD)
            case Deed.STOP if self._here and connector.offered_a():
                self._type(parking.pin, 1)
            case Deed.UNPLUG if self._here:
                self._site.unplug(parking.outlet)
                self._here = False
            case _:
                pass  # the place is taken, or there is nothing to be done

    def _type(self, pin: str, tries: int) -> None:
        """At the outlet's keypad, or by phone where it has none; again as it asks."""
        parking, site = self._parking, self._site
        outlet = site.site.facilities[parking.outlet].outlet
        assert outlet is not None

        def shown(reply: Reply) -> None:
            if not reply.accepted and tries > 1:
                waits_ms = 1_000 * int(reply.data.get("retry_after_s") or AGAIN_S)
                site.schedule.after(waits_ms, lambda: self._type(pin, tries - 1))

        reader = next(iter(outlet.points.readers), None)
        site.present(reader, self._pin(pin), shown, parking.outlet)
