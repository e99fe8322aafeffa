"""What the gateway hears of the devices of a town, and what they do as it writes, with no wire.

Rules:
- A poll that shows nothing new is no event: devices are looked at when something there may have
  moved, and all that can be heard counts as heard just then. Edges and deadbands are the drivers'.
- What moves all the time is looked at now and then (see `drifting`), and before anything that
  rests on it is decided, so that no decision rests on older readings than on site.
- A device that cannot be reached is found silent after a few polls; what it shows then is told
  again, as at first sight, when it is back.
- A device whose messages are late (see `air`) is not polled: what it shows when it is looked at is
  said if it is news, and told as it arrives.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random

from gateway.domain.charging import ChargingSession, CircuitLoad, MeterStatus, OutletStatus
from gateway.domain.events import (
    SUPERVISION,
    CredentialPresented,
    DeadlineReached,
    DeviceHealthChanged,
    Event,
    LinkHealthChanged,
    PointEdge,
    ReadingsChanged,
    SessionStopAsked,
)
from gateway.domain.faults import Health
from gateway.domain.points import (
    PointRef,
    Pulse,
    Setpoint,
    Value,
    WriteOutcome,
    WriteResult,
)
from gateway.domain.site import Site
from gateway.domain.uses import Use, uses
from simulators.town import Town, channel_of
from simulators.virtual.actuators import act, fall_silent
from simulators.virtual.air import Air, Deed, Presses
from simulators.virtual.drifting import Drifting
from simulators.virtual.gateway import VirtualGateway
from simulators.virtual.schedule import Schedule
from simulators.virtual.watching import Found, Reached, facility_devices, reached, shown, take

FOUND_SILENT_MS = (2_000, 8_000)  # a few polls without an answer
WRITE_MS = (5, 120)
UNREACHED_MS = 1_000  # how long an unanswered write takes
SETTLES_MS = 130
WAKES_MS = 4_000  # a vehicle draws so soon after it may
_OF_OUTLETS = (ChargingSession.kind, OutletStatus.kind, MeterStatus.kind)


Latch = Callable[[PointRef], Callable[[], None]]


def _no_latch(_ref: PointRef) -> Callable[[], None]:
    return lambda: None


class VirtualLinks:
    """All links of a site. `begin` connects a gateway that has started."""

    def __init__(self, town: Town, schedule: Schedule, random: Random) -> None:
        self.town = town
        self.random = random
        self.cut: set[str] = set()  # links that are down
        self.latch: Latch = _no_latch  # the call latch of the machine that the gateway runs on
        self.acted: Callable[[Setpoint], None] = lambda _setpoint: None
        self.outcome: Callable[[Setpoint], WriteResult | None] = lambda _setpoint: None
        self._schedule = schedule
        self._gateway: VirtualGateway | None = None
        site = town.site
        self.devices = {id_: reached(site, id_) for id_ in site.equipment.devices}
        self._facility_devices = facility_devices(site)
        self._wire(site)
        self.drifting = Drifting(town, schedule, random, self.look)
        self._playing: dict[PointRef, None] = {}
        self.air = Air(schedule, Random(random.random()))  # noqa: S311  # a simulation
        self._presses = Presses(schedule, self._hears, self._hand_over)

    # --- a gateway comes and goes -------------------------------------------------------------

    def begin(self, gateway: VirtualGateway) -> None:
        """A gateway's drivers look at everything for the first time."""
        self._gateway = gateway
        for device in self.devices.values():
            points = [point.ref.point for point in device.points]
            device.cell = gateway.readings.freshness(device.id, points, device.poll_ms[1])
            device.found = True
            self._forget(device)
        self._freshen()
        soon_ms = max((self.devices[id_].poll_ms[1] for id_ in self.town.feeders), default=0)
        self.drifting.begin(soon_ms)
        for link in self.town.site.equipment.links:
            up = Health.SILENT if link in self.cut else Health.ONLINE
            gateway.tell(LinkHealthChanged(link, up))
        for device in self.devices.values():
            if self._reaches(device):
                self._attend(device, True)
                gateway.tell(DeviceHealthChanged(device.id, Health.ONLINE, "ok"))
                self.look(device.id)
            else:
                self._notice(device)
        self._presses.deliver()

    def end(self) -> None:
        """The gateway is gone: nobody keeps anything alive."""
        self._gateway = None
        self.drifting.end()
        for device in self.devices.values():
            self._attend(device, False)
        self._go_dark(self._playing)

    def _attend(self, device: Reached, attended: bool) -> None:
        for connector in self.town.on_device.get(device.id, ()):
            connector.attend(attended, self._schedule.now_ms)

    def run_out(self, ref: PointRef) -> None:
        """Nobody plays a pattern any more: it ends by itself."""
        if ref in self._playing:
            self._go_dark([ref])

    def _go_dark(self, refs: Iterable[PointRef]) -> None:
        for ref in list(refs):
            fall_silent(self.town, ref, self._schedule.now_ms)
            self._playing.pop(ref, None)

    # --- looking ------------------------------------------------------------------------------

    def touch(self, devices: Iterable[str], *again_ms: int) -> None:
        """Something at these devices moved: they are looked at with their next polls, and again."""
        ids = tuple(devices)
        soon_ms = max((self.random.randint(*self.devices[id_].poll_ms) for id_ in ids), default=0)
        for more_ms in (0, *again_ms) if ids else ():
            self._schedule.after(soon_ms + more_ms, partial(self.look, *ids))

    def reaches(self, id_: str) -> bool:
        """The device can be heard."""
        return self._reaches(self.devices[id_])

    def lost_ms(self, id_: str) -> int | None:
        """Since when the device cannot be heard, if it cannot."""
        return self.devices[id_].lost_ms

    def near(self, outlet: str) -> tuple[str, ...]:
        """The devices that an outlet's readings come from."""
        return self._facility_devices[outlet]

    def look(self, *ids: str) -> None:
        """One poll of devices: what they show that was not known is told, readings at once."""
        gateway = self._gateway
        if gateway is None:
            return
        self._freshen()
        found = Found()
        for device in map(self.devices.__getitem__, ids):
            if self._reaches(device) and device.found:
                if self.air.late(device.id):
                    self._say(device)
                    continue
                self._take(gateway, device, self._shows(device), found)
                if device.drifts:
                    self.drifting.note(device.id)
        self._tell(gateway, found)

    def _shows(self, device: Reached) -> Iterator[Value]:
        now_ms = self._schedule.now_ms
        return (shown(point, self.town.value(point.ref, now_ms)) for point in device.points)

    def _take(
        self, gateway: VirtualGateway, device: Reached, values: Iterable[Value], found: Found
    ) -> None:
        if take(gateway, device, values, found):
            self._schedule.after(SETTLES_MS, partial(self._still_so, device))

    def _tell(self, gateway: VirtualGateway, found: Found) -> None:
        if found.readings:
            gateway.tell(ReadingsChanged(tuple(found.readings)))
        for edge in found.edges:
            if self._hears(edge) is not None:
                self._hand_over(edge)

    def _hears(self, edge: PointEdge) -> VirtualGateway | None:
        """The process that hears what is said on a device's link."""
        return None if self.devices[edge.ref.device].link in self.cut else self._gateway

    def _hand_over(self, edge: PointEdge, settle: Deed | None = None) -> None:
        """A happening reached the gateway; a press is latched before anything else (DESIGN §5)."""
        assert self._gateway is not None
        if not self._calls(edge):
            self._gateway.tell(edge)
            return
        latched = self.latch(edge.ref)

        def durable() -> None:
            latched()
            if settle is not None:
                settle()

        self._gateway.tell(edge, durable=durable)

    def _calls(self, edge: PointEdge) -> bool:
        return any(used.use is Use.CALL for used in uses(self.town.site).get(edge.ref, ()))

    # --- what devices say by themselves -------------------------------------------------------

    def says(self, edge: PointEdge) -> None:
        """A device on the air says a happening; a press is kept until somebody took it."""
        arrives = self._presses.take if self._calls(edge) else self._happened
        if self.devices[edge.ref.device].answers:
            self.air.say(edge.ref.device, partial(arrives, edge))

    def _happened(self, edge: PointEdge) -> None:
        if self._hears(edge) is not None:
            self._hand_over(edge)

    def _say(self, device: Reached) -> None:
        said = tuple(self._shows(device))
        if said != device.said:
            device.said = said
            self.air.say(device.id, partial(self._arrived, device, said))

    def _arrived(self, device: Reached, said: tuple[Value, ...]) -> None:
        """What a device said earlier is what it shows, as far as the gateway can know."""
        gateway = self._gateway
        if gateway is None or not self._reaches(device) or not device.found:
            device.said = device.heard = None  # nobody heard it: it is told with the next
            return
        device.heard, found = said, Found()
        self._take(gateway, device, said, found)
        self._tell(gateway, found)

    def _still_so(self, device: Reached) -> None:
        """What was open is settled: nothing else was seen since."""
        if self.air.late(device.id) and device.heard is not None:
            self._arrived(device, device.heard)
        else:
            self.look(device.id)

    def refresh(self, event: Event) -> None:
        """What an event is about is polled just before (the rules above)."""
        if self._gateway is None:
            return
        self._freshen()
        kind = event.kind if isinstance(event, DeadlineReached) else ""
        if kind == SUPERVISION or isinstance(event, CredentialPresented | SessionStopAsked):
            self.drifting.look()
        elif isinstance(event, DeadlineReached) and kind in _OF_OUTLETS:
            session = self._gateway.state.get(ChargingSession, event.id)
            facility = session.facility if session is not None else event.id
            self.look(*self._facility_devices.get(facility, ()))

        elif kind == CircuitLoad.kind:
            self.look(*self.town.feeders)

    def _freshen(self) -> None:
        """Whatever answers was heard just now."""
        assert self._gateway is not None
        now = self._gateway.mono_ms
        for device in self.devices.values():
            if device.answers and device.link not in self.cut:
                device.cell.heard_ms = now

    # --- writing ------------------------------------------------------------------------------

    def write(self, setpoint: Setpoint, done: Callable[[WriteOutcome], None]) -> None:
        """A write leaves; its device does it on arrival, if it arrives, after those before it."""
        device = self.devices[setpoint.ref.device]
        arrives_ms = self._schedule.now_ms + self.random.randint(*WRITE_MS)
        if not self._reaches(device):
            outcome = WriteOutcome(WriteResult.UNKNOWN, "no answer")
            self._schedule.after(UNREACHED_MS, lambda: done(outcome))
            return
        device.written_ms = max(device.written_ms, arrives_ms)
        self._schedule.at(device.written_ms, lambda: self._arrive(device, setpoint, done))

    def _arrive(
        self, device: Reached, setpoint: Setpoint, done: Callable[[WriteOutcome], None]
    ) -> None:
        result = self.outcome(setpoint)
        if result is None:
            result = WriteResult.SENT if self._reaches(device) else WriteResult.UNKNOWN
            if result is WriteResult.SENT:
                self.act(setpoint)
        done(WriteOutcome(result, "" if result is WriteResult.SENT else "as simulated"))

    def act(self, setpoint: Setpoint) -> None:
        """The device does what was written; what stands already is only kept alive."""
        ref = setpoint.ref
        if self._stands(setpoint):
            return
        act(self.town, setpoint, self._schedule.now_ms)
        self.acted(setpoint)
        if isinstance(setpoint, Pulse):
            lock = self.town.locks.get(ref.device)
            self.touch([ref.device], lock.relock_ms if lock else setpoint.length_ms)
        elif ref not in self._pattern_points:
            self.touch([ref.device, *self._beside.get(ref, ())], WAKES_MS)
        elif setpoint.value == "off":
            self._playing.pop(ref, None)
        else:
            self._playing[ref] = None

    def _stands(self, setpoint: Setpoint) -> bool:
        """A limit, say; what a relay shows may be a flash that is about to end."""
        ref = setpoint.ref
        shows = self.town.sources.get(ref)
        if isinstance(setpoint, Pulse) or channel_of(ref) or shows is None:
            return False
        return ref not in self._pattern_points and shows(self._schedule.now_ms) == setpoint.value

    # --- what goes wrong ----------------------------------------------------------------------

    def silence(self, id_: str) -> None:
        """A device answers no more."""
        device = self.devices[id_]
        if device.answers:
            device.answers = False
            self._lose([device])

    def heal(self, id_: str) -> None:
        """It answers again."""
        device = self.devices[id_]
        if not device.answers:
            device.answers = True
            self._regain([device])
            self._schedule.after(self.random.randint(*device.poll_ms), lambda: self._back(device))

    def cut_link(self, link: str) -> None:
        """A link is down."""
        if link not in self.cut:
            self.cut.add(link)
            self._lose([one for one in self.devices.values() if one.link == link])
            self._schedule.after(self.random.randint(*FOUND_SILENT_MS), lambda: self._link(link))

    def mend_link(self, link: str) -> None:
        """It is up again, with all that is on it."""
        if link in self.cut:
            self.cut.discard(link)
            self._regain(one for one in self.devices.values() if one.link == link)
            self._schedule.after(self.random.randint(500, 5_000), lambda: self._link(link))

    def _lose(self, devices: list[Reached]) -> None:
        for device in devices:
            device.lost_ms = device.lost_ms or self._schedule.now_ms
            self._attend(device, False)
            self._go_dark(ref for ref in self._playing if ref.device == device.id)
            self._schedule.after(
                self.random.randint(*FOUND_SILENT_MS), partial(self._notice, device)
            )

    def _regain(self, devices: Iterable[Reached]) -> None:
        for device in devices:
            if self._reaches(device):
                device.lost_ms = None

    def _link(self, link: str) -> None:
        """The driver finds its link down, or up."""
        gateway = self._gateway
        if gateway is None:
            return
        down = link in self.cut
        gateway.tell(LinkHealthChanged(link, Health.SILENT if down else Health.ONLINE))
        for device in self.devices.values():
            if device.link == link and not down:
                self._back(device)
        self._presses.deliver()

    def _notice(self, device: Reached) -> None:
        """The driver finds a device silent."""
        gateway = self._gateway
        if gateway is None or self._reaches(device) or not device.found:
            return
        device.found = False
        stale = tuple(
            reading
            for reading in gateway.readings.device_silent(device.id)
            if reading.ref in uses(gateway.site)
        )
        if stale:
            gateway.tell(ReadingsChanged(stale))
        if device.link not in self.cut:
            gateway.tell(DeviceHealthChanged(device.id, Health.SILENT))

    def _back(self, device: Reached) -> None:
        gateway = self._gateway
        if gateway is None or not self._reaches(device):
            return
        self._attend(device, True)
        if not device.found:
            device.found = True
            self._forget(device)
            gateway.tell(DeviceHealthChanged(device.id, Health.ONLINE, "ok"))
        self.look(device.id)

    def _forget(self, device: Reached) -> None:
        device.said = device.heard = None
        for point in device.points:
            point.told = None
            if point.watcher is not None:
                point.watcher.lost()

    def _reaches(self, device: Reached) -> bool:
        return device.answers and device.link not in self.cut

    # --- how the site is wired ----------------------------------------------------------------

    def _wire(self, site: Site) -> None:
        """Which points are patterns, and what is read beside each outlet's drive."""
        used = uses(site)
        self._pattern_points = {
            ref
            for ref, by in used.items()
            if any(one.use in (Use.SIREN, Use.LAMP, Use.HEARTBEAT) for one in by)
        }
        self._beside: dict[PointRef, tuple[str, ...]] = {}
        for id_, near in self._facility_devices.items():
            outlet = site.facilities[id_].outlet
            assert outlet is not None
            drive = outlet.points.drive
            self._beside[drive] = tuple(one for one in near if one != drive.device)
