"""Each way a clock can be wrong, at each moment, with and without somebody who vouches (DESIGN §6).

The real discipline of time is shown a machine's clocks; the truth is kept beside it. What must hold
is the same in every cell: calls sound, holder and staff get in, nothing is ended by a clock nobody
trusts, sessions are as long as they were, and what was stamped wrong is corrected to the truth.
"""

from dataclasses import replace
from typing import Any

import pytest
from core.garage import Garage
from core.harness import DESK
from fixtures.clock import WRONG, Machine, Wrong

from gateway.core.timekeeping import DOUBTS_MAX
from gateway.domain.bookings import Booking, BookingStatus
from gateway.domain.calls import Call, CallOutcome, CallState
from gateway.domain.charging import SessionState
from gateway.domain.clock import ClockStatus
from gateway.domain.events import (
    CallAcknowledged,
    CallAttended,
    CallCleared,
    ClockChanged,
    CommandReceived,
    Started,
)
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Now, Trust
from gateway.domain.records import Fact
from gateway.domain.state import Result
from gateway.domain.subjects import Role
from gateway.ports import Stamped
from gateway.runtime.clock import SystemClock

# The hours of Ada's booking; in Berlin the one after two is skipped that night, or comes twice.
HOURS = {
    "plain": ("2026-03-02 09", "2026-03-02 11"),
    "spring": ("2026-03-29 01", "2026-03-29 04"),
    "autumn": ("2026-10-25 01", "2026-10-25 04"),
}
BY_TIME = (Fact.BOOKING_NO_SHOW, Fact.BOOKING_ENDED, Fact.BUCKET_CLOSED)


class Timed(Garage):
    """A compound whose gateway learns the time from a machine, as it does on site."""

    def __init__(self, at: str, zone: str) -> None:
        self.machine: Machine | None = None
        self.offsets: dict[str, int] = {}  # the truth, by boot: wall minus monotonic
        super().__init__(zone=zone, at=at)
        self.machine = Machine(self.wall_ms, self.mono_ms, synced=True)
        self.time = SystemClock(self.boot, self.machine)
        self.offsets[self.boot] = self.wall_ms - self.mono_ms
        self.meta = self.time.keep()

    @property
    def truth_ms(self) -> int:
        """What time it really is."""
        return self.mono_ms + self.offsets[self.boot]

    def now(self) -> Now:
        if self.machine is None:
            return super().now()
        self._serial += 1
        return self.time.now()._replace(serial=self._serial)

    def shows(self, wrong: Wrong, *, vouched: bool) -> None:
        """The machine's clock is set to something else, by a source that is believed or not."""
        assert self.machine is not None
        self.machine.wall, self.machine.synced = wrong(self.truth_ms), vouched
        self.wait(seconds=5)

    def comes_right(self) -> None:
        """A trusted source sets it to the truth."""
        self.shows(lambda truth: truth, vouched=True)

    def boots(self, off_ms: int, wrong: Wrong, *, vouched: bool) -> None:
        """The power was cut; the machine wakes with some time."""
        truth_ms = self.truth_ms + off_ms
        self.mono_ms = 50_000
        self.offsets[f"boot{len(self.offsets) + 1}"] = truth_ms - self.mono_ms
        machine = Machine(wrong(truth_ms), self.mono_ms, vouched, boot=f"machine{truth_ms}")
        self._starts(machine)

    def starts_again(self) -> None:
        """The process alone."""
        assert self.machine is not None
        self.mono_ms += 300
        self.machine.run(300)
        self.offsets[f"boot{len(self.offsets) + 1}"] = self.offsets[self.boot]
        self._starts(self.machine)

    def _starts(self, machine: Machine) -> None:
        self.machine, self.boot = machine, f"boot{len(self.offsets)}"
        self.time = SystemClock(self.boot, machine)
        moved = self.time.remember(self.meta or {})
        self._mirror()
        self._in_flight = None
        self._checkpoint_ms = self._heartbeat_ms = 0
        self._build()
        self.tell(Started("test", (), "", self.time.away_ms(), self.time.machine))
        if moved is not None:
            self._moved(moved)
        self.settle()
        for id_ in self.cars:
            self.seen(id_, self.limits[id_])
        self.look()

    def restart_levels(self) -> None:
        """What the chargers were let, before the power went: they keep it."""
        self.limits = {id_: self.limit(id_) for id_ in self.cars}

    def _pass(self) -> None:
        if self.machine is not None:
            self.machine.run(self.mono_ms - self.machine.mono)
            event = self.time.poll()
            self._mirror()
            self.meta = self.time.keep(every_ms=0 if event else 10 * MINUTE_MS) or self.meta
            if event is not None:
                self._moved(event)
        super()._pass()

    def _mirror(self) -> None:
        now = self.time.now()
        self.wall_ms, self.trust = now.wall_ms, now.trust

    def _moved(self, event: ClockChanged) -> None:
        """As the engine does it."""
        self.tell(event)
        self.agenda.note_all(self.state.entities(), self.now())
        self._after(self.step.derive_all(self.now()))


