"""What a bus reads next: deadlines, proportion under load, parked devices, health, read plans."""

import itertools
from random import Random
from typing import Any

import pytest
from fixtures.modbus_profiles import made

from drivers.codec import row_of
from drivers.modbus.health import Condition
from drivers.modbus.plan import Limits, plan
from drivers.modbus.schedule import Backoff, Group, Member, Schedule
from gateway.domain.faults import Health


class Bus:
    """A bus on which every answer takes `answer_ms` and every silence `timeout_ms`."""

    def __init__(self, *members: Member, answer_ms: int = 20, timeout_ms: int = 300) -> None:
        self.schedule = Schedule(members, Backoff(Random(1)))
        self.answer_ms, self.timeout_ms = answer_ms, timeout_ms
        self.now_ms = 0
        self.silent: set[str] = set()
        self.reads: list[tuple[int, Group]] = []
        self.schedule.start(0)

    def run(self, for_ms: int) -> None:
        ends_ms = self.now_ms + for_ms
        while self.now_ms < ends_ms:
            group = self.schedule.next(self.now_ms)
            if group is None:
                due_ms = self.schedule.due_ms()
                self.now_ms = max(self.now_ms + 1, due_ms if due_ms is not None else ends_ms)
                continue
            self.reads.append((self.now_ms, group))
            if group.member.name in self.silent:
                self.now_ms += self.timeout_ms
                self.schedule.missed(group.member, group, self.now_ms, group.member.cap_ms)
            else:
                self.now_ms += self.answer_ms
                self.schedule.answered(group, self.now_ms)

    def times(self, group: Group) -> list[int]:
        return [at for at, one in self.reads if one is group]


def member(name: str, *periods_ms: int, cap_ms: int = 60_000) -> Member:
    made_ = Member(name, cap_ms)
    for period_ms in periods_ms:
        Group(made_, period_ms, begins=str(period_ms).encode())
    return made_


def test_each_read_keeps_its_period_without_drifting() -> None:
    one = member("a", 200, 2_000)
    bus = Bus(one)
    bus.run(20_000)
    fast, slow = one.groups
    assert 99 <= len(bus.times(fast)) <= 101
    assert 10 <= len(bus.times(slow)) <= 11


def test_a_bus_with_too_much_to_do_falls_behind_in_proportion() -> None:
    call = member("call", 200)
    sensors = [member(f"s{n}", 400) for n in range(40)]  # 2 s of reading every 0.4 s
    bus = Bus(call, *sensors)
    bus.run(60_000)
    rates = [len(bus.times(one.groups[0])) for one in (call, *sensors)]
    assert rates[0] >= 1.8 * max(rates[1:])
    assert max(rates[1:]) - min(rates[1:]) <= 2


def test_a_first_look_at_what_is_hardly_ever_read_comes_soon_on_a_full_bus() -> None:
    one = member("a", *(20 * [200]), 3_600_000)  # 0.4 s of reading every 0.2 s
    bus = Bus(one)
    bus.run(60_000)
    first, *again = bus.times(one.groups[-1])
    assert first < 5_000
    assert again == []


def test_what_was_missed_is_not_caught_up_in_a_burst() -> None:
    one = member("a", 200)
    bus = Bus(one)
    bus.run(1_000)
    bus.now_ms += 5_000  # the process was stopped
    before = len(bus.reads)
    bus.run(1_000)
    assert len(bus.reads) - before <= 6


def test_a_silent_device_costs_its_timeout_only_at_growing_waits_up_to_its_cap() -> None:
    dead, mate = member("dead", 200, 2_000), member("mate", 200)
    bus = Bus(dead, mate)
    bus.silent.add("dead")
    bus.run(600_000)
    tries = [at for at, group in bus.reads if group.member is dead]
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert waits[0] < 600
    assert all(wait <= 60_000 + 400 for wait in waits)
    assert max(waits) > 30_000
    assert len(tries) < 30
    assert len(bus.times(mate.groups[0])) > 0.95 * 600_000 / 200


def test_a_device_with_call_points_is_tried_at_least_every_two_seconds() -> None:
    dead = member("dead", 200, cap_ms=2_000)
    bus = Bus(dead)
    bus.silent.add("dead")
    bus.run(60_000)
    tries = [at for at, _ in bus.reads]
    assert max(b - a for a, b in itertools.pairwise(tries)) <= 2_300


def test_a_device_that_is_back_has_all_its_reads_at_once() -> None:
    one = member("a", 200, 2_000, 3_600_000)
    bus = Bus(one)
    bus.run(1_000)
    bus.silent.add("a")
    bus.run(30_000)
    bus.silent.clear()
    back_ms = bus.now_ms
    bus.run(61_000)
    first = {group: at for at, group in reversed(bus.reads) if at >= back_ms}
    assert set(first) == set(one.groups)
    assert max(first.values()) - min(first.values()) < 1_000


