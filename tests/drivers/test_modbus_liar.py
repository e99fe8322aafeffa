"""A host that answers anything at all, many times: no wrong value is taken, no other link waits.

Whatever it says truly lies from 0x1000 to 0x1FFF; whatever it says falsely is 0xBADn.
"""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

import pytest
from fixtures.modbus_profiles import made
from fixtures.sizes import size
from fixtures.waiting import until
from modbus_rig import Listener, TcpServer, device, running, setup, tcp_link

from gateway.domain.faults import Health
from gateway.domain.points import Quality, Reading
from gateway.domain.profile import PollClass

LINKS = 4
TRUTH, LIES = range(0x1000, 0x2000), 0xBAD0
PROFILE = made(
    {
        "id": "register",
        "points": {
            "one": {"value": "int", "table": "holding", "address": 0, "poll": "sensor"},
            "two": {"value": "int", "table": "input", "address": 7, "type": "u32", "poll": "door"},
        },
    }
)
HONEST_MS = 20
WINDOW_S = 2.0

Frames = Iterator[bytes]


def framed(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction & 0xFFFF, 0, len(pdu) + 1, unit) + pdu


class Liar(TcpServer):
    """Answers truly four times in ten, and otherwise in one of many false ways."""

    def __init__(self, seed: int) -> None:
        super().__init__(lambda unit, pdu: None)
        self.random = Random(seed)
        self.told = 0
        self.late: list[bytes] = []
        self.lies: list[Callable[[int, int, bytes], Frames]] = [
            self.other_transaction,
            self.other_unit,
            self.other_function,
            self.other_length,
            self.refused,
            self.late_and_true,
            self.late_by_one,
            self.many_in_one,
            self.of_the_next,
            self.garbage,
            self.silence,
        ]

    async def frame(self, header: bytes, pdu: bytes, writer: asyncio.StreamWriter) -> None:
        transaction, unit = struct.unpack(">H", header[:2])[0], header[6]
        if self.random.random() < 0.4:
            await self.trickled(framed(transaction, unit, self.true(pdu)), writer)
            return
        self.told += 1
        for one in self.random.choice(self.lies)(transaction, unit, pdu):
            writer.write(one)

    async def trickled(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        """True, and sometimes byte by byte."""
        pieces = [frame] if self.random.random() < 0.9 else [bytes((byte,)) for byte in frame]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    def answer_of(self, pdu: bytes, value: int) -> bytes:
        words = struct.unpack(">H", pdu[3:5])[0]
        return bytes((pdu[0], 2 * words)) + value.to_bytes(2 * words, "big")

    def true(self, pdu: bytes) -> bytes:
        return self.answer_of(pdu, self.random.choice(TRUTH))

    def false(self, pdu: bytes) -> bytes:
        return self.answer_of(pdu, LIES + self.random.randrange(16))

    def other_transaction(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        yield framed(transaction + self.random.choice((-1, 1, 256, 7_000)), unit, self.false(pdu))

    def other_unit(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        yield framed(transaction, unit + 1, self.false(pdu))

    def other_function(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        yield framed(transaction, unit, bytes((pdu[0] ^ 7,)) + self.false(pdu)[1:])

    def other_length(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        said = self.false(pdu)
        yield framed(transaction, unit, self.random.choice((said[:-1], said + b"\xba", said[:2])))

    def refused(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        yield framed(transaction, unit, bytes((pdu[0] | 0x80, self.random.randrange(256))))

    def late_and_true(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        """What was kept comes before the true answer of now."""
        yield from self.late
        self.late = [framed(transaction - 3, unit, self.false(pdu))]
        yield framed(transaction, unit, self.true(pdu))

    def late_by_one(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        """Nothing now; the answer comes just before that of a later question."""
        self.late = [framed(transaction, unit, self.false(pdu))]
        yield b""

    def many_in_one(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        others = (framed(transaction + n, unit, self.false(pdu)) for n in (9, -9, 300))
        yield b"".join(others) + framed(transaction, unit, self.true(pdu))

    def of_the_next(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        """The next question is answered before it is asked."""
        true = framed(transaction, unit, self.true(pdu))
        yield true + framed(transaction + 1, unit, self.false(pdu))

    def garbage(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        yield self.random.randbytes(self.random.randrange(1, 40))

    def silence(self, transaction: int, unit: int, pdu: bytes) -> Frames:
        yield b""


class Judging(Listener):
    """Believes nothing, and keeps nothing."""

    good = 0
    false: Reading | None = None

    def reading(self, reading: Reading) -> None:
        if reading.quality is Quality.GOOD:
            self.good += 1
            if reading.value not in TRUTH:
                self.false = reading


def believed(judge: Judging) -> Reading | None:
    return judge.false


class Honest(TcpServer):
    """Answers at once; counts."""

    def __init__(self) -> None:
        super().__init__(self.said)
        self.answers = 0

    def said(self, unit: int, pdu: bytes) -> bytes:
        self.answers += 1
        words = struct.unpack(">H", pdu[3:5])[0]
        return bytes((pdu[0], 2 * words)) + (0x1000).to_bytes(2 * words, "big")

    async def rate(self) -> float:
        """Answers a second."""
        before, began = self.answers, time.monotonic()
        await asyncio.sleep(WINDOW_S)  # a window is what is measured
        return (self.answers - before) / (time.monotonic() - began)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that make a liar harmless are cut to a hundredth, and so are the numbers it may hit."""
    monkeypatch.setattr("drivers.modbus.wire.TRANSACTIONS", 655)
    monkeypatch.setattr("drivers.modbus.wire.TRANSACTION_STEP", 504)
    monkeypatch.setattr("drivers.modbus.schedule.FIRST_WAIT_MS", 2)
    monkeypatch.setattr("drivers.modbus.schedule.TOO_LATE_MS", 10)
    monkeypatch.setattr("drivers.modbus.schedule.GROUP_WAIT_MAX_MS", 10)
    monkeypatch.setattr("drivers.modbus.driver.RECONNECT_MAX_MS", 10)
    monkeypatch.setattr("drivers.modbus.bus.RETRY_MAX_MS", 10)


@asynccontextmanager
async def polled(server: TcpServer, listener: Listener, period_ms: int) -> AsyncIterator[None]:
    """A link to a server, whose device is read that often."""
    await server.start()
    unit = device("x", "register", unit=5, timeout_ms=10 if period_ms == 1 else 300)
    often = {PollClass.SENSOR: period_ms, PollClass.DOOR: period_ms}
    link = setup(tcp_link(server.port), [unit], listener, None, often, {"register": PROFILE})
    try:
        async with running(link):
            yield
    finally:
        await server.stop()


@pytest.mark.timeout(900)
async def test_no_false_answer_is_a_value_and_no_other_link_is_slower_for_it(hasty: None) -> None:
    """X2, over and over: of so many replies, and beside a link that is polled meanwhile."""
    wanted = size("hostile_replies", 4_000)
    liars = [Liar(seed) for seed in range(LINKS)]
    judges = [Judging() for _ in liars]
    honest, heard = Honest(), Listener()
    async with polled(honest, heard, HONEST_MS):
        await until(lambda: honest.answers > 10)
        alone = await honest.rate()
        async with AsyncExitStack() as links:
            for liar, judge in zip(liars, judges, strict=True):
                await links.enter_async_context(polled(liar, judge, 1))
            beside = await honest.rate()
            await until(
                lambda: sum(liar.told for liar in liars) >= wanted or any(map(believed, judges)),
                800,
            )
    assert [one for one in map(believed, judges) if one] == []
    good = sum(judge.good for judge in judges)
    garbage = sum(judge.counters["x", "garbage"] for judge in judges)
    print(f"{wanted} false replies, {garbage} garbage, {good} values, none of them false;")
    print(f"another link: {alone:.0f} polls/s alone, {beside:.0f} beside {LINKS} liars")
    assert good > wanted / 20
    assert garbage > wanted / 20
    assert beside > 0.8 * alone


@pytest.mark.parametrize("late_s", [0.0, 0.02])
async def test_an_off_by_one_transaction_for_ever_is_a_device_that_never_answers(
    hasty: None, late_s: float
) -> None:
    """It answers no question, nor the one after it where it is late; the desk is told (X2)."""

    class OffByOne(TcpServer):
        async def frame(self, header: bytes, pdu: bytes, writer: asyncio.StreamWriter) -> None:
            transaction, words = struct.unpack(">H", header[:2])[0], pdu[4]
            said = bytes((pdu[0], 2 * words)) + LIES.to_bytes(2 * words, "big")
            answer = framed(transaction + 1, header[6], said)
            asyncio.get_running_loop().call_later(late_s, writer.write, answer)

    server, listener = OffByOne(lambda unit, pdu: None), Listener()
    async with polled(server, listener, 1):
        await until(lambda: listener.counters["x", "garbage"] > 20)
    assert not [one for one in listener.readings if one.quality is Quality.GOOD]
    assert listener.health_of("x") is not Health.ONLINE
    reasons = {reason for name, _, reason in listener.devices if name == "x"}
    assert reasons & {"garbage", "device_silent"}
