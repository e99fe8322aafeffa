"""A site in virtual time, with people that can do in it what they can on its real wires.

The same deeds as `simulators.devices` serves, told to the gateway as its drivers would. What takes
a while calls back; nobody waits.
"""

from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from gateway.domain.events import CredentialPresented, PointEdge
from gateway.domain.points import PointRef, Value
from gateway.domain.site import Site
from gateway.domain.state import Reply
from gateway.domain.subjects import Presented
from simulators.models.vehicles import Vehicle
from simulators.town import Sensor
from simulators.virtual.gateway import VirtualGateway
from simulators.virtual.links import VirtualLinks
from simulators.virtual.schedule import Schedule
from simulators.virtual.watching import RADIO_MS
from simulators.wiring import build_town

TRIES_MS = (300, 700, 1_200, 2_000, 3_200, 4_500)  # after a PIN, somebody pulls at the door
HELD_MS = 1_200  # how long somebody in need presses
SHUTS_MS = 3_100  # the closer's time, and a little
Went = Callable[[bool], None]


class VirtualSite:
    """A town, its links, and the gateway that runs now, if one does."""

    def __init__(self, site: Site, schedule: Schedule, random: Random) -> None:
        self.site = site
        self.schedule = schedule
        self.town = build_town(site, schedule.now_ms)
        self.links = VirtualLinks(self.town, schedule, random)
        self.gateway: VirtualGateway | None = None
        self._random = random
        self._looks: dict[PointRef, int] = {}  # when a sensor is looked at again by itself
        self._rooms = {id_: _sensors_in(self, id_) for id_ in site.places}
        self._door_devices = {id_: _devices_of(site, id_) for id_ in site.doors}
        for id_, lock in self.town.locks.items():
            lock.acted = partial(self._acted, PointRef(id_, "action"))

    @property
    def now_ms(self) -> int:
        """The true time."""
        return self.schedule.now_ms

    # --- people and doors ---------------------------------------------------------------------

    def present(
        self,
        reader: PointRef | None,
        presented: Presented,
        answered: Callable[[Reply], None],
        facility: str = "",
    ) -> None:
        """Somebody presents a credential at a reader, or by phone; `answered` with what is said."""
        event = CredentialPresented(reader, presented, facility=facility)
        shown: list[Reply] = []

        def shows(reply: Reply) -> None:
            if not shown:  # who reads it acts on it once, however often it arrived
                answered(reply)
            shown.append(reply)

        def arrives() -> None:
            hears = reader is None or self.links.reaches(reader.device)
            if self.gateway is not None and hears:
                self.ask(event, shows)

        def leaves() -> None:
            if reader is None:
                arrives()
            else:
                self.links.air.say(reader.device, arrives)

        self.schedule.after(self._random.randint(*RADIO_MS), leaves)

    def ask(self, event: CredentialPresented, answered: Callable[[Reply], None]) -> None:
        """A credential has reached the gateway."""
        assert self.gateway is not None
        self.gateway.tell(event, answer=answered)

    def enter(self, door: str, person: str, went: Went) -> None:
        """Somebody pulls at a door a few times, and goes in when it opens."""
        self._pull(door, lambda: self.town.enter(door, person, self.now_ms), TRIES_MS, went)

    def leave(self, door: str, person: str, went: Went) -> None:
        """Somebody inside presses the exit button, where there is one, and goes out."""
        if self.site.doors[door].points.exit_button is not None:
            self.town.doors[door].press_exit(self.now_ms)
            self.links.touch(self._door_devices[door], 1_050)
        self._pull(door, lambda: self.town.leave(door, person, self.now_ms), TRIES_MS, went)

    def _pull(
        self, door: str, attempt: Callable[[], bool], tries: Iterable[int], went: Went
    ) -> None:
        began_ms, left = self.now_ms, list(tries)
        place = self.site.doors[door].place
        rooms = (place, self.town.outside(door))

        def pull() -> None:
            left.pop(0)
            for room in rooms:
                self.see(room)
            if attempt():
                self.moved(door)
                for room in rooms:
                    self.see(room)
                went(True)
            elif left:
                self.schedule.at(began_ms + left[0], pull)
            else:
                went(False)

        self.schedule.at(began_ms + left[0], pull)

    def moved(self, door: str) -> None:
        """A door was opened or shut: what watches it is looked at, and again when it has shut."""
        self.links.touch(self._door_devices[door], SHUTS_MS)

    def see(self, place: str) -> None:
        """Something may have changed in a room: its sensors look, now and as long as they must."""
        for ref, sensor in self._rooms.get(place, ()):
            sensor.see(self.now_ms)
            self.links.touch([ref.device])
            self._see_again(ref, sensor)

    def _see_again(self, ref: PointRef, sensor: Sensor) -> None:
        next_ms = sensor.next_ms(self.now_ms)
        if next_ms is None:
            return
        next_ms = max(next_ms, self.now_ms + 500)
        if self.now_ms < self._looks.get(ref, 0) <= next_ms:
            return
        self._looks[ref] = next_ms

        def again() -> None:
            if self._looks[ref] == next_ms:
                sensor.see(self.now_ms)
                self.links.look(ref.device)
                self._see_again(ref, sensor)

        self.schedule.at(next_ms, again)

    def _acted(self, ref: PointRef, action: str, source: str, user: int) -> None:
        """A lock tells what was done to it, and by whom."""
        profile = self.site.equipment.devices[ref.device].profile
        if ref.point in self.site.equipment.profiles[profile].points:
            detail: dict[str, Value] = {"action_source_name": source, "action_user": user}
            self._says(PointEdge(ref, action, detail=detail))
        self.links.touch([ref.device], self.town.locks[ref.device].relock_ms)

    # --- calls --------------------------------------------------------------------------------

    def press(self, call_point: str) -> None:
        """Somebody calls for help."""
        wired = self.site.safety.call_points[call_point]
        said = self.town.buttons[call_point].press(self.now_ms, HELD_MS)
        device = wired.point.device
        if not wired.wiring.reports_by_itself:
            self.links.touch([device], 700)
        elif said:
            self._says(PointEdge(wired.point, True))

    def turn_key(self, call_point: str) -> None:
        """Somebody turns the key of a latched button."""
        self.town.buttons[call_point].reset()
        self.links.touch([self.site.safety.call_points[call_point].point.device])

    def _says(self, edge: PointEdge) -> None:
        """A device on the air tells a happening, if it can be heard."""
        self.schedule.after(self._random.randint(*RADIO_MS), partial(self.links.says, edge))

    # --- vehicles -----------------------------------------------------------------------------

    def plug_in(self, outlet: str, vehicle: Vehicle) -> None:
        """Somebody plugs a vehicle in."""
        self.town.connector(outlet).plug_in(vehicle, self.now_ms)
        self.links.touch(self.links.near(outlet), 4_000)

    def unplug(self, outlet: str) -> None:
        """Somebody takes the plug out."""
        self.town.connector(outlet).unplug(self.now_ms)
        self.links.touch(self.links.near(outlet))


def _sensors_in(site: VirtualSite, place: str) -> tuple[tuple[PointRef, Sensor], ...]:
    """The sensors that look into a room."""
    room = site.town.rooms[place]
    return tuple((ref, sensor) for ref, sensor in site.town.sensors.items() if sensor.room is room)


def _devices_of(site: Site, door: str) -> tuple[str, ...]:
    points = site.doors[door].points
    refs = (points.contact, points.exit_button, points.lock)
    return tuple(dict.fromkeys(ref.device for ref in refs if ref is not None))
