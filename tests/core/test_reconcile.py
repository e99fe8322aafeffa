"""What is written to devices, how often, and what is believed of it (DESIGN §2.1, §5, RULES A4)."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest
from core.harness import REFUSED, SENT, UNKNOWN
from core.sites import ref

from gateway.domain.events import Event, PulseEnd, PulseSettled, SetpointMissed, SetpointReached
from gateway.domain.now import Now, Trust
from gateway.domain.points import (
    Lease,
    Level,
    PointRef,
    Pulse,
    Quality,
    Reading,
    Setpoint,
    SetpointKind,
    Value,
    WriteOutcome,
)
from gateway.domain.profile import SetpointSpec
from gateway.domain.reasons import reason
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import FIRST_WRITE_MS, LEASE_MS, Reconciler

RELAY, SIREN, STRIKE = ref("board/relay"), ref("board/siren"), ref("board/strike")
LIMIT = ref("charger/limit")
CONTACT, LOCK = ref("board/contact"), ref("lock/state")
OK = reason("ok")


class Bench:
    """A reconciler, readings and a clock; writes stay open until the test answers them."""

    def __init__(self, write_every_min: float = 0) -> None:
        spec = SetpointSpec(SetpointKind.LEVEL, write_every_min=write_every_min)
        self.ms = 0
        self.readings = Readings()
        self.reconciler = Reconciler(lambda _: spec, 0)

    def now(self) -> Now:
        return Now(self.ms, self.ms, Trust.SYNCHRONISED, "boot1")

    def want(self, setpoint: Setpoint | None, at: PointRef = RELAY) -> None:
        point = at if setpoint is None else setpoint.ref
        self.reconciler.want({point: setpoint}, self.now())

    def read(self, at: PointRef, value: Value, quality: Quality = Quality.GOOD) -> None:
        self.readings.put(Reading(at, value, quality, self.ms, self.ms))

    def due(self) -> list[Setpoint]:
        return self.reconciler.due(self.readings, self.now())

    def check(self) -> list[Event]:
        return self.reconciler.check(self.readings, self.now())

    def answer(self, setpoint: Setpoint, outcome: WriteOutcome = SENT) -> list[Event]:
        return self.reconciler.result(setpoint, outcome, self.now())

    def go(self, ms: int, outcome: WriteOutcome = SENT) -> tuple[list[int], list[Event]]:
        """Time passes and every write is answered at once: when there were some, and what came."""
        writes, events = [], []
        for _ in range(ms // 20):
            events += self.check()
            for setpoint in self.due():
                writes.append(self.ms)
                events += self.answer(setpoint, outcome)
            self.ms += 20
        return writes, events


@pytest.fixture
def bench() -> Bench:
    return Bench()


def level(value: Value = True, *, secures: bool = False, code: str = "ok") -> Level:
    return Level(RELAY, value, secures, reason(code, outlet="Bay 1"))


def lease(value: Value = "on") -> Lease:
    return Lease(SIREN, value, True, OK)


def pulse(bench: Bench, token: str = "t1", **more: object) -> Pulse:
    made = Pulse(STRIKE, token, 5_000, bench.ms + 5_000, "boot1", False, OK, ((CONTACT, True),))
    return replace(made, **more)  # type: ignore[arg-type]


# --- levels -------------------------------------------------------------------------------------


def test_a_level_is_written_until_it_is_read_back(bench: Bench) -> None:
    """A write that returned OK proves nothing."""
    bench.read(RELAY, False)
    bench.want(level())
    writes, _ = bench.go(4_000)
    assert writes == [0, 500, 1_500, 3_500]
    bench.read(RELAY, True)
    assert bench.go(60_000)[0] == []


def test_a_level_that_drifts_is_written_again(bench: Bench) -> None:
    bench.read(RELAY, True)
    bench.want(level())
    assert bench.go(5_000)[0] == []
    bench.read(RELAY, False)
    assert bench.go(20)[0] == [5_000]


def test_a_level_is_written_at_once_to_a_device_that_is_heard_again(bench: Bench) -> None:
    """C4, A4: after a long silence it would wait up to half a minute."""
    bench.read(RELAY, False)
    bench.want(level())
    bench.read(RELAY, False, Quality.STALE)
    bench.go(100_000)
    heard_ms = bench.ms
    bench.read(RELAY, False)
    assert bench.go(2_000)[0] == [heard_ms, heard_ms + 500, heard_ms + 1_500]


def test_a_register_that_wears_out_is_spared_also_when_it_is_heard_again() -> None:
    bench = Bench(write_every_min=1)
    bench.read(RELAY, False)
    bench.want(level())
    assert bench.go(20)[0] == [0]
    bench.read(RELAY, False, Quality.STALE)
    bench.go(10_000)
    bench.read(RELAY, False)
    assert bench.go(60_000)[0] == [60_000]


def test_a_stale_reading_proves_nothing(bench: Bench) -> None:
    bench.read(RELAY, True, Quality.STALE)
    bench.want(level())
    assert len(bench.go(20)[0]) == 1


def test_a_start_moves_no_level_before_the_first_reading_or_15_s(bench: Bench) -> None:
    """DESIGN §5: a restart moves no contactor and no strike."""
    bench.want(level())
    assert bench.go(FIRST_WRITE_MS)[0] == []
    assert bench.go(20)[0] == [FIRST_WRITE_MS]


def test_a_first_reading_that_differs_is_acted_on_at_once(bench: Bench) -> None:
    bench.want(level())
    assert bench.go(1_000)[0] == []
    bench.read(RELAY, False)
    assert bench.go(20)[0] == [1_000]


@pytest.mark.parametrize("code", ["fire_release", "call_release", "hazard"])
def test_fire_hazards_and_calls_wait_for_no_first_reading(bench: Bench, code: str) -> None:
    """DESIGN §5"""
    bench.want(level(secures=True, code=code))
    assert bench.go(20)[0] == [0]


def test_a_level_not_reached_in_its_time_is_missed_once_and_then_reached(bench: Bench) -> None:
    bench.read(RELAY, False)
    bench.want(level())
    _, events = bench.go(20_000, UNKNOWN)
    (missed,) = events
    assert isinstance(missed, SetpointMissed)
    assert (missed.ref, missed.wanted, missed.found) == (RELAY, True, False)
    assert missed.result is UNKNOWN.result
    bench.read(RELAY, True)
    assert bench.go(40)[1] == [SetpointReached(RELAY)]


def test_a_missed_level_that_changes_its_mind_is_still_missed_until_it_is_reached(
    bench: Bench,
) -> None:
    bench.read(RELAY, False)
    bench.want(level())
    bench.go(10_000)
    bench.want(level(False))
    assert bench.go(40)[1] == [SetpointReached(RELAY)]


def test_a_register_that_wears_out_is_written_seldom(bench: Bench) -> None:
    worn = Bench(write_every_min=1)
    worn.read(RELAY, 6)
    worn.want(level(10))
    assert worn.go(125_000)[0] == [0, 60_000, 120_000]
    worn.want(level(12))
    assert worn.go(60_000)[0] == [180_000]
    worn.want(level(0, secures=True))
    assert worn.go(20)[0] == [185_000]  # safety wears it


def test_securing_writes_come_first(bench: Bench) -> None:
    bench.read(RELAY, False)
    bench.want(level())
    bench.want(lease())
    assert [write.secures for write in bench.due()] == [True, False]


def test_nothing_is_written_twice_while_a_write_is_under_way(bench: Bench) -> None:
    bench.read(RELAY, False)
    bench.want(level())
    (write,) = bench.due()
    bench.ms += 60_000
    assert bench.due() == []
    bench.answer(write)
    bench.ms += 600
    assert bench.due() == [write]


# --- leases -------------------------------------------------------------------------------------


def test_a_lease_is_renewed_while_it_is_wanted(bench: Bench) -> None:
    bench.want(lease())
    writes, _ = bench.go(10_000)
    assert writes == [0, 2_000, 4_000, 6_000, 8_000]
    assert all(later - earlier < LEASE_MS for earlier, later in pairwise(writes))


def test_off_is_written_once_and_only_to_what_plays(bench: Bench) -> None:
    bench.want(lease("off"))
    assert bench.go(5_000)[0] == []
    bench.want(lease("on"))
    bench.go(20)
    bench.want(lease("off"))
    assert len(bench.go(60_000)[0]) == 1


def test_off_waits_for_no_answer_to_the_on_before_it(bench: Bench) -> None:
    """E7: a test's siren is asked to stop though its start is not answered yet."""
    bench.want(lease("test"))
    (on,) = bench.due()
    bench.want(lease("off"))
    (off,) = bench.due()
    assert isinstance(off, Lease)
    assert off.value == "off"
    assert bench.answer(on) == []
    assert bench.answer(off) == []
    assert bench.go(20_000)[0] == []


