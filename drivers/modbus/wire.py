"""One connection to a Modbus TCP host or serial line: a request out, its checked answer in.

Rules:
- One request is in flight. Nothing is ever sent twice, and nothing reconnects by itself.
- An answer is taken only from the unit asked, for the transaction asked, with the function and
  length that the request implies. Anything else is `Garbage`, or skipped while the answer may
  still come (an answer to a request that was given up, noise before a frame). Transactions are
  numbered by `transactions`, over all connections of a link: a device that is off by one, or says
  late what it was asked on the connection before, answers no other question.
- On a serial line a frame begins only after 3.5 characters of quiet, and after a request that
  failed only once the line has been quiet long enough for an adapter to deliver what is late.
- pymodbus carries the bytes and makes the frames; its own transactions are not used, since they
  repeat unanswered writes, drop a shared link for one silent unit, and take short answers.
"""

import asyncio
import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.transport import CommParams, ModbusProtocol

from drivers.modbus.frames import (
    BrokenStream,
    ExceptionReply,
    Garbage,
    LinkLost,
    Request,
    Silent,
    Unsent,
)

ADAPTER_LATENCY_S = 0.02  # USB adapters hold bytes back for up to 16 ms
NEVER_QUIET_S = 0.3
TRANSACTIONS = 0xFFFF  # their numbers: 1 to this
TRANSACTION_STEP = 7_919  # far from what a device that miscounts is off by
LENGTHS = range(2, 255)  # what a Modbus TCP header may say
RTU_OVERHEAD = 3  # unit and CRC


@dataclass(frozen=True, slots=True)
class Line:
    """How frames travel: framing, the time of a character, and the silence before a frame."""

    rtu: bool
    character_s: float = 0.0

    @property
    def gap_s(self) -> float:
        """The least silence before a frame (Modbus over serial line 1.02, 2.5.1.1)."""
        return max(3.5 * self.character_s, 0.00175) if self.character_s else 0.0


def transactions(first: int = 1) -> Iterator[int]:
    """Numbers for requests from `first` on, for ever; none again before all others were used."""
    while True:
        yield first
        first = (first + TRANSACTION_STEP - 1) % TRANSACTIONS + 1