def test_one_read_that_is_never_answered_does_not_take_its_device_with_it() -> None:
    one = member("a", 200, 2_000)
    bad = one.groups[1]
    schedule = Schedule([one], Backoff(Random(1)))
    schedule.start(0)
    now_ms, good_reads, bad_reads = 0, 0, 0
    while now_ms < 120_000:
        group = schedule.next(now_ms)
        if group is None:
            now_ms = max(now_ms + 1, schedule.due_ms() or 0)
        elif group is bad:
            now_ms, bad_reads = now_ms + 300, bad_reads + 1
            schedule.missed(one, group, now_ms, 60_000)
        else:
            now_ms, good_reads = now_ms + 20, good_reads + 1
            schedule.answered(group, now_ms)
    assert good_reads > 0.9 * 120_000 / 200
    assert bad_reads < 25


def test_reads_whose_answers_look_like_one_that_never_came_wait_until_it_cannot_come() -> None:
    one = Member("a", 60_000)
    asked, alike, other = (Group(one, 200, begins) for begins in (b"\4\2", b"\4\2", b"\2\1"))
    schedule = Schedule([one], Backoff(Random(1)))
    schedule.start(0)
    schedule.missed(one, asked, 300, 60_000)
    again = schedule.next(500)
    assert again is asked
    schedule.answered(asked, 510)
    assert (alike.due_ms, other.due_ms) == (1_510, 510)


def test_a_refused_read_waits_by_itself() -> None:
    one = member("a", 200, 2_000)
    schedule = Schedule([one], Backoff(Random(1)))
    schedule.start(0)
    refused = schedule.next(0)
    assert refused is not None
    schedule.refused(refused, 10)
    assert not one.parked
    assert refused.due_ms >= 210


def test_a_device_that_is_only_written_is_never_parked() -> None:
    lamp = Member("lamp", 60_000)
    schedule = Schedule([lamp], Backoff(Random(1)))
    schedule.missed(lamp, None, 0, 60_000)
    assert not lamp.parked


def test_waits_double_with_jitter_up_to_the_cap() -> None:
    backoff = Backoff(Random(3))
    for misses, longest in ((1, 200), (2, 400), (5, 3_200), (20, 60_000), (5_000, 60_000)):
        waits = [backoff.wait_ms(misses, 60_000) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


# --- health -------------------------------------------------------------------------------------


def test_three_silences_in_a_row_are_silent_and_one_answer_is_online() -> None:
    condition = Condition()
    assert condition.answered()
    assert [condition.silent() for _ in range(4)] == [False, False, True, False]
    assert condition.health is Health.SILENT
    assert condition.answered()


def test_a_device_that_answers_only_half_the_time_is_degraded_until_it_is_well() -> None:
    condition = Condition()
    for _ in range(4):
        condition.silent()
        condition.answered()
    assert (condition.health, condition.reason_code) == (Health.DEGRADED, "device_silent")
    answers = 0
    while condition.health is Health.DEGRADED:
        condition.answered()
        answers += 1
    assert 20 < answers < 80


def test_garbage_that_lasts_is_degraded_and_says_so() -> None:
    condition = Condition()
    condition.answered()
    assert [condition.garbage() for _ in range(3)] == [False, False, True]
    assert (condition.health, condition.reason_code) == (Health.DEGRADED, "garbage")


# --- read plans ---------------------------------------------------------------------------------


def planned(rows: dict[str, tuple[int, int]], limits: Limits, **columns: Any) -> list[Any]:
    """(address, count, period) of the reads for rows given as name → (address, period)."""
    points = {
        name: {"value": "int", "table": "holding", "address": address, **columns}
        for name, (address, _) in rows.items()
    }
    specs = made({"points": points}).points
    found = plan([(row_of(specs[name]), period) for name, (_, period) in rows.items()], limits)
    return [(span.address, span.count, span.period_ms) for span in found]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), [(0, 2, 1), (5, 1, 1)]),
        (Limits(max_hole=3), [(0, 6, 1)]),
        (Limits(max_hole=3, max_read=4), [(0, 2, 1), (5, 1, 1)]),
        (Limits(max_read=1), [(0, 1, 1), (1, 1, 1), (5, 1, 1)]),
    ],
)
def test_registers_share_reads_within_the_models_limits(
    limits: Limits, expected: list[Any]
) -> None:
    assert planned({"a": (0, 1), "b": (1, 1), "c": (5, 1)}, limits) == expected


def test_poll_classes_do_not_share_reads_unless_the_slower_lies_inside_the_faster() -> None:
    rows = {"a": (0, 200), "b": (1, 2_000), "c": (2, 200)}
    assert planned(rows, Limits()) == [(0, 1, 200), (2, 1, 200), (1, 1, 2_000)]
    assert planned(rows, Limits(max_hole=1)) == [(0, 3, 200)]


def test_neighbouring_bits_share_a_read_at_the_fastest_period() -> None:
    points = {f"i{n}": {"value": "bool", "table": "discrete", "address": n} for n in (0, 1, 2, 3)}
    specs = made({"points": points}).points
    periods = {"i0": 2_000, "i1": 200, "i2": 500, "i3": 2_000}
    [span] = plan([(row_of(specs[name]), ms) for name, ms in periods.items()], Limits())
    assert (span.address, span.count, span.period_ms) == (0, 4, 200)
    assert {row.name for row in span.rows} == set(points)


def test_the_same_register_read_by_two_points_is_read_once() -> None:
    assert planned({"a": (7, 200), "b": (7, 2_000)}, Limits()) == [(7, 1, 200)]