def test_an_off_that_is_not_taken_ends_with_the_lease_itself(bench: Bench) -> None:
    bench.want(lease("on"))
    bench.go(20)
    bench.want(lease("off"))
    writes, events = bench.go(30_000, UNKNOWN)
    assert len(writes) < 8
    assert max(writes) < LEASE_MS + 20
    kinds = [type(event) for event in events]
    assert kinds in ([], [SetpointMissed, SetpointReached])


def test_a_siren_that_does_not_answer_is_tried_every_2_s_and_told(bench: Bench) -> None:
    bench.want(lease())
    writes, events = bench.go(20_000, UNKNOWN)
    gaps = {later - earlier for earlier, later in pairwise(writes[2:])}
    assert gaps == {2_000}
    assert [type(event) for event in events] == [SetpointMissed]
    assert bench.go(4_000)[1] == [SetpointReached(SIREN)]


def test_a_renewal_that_is_lost_is_no_miss_while_the_last_one_plays(bench: Bench) -> None:
    bench.want(lease())
    bench.go(20_000)
    assert bench.go(LEASE_MS - 2_000, UNKNOWN)[1] == []
    assert bench.go(2_000)[1] == []
    assert [type(event) for event in bench.go(LEASE_MS + 2_000, UNKNOWN)[1]] == [SetpointMissed]