# --- what must hold -----------------------------------------------------------------------------


def people_are_served(world: Timed) -> None:
    """Holder and staff get in, whatever the clock; a call sounds and is answered (A1, E1)."""
    for pin in ("1111", "9999"):
        pulses = len(world.pulses())
        reply = world.pin("study", pin)
        assert reply.accepted, reply
        assert len(world.pulses()) == pulses + 1
        world.wait(seconds=40)
    if world.trust is Trust.UNTRUSTED:
        by_booking = [r for r in world.facts(Fact.GRANTED) if r.data["basis"] == "b1"][-1]
        assert by_booking.data["clock_uncertain"] is True
    a_call_is_answered(world)


def a_call_is_answered(world: Timed) -> None:
    """It sounds until somebody has it, and lives to its end (E1, E4)."""
    call = world.press("cord")
    assert world.output("panel/siren_bath") == "on"
    world.wait(seconds=5)
    assert world.get(Call, call).state is CallState.RAISED
    is_answered(world, call)


def is_answered(world: Timed, call: str) -> None:
    """A named person has it, somebody is there, it was nothing."""
    assert world.tell(CallAcknowledged(call, DESK)).accepted
    assert world.output("panel/siren_bath") == "off"
    assert world.tell(CallAttended(call, DESK, "Rolf")).accepted
    assert world.tell(CallCleared(call, DESK, CallOutcome.FALSE)).accepted


def nothing_is_ended_without_trust(world: Timed) -> None:
    """DESIGN §6: no no-show, expiry or bucket."""
    wrong = [s for s in world.stamped if not s.now.trusted and s.record.fact in BY_TIME]
    assert not wrong


def a_command_is_refused_without_trust(world: Timed, name: str = "release_door") -> None:
    """B8: it may be late, and nobody can tell; a stop is always in time."""
    by = replace(DESK, role=Role.PLATFORM, on_site=False)
    at = world.truth_ms + HOUR_MS
    refused = world.tell(CommandReceived("c1", name, "study", at, {"why": "a parcel"}, by))
    assert (refused.result, refused.reason.code) == (Result.REJECTED, "clock_untrusted")
    stop = world.tell(CommandReceived("c2", "end_passage", "study", at, {}, by))
    assert stop.accepted


def stamps_are_corrected(world: Timed) -> None:
    """Each record of a time nobody vouched for is put right by one that came later."""
    flagged = [s for s in world.stamped if not s.now.trusted and s.now.boot in world.offsets]
    for stamped in flagged:
        add_ms = correction(world, stamped)
        truth_ms = stamped.now.mono_ms + world.offsets[stamped.now.boot]
        assert abs(stamped.now.wall_ms + add_ms - truth_ms) <= SECOND_MS, stamped


def correction(world: Timed, stamped: Stamped) -> int:
    """As the platform does it: the first for its boot that ends after it."""
    for record in world.facts(Fact.CLOCK_CORRECTED):
        data: Any = record.data
        if data["boot"] == stamped.now.boot and stamped.now.mono_ms < data["before_mono_ms"]:
            return int(data["add_ms"])
    raise AssertionError(f"never corrected: {stamped}")


# --- the moments --------------------------------------------------------------------------------


def morning(day: str = "plain") -> Timed:
    """Ada's booking of the study began a minute ago, and she has not come."""
    first, last = HOURS[day]
    world = Timed(f"{first}:00", "Europe/Berlin")
    world.person("ada", pin="1111")
    world.person("rolf", pin="9999", role=Role.STAFF)
    world.right("r1", "rolf", "*")
    world.book("b1", "study", "ada", f"{first}:01", f"{last}:30")
    world.wait(minutes=2)
    world.limits = {}
    world.restart_levels()
    return world


