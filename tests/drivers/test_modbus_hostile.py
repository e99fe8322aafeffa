"""Answers that are not the answer: counted, dropped, never a value, never an exception (X2)."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from fixtures.waiting import until
from modbus_rig import Listener, TcpServer, Unit, bank, device, running, setup, tcp_link

from gateway.domain.faults import Health
from gateway.domain.points import PointRef, Quality
from gateway.domain.profile import Edge, PollClass
from gateway.domain.uses import Watch

BOARD = device("board", "waveshare_relay_8_di", unit=1)
CALL = {"board/input_1": Watch(Edge.PRESS, PollClass.SAFETY)}
Frame = Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[None]]


def framed(header: bytes, pdu: bytes) -> bytes:
    return header[:4] + struct.pack(">HB", len(pdu) + 1, header[6]) + pdu


@pytest.fixture
def unit() -> Unit:
    unit = Unit()
    unit.discrete = [True] * 8  # what garbage must never hide or show
    return unit


@pytest.fixture
async def server(unit: Unit) -> AsyncIterator[TcpServer]:
    server = TcpServer(bank({1: unit, 2: Unit()}))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def listener() -> Listener:
    return Listener()


def wrong_unit(header: bytes, pdu: bytes) -> bytes:
    return framed(header[:6] + b"\x09", pdu)


def wrong_function(header: bytes, pdu: bytes) -> bytes:
    return framed(header, bytes((pdu[0] ^ 0x03,)) + pdu[1:])


def short(header: bytes, pdu: bytes) -> bytes:
    return framed(header, pdu[:-1])


def long(header: bytes, pdu: bytes) -> bytes:
    return framed(header, pdu + b"\xff")


def wrong_count(header: bytes, pdu: bytes) -> bytes:
    return framed(header, bytes((pdu[0], pdu[1] + 1)) + pdu[2:] + b"\xff")


def wrong_transaction(header: bytes, pdu: bytes) -> bytes:
    return framed(b"\x7f\x01" + header[2:], pdu)


def no_header(header: bytes, pdu: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\n\r\n"


def absurd_length(header: bytes, pdu: bytes) -> bytes:
    return header[:4] + b"\xff\xff" + header[6:7] + pdu


def empty_exception(header: bytes, pdu: bytes) -> bytes:
    return framed(header, bytes((pdu[0] | 0x80,)))


def never_ending(header: bytes, pdu: bytes) -> bytes:
    return framed(header, pdu)[:-1]


ALL = [
    wrong_unit,
    wrong_function,
    short,
    long,
    wrong_count,
    wrong_transaction,
    no_header,
    absurd_length,
    empty_exception,
    never_ending,
]


@pytest.mark.parametrize("spoil", ALL)
async def test_garbage_is_counted_and_dropped_and_a_fault_while_it_lasts(
    server: TcpServer, listener: Listener, spoil: Callable[[bytes, bytes], bytes]
) -> None:
    spoiling = True

    async def frame(header: bytes, pdu: bytes, writer: asyncio.StreamWriter) -> None:
        reply = server.answer(header[6], pdu)
        assert reply is not None
        writer.write(spoil(header, reply) if spoiling else framed(header, reply))

    server.frame = frame  # type: ignore[method-assign]  # a spoilt device
    quick = device("board", "waveshare_relay_8_di", unit=1, timeout_ms=60)
    async with running(setup(tcp_link(server.port), [quick], listener, CALL)):
        await until(lambda: ("board", Health.DEGRADED, "garbage") in listener.devices)
        assert listener.counters["board", "garbage"] >= 3
        assert not [one for one in listener.readings if one.quality is Quality.GOOD]
        assert listener.edges == []
        spoiling = False
        await until(lambda: listener.value("board/input_1") is True)
        await until(lambda: listener.edges_of("board/input_1"))


async def test_an_answer_that_trickles_in_byte_by_byte_is_taken(
    server: TcpServer, listener: Listener
) -> None:
    async def frame(header: bytes, pdu: bytes, writer: asyncio.StreamWriter) -> None:
        reply = server.answer(header[6], pdu)
        assert reply is not None
        for byte in framed(header, reply):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.002)

    server.frame = frame  # type: ignore[method-assign]  # a slow device
    async with running(setup(tcp_link(server.port), [BOARD], listener)):
        await until(lambda: listener.value("board/input_1") is True)
        assert listener.counters["board", "garbage"] == 0


async def test_a_late_answer_is_never_taken_for_the_next_question(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    """The old answer comes, with its own transaction, just before the new one."""
    kept: list[bytes] = []

    async def frame(header: bytes, pdu: bytes, writer: asyncio.StreamWriter) -> None:
        reply = server.answer(header[6], pdu)
        assert reply is not None
        if pdu[0] == 2 and not kept:
            kept.append(framed(header, reply))  # all inputs on
            unit.discrete = [False] * 8
            return
        if pdu[0] == 2:
            writer.write(kept[0])
        writer.write(framed(header, reply))

    server.frame = frame  # type: ignore[method-assign]  # a late device
    async with running(setup(tcp_link(server.port), [BOARD], listener, CALL)):
        await until(lambda: listener.value("board/input_1") is not None)
        assert listener.value("board/input_1") is False
        assert listener.edges == []


async def test_what_was_asked_on_an_earlier_connection_is_not_answered_on_this_one(
    server: TcpServer, unit: Unit, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are few numbers, and all that were ever asked come again before what is asked now."""
    monkeypatch.setattr("drivers.modbus.wire.TRANSACTIONS", 255)
    monkeypatch.setattr("drivers.modbus.wire.TRANSACTION_STEP", 79)
    monkeypatch.setattr("drivers.modbus.driver.RECONNECT_MAX_MS", 10)
    unit.discrete = [False] * 8
    asked: list[bytes] = []

    async def frame(header: bytes, pdu: bytes, writer: asyncio.StreamWriter) -> None:
        reply = server.answer(header[6], pdu)
        assert reply is not None
        false = reply[:2] + b"\xff" * (len(reply) - 2)
        for earlier in asked:
            writer.write(framed(earlier + header[2:], false))
        writer.write(framed(header, reply))
        asked.append(header[:2])
        if len(asked) % 3 == 0:
            writer.close()

    server.frame = frame  # type: ignore[method-assign]  # a host that drops and remembers
    async with running(setup(tcp_link(server.port), [BOARD], listener, CALL)):
        await until(lambda: server.connections >= 30, 15.0)
    on = [one for one in listener.readings if one.ref == PointRef("board", "input_1") and one.value]
    assert on == []
    assert listener.value("board/input_1") is False
    assert listener.edges == []