def limit(ma: int) -> Lease:
    return Lease(LIMIT, ma, ma == 0, OK)


def test_a_limit_is_renewed_and_proved_by_its_reading(bench: Bench) -> None:
    """C6: taken is not reached."""
    bench.read(LIMIT, 0)
    bench.want(limit(10_000))
    writes, events = bench.go(10_000)
    assert writes == [0, 2_000, 4_000, 6_000, 8_000]
    assert events == [SetpointMissed(LIMIT, 10_000, 0, SENT.result, "")]
    bench.read(LIMIT, 10_000)
    writes, events = bench.go(4_000)
    assert (writes, events) == ([10_000, 12_000], [SetpointReached(LIMIT)])


def test_a_limit_of_nothing_is_kept_alive_too(bench: Bench) -> None:
    """C6: a charger that hears nothing more takes what it likes."""
    bench.read(LIMIT, 0)
    bench.want(limit(0))
    assert bench.go(6_000)[0] == [0, 2_000, 4_000]


def test_a_start_moves_no_limit_before_its_first_reading(bench: Bench) -> None:
    """DESIGN §5"""
    bench.want(limit(16_000))
    assert bench.go(1_000)[0] == []
    bench.read(LIMIT, 16_000)
    assert bench.go(20)[0] == [1_000]


def test_a_limit_that_is_not_taken_is_told_once(bench: Bench) -> None:
    bench.read(LIMIT, 6_000)
    bench.want(limit(0))
    _, events = bench.go(20_000, UNKNOWN)
    assert [type(event) for event in events] == [SetpointMissed]


# --- pulses (A4) --------------------------------------------------------------------------------


def test_a_pulse_is_written_once_for_its_token(bench: Bench) -> None:
    """A4"""
    wanted = pulse(bench)
    bench.want(wanted)
    writes, _ = bench.go(4_000)
    bench.want(None, STRIKE)
    bench.want(wanted)
    writes += bench.go(20_000)[0]
    assert writes == [0]


def test_a_pulse_is_never_written_after_its_until(bench: Bench) -> None:
    """A4"""
    wanted = pulse(bench)
    bench.ms += 5_000
    bench.want(wanted)
    writes, events = bench.go(1_000)
    assert writes == []
    (late,) = events
    assert isinstance(late, PulseSettled)
    assert (late.token, late.end) == ("t1", PulseEnd.REFUSED)


def test_what_is_known_of_a_pulse_goes_with_its_time(bench: Bench) -> None:
    """A4: it is not written again for that; the releases of a year fill no memory."""
    tracemalloc.start()
    try:
        for number in range(2_000):
            if number == 100:
                before, _ = tracemalloc.get_traced_memory()
            bench.want(release := pulse(bench, f"t{number}", length_ms=500))
            bench.read(CONTACT, True)
            assert bench.due() == [release]
            bench.answer(release)
            bench.ms = release.until_mono_ms
            bench.read(CONTACT, False)
            bench.want(None, STRIKE)
            bench.check()
            bench.want(release)
            assert bench.due() == []
            bench.check()
            bench.want(None, STRIKE)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000