def at_boot(world: Timed, wrong: Wrong, vouched: bool) -> None:
    world.boots(HOUR_MS, wrong, vouched=vouched)
    world.wait(seconds=5)


def in_a_booking(world: Timed, wrong: Wrong, vouched: bool) -> None:
    world.enter("study", "1111")
    assert world.booking("b1").status is BookingStatus.CHECKED_IN
    world.shows(wrong, vouched=vouched)


def in_a_session(world: Timed, wrong: Wrong, vouched: bool) -> None:
    world.start("car1", "1111")
    world.run(100, step_s=10)
    world.shows(wrong, vouched=vouched)
    assert world.session("car1").progress.state is SessionState.ACTIVE


def in_a_call(world: Timed, wrong: Wrong, vouched: bool) -> None:
    call = world.press("cord")
    assert world.tell(CallAcknowledged(call, DESK)).accepted
    world.wait(minutes=4)
    world.shows(wrong, vouched=vouched)
    world.wait(minutes=5)
    assert world.get(Call, call).climb.raises == 1
    world.wait(minutes=1)
    assert world.get(Call, call).climb.raises == 2, "E4: monotonic, unattended for ten minutes"
    assert world.output("panel/siren_bath") == "on"
    is_answered(world, call)


MOMENTS = {
    "boot": at_boot,
    "booking": in_a_booking,
    "session": in_a_session,
    "call": in_a_call,
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_clock_nobody_vouches_for(moment: str, wrong: str) -> None:
    world = morning()
    MOMENTS[moment](world, WRONG[wrong], False)
    assert world.trust is Trust.UNTRUSTED
    assert "clock_lost:clock" in world.faults()
    people_are_served(world)
    a_command_is_refused_without_trust(world)
    world.comes_right()
    assert abs(world.wall_ms - world.truth_ms) <= SECOND_MS
    assert "clock_lost:clock" not in world.faults()
    comes_out_well(world, moment)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_trusted_source_that_errs_and_is_put_right(moment: str, wrong: str) -> None:
    world = morning()
    MOMENTS[moment](world, WRONG[wrong], True)
    assert world.trust is Trust.SYNCHRONISED
    world.wait(minutes=5)
    a_call_is_answered(world)
    world.comes_right()
    assert world.booking("b1").live, "what it ended stands again"
    people_are_served(world)
    comes_out_well(world, moment)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("day", ["spring", "autumn"])
def test_a_night_in_which_local_time_skips_or_comes_twice(moment: str, day: str) -> None:
    """U3: an hour less, or more, on the wall; as long as ever by the booking, session and call."""
    world = morning(day)
    MOMENTS[moment](world, lambda truth: truth, True)
    people_are_served(world)
    comes_out_well(world, moment)


def comes_out_well(world: Timed, moment: str) -> None:
    """The day goes on to its end as if nothing had been."""
    if moment == "session":
        session = world.session("car1")
        began = next(s for s in world.stamped if s.record.fact is Fact.SESSION_STARTED)
        world.run(60, step_s=10)
        assert world.type_pin("1111", "car1").accepted
        world.run(10)
        ended = world.last(Fact.SESSION_ENDED).data
        measured = world.mono_ms - began.now.mono_ms
        assert session.id == ended["session"]
        assert abs(ended["duration_ms"] - measured) < 30 * SECOND_MS, "U5: monotonic"
    nothing_is_ended_without_trust(world)
    stamps_are_corrected(world)
    assert world.booking("b1").live
    end_ms = world.booking("b1").terms.end_ms
    world.wait(ms=end_ms + MINUTE_MS - world.wall_ms)
    assert world.booking("b1").status is BookingStatus.ENDED
    ended_at = next(s for s in reversed(world.stamped) if s.record.fact is Fact.BOOKING_ENDED)
    assert 0 <= ended_at.now.wall_ms - end_ms < 5 * SECOND_MS
    assert not world.facts(Fact.BOOKING_NO_SHOW)


# --- corrections, and leaps ---------------------------------------------------------------------


def test_each_stretch_of_doubt_is_corrected_by_its_own_record() -> None:
    """DESIGN §6: somebody sets the clock by hand, twice, and the process starts again meanwhile."""
    world = morning()
    world.boots(HOUR_MS, WRONG["1970"], vouched=False)
    world.pin("study", "1111")
    world.shows(WRONG["+1 hour"], vouched=False)
    world.pin("study", "1111")
    world.starts_again()
    world.pin("study", "1111")
    world.shows(lambda truth: truth + 3 * HOUR_MS, vouched=False)
    world.pin("study", "1111")
    assert not world.facts(Fact.CLOCK_CORRECTED)
    world.comes_right()
    stamps_are_corrected(world)
    corrected = world.facts(Fact.CLOCK_CORRECTED)
    assert {record.data["boot"] for record in corrected} == {"boot2", "boot3"}
    assert world.get(ClockStatus, "clock").doubts == ()
    world.shows(lambda truth: truth + 5, vouched=True)
    assert world.facts(Fact.CLOCK_CORRECTED) == corrected, "once"


def test_of_an_earlier_boot_of_the_machine_nobody_can_know() -> None:
    world = morning()
    world.boots(HOUR_MS, WRONG["1970"], vouched=False)
    world.boots(HOUR_MS, WRONG["1970"], vouched=False)
    world.comes_right()
    assert {r.data["boot"] for r in world.facts(Fact.CLOCK_CORRECTED)} == {"boot3"}


def test_time_that_was_right_all_along_is_confirmed() -> None:
    """A record that is flagged waits for a word, also if there is nothing to add."""
    world = morning()
    world.boots(HOUR_MS, lambda truth: truth, vouched=False)
    world.comes_right()
    assert [r.data["add_ms"] for r in world.facts(Fact.CLOCK_CORRECTED)] == [0]


def test_hands_that_set_the_clock_for_ever_fill_no_memory() -> None:
    world = morning()
    for hour in range(100):
        world.shows(lambda truth, by=hour: truth + by * HOUR_MS, vouched=False)  # type: ignore[misc]
    assert len(world.get(ClockStatus, "clock").doubts) <= DOUBTS_MAX


@pytest.mark.parametrize("leap", ["+10 years", "2038"])
def test_soon_after_a_leap_nothing_goes_by_its_age(leap: str) -> None:
    """B8, U4: a command does not run again, no booking and no record is forgotten, for two days."""
    world = morning()
    by = replace(DESK, role=Role.PLATFORM, on_site=False)
    command = CommandReceived("c1", "release_door", "study", world.truth_ms + HOUR_MS,
                              {"why": "a parcel"}, by)  # fmt: skip
    assert world.tell(command).accepted
    world.shows(WRONG[leap], vouched=True)
    world.wait(minutes=20)
    assert world.booking("b1").status is BookingStatus.ENDED
    assert not world.get(ClockStatus, "clock").settled(world.now()).trusted
    world.comes_right()
    assert world.get(ClockStatus, "clock").settled(world.now()).trusted
    pulses = len(world.pulses())
    assert world.tell(command).data["repeated"] is True
    assert len(world.pulses()) == pulses
    assert world.booking("b1").status is BookingStatus.ENFORCED


def test_after_two_days_a_leap_is_the_time() -> None:
    world = morning()
    world.boots(400 * DAY_MS, lambda truth: truth, vouched=True)
    world.wait(hours=47)
    assert world.booking("b1").status is BookingStatus.ENDED
    assert not world.get(ClockStatus, "clock").settled(world.now()).trusted
    world.wait(hours=2)
    assert world.get(ClockStatus, "clock").settled(world.now()).trusted
    assert not list(world.state.all(Booking))


def test_a_booking_given_up_by_a_clock_that_erred_stands_again() -> None:
    """B6: it was a no-show at a time that is yet to come."""
    world = morning()
    world.book("b2", "study", "rolf", "2026-03-02 18:00", "2026-03-02 19:00")
    world.cancel("b1")
    world.shows(lambda truth: truth + 9 * HOUR_MS - 10 * MINUTE_MS, vouched=True)
    world.wait(minutes=40)
    assert world.booking("b2").status is BookingStatus.NO_SHOW
    world.comes_right()
    assert world.booking("b2").status is BookingStatus.ENFORCED
    assert world.last(Fact.BOOKING_RESTORED).data["booking"] == "b2"