async def test_a_unit_that_answers_keeps_the_connection_for_another_that_never_does(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    """A gateway with one dead unit behind it: nothing reconnects, nobody is dropped."""
    dead = device("dead", "waveshare_relay_8_di", unit=7, timeout_ms=30)
    watches = {**CALL, "dead/input_1": CALL["board/input_1"]}
    async with running(setup(tcp_link(server.port), [BOARD, dead], listener, watches)):
        await until(lambda: listener.health_of("dead") is Health.SILENT)
        await until(lambda: listener.counters["dead", "timeouts"] >= 5, 15.0)
    assert server.connections == 1
    assert listener.health_of("board") is Health.ONLINE


async def test_a_gateway_that_says_its_unit_is_silent_is_believed(
    server: TcpServer, listener: Listener
) -> None:
    answer = server.answer
    server.answer = lambda unit, pdu: bytes((pdu[0] | 0x80, 11)) if unit == 2 else answer(unit, pdu)
    behind = device("behind", "waveshare_relay_8_di", unit=2)
    async with running(setup(tcp_link(server.port), [BOARD, behind], listener)):
        await until(lambda: listener.health_of("behind") is Health.SILENT)
        assert listener.counters["behind", "garbage"] == 0


async def test_a_read_the_device_refuses_is_bad_and_costs_its_other_reads_nothing(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    unit.holding.clear()
    async with running(setup(tcp_link(server.port), [BOARD], listener)):
        version = PointRef("board", "software_version")
        await until(lambda: [one for one in listener.readings if one.ref == version])
        await until(lambda: listener.value("board/input_1") is True)
    assert [one.quality for one in listener.readings if one.ref == version] == [Quality.BAD]
    assert listener.health_of("board") is Health.ONLINE


async def test_a_host_that_is_mute_is_connected_afresh(
    server: TcpServer, unit: Unit, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.modbus.driver.MUTE_MS", 400)
    unit.silent = True
    quick = device("board", "waveshare_relay_8_di", unit=1, timeout_ms=30)
    async with running(setup(tcp_link(server.port), [quick], listener, CALL)):
        await until(lambda: server.connections >= 2)
        assert listener.health_of("board") is not Health.ONLINE
        unit.silent = False
        await until(lambda: listener.value("board/input_1") is True)
