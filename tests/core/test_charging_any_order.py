"""Whatever happens at chargers in whatever order: step, reconciler, disk, meters and cars together.

Cars come and go, registers count and lie, chargers fall silent or take no write, the card fails,
the plug is pulled. What must hold is looked at when a write leaves, and after every turn.
"""

from collections.abc import Iterator
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from core.garage import Garage
from core.harness import DESK, LOST, REFUSED, UNKNOWN, comes_true, driven_as_derived
from fixtures.sizes import size
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.core.draft import Draft
from gateway.core.outlets import hazard
from gateway.domain.charging import ChargingSession, MeterStatus, SessionState
from gateway.domain.events import CredentialPresented, HazardResetAsked, SessionStopAsked, Stream
from gateway.domain.now import MINUTE_MS, SECOND_MS
from gateway.domain.points import Level, Setpoint, WriteOutcome
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.subjects import CredentialKind, Presented

LIMIT_A = 24
PEOPLE = {"ada": "1111", "ben": "2222", "cat": "3333"}
CARS = ("car1", "car2")
OUTLETS = (*CARS, "bike1", "bike2")


class Watched(Garage):
    """A garage whose every raise is judged as it leaves."""

    def _write(self, setpoint: Setpoint) -> WriteOutcome | None:
        ref_ = setpoint.ref
        if ref_.device in OUTLETS and isinstance(setpoint, Level):
            before = self.readings.latest(ref_)
            if not before.good or setpoint.value > before.value:  # type: ignore[operator]
                self._judge(ref_.device, setpoint)
        return super()._write(setpoint)

    def _judge(self, outlet: str, level: Level) -> None:
        """C1, C2: power is set only for a session, and never under a hazard."""
        if not level.value:
            return
        found = [s for s in self.state.where(ChargingSession, "facility", outlet) if s.powered]
        assert len(found) == 1, f"{outlet}: power without a session"
        draft = Draft(self.site, self.state, self.readings, self.now())
        assert not hazard(draft, self.site.facilities[outlet]), f"{outlet}: power under a hazard"
        if not self.step.lost:
            told = {r.record.data.get("session") for r in self.disk.records}
            assert found[0].id in told, f"{outlet}: power for a session that is not durable"


