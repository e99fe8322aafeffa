"""The journal's sender: reads, sends, takes acknowledgements, keeps the cursor (RULES U1).

The journal in use goes up with its calls first; journals of earlier epochs (before a restore, or a
move to another machine) are read to their end, calls first as well, ahead of its backlog.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.domain.errors import MalformedError, StoreError
from gateway.domain.records import Position
from gateway.ports import JournalReader
from gateway.uplink.envelope import fill
from gateway.uplink.messages import NonsenseError, acknowledgement
from gateway.uplink.push import Counts, Look, Push
from gateway.uplink.settings import UplinkSettings
from gateway.uplink.surroundings import Surroundings

READER = "platform"  # our cursor's name
_RETRY_MS = 1_000  # after the journal could not be read
_ABOUT = {"topic": "ack"}

Publish = Callable[[bool, bytes], Awaitable[None]]  # (urgent, batch); raises UplinkError

log = structlog.get_logger()


@dataclass(slots=True)
class _Line:
    """One journal on its way up."""

    journal: JournalReader
    epoch: str
    head: int
    push: Push
    kept: int  # what the cursor says

    @property
    def finished(self) -> bool:
        """The platform has all of it, and the cursor says so."""
        return self.push.acknowledged >= self.head and self.kept == self.push.acknowledged


class Sender:
    """Journal up: `send` and `follow` for as long as a connection lives."""

    def __init__(self, gateway: str, settings: UplinkSettings, around: Surroundings) -> None:
        self.foreign = 0  # acknowledgements of an epoch that is not ours, or finished
        self._gateway = gateway
        self._settings = settings
        self._engine = around.engine
        self._journal = around.journal
        self._clock = around.clock
        self._head = Position("", 0)
        self._lines: list[_Line] = []  # the journal in use is the last; none until it was read
        self._wake = asyncio.Event()
        self._waiters: list[tuple[Position, asyncio.Future[None]]] = []

    def distance(self) -> dict[str, Any]:
        """How far the journal is, and how far the platform has it; `waiting` counts all epochs."""
        waiting = sum(line.head - line.push.acknowledged for line in self._lines)
        acknowledged = self._lines[-1].push.acknowledged if self._lines else 0
        epoch, head = self._head
        return {"epoch": epoch, "head": head, "acknowledged": acknowledged, "waiting": waiting}

    def counts(self) -> Counts:
        """What was done for the journal in use."""
        return self._lines[-1].push.counts if self._lines else Counts()

    async def restart(self) -> None:
        """A new connection: what was under way is sent again."""
        self._head = await self._engine.committed(-1)
        for line in self._lines:
            line.push.restart(self._clock.mono_ms())

    async def follow(self) -> None:
        """Learn of each record as it becomes durable."""
        while True:
            self._head = await self._engine.committed(self._head.seq)
            self._wake.set()

    async def send(self, publish: Publish) -> None:
        """Send what is due, for ever. Raises what `publish` raises."""
        readable = True
        while True:
            self._wake.clear()
            try:
                sent = await self._send_next(publish)
                readable = True
            except StoreError as error:
                if readable:
                    log.warning("uplink_journal_unreadable", why=str(error))
                sent = readable = False
            if not sent:
                await self._wake_or(self._settings.look_ms if readable else _RETRY_MS)

    def take(self, payload: bytes) -> bool:
        """The platform's acknowledgement; True if it (re)started. Raises NonsenseError."""
        said = acknowledgement(payload)
        line = next((line for line in self._lines if line.epoch == said.epoch), None)
        if line is None:
            self.foreign += 1
            return said.resume
        if line is not self._lines[-1] and said.seq > line.head:
            # A restore lost the end of that epoch, which the platform has.
            said = said.model_copy(update={"seq": line.head})
        try:
            line.push.take(said, line.head, self._clock.mono_ms())
        except MalformedError as error:
            raise NonsenseError(_ABOUT, (str(error),)) from None
        self._settle()
        self._wake.set()
        return said.resume

    async def acknowledged(self, position: Position) -> None:
        """Wait until the platform has every urgent record up to this one. Raises UplinkError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((position, future))
        self._settle()
        await future

    async def keep(self) -> None:
        """Keep the cursors; a lost one costs repeats alone."""
        for line in self._lines:
            seq = line.push.acknowledged
            if seq != line.kept:
                try:
                    await asyncio.to_thread(line.journal.set_cursor, READER, seq)
                    line.kept = seq
                except StoreError as error:
                    log.info("uplink_cursor_not_kept", why=str(error))
        self._lines = [*(line for line in self._lines[:-1] if not line.finished), *self._lines[-1:]]

    def _find(self) -> list[_Line]:
        return [self._line(one) for one in (*self._journal.earlier(READER), self._journal)]

    def _line(self, journal: JournalReader) -> _Line:
        head, kept = journal.head(), journal.cursor(READER)
        push = Push(self._settings, kept, self._clock.mono_ms())
        return _Line(journal, head.epoch, head.seq, push, kept)

    async def _send_next(self, publish: Publish) -> bool:
        """Send one batch; False when nothing is due."""
        if not self._lines:
            self._lines = await asyncio.to_thread(self._find)
        for line, look in self._looks():
            seqs, batch = await asyncio.to_thread(self._read, line, look)
            if line.push.sending(look, seqs, self._clock.mono_ms()):
                await publish(look.urgent, batch)
                return True
            self._settle()
        return False

    def _looks(self) -> Iterator[tuple[_Line, Look]]:
        """What is due, the most urgent first."""
        now_ms = self._clock.mono_ms()
        for line in self._lines[-1:]:
            line.head = max(line.head, self._head.seq)
        for line in reversed(self._lines):
            look = line.push.look_urgent(line.head, now_ms)
            if look is not None:
                yield line, look
        for line in self._lines:
            look = line.push.look(line.head, now_ms)
            if look is not None:
                yield line, look

    def _read(self, line: _Line, look: Look) -> tuple[list[int], bytes]:
        most = self._settings.batch_bytes
        if look.urgent:
            return fill(self._gateway, line.journal.read_urgent(look.after, look.limit), most)
        records = line.journal.read(look.after, look.limit)
        return fill(self._gateway, records, most, look.after)

    def _settle(self) -> None:
        """Release those who wait for an acknowledgement that came."""
        waiting = []
        for position, future in self._waiters:
            if future.done():
                continue
            if self._has(position):
                future.set_result(None)
            else:
                waiting.append((position, future))
        self._waiters = waiting

    def _has(self, position: Position) -> bool:
        for line in self._lines:
            if line.epoch == position.epoch:
                return line.push.urgent_acknowledged >= position.seq
        return False

    async def _wake_or(self, wait_ms: int) -> None:
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._wake.wait()
        except TimeoutError:
            return
