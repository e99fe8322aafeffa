"""Knows what is true in a world, and checks what the gateway does and says against it.

Rules: no code of the gateway's core, reconciler or store is used here, so that a wrong idea there
is not the measure of itself. What a step touched is checked at once, the whole site every hour of
the world, and at the end that everything adds up and has come right.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.calls import Call
from gateway.domain.charging import ChargingSession
from gateway.domain.events import BookingItem, ChangesReceived, CredentialPresented
from gateway.domain.faults import Fault
from gateway.domain.now import HOUR_MS, MINUTE_MS, SECOND_MS, Now
from gateway.domain.points import Pulse, Setpoint
from gateway.domain.records import Fact, Record
from gateway.domain.site import BookingPolicy
from gateway.domain.state import Reply
from gateway.domain.visits import Visit
from simulators.books import Books
from simulators.cries import Cries
from simulators.currents import Currents
from simulators.evidence import Evidence
from simulators.witness import Witness

if TYPE_CHECKING:
    from simulators.world import World

OPENS_WITHIN_MS = 12 * SECOND_MS  # from a credential to its release, a slow disk's time beside
RETURN_MS = 15 * MINUTE_MS
UNCERTAIN_MS = 12 * HOUR_MS


@dataclass(slots=True)
class _Try:
    """A credential as it reached the gateway, and what became of it."""

    at_ms: int
    wall_ms: int
    trusted: bool
    subject: str
    boot: str
    door: str
    granted: bool = False


class Auditor(Witness):
    """The one who knows."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._site = world.site
        self._doors = {door.points.strike: door.id for door in self._site.doors.values()}
        self._behind: dict[str, list[str]] = defaultdict(list)
        for facility in self._site.facilities.values():
            for door in facility.doors:
                self._behind[door].append(facility.id)
        self._reads = {
            reader: door.id for door in self._site.doors.values() for reader in door.points.readers
        }
        self._bookings: dict[str, list[BookingItem]] = defaultdict(list)  # by facility
        self._known: set[str] = set()  # bookings that the gateway has, or had
        self._recalled: set[str] = set()  # the gateway may have heard, and may not
        self._taken_back: set[str] = set()  # it has
        self._over: set[str] = set()  # judged a no-show, or ended
        self._checked_in: set[str] = set()
        self._tries: list[_Try] = []
        self._tokens: set[str] = set()
        self.books = Books(world)
        self.cries = Cries(world)
        self.currents = Currents(world)
        self.evidence = Evidence(world)

    # --- what the world tells -----------------------------------------------------------------

    def booked(self, items: Iterable[BookingItem]) -> None:
        """The platform has these bookings from now on."""
        for item in items:
            self._bookings[item.terms.facility].append(item)

    def recalled(self, booking: str) -> None:
        """The platform takes a booking back from now on."""
        self._recalled.add(booking)

    def applied(self, told: ChangesReceived) -> None:
        """The gateway answered that it has this."""
        self._known |= {item.id for item in told.put if isinstance(item, BookingItem)}
        self._taken_back |= set(told.removed)

    def presented(self, event: CredentialPresented) -> None:
        """A credential reached the gateway."""
        door = self._reads.get(event.reader) if event.reader else None
        gateway = self._world.place.gateway
        if door is None or gateway is None or event.presented.digest is None:
            return
        clock = gateway.clock
        self._tries = [one for one in self._tries if one.at_ms > self._now_ms - MINUTE_MS]
        self._tries.append(
            _Try(
                self._now_ms,
                self._now_ms + clock.error_at(self._now_ms),
                clock.trust.value != "untrusted",
                self._whose(event.presented.digest.reveal()),
                gateway.boot,
                door,
            )
        )

    def answered(self, reply: Reply) -> None:
        """The gateway answered somebody: what it granted durably is on the disk (U1, DESIGN §5)."""
        grant = reply.data.get("grant") if reply.accepted else None
        if grant is None or not reply.durable:
            return
        for stamped in reversed(self._world.disk.stamped[-500:]):
            if stamped.record.data.get("grant") == grant:
                return
        self._breach("U1", f"the grant {grant} was told before it was on the disk")

    # --- what the gateway does ----------------------------------------------------------------

    def died(self) -> None:
        """Its process is no more."""
        self.books.died()
        self.cries.died()
        self.evidence.died()

    def acted(self, setpoint: Setpoint) -> None:
        """A device did what it was told."""
        if isinstance(setpoint, Pulse) and setpoint.ref in self._doors:
            self._released(self._doors[setpoint.ref], setpoint)
        self.cries.acted(setpoint)

    def _released(self, door: str, pulse: Pulse) -> None:
        gateway = self._world.place.gateway
        assert gateway is not None
        if pulse.token in self._tokens:
            self._breach("A4", f"{door} was released twice for {pulse.token}")
        self._tokens.add(pulse.token)
        if pulse.boot != gateway.boot:
            self._breach("A4", f"{door} was released for another boot's {pulse.token}")
        if gateway.mono_ms >= pulse.until_mono_ms + SECOND_MS:
            self._breach("A4", f"{door} was released after its time")
        if pulse.secures:
            if not self.cries.opens(door):
                self._breach("E6", f"{door} was released, and nobody calls")
            return
        for one in self._tries:
            fresh = one.at_ms > self._now_ms - OPENS_WITHIN_MS and one.boot == gateway.boot
            if one.door == door and fresh and not one.granted and self._may(one):
                one.granted = True
                return
        self._breach("A1", f"{door} was released for nobody who may pass it")

    def _may(self, one: _Try) -> bool:
        """Somebody with a right to what lies behind, by what the platform ever told."""
        if not one.subject:
            return False
        for facility in self._behind[one.door]:
            if self._site.facilities[facility].booking is not BookingPolicy.REQUIRED:
                return True
            for item in self._bookings[facility]:
                terms = item.terms
                slack = 0 if one.trusted else UNCERTAIN_MS
                begins, ends = terms.start_ms - slack, terms.end_ms + RETURN_MS + slack
                mine = one.subject in terms.subjects and begins <= one.wall_ms < ends
                if mine and item.id not in self._taken_back and not self._yields(item, one):
                    return True
        return False

    def _yields(self, item: BookingItem, one: _Try) -> bool:
        """B2: another that stands has the room for that time."""
        if item.id in self._checked_in or not one.trusted:
            return False
        mine = item.terms
        for other in self._bookings[mine.facility]:
            its = other.terms
            stands = other.id in self._known - self._recalled - self._over
            at_once = its.start_ms < mine.end_ms and mine.start_ms < its.end_ms
            before = (its.created_ms, other.id) < (mine.created_ms, item.id)
            if stands and at_once and before and its.start_ms <= one.wall_ms < its.end_ms:
                return True
        return False

    # --- what the gateway says ----------------------------------------------------------------

    def decided(self, records: Sequence[Record], now: Now) -> None:
        """Facts as they are decided, durable or not."""
        self.books.decided(records, now)
        self.cries.decided(records)
        self.evidence.decided(now)
        for record in records:
            check = _CHECKS.get(record.fact)
            if check is not None:
                check(self, record.data, now)

    def _bucket(self, data: Any, _now: Now) -> None:
        self.evidence.bucket(data)

    def _came(self, data: Any, _now: Now) -> None:
        self._checked_in.add(data["booking"])

    def _ended(self, data: Any, _now: Now) -> None:
        self._over.add(data["booking"])

    def _entered(self, data: Any, _now: Now) -> None:
        """A6: entering is an opening that was really there."""
        door = self._world.place.town.doors[data["door"]]
        opened = door.openings[-1] if door.openings else 0
        seen = not self._world.hidden(self._devices_at(data["door"]), 10 * MINUTE_MS)
        if self._now_ms - opened >= 30 * SECOND_MS and seen:
            self._breach("A6", f"{data['door']} was entered, and nobody opened it")

    def _forced(self, data: Any, _now: Now) -> None:
        """A6: nobody in this world breaks a door; what was not seen excuses much."""
        if not self._world.hidden(self._devices_at(data["door"]), 10 * MINUTE_MS):
            self._breach("A6", f"{data['door']} was forced, and nobody did")

    def _no_show(self, data: Any, _now: Now) -> None:
        """B6: nobody who came is released to others, unless a clock that errs is believed.

        One that only drifts is no excuse: who came was seen in the same time.
        """
        items = self._bookings.get(data["facility"], ())
        mine = next((one for one in items if one.id == data["booking"]), None)
        if mine is None:
            self._breach("B6", f"a no-show of {data['booking']}, which was never made")
        assert mine is not None
        place = self._site.facilities[data["facility"]].place
        inside = self._world.place.town.rooms[place].people
        misled = self._world.stuck(place) or self._wrong
        if set(inside) & set(mine.terms.subjects) and not misled:
            self._breach("B6", f"the holder of {data['booking']} is inside, and a no-show")
        self._over.add(data["booking"])

    # --- the whole site -----------------------------------------------------------------------

    def every_hour(self) -> None:
        """Everything there is."""
        gateway = self._world.place.gateway
        if gateway is None:
            return
        self._check_promises(gateway.state.all(Booking))
        self.currents.every_hour()
        self.cries.check(gateway.state)

    def _check_promises(self, bookings: Iterable[Booking]) -> None:
        """B2: no facility is promised to more at once than it holds."""
        standing: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for one in bookings:
            if one.status in (BookingStatus.ENFORCED, BookingStatus.CHECKED_IN):
                standing[one.facility] += [(one.terms.start_ms, 1), (one.terms.end_ms, -1)]
        for facility, edges in standing.items():
            holds, most = 0, self._site.facilities[facility].capacity
            for _, change in sorted(edges):
                holds += change
                if holds > most:
                    self._breach("B2", f"{facility} is promised to {holds} at once")

    # --- the end ------------------------------------------------------------------------------

    def the_end(self) -> None:
        """After the calm: everything has come right, and adds up."""
        self.every_hour()
        gateway = self._world.place.gateway
        if gateway is None:
            self._breach("liveness", "the gateway is not back")
        assert gateway is not None
        faults = sorted(fault.id for fault in gateway.state.all(Fault))
        open_calls = {call.id for call in gateway.state.all(Call) if call.open}
        left = [
            one
            for one in faults
            if not one.startswith(_EXCUSED)
            and one.partition("call_undelivered:")[2] not in open_calls
        ]
        if left:
            self._breach("liveness", f"faults without a cause: {', '.join(left)}")
        for session in gateway.state.all(ChargingSession):
            connector = self._world.place.town.outlets[session.facility]
            if connector.vehicle is None:
                self._breach("liveness", f"a session of {session.facility} that nobody has")
        for visit in gateway.state.all(Visit):
            place = self._site.facilities[visit.facility].place
            if visit.subject not in self._world.place.town.rooms[place].people:
                self._breach("liveness", f"a visit of {visit.facility} by who is not there")
        if not self._world.platform.drained:
            self._breach("liveness", "the platform has not heard everything")
        self.books.check_energy(gateway.state)

    # --- small things -------------------------------------------------------------------------

    @property
    def _wrong(self) -> bool:
        """The gateway was told a wrong time."""
        gateway = self._world.place.gateway
        if gateway is None or gateway.clock.fast_ppm:
            return False
        return abs(gateway.clock.error_ms) > SECOND_MS

    def _devices_at(self, door: str) -> set[str]:
        points = self._site.doors[door].points
        refs = (points.strike, points.contact, points.exit_button, points.lock)
        return {ref.device for ref in refs if ref is not None}

    def _whose(self, digest: str) -> str:
        return self._world.people_by_pin.get(digest.removeprefix("pin:"), "")


_EXCUSED = ("tamper:", "call_point_untested:", "stuck_sensor:")
_CHECKS: dict[Fact, Any] = {
    Fact.ENTERED: Auditor._entered,
    Fact.DOOR_FORCED: Auditor._forced,
    Fact.BOOKING_NO_SHOW: Auditor._no_show,
    Fact.BOOKING_CHECKED_IN: Auditor._came,
    Fact.BOOKING_ENDED: Auditor._ended,
    Fact.BUCKET_CLOSED: Auditor._bucket,
}
