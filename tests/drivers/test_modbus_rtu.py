"""The Modbus driver on a serial line (a pseudo-terminal): bus mates, noise, late answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from fixtures.clock import MachineClock
from fixtures.modbus_profiles import made
from fixtures.waiting import until
from modbus_rig import Listener, RtuServer, Unit, bank, crc, device, rtu_link, running, setup

from gateway.domain.faults import Health
from gateway.domain.points import Level, PointRef, WriteResult
from gateway.domain.profile import Edge, PollClass
from gateway.domain.reasons import reason
from gateway.domain.uses import Watch

PRESS = Watch(Edge.PRESS, PollClass.SAFETY)
BOARDS = [device(f"board_{n}", "waveshare_relay_8_di", unit=n) for n in (1, 2, 3)]
CALL = {"board_1/input_1": PRESS, "board_3/input_1": PRESS}
FAST = {PollClass.SENSOR: 250, PollClass.DOOR: 250}


@pytest.fixture
def units() -> dict[int, Unit]:
    return {n: Unit() for n in (1, 2, 3)}


@pytest.fixture
async def line(units: dict[int, Unit]) -> AsyncIterator[RtuServer]:
    server = RtuServer(bank(units))
    yield server
    server.stop()


@pytest.fixture
def listener() -> Listener:
    return Listener()


def polls(listener: Listener, name: str) -> int:
    return listener.counters[name, "polls"]


async def test_one_silent_device_of_three_takes_nothing_from_its_bus_mates(
    line: RtuServer, units: dict[int, Unit], listener: Listener
) -> None:
    line.start()
    made = setup(rtu_link(line.path), BOARDS, listener, CALL, FAST)
    async with running(made):
        call = listener.cells[PointRef("board_1", "input_1")]
        await until(lambda: all(polls(listener, board.id) > 3 for board in BOARDS))
        all_well = await _rates(listener, 2.0)
        units[2].silent = True
        await until(lambda: listener.health_of("board_2") is Health.SILENT)
        worst = asyncio.create_task(_worst_age_ms(lambda: call.heard_ms, 3.0))
        one_silent = await _rates(listener, 3.0)
        worst_ms = await worst
    print(all_well, one_silent, worst_ms)
    for mate in ("board_1", "board_3"):
        assert one_silent[mate] >= 0.9 * all_well[mate], (mate, all_well, one_silent)
    assert worst_ms < 2_000
    assert listener.health_of("board_1") is listener.health_of("board_3") is Health.ONLINE


async def _rates(listener: Listener, for_s: float) -> dict[str, float]:
    """Polls a second of each device, measured."""
    before, began = dict(listener.counters), time.monotonic()
    await until(lambda: time.monotonic() - began > for_s, for_s + 1)
    took = time.monotonic() - began
    return {
        board.id: (polls(listener, board.id) - before.get((board.id, "polls"), 0)) / took
        for board in BOARDS
    }


async def _worst_age_ms(heard_ms: Callable[[], int | None], for_s: float) -> int:
    clock, worst, began = MachineClock(), 0, time.monotonic()
    while time.monotonic() - began < for_s:
        worst = max(worst, clock.mono_ms() - (heard_ms() or 0))
        await asyncio.sleep(0.01)
    return worst


async def test_a_silent_device_with_a_call_point_is_tried_again_within_two_seconds(
    line: RtuServer, units: dict[int, Unit], listener: Listener
) -> None:
    units[1].silent = True
    line.start()
    async with running(setup(rtu_link(line.path), BOARDS[:1], listener, CALL)):
        await until(lambda: listener.health_of("board_1") is Health.SILENT)
        await until(lambda: len(units[1].asked) >= 5, 15.0)
        times = [at for at, _ in units[1].asked]
        assert max(b - a for a, b in pairwise(times)) < 2.5
        assert times[-1] - times[-2] > 0.9  # and it is not hammered
        units[1].discrete[0] = True
        units[1].silent = False
        await until(lambda: listener.edges_of("board_1/input_1"), 3.0)
        assert listener.edges_of("board_1/input_1")[0].first_sight


async def test_writes_to_a_silent_device_do_not_cost_the_bus_its_timeouts(
    line: RtuServer, units: dict[int, Unit], listener: Listener
) -> None:
    units[2].silent = True
    line.start()
    async with running(setup(rtu_link(line.path), BOARDS, listener, CALL, FAST)) as driver:
        await until(lambda: listener.health_of("board_2") is Health.SILENT)
        setpoint = Level(PointRef("board_2", "relay_1"), True, False, reason("ok"))
        outcome = await driver.write(setpoint)
        assert outcome.result is WriteResult.REFUSED
        assert "silent" in outcome.detail
        assert not any(pdu[0] == 5 for _, pdu in units[2].asked)


async def test_noise_before_an_answer_is_skipped_and_a_wrong_check_sum_is_garbage(
    line: RtuServer, units: dict[int, Unit], listener: Listener
) -> None:
    line.start()
    spoilt: list[bytes] = []
    send = line.send

    def noisy(unit: int, pdu: bytes) -> None:
        if len(spoilt) < 3:
            frame = bytes((unit,)) + pdu
            spoilt.append(frame)
            line.write(frame + bytes(byte ^ 0xFF for byte in crc(frame)))
        else:
            line.write(b"\x00\x01")
            send(unit, pdu)

    line.send = noisy  # type: ignore[method-assign]  # a spoilt line
    async with running(setup(rtu_link(line.path), BOARDS[:1], listener, CALL)):
        await until(lambda: listener.value("board_1/input_1") is False)
        assert listener.counters["board_1", "garbage"] == 3
        assert ("board_1", Health.DEGRADED, "garbage") in listener.devices  # RULES X2


async def test_an_answer_after_its_time_is_discarded_and_never_taken_for_another(
    line: RtuServer, units: dict[int, Unit], listener: Listener
) -> None:
    """What unit 1 says too late comes while unit 2 is asked the same thing."""
    late = False
    send = line.send
    loop = asyncio.get_running_loop()

    def slow(unit: int, pdu: bytes) -> None:
        if unit == 1 and late:
            loop.call_later(0.32, send, unit, pdu)
        else:
            send(unit, pdu)

    line.send = slow  # type: ignore[method-assign]  # a slow line
    units[1].discrete[0] = True
    line.start()
    async with running(setup(rtu_link(line.path), BOARDS[:2], listener, None, FAST)):
        await until(lambda: listener.value("board_2/input_1") is False)
        late = True
        await until(lambda: listener.counters["board_1", "timeouts"] >= 2)
        before = polls(listener, "board_2")
        await until(lambda: polls(listener, "board_2") > before + 8)
        assert listener.value("board_2/input_1") is False
        assert listener.health_of("board_2") is Health.ONLINE


async def test_an_answer_after_its_time_is_never_taken_for_another_read_of_the_same_unit(
    line: RtuServer, units: dict[int, Unit], listener: Listener
) -> None:
    """A unit that is mostly too slow, with two reads whose answers look alike."""
    points = {
        name: {"value": "int", "table": "input", "address": address}
        for name, address in (("first", 10), ("second", 20))
    }
    model = made({"id": "slow", "device": {"timeout_ms": 40}, "points": points})
    units[1].input = {10: 111, 20: 222}
    send, loop, latency = line.send, asyncio.get_running_loop(), Random(5)

    def slow(unit: int, pdu: bytes) -> None:
        loop.call_later(latency.uniform(0.0, 0.4), send, unit, pdu)

    line.send = slow  # type: ignore[method-assign]  # a slow unit
    line.start()
    one = device("slow", "slow", unit=1)
    link = setup(rtu_link(line.path), [one], listener, None, FAST, {"slow": model})
    async with running(link):
        await until(lambda: listener.counters["slow", "timeouts"] >= 8, 20.0)
        await until(lambda: listener.readings, 20.0)
    told = {(str(one.ref), one.value) for one in listener.readings}
    assert told <= {("slow/first", 111), ("slow/second", 222)}


async def test_a_port_that_is_not_there_is_a_link_that_is_down(listener: Listener) -> None:
    async with running(setup(rtu_link("/dev/ttyNobody"), BOARDS[:1], listener)):
        await until(lambda: listener.counters["", "reconnects"] >= 2)
    [(health, detail)] = listener.links
    assert health is Health.SILENT
    assert "/dev/ttyNobody" in detail


async def test_a_line_that_was_unplugged_is_opened_again(
    units: dict[int, Unit], listener: Listener, tmp_path: Path
) -> None:
    path = tmp_path / "ttyUSB0"
    first = RtuServer(bank(units))
    path.symlink_to(first.path)
    first.start()
    async with running(setup(rtu_link(str(path)), BOARDS[:1], listener, CALL)):
        await until(lambda: listener.value("board_1/input_1") is False)
        first.stop()
        await until(lambda: listener.links[-1][0] is Health.SILENT)
        path.unlink()
        second = RtuServer(bank(units))
        path.symlink_to(second.path)
        second.start()
        polled = polls(listener, "board_1")
        await until(lambda: polls(listener, "board_1") > polled)
        assert listener.links[-1][0] is Health.ONLINE
    second.stop()


async def test_bus_times_follow_the_line_and_frames_keep_their_gap(
    line: RtuServer, units: dict[int, Unit], listener: Listener
) -> None:
    slow = device("board_1", "waveshare_relay_8_di", unit=1, gap_ms=100)
    line.start()
    async with running(setup(rtu_link(line.path), [slow, BOARDS[1]], listener, None, FAST)):
        await until(lambda: polls(listener, "board_1") > 8)
    asked = sorted((at, n) for n in (1, 2) for at, _ in units[n].asked)
    gaps = [b[0] - a[0] for a, b in pairwise(asked) if 1 in (a[1], b[1])]
    assert min(gaps) >= 0.095
