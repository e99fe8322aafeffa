"""Whatever happens in whatever order: step, reconciler, disk and devices together.

People type, go, press and answer; the platform books; the disk is slow or full; devices fall
silent; the plug is pulled. What must hold is looked at when a write leaves, and after every turn.
"""

from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from core.calling import Calling
from core.harness import DESK, LOST, REFUSED, UNKNOWN, World, comes_true, driven_as_derived
from fixtures.sizes import size
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule

from gateway.domain.bookings import Booking, BookingStatus, Terms
from gateway.domain.calls import Call, FireLatch
from gateway.domain.events import (
    BookingItem,
    CommandReceived,
    CredentialPresented,
    FireResetAsked,
    Stream,
)
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from gateway.domain.points import Pulse, Setpoint, WriteOutcome, WriteResult
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.state import Reply
from gateway.domain.subjects import CredentialKind, Presented, Role
from gateway.runtime.step import Told

PEOPLE = {"ann": "1111", "ben": "2222", "cat": "3333"}
BOOKED = ("study", "store", "music")
DEVICES = ("board", "gate", "keypad", "pir", "panel", "lock")
RETURN_MS = 15 * MINUTE_MS
HOLDING = (BookingStatus.ENFORCED, BookingStatus.CHECKED_IN)


class Watched(World):
    """A world whose every release is judged as it leaves."""

    def __init__(self) -> None:
        self.written: dict[str, list[WriteResult]] = {}
        super().__init__()

    def _write(self, setpoint: Setpoint) -> WriteOutcome | None:
        outcome = super()._write(setpoint)
        if isinstance(setpoint, Pulse):
            self._judge(setpoint)
            assert outcome is not None
            self.written.setdefault(setpoint.token, []).append(outcome.result)
        return outcome

    def _judge(self, pulse: Pulse) -> None:
        earlier = self.written.get(pulse.token, [])
        assert earlier in ([], [WriteResult.REFUSED]), "A4: written once, twice if refused"
        assert pulse.boot == self.boot, "A4: never by another boot"
        assert self.mono_ms < pulse.until_mono_ms, "A4: never late"
        if not pulse.secures and not self.step.lost:
            assert pulse.token in self.granted(), "a release whose grant is not durable"

    def granted(self) -> set[str]:
        """The grants that are durable."""
        durable = (stamped.record for stamped in self.disk.records)
        return {str(r.data["grant"]) for r in durable if r.fact is Fact.GRANTED}