def test_a_pulse_of_another_boot_is_never_written(bench: Bench) -> None:
    """A4"""
    bench.want(pulse(bench, boot="boot0"))
    assert bench.go(10_000) == ([], [])


def test_a_refused_pulse_is_written_once_more(bench: Bench) -> None:
    """A4"""
    bench.want(pulse(bench))
    writes, events = bench.go(20_000, REFUSED)
    assert writes == [0, 100]
    assert [(e.token, e.end) for e in events if isinstance(e, PulseSettled)] == [
        ("t1", PulseEnd.REFUSED)
    ]


@pytest.mark.parametrize(("answered_ms", "writes"), [(1_880, 2), (1_900, 1), (4_000, 1)])
def test_only_a_refusal_within_2_s_of_the_decision_earns_one_more_try(
    bench: Bench, answered_ms: int, writes: int
) -> None:
    """A4"""
    bench.want(pulse(bench))
    (first,) = bench.due()
    bench.ms = answered_ms
    events = bench.answer(first, REFUSED)
    later, more = bench.go(10_000)
    assert 1 + len(later) == writes
    assert any(isinstance(event, PulseSettled) for event in (*events, *more))


def test_the_2_s_begin_with_the_decision_not_with_the_disk(bench: Bench) -> None:
    """A4: a commit of 1.9 s leaves no time for another try."""
    decided = pulse(bench)
    bench.ms = 1_900
    bench.want(decided)
    assert len(bench.go(10_000, REFUSED)[0]) == 1


def test_an_unknown_outcome_is_never_a_second_write(bench: Bench) -> None:
    """A4"""
    bench.want(pulse(bench))
    writes, events = bench.go(20_000, UNKNOWN)
    assert writes == [0]
    assert [e.end for e in events if isinstance(e, PulseSettled)] == [PulseEnd.UNKNOWN]


def test_a_contact_that_opens_confirms_even_an_unanswered_pulse(bench: Bench) -> None:
    """A4: confirmed by another point, also when it shows before the answer comes."""
    bench.want(pulse(bench))
    (write,) = bench.due()
    bench.ms = 800
    bench.read(CONTACT, True)
    bench.ms = 2_000
    bench.answer(write, UNKNOWN)
    assert [e.end for e in bench.check() if isinstance(e, PulseSettled)] == [PulseEnd.CONFIRMED]


def test_a_door_that_stood_open_before_confirms_nothing(bench: Bench) -> None:
    """A4"""
    bench.read(CONTACT, True)
    bench.ms = 1_000
    bench.want(pulse(bench))
    events = bench.go(20_000, UNKNOWN)[1]
    assert [e.end for e in events if isinstance(e, PulseSettled)] == [PulseEnd.UNKNOWN]


def test_nobody_who_goes_through_is_no_failure_of_the_strike(bench: Bench) -> None:
    bench.read(CONTACT, False)
    bench.want(pulse(bench))
    events = bench.go(20_000)[1]
    assert [e.end for e in events if isinstance(e, PulseSettled)] == [PulseEnd.SENT]


@pytest.mark.parametrize(
    ("state", "end"), [("locked", PulseEnd.UNCONFIRMED), ("unlocked", PulseEnd.CONFIRMED)]
)
def test_a_lock_must_show_its_bolt(bench: Bench, state: str, end: PulseEnd) -> None:
    """A4: the lock says OK but its state, read back, differs."""
    bench.read(LOCK, state)
    bench.ms = 1_000
    bench.want(pulse(bench, confirms=((LOCK, "unlocked"),)))
    events = bench.go(20_000)[1]
    assert [e.end for e in events if isinstance(e, PulseSettled)] == [end]


def test_a_newer_pulse_is_written_while_the_one_before_is_under_way(bench: Bench) -> None:
    bench.want(pulse(bench))
    (first,) = bench.due()
    bench.want(pulse(bench, "t2"))
    (second,) = bench.due()
    assert isinstance(second, Pulse)
    assert second.token == "t2"
    assert bench.answer(first, REFUSED)[0] == PulseSettled(STRIKE, "t1", PulseEnd.REFUSED, "busy")
    assert bench.answer(second) == []
    events = bench.go(20_000)[1]
    assert [e.token for e in events if isinstance(e, PulseSettled)] == ["t2"]
