"""The Modbus driver on a real TCP socket: polls, edges, levels, timed pulses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fixtures.clock import MachineClock
from fixtures.waiting import until
from modbus_rig import Listener, TcpServer, Unit, bank, device, running, setup, tcp_link

from gateway.domain.events import PointEdge
from gateway.domain.faults import Health
from gateway.domain.points import Level, PointRef, Pulse, WriteResult
from gateway.domain.profile import Edge, PollClass
from gateway.domain.reasons import reason
from gateway.domain.uses import Watch

BOARD = device("board", "waveshare_relay_8_di", unit=1)
WATCHES = {
    "board/input_1": Watch(Edge.DOOR, PollClass.DOOR),
    "board/input_2": Watch(Edge.PRESS, PollClass.SAFETY),
    "board/input_3": Watch(Edge.PRESS, PollClass.SAFETY),
}


def pulse(token: str = "t1", length_ms: int = 3_000, for_ms: int = 2_000) -> Pulse:
    until_ms = MachineClock().mono_ms() + for_ms
    ref = PointRef("board", "pulse_2")
    return Pulse(ref, token, length_ms, until_ms, "boot", False, reason("granted"))


def level(point: str, value: bool) -> Level:
    return Level(PointRef("board", point), value, False, reason("ok"))


@pytest.fixture
def unit() -> Unit:
    return Unit()


@pytest.fixture
async def server(unit: Unit) -> AsyncIterator[TcpServer]:
    server = TcpServer(bank({1: unit}))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def listener() -> Listener:
    return Listener()


async def test_polls_inputs_and_tells_readings_once(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    unit.discrete[3] = True
    quick = {PollClass.SENSOR: 200}
    async with running(setup(tcp_link(server.port), [BOARD], listener, None, quick)):
        await until(lambda: listener.value("board/software_version") == 200)  # the last of all
        assert listener.value("board/input_4") is True
        assert listener.value("board/input_1") is False
        assert listener.links == [(Health.ONLINE, "")]
        assert listener.devices == [("board", Health.ONLINE, "device_silent")]
        told = len(listener.readings)
        cell = listener.cells[PointRef("board", "input_4")]
        heard_ms = cell.heard_ms
        await until(lambda: cell.heard_ms != heard_ms)
        assert len(listener.readings) == told


async def test_a_press_is_told_at_its_first_active_sample_and_a_door_after_it_settled(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    made = setup(tcp_link(server.port), [BOARD], listener, WATCHES)
    async with running(made):
        await until(lambda: listener.value("board/input_1") is False)
        listener.edges.clear()
        unit.discrete[0] = unit.discrete[1] = True
        await until(lambda: len(listener.edges) == 2, 1.0)
    (pressed_s, press), (opened_s, door) = listener.edges
    assert press == PointEdge(PointRef("board", "input_2"), True)
    assert door == PointEdge(PointRef("board", "input_1"), True)
    assert opened_s - pressed_s > 0.1 - 0.001  # the driver counts whole milliseconds
    assert listener.value("board/input_1") is True


async def test_an_input_inverted_by_the_site_reads_the_other_way_round(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    closed = replace(BOARD, binding={"unit": 1, "invert": ["input_3"]})
    unit.discrete[2] = True
    async with running(setup(tcp_link(server.port), [closed], listener, WATCHES)):
        await until(lambda: listener.value("board/input_3") is False)
        unit.discrete[2] = False
        (press,) = await until(lambda: listener.edges_of("board/input_3"))
    assert press.value is True


async def test_a_timed_pulse_is_one_flash_frame_that_the_board_ends_itself(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        assert (await driver.write(pulse())).result is WriteResult.SENT
        assert (await driver.write(pulse())).result is WriteResult.SENT  # its first outcome (A4)
        assert [pdu.hex(" ") for _, pdu in unit.log] == ["05 02 01 00 1e"]


async def test_a_pulse_too_late_or_of_another_boot_is_never_written(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener, WATCHES)) as driver:
        late = await driver.write(pulse(for_ms=-1))
        other = await driver.write(replace(pulse("t2"), boot="boot-0"))
        await until(lambda: listener.counters["board", "polls"] > 3)
    assert (late.result, late.detail) == (WriteResult.REFUSED, "too late")
    assert other.result is WriteResult.REFUSED
    assert unit.log == []


async def test_a_pulse_without_an_answer_is_unknown_and_sent_once(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        await until(lambda: listener.value("board/input_1") is False)
        unit.silent = True
        outcome = await driver.write(pulse())
        assert outcome.result is WriteResult.UNKNOWN
        again = await driver.write(pulse())
        assert again == outcome
        assert sum(pdu[0] == 5 for _, pdu in unit.asked) == 1


async def test_a_level_is_written_and_read_back_at_once(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        await until(lambda: listener.value("board/relay_5") is False)
        assert (await driver.write(level("relay_5", True))).result is WriteResult.SENT
        await until(lambda: listener.value("board/relay_5") is True, 0.3)
        assert unit.coils[4] is True


async def test_what_the_device_refuses_is_refused_and_what_it_may_have_done_is_unknown(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    code = 2
    answer = server.answer

    def refusing(one: int, pdu: bytes) -> bytes | None:
        return bytes((0x85, code)) if pdu[0] == 5 else answer(one, pdu)

    server.answer = refusing
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        refused = await driver.write(level("relay_5", True))
        assert (refused.result, refused.detail) == (
            WriteResult.REFUSED,
            "exception 2 (illegal address)",
        )
        code = 4
        assert (await driver.write(pulse())).result is WriteResult.UNKNOWN


async def test_a_point_that_is_no_setpoint_cannot_be_written(
    server: TcpServer, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        outcome = await driver.write(level("input_1", True))
        assert (outcome.result, outcome.detail) == (
            WriteResult.REFUSED,
            "board/input_1 cannot be written",
        )


async def test_a_link_that_was_lost_is_opened_again_and_a_held_button_is_a_press(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener, WATCHES)):
        await until(lambda: listener.value("board/input_2") is False)
        port = server.port
        await server.stop()
        await until(lambda: listener.links[-1][0] is Health.SILENT)
        unit.discrete[1] = True
        await server.start(port)
        await until(lambda: listener.links[-1][0] is Health.ONLINE)
        await until(lambda: listener.edges_of("board/input_2"))
    expected = PointEdge(PointRef("board", "input_2"), True, first_sight=True)
    assert listener.edges_of("board/input_2") == [expected]


async def test_a_pulse_waits_for_a_link_that_comes_back_in_time_and_no_longer(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    port = server.port
    await server.stop()
    async with running(setup(tcp_link(port), [BOARD], listener)) as driver:
        await until(lambda: listener.links)
        late = await driver.write(pulse("t1", for_ms=50))
        assert (late.result, late.detail) == (WriteResult.REFUSED, "not connected")
        waiting = asyncio.create_task(driver.write(pulse("t2", for_ms=5_000)))
        await asyncio.sleep(0)
        await server.start(port)
        assert (await waiting).result is WriteResult.SENT
    assert len(unit.log) == 1