class Life(Calling):
    """A few hours in a small building."""

    world_of: type[Watched] = Watched

    def __init__(self) -> None:
        super().__init__()
        self.world = self.world_of()
        self.world.heartbeat_ms = 10 * MINUTE_MS  # what has no deadline of its own shows
        self.booked: dict[str, tuple[str, str, int, int]] = {}
        self.items: dict[str, BookingItem] = {}  # as the platform has them
        self.told_nothing = False
        self.latched = False  # it burned since the zone was last reset
        for who, pin in PEOPLE.items():
            self.world.person(who, pin=pin)
        self.numbers = 0

    # --- people -------------------------------------------------------------------------------

    @rule(who=st.sampled_from(sorted(PEOPLE)), door=st.sampled_from(BOOKED))
    def somebody_types_a_pin(self, who: str, door: str) -> None:
        self.types_a_pin(who, door)

    @precondition(lambda self: self.booked)
    @rule(data=st.data())
    def a_holder_types_a_pin(self, data: st.DataObject) -> None:
        door, who, *_ = self.booked[data.draw(st.sampled_from(sorted(self.booked)))]
        self.types_a_pin(who, door)

    def types_a_pin(self, who: str, door: str) -> None:
        world = self.world
        before = len(world.facts(Fact.GRANTED))
        came = {b.id for b in world.state.all(Booking) if b.checked_in_ms is not None}

        def answered(reply: Reply) -> None:
            if reply.accepted and reply.durable:
                assert reply.data["grant"] in world.granted(), "told before it was durable"

        (reader, *_) = world.site.doors[door].points.readers
        presented = Presented(CredentialKind.PIN, Secret(f"pin:{PEOPLE[who]}"))
        world._after(world._take(Told(CredentialPresented(reader, presented), answered)))
        if len(world.facts(Fact.GRANTED)) > before:
            now = world.wall_ms
            mine = {id_: b for id_, b in self.booked.items() if b[:2] == (door, who)}
            returns = {id_: RETURN_MS * (id_ in came) for id_ in mine}
            assert any(b[2] <= now < b[3] + returns[id_] for id_, b in mine.items()), (
                "A1: let in without a booking"
            )

    @rule(door=st.sampled_from(("study", "store", "front")), opens=st.booleans())
    def moves_a_door(self, door: str, opens: bool) -> None:
        (self.world.open if opens else self.world.close)(door)

    @precondition(lambda self: not self.latched and not self.calls() and self.reaches("gate"))
    @rule()
    def breaks_in(self) -> None:
        """A6: an opening that nothing explains is told as such, whatever was before."""
        world = self.world
        world.close("store")
        world.wait(minutes=2)  # what was granted or pressed is over
        before = len(world.facts(Fact.DOOR_FORCED))
        world.open("store")
        assert len(world.facts(Fact.DOOR_FORCED)) == before + 1, "A6: forced, and not told"
        world.close("store")

    def reaches(self, device: str) -> bool:
        return device not in self.world.mute

    @rule(there=st.booleans(), facility=st.sampled_from(("study", "music")))
    def is_seen(self, there: bool, facility: str) -> None:
        for sensor in self.world.site.facilities[facility].sensors:
            self.world.read(sensor.point, there)

    # --- the platform -------------------------------------------------------------------------

    @rule(
        who=st.sampled_from(sorted(PEOPLE)),
        facility=st.sampled_from(BOOKED),
        starts_min=st.sampled_from((-30, -5, 0, 0, 1, 20, 90)),
        lasts_min=st.sampled_from((5, 30, 60, 120)),
    )
    def books(self, who: str, facility: str, starts_min: int, lasts_min: int) -> None:
        world = self.world
        self.numbers += 1
        id_ = f"b{self.numbers}"
        start = world.wall_ms + starts_min * MINUTE_MS
        end = start + lasts_min * MINUTE_MS
        item = world.item(id_, facility, who, "00:00", "00:01", created_ms=self.numbers)
        item = replace(item, terms=replace(item.terms, start_ms=start, end_ms=end))
        world.sync(Stream.BOOKINGS, [item])
        self.booked[id_] = (facility, who, start, end)
        self.items[id_] = item

    @precondition(lambda self: self.booked)
    @rule(data=st.data())
    def cancels(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.booked)))
        self.world.cancel(id_)
        if self.world.step.idle and not self.world.step.lost:
            self.booked.pop(id_)  # else a crash may bring it back
        self.items.pop(id_, None)

    @precondition(lambda self: self.booked)
    @rule(begins_h=st.sampled_from((-1, 0, 1, 24)))
    def a_snapshot_comes(self, begins_h: int) -> None:
        """B1: it says nothing of what lies outside its window."""
        now = self.world.wall_ms
        window = (now + begins_h * HOUR_MS, now + 48 * HOUR_MS)
        told = [one for one in self.items.values() if self.touches(one.terms, window)]
        before = {b.id for b in self.bookings() if not self.touches(b.terms, window)}
        self.world.snapshot(Stream.BOOKINGS, window, told)
        assert before <= {b.id for b in self.bookings()}, "B1: gone, and not by its window"

    @precondition(lambda self: not self.told_nothing and self.bookings())
    @rule()
    def an_empty_snapshot_comes(self) -> None:
        """B1: it is held until somebody confirms it, or the next says the same."""
        self.told_nothing = True
        before = {b.id for b in self.bookings()}
        longest = (0, self.world.wall_ms + 365 * DAY_MS)
        if any(b.terms.end_ms > self.world.wall_ms for b in self.bookings()):
            self.world.snapshot(Stream.BOOKINGS, longest, ())
            assert before <= {b.id for b in self.bookings()}, "B1: an empty snapshot is believed"

    def bookings(self) -> list[Booking]:
        return list(self.world.state.all(Booking))

    @staticmethod
    def touches(terms: Terms, window: tuple[int, int]) -> bool:
        return terms.start_ms < window[1] and window[0] < terms.end_ms

    @rule(
        who=st.sampled_from(sorted(PEOPLE)),
        room=st.sampled_from(("music", "store")),  # a sensor, and a door alone
        off_ms=st.sampled_from((2_000, 60_000)),
    )
    def nobody_sees_a_booking_begin(self, who: str, room: str, off_ms: int) -> None:
        """B6: then nobody can say that they did not come."""
        self.books(who, room, 1, 60)
        id_ = f"b{self.numbers}"
        self.world.wait(minutes=2)
        self.the_plug_is_pulled(off_ms, True)
        self.world.wait(minutes=16)
        judged = {fact.data["booking"] for fact in self.world.facts(Fact.BOOKING_NO_SHOW)}
        assert id_ not in judged, "B6: a no-show, and nobody had watched"

    @rule()
    def a_command_comes_twice(self) -> None:
        """B8: it runs at most once."""
        world = self.world
        self.numbers += 1
        ends, by = world.wall_ms + HOUR_MS, replace(DESK, role=Role.PLATFORM, on_site=False)
        why = {"why": "a parcel"}
        command = CommandReceived(f"c{self.numbers}", "release_door", "store", ends, why, by)
        before = len(world.facts(Fact.GRANTED))
        world.tell(command)
        world.tell(command)
        assert len(world.facts(Fact.GRANTED)) <= before + 1, "B8: a command ran twice"

    # --- fire ---------------------------------------------------------------------------------

    @rule(burns=st.booleans())
    def the_panel_says(self, burns: bool) -> None:
        zone = self.world.site.safety.fire_zones["fire"]
        self.world.edge(zone.input, zone.active if burns else not zone.active)
        self.latched |= burns

    @rule()
    def the_fire_is_reset(self) -> None:
        if self.world.tell(FireResetAsked("fire", DESK)).accepted:
            self.latched = False

    @rule()
    def the_platform_would_reset_it(self) -> None:
        """A3: never over the uplink."""
        asked = FireResetAsked("fire", replace(DESK, on_site=False))
        assert not self.world.tell(asked).accepted, "A3: reset by who is not there"

    # --- what breaks --------------------------------------------------------------------------

    @rule(ms=st.sampled_from((50, 50, 1_000, 9_000, 9_000, 61_000, 4 * MINUTE_MS, 31 * MINUTE_MS)))
    def time_passes(self, ms: int) -> None:
        self.world.wait(ms=ms)

    @precondition(lambda self: self.booked)
    @rule(data=st.data())
    def a_booking_begins_or_ends(self, data: st.DataObject) -> None:
        """To the very instant; its holder is at the door."""
        door, who, *edges = self.booked[data.draw(st.sampled_from(sorted(self.booked)))]
        wait_ms = data.draw(st.sampled_from(edges)) - self.world.wall_ms
        if wait_ms > 0:
            self.world.wait(ms=wait_ms)
            self.types_a_pin(who, door)

    @rule(ms=st.sampled_from((-3_600_000, -SECOND_MS, SECOND_MS, 3_600_000)))
    def the_clock_jumps(self, ms: int) -> None:
        self.world.step_clock(ms)

    @rule()
    def the_card_is_slow(self) -> None:
        self.world.disk.slow = True

    @rule()
    def the_card_is_quick(self) -> None:
        self.world.disk.slow = False
        self.world.commit()

    @rule()
    def the_card_fails(self) -> None:
        self.world.disk.broken = True

    @precondition(lambda self: self.world.disk.broken)
    @rule()
    def the_card_is_mended(self) -> None:
        self.world.disk.slow = False
        if self.world.step.lost:
            self.world.mend_disk()
        self.world.disk.broken = False

    @rule(off_ms=st.sampled_from((2_000, 300_000)), took=st.booleans())
    def the_plug_is_pulled(self, off_ms: int, took: bool) -> None:
        if took and not self.world.disk.broken:
            self.world.disk_takes_all()
        self.world.disk.slow = self.world.disk.broken = False
        self.world.restart(off_ms)
        self.world.settle()
        self.sound_again()
        self.latched = any(one.latched for one in self.world.state.all(FireLatch))

    @rule(device=st.sampled_from(DEVICES))
    def a_device_falls_silent(self, device: str) -> None:
        if device not in self.world.mute:
            self.world.silence(device)

    @precondition(lambda self: self.world.mute)
    @rule()
    def they_answer_again(self) -> None:
        for device in sorted(self.world.mute):
            self.world.heal(device)

    @rule(
        door=st.sampled_from(("study", "store")), outcome=st.sampled_from((REFUSED, UNKNOWN, LOST))
    )
    def a_write_will_fail(self, door: str, outcome: WriteOutcome) -> None:
        self.world.answer(str(self.world.site.doors[door].points.strike), outcome)

    @rule()
    def devices_do_as_they_are_told(self) -> None:
        comes_true(self.world)

    @rule(value=st.booleans())
    def a_relay_moves_by_itself(self, value: bool) -> None:
        """Its board was restarted, or somebody turned it."""
        if "board" not in self.world.mute:
            self.world.read("board/hold_study", value)

    # --- what holds ---------------------------------------------------------------------------

    @invariant()
    def a_facility_is_promised_once(self) -> None:
        """B2: among those that stand, no two overlap beyond the capacity of one."""
        for facility in BOOKED:
            standing = sorted(
                (b.terms.start_ms, b.terms.end_ms)
                for b in self.world.state.where(Booking, "facility", facility)
                if b.status in HOLDING
            )
            for (_, end), (start, _) in pairwise(standing):
                assert end <= start, f"two hold {facility}"

    @invariant()
    def outputs_are_what_is_true(self) -> None:
        """DESIGN §2.1: what is driven is what a fresh look would drive; nothing was forgotten."""
        driven_as_derived(self.world)

    @invariant()
    def at_rest_the_disk_knows_all(self) -> None:
        """DESIGN §5: bookings and calls as they are, and nothing left in the latch."""
        world = self.world
        if not world.step.idle or world.step.lost:
            return
        assert not +world.latch, "E2: durable, and still in the latch"
        for kind in (Booking, Call):
            held = {e.id: e for (type_, _), e in world.disk.entities.items() if type_ is kind}
            true = {e.id: e for e in world.state.all(kind)}
            assert {i: _standing(e) for i, e in held.items()} == {
                i: _standing(e) for i, e in true.items()
            }

    @invariant()
    def fire_holds_open(self) -> None:
        """A3: until a person resets it, whatever its input says, and whatever else is so."""
        if self.latched:
            held = self.world.wanted("board/hold_study")
            assert held is not None
            assert held.reason.code == "fire_release"

    @invariant()
    def a_restart_spends_a_release(self) -> None:
        """A4: nothing of another boot is even wanted."""
        for setpoint in self.world.reconciler.desired():
            assert not isinstance(setpoint, Pulse) or setpoint.boot == self.world.boot


def _standing(entity: Booking | Call) -> object:
    return entity.status if isinstance(entity, Booking) else entity.state


Life.TestCase.settings = settings(
    max_examples=size("LIVES", 250),
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestLife = pytest.mark.timeout(3_600)(Life.TestCase)  # as long as its size asks for