class Charging(RuleBasedStateMachine):
    """A few hours in a garage whose feeder carries less than its chargers could take."""

    def __init__(self) -> None:
        super().__init__()
        self.garage = Watched(limit_a=LIMIT_A)
        self.garage.heartbeat_ms = 10 * MINUTE_MS  # what has no deadline of its own shows
        for who, pin in PEOPLE.items():
            self.garage.person(who, pin=pin)
        self.began = {id_: int(car.wh) for id_, car in self.garage.cars.items()}
        self.numbers = 0

    # --- people -------------------------------------------------------------------------------

    @rule(outlet=st.sampled_from(OUTLETS), most_ma=st.sampled_from((6_000, 10_000, 16_000)))
    def somebody_plugs_in(self, outlet: str, most_ma: int) -> None:
        self.garage.plug(outlet, most_ma if outlet in CARS else 4_000)

    @rule(outlet=st.sampled_from(OUTLETS))
    def somebody_unplugs(self, outlet: str) -> None:
        self.garage.unplug(outlet)

    @rule(outlet=st.sampled_from(OUTLETS), who=st.sampled_from(sorted(PEOPLE)))
    def somebody_charges(self, outlet: str, who: str) -> None:
        self.garage.plug(outlet, 16_000 if outlet in CARS else 4_000)
        self.somebody_presents(outlet, who)
        self.garage.run(12)

    @rule(outlet=st.sampled_from(OUTLETS), who=st.sampled_from(sorted(PEOPLE)))
    def somebody_presents(self, outlet: str, who: str) -> None:
        presented = Presented(CredentialKind.PIN, Secret(f"pin:{PEOPLE[who]}"))
        self.garage.tell(CredentialPresented(None, presented, facility=outlet))

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def the_desk_stops(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from(self.running()))
        self.garage.tell(SessionStopAsked(session, DESK))

    @precondition(lambda self: self.running() and self.garage.step.idle)
    @rule(data=st.data())
    def the_last_of_a_session_is_in_it(self, data: st.DataObject) -> None:
        """C3: its register is read once its power is off, and not before."""
        garage = self.garage
        id_ = data.draw(st.sampled_from(self.running()))
        session = garage.state.get(ChargingSession, id_)
        assert session is not None
        outlet, car = session.facility, garage.cars[session.facility]
        meter = garage.state.get(MeterStatus, outlet)
        charging = session.progress.state is SessionState.ACTIVE and garage.limit(outlet)
        if not charging or outlet in garage.mute or meter is None or meter.doubt is not None:
            return
        car.wh += 1  # since it was read the last time
        until_off_wh = int(car.wh)
        garage.tell(SessionStopAsked(id_, DESK))
        garage.look()
        garage.run(12)
        for record in garage.facts(Fact.SESSION_ENDED):
            told = record.data
            if told["session"] == id_ and told["segments"] and not told.get("provisional"):
                assert told["segments"][-1]["closed_wh"] >= until_off_wh, "C3: closed too early"

    def running(self) -> list[str]:
        return sorted(s.id for s in self.garage.state.all(ChargingSession) if s.running)

    @rule(
        who=st.sampled_from(sorted(PEOPLE)),
        outlet=st.sampled_from(CARS),
        starts_min=st.sampled_from((-20, -5, 0, 5, 30)),
        lasts_min=st.sampled_from((10, 30, 120)),
    )
    def books(self, who: str, outlet: str, starts_min: int, lasts_min: int) -> None:
        garage = self.garage
        self.numbers += 1
        start = garage.wall_ms + starts_min * MINUTE_MS
        item = garage.item(f"b{self.numbers}", outlet, who, "00:00", "00:01")
        terms = replace(item.terms, start_ms=start, end_ms=start + lasts_min * MINUTE_MS)
        garage.sync(Stream.BOOKINGS, [replace(item, terms=terms)])

    @rule(number=st.integers(1, 5))
    def cancels(self, number: int) -> None:
        self.garage.cancel(f"b{number}")

    # --- time ---------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((2, 10, 40)))
    def cars_charge(self, seconds: int) -> None:
        self.garage.run(seconds)

    @rule(minutes=st.sampled_from((2, 7, 20)))
    def cars_charge_for_long(self, minutes: int) -> None:
        self.garage.run(60 * minutes, step_s=20)

    @rule(ms=st.sampled_from((-3_600_000, -SECOND_MS, SECOND_MS, 3_600_000)))
    def the_clock_jumps(self, ms: int) -> None:
        self.garage.step_clock(ms)

    # --- danger -------------------------------------------------------------------------------

    @rule(outlet=st.sampled_from(CARS), celsius=st.sampled_from((25, 80, 80, 900)))
    def it_gets_warm(self, outlet: str, celsius: int) -> None:
        if outlet not in self.garage.mute:
            self.garage.read(f"{outlet}/temperature", celsius)
            self.garage.run(4)

    @rule(outlet=st.sampled_from(CARS), who=st.sampled_from(sorted(PEOPLE)))
    def it_was_hot_and_somebody_charges(self, outlet: str, who: str) -> None:
        for celsius in (80, 80, 25):
            self.it_gets_warm(outlet, celsius)
        self.somebody_charges(outlet, who)

    @rule(burns=st.booleans())
    def the_shed_smokes(self, burns: bool) -> None:
        zone = self.garage.site.safety.fire_zones["shed"]
        self.garage.edge(zone.input, zone.active if burns else not zone.active)

    @rule(outlet=st.sampled_from(CARS))
    def somebody_resets(self, outlet: str) -> None:
        self.garage.tell(HazardResetAsked(outlet, DESK))

    # --- what breaks --------------------------------------------------------------------------

    @rule(outlet=st.sampled_from(OUTLETS))
    def a_charger_falls_silent(self, outlet: str) -> None:
        if outlet not in self.garage.mute:
            self.garage.silence(outlet)

    @rule(first=st.sampled_from(CARS))
    def one_of_two_falls_silent(self, first: str) -> None:
        """C4: what it had may still flow."""
        self.somebody_charges(first, "ada")
        self.somebody_charges(next(one for one in CARS if one != first), "ben")
        self.a_charger_falls_silent(first)
        self.garage.run(40)

    @precondition(lambda self: self.garage.mute)
    @rule()
    def they_answer_again(self) -> None:
        for device in sorted(self.garage.mute):
            self.garage.heal(device)
        self.garage.look()

    @rule(outlet=st.sampled_from(CARS), outcome=st.sampled_from((REFUSED, UNKNOWN, LOST)))
    def a_write_will_fail(self, outlet: str, outcome: WriteOutcome) -> None:
        self.garage.answer(f"{outlet}/limit", outcome)

    @rule()
    def chargers_do_as_they_are_told(self) -> None:
        comes_true(self.garage)

    @rule(outlet=st.sampled_from(CARS))
    def a_charger_is_restarted(self, outlet: str) -> None:
        """It has forgotten what it was told."""
        if outlet not in self.garage.mute:
            self.garage.read(f"{outlet}/limit", 0)

    @rule(outlet=st.sampled_from(OUTLETS), wh=st.sampled_from((0, 17, 4_000, 900_000)))
    def a_register_jumps(self, outlet: str, wh: int) -> None:
        self.garage.cars[outlet].wh = float(wh)

    @rule(does=st.sampled_from(("slow", "quick", "fail", "mend")))
    def the_card(self, does: str) -> None:
        disk = self.garage.disk
        if does == "fail":
            disk.broken = True
        elif does == "mend" and self.garage.step.lost:
            disk.slow = False
            self.garage.mend_disk()
        disk.slow = does == "slow"
        disk.broken = disk.broken and does == "fail"
        if does == "quick" and not disk.broken:
            self.garage.commit()

    @rule(off_ms=st.sampled_from((2_000, 300_000, 1_800_000)), took=st.booleans())
    def the_plug_is_pulled(self, off_ms: int, took: bool) -> None:
        garage = self.garage
        if took and not garage.disk.broken:
            garage.disk_takes_all()
        garage.disk.slow = garage.disk.broken = False
        limits = {outlet: garage.limit(outlet) for outlet in OUTLETS}
        garage.forget()
        garage.restart(off_ms)
        assert not any(getattr(w, "value", 0) for _, w in garage.writes), "moved by a restart"
        for outlet, limit in limits.items():
            if outlet not in garage.mute:
                garage.seen(outlet, limit)
        garage.look()

    # --- what holds ---------------------------------------------------------------------------

    @invariant()
    def the_feeder_carries_no_more_than_it_may(self) -> None:
        """C4: what the chargers let through, as they are, heard or not."""
        drawn = {id_: car.draws_ma(self.garage.limit(id_)) for id_, car in self.garage.cars.items()}
        assert sum(drawn.values()) <= LIMIT_A * 1_000, drawn

    @invariant()
    def an_outlet_has_one_session(self) -> None:
        """C5"""
        for outlet in OUTLETS:
            at = self.garage.state.where(ChargingSession, "facility", outlet)
            assert sum(one.running for one in at) <= 1

    @invariant()
    def all_energy_is_somebody_s_or_nobody_s(self) -> None:
        """C5: sessions and what is unattributed are what the register moved by; none negative."""
        garage = self.garage
        if not garage.step.idle or garage.step.lost:
            return
        for outlet in OUTLETS:
            status = garage.state.get(MeterStatus, outlet)
            if status is None:
                continue
            told = dict(self.energies(outlet))
            pending = garage.state.where(ChargingSession, "facility", outlet)
            told |= {one.id: one.energy_wh for one in pending}
            assert all(energy >= 0 for energy in told.values()), told
            moved = status.latest_wh - self.began[outlet] + self.jumped(outlet)
            assert sum(told.values()) + status.unattributed_wh == moved, (outlet, told, status)

    def energies(self, outlet: str) -> Iterator[tuple[str, int]]:
        """What the journal says flowed, by session or by record of what was nobody's."""
        for number, stamped in enumerate(self.garage.disk.records):
            record = stamped.record
            if record.data.get("facility") != outlet:
                continue
            if record.fact in (Fact.SESSION_ENDED, Fact.SESSION_COMPLETED):
                yield record.data["session"], record.data["energy_wh"]
            elif record.fact is Fact.ENERGY_UNATTRIBUTED:
                yield str(number), record.data["energy_wh"]

    def jumped(self, outlet: str) -> int:
        """By how much the register moved without energy, from a segment to the next."""
        return sum(
            stamped.record.data["before_wh"] - stamped.record.data["opened_wh"]
            for stamped in self.garage.disk.records
            if stamped.record.fact is Fact.METER_SEGMENT
            and stamped.record.data["facility"] == outlet
        )

    @invariant()
    def outputs_are_what_is_true(self) -> None:
        """DESIGN §2.1: what is driven is what a fresh look would drive; nothing was forgotten."""
        driven_as_derived(self.garage)

    @invariant()
    def under_a_hazard_nothing_is_granted(self) -> None:
        """C2, A3"""
        garage = self.garage
        draft = Draft(garage.site, garage.state, garage.readings, garage.now())
        for outlet in OUTLETS:
            facility = garage.site.facilities[outlet]
            assert facility.outlet is not None
            wanted = garage.wanted(str(facility.outlet.points.drive))
            if hazard(draft, facility) and wanted is not None:
                assert not wanted.value, outlet  # type: ignore[union-attr]  # a level has one

    @invariant()
    def heat_is_latched(self) -> None:
        """C2: from the record that says so to the one of the person who reset it."""
        garage = self.garage
        if not garage.step.idle or garage.step.lost:
            return
        for outlet in self.hot():
            wanted = garage.wanted(f"{outlet}/limit")
            assert wanted is None or not wanted.value, outlet  # type: ignore[union-attr]

    def hot(self) -> set[str]:
        found: set[str] = set()
        for stamped in self.garage.disk.records:
            data = stamped.record.data
            if stamped.record.fact is Fact.HAZARD and data["hazard"] != "overcurrent":
                found.add(data["facility"])
            elif stamped.record.fact is Fact.HAZARD_RESET:
                found.discard(data["facility"])
        return found & set(CARS)


Charging.TestCase.settings = settings(
    max_examples=size("CHARGING_LIVES", 60),
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestCharging = pytest.mark.timeout(3_600)(Charging.TestCase)  # as long as its size asks for