class Wire(ModbusProtocol):
    """A connection. `lost` is called when it breaks."""

    def __init__(
        self, params: CommParams, line: Line, lost: Callable[[], None], numbers: Iterator[int]
    ) -> None:
        """`numbers` are those of the `transactions` of its link."""
        super().__init__(params, is_server=False)
        framer = FramerRTU if line.rtu else FramerSocket
        self._framer: FramerBase = framer(DecodePDU(False))
        self._line = line
        self._on_lost = lost
        self._request: Request | None = None
        self._unit = 0
        self._numbers = numbers
        self._transaction = 0
        self._noise = ""
        self._answer: asyncio.Future[bytes] | None = None
        self.why = "not connected"  # or why not any more
        self._quiet_from = 0.0
        self._writable: select.poll | None = None

    async def open(self) -> None:
        """Connect. Raises LinkLost."""
        self.is_closing = False
        try:
            async with asyncio.timeout(self.comm_params.timeout_connect):  # wait_for eats a cancel
                self.transport, _ = await self.call_create()
        except Exception as error:  # pyserial and the event loop raise whatever they like
            raise LinkLost(
                f"{self.comm_params.host}: {error or 'not connected in time'}"
            ) from error
        await asyncio.sleep(0)  # a serial transport is set up by the loop
        if self._line.character_s:
            self._writable = select.poll()
            serial: Any = self.transport
            self._writable.register(serial.sync_serial.fileno(), select.POLLOUT)

    @property
    def is_lost(self) -> bool:
        """True once the connection has broken."""
        return not self.is_active()

    async def exchange(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """The answer, without unit and checks.

        Raises Silent, Garbage, ExceptionReply or LinkLost.
        """
        if self._line.rtu:
            timeout_s += await self._quiet_line(request)
        if not self.transport:
            raise Unsent(self.why)
        self._request, self._unit, self._noise = request, unit, ""
        self._transaction = next(self._numbers)
        answer = self._answer = self.loop.create_future()
        self.send(self._framer.encode(request.pdu, unit, self._transaction))
        timer = self.loop.call_later(timeout_s, self._expire)
        try:
            return await answer  # type: ignore[no-any-return]  # pymodbus has no types here
        except (Silent, Garbage):
            self._quiet_from = self.loop.time() + ADAPTER_LATENCY_S
            raise
        finally:
            timer.cancel()
            self._answer = None

    # --- what pymodbus calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Small frames leave at once, and a host that vanished is noticed."""
        wired = transport.get_extra_info("socket")
        if wired is not None:
            wired.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wired.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        super().connection_made(transport)

    def callback_connected(self) -> None:
        """Nothing is in flight on a new connection."""

    def callback_new_connection(self) -> ModbusProtocol:
        """A client is never asked this."""
        raise AssertionError("a client does not listen")

    def callback_disconnected(self, exc: Exception | None) -> None:
        """What is in flight will not be answered."""
        self.why = f"connection lost: {exc or 'closed by the other side'}"
        self._fail(LinkLost(self.why))
        self._on_lost()

    def callback_data(self, data: bytes, addr: Any = None) -> int:  # noqa: ARG002 (UDP's)
        """Take bytes; how many of them are done with."""
        if self._line.rtu:
            self._quiet_from = self.loop.time()
        if self._answer is None or self._answer.done():
            return len(data)  # late, or nobody asked
        return self._take_rtu(data) if self._line.rtu else self._take_tcp(data)

    # --- answers --------------------------------------------------------------------------------

    def _take_tcp(self, data: bytes) -> int:
        done = 0
        while len(data) - done >= 8:
            header = data[done : done + 6]
            if header[2:4] != b"\0\0" or header[4] or header[5] not in LENGTHS:
                self._fail(BrokenStream(f"no Modbus TCP header: {header.hex(' ')}"))
                return len(data)
            size, unit, transaction, pdu = self._framer.decode(data[done:])
            if not size:
                break
            done += size
            if transaction != self._transaction:
                self._noise = f"an answer to transaction {transaction}"
            elif unit != self._unit:
                self._fail(Garbage(f"unit {unit} answered for unit {self._unit}"))
            else:
                self._judge(pdu)
        return done

    def _take_rtu(self, data: bytes) -> int:
        assert self._request is not None
        function = self._request.pdu[0]
        starts = [data.find(bytes((self._unit, code))) for code in (function, function | 0x80)]
        start = min((at for at in starts if at >= 0), default=-1)
        if start != 0:
            self._noise = f"bytes that answer nothing: {data[:8].hex(' ')}"
        if start < 0:
            return len(data) - 1
        size, _, _, pdu = self._framer.decode(data[start:])
        if not size:
            return start
        if pdu:
            self._judge(pdu)
        else:
            self._fail(Garbage("the check sum does not fit"))
        return len(data)

    def _judge(self, pdu: bytes) -> None:
        request = self._request
        assert request is not None
        if len(pdu) == (request.length or len(pdu)) and pdu.startswith(request.begins):
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(pdu)
        elif len(pdu) >= 2 and pdu[0] == request.pdu[0] | 0x80:
            self._fail(ExceptionReply(pdu[1]))
        else:
            self._fail(Garbage(f"expected {request.begins.hex(' ')}…, found {pdu[:8].hex(' ')}"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _expire(self) -> None:
        noise = self._noise or (self.recv_buffer and "an answer that does not end")
        self._fail(Garbage(str(noise)) if noise else Silent("no answer"))

    # --- the serial line ------------------------------------------------------------------------

    async def _quiet_line(self, request: Request) -> float:
        """Wait until a frame may begin; how long request and answer will be on the line."""
        gave_up = self.loop.time() + NEVER_QUIET_S
        while (wait_s := self._quiet_from + self._line.gap_s - self.loop.time()) > 0:
            if self.loop.time() > gave_up:
                raise Unsent("the line is never quiet")
            await asyncio.sleep(wait_s)
        if self._writable is not None and not self._writable.poll(0):
            raise Unsent("the serial line takes no more bytes")
        characters = len(request.pdu) + request.length + 2 * RTU_OVERHEAD
        return characters * self._line.character_s + self._line.gap_s
