"""A call at the platform: confirmed once it acknowledged the call's record (RULES E4, U1)."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from gateway.domain.errors import GatewayError
from gateway.domain.records import Fact, JournalRecord, Position
from gateway.ports import Engine, JournalReader, Notification

Acknowledged = Callable[[Position], Awaitable[None]]
_APART_MS = 1_000  # the decision was taken so little before its step was heard of, at most
LOOK_BACK = 500  # records among which the step was, when it was stored before we looked


class PlatformNotifier:
    """Waits for the platform's acknowledgement of a step, and so of every urgent record before."""

    def __init__(
        self,
        engine: Engine,
        journal: JournalReader,
        acknowledged: Acknowledged,
        within_s: float = 30.0,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._acknowledged = acknowledged
        self._within_s = within_s

    async def deliver(self, notification: Notification) -> str:
        """The record that the platform acknowledged. Raises GatewayError when it has not."""
        try:
            async with asyncio.timeout(self._within_s):
                position = await self._position(notification)
                await self._acknowledged(position)
        except TimeoutError:
            raise GatewayError(f"no word of the platform within {self._within_s:g} s") from None
        return f"record {position.seq} acknowledged"

    async def _position(self, notification: Notification) -> Position:
        """Where the step is in the journal, once it is there."""
        head = await self._engine.committed(-1)
        after = max(0, head.seq - LOOK_BACK)
        while True:
            found = await asyncio.to_thread(self._find, notification, after)
            if found is not None:
                return found
            after = max(0, head.seq)
            head = await self._engine.committed(after)

    def _find(self, notification: Notification, after: int) -> Position | None:
        for record in reversed(self._journal.read_urgent(after, LOOK_BACK)):
            if record.fact is Fact.CALL_STEP and _tells(record, notification):
                return record.position
        return None


def _tells(record: JournalRecord, notification: Notification) -> bool:
    """The record of this very step, and not of one like it that was told before."""
    payload = json.loads(record.payload or b"{}")
    data, decided = payload.get("data", {}), notification.decided
    if (data.get("call"), data.get("step")) != (notification.call, notification.step):
        return False
    if decided is None:
        return True
    same_boot = payload["boot"] == decided.boot
    return bool(same_boot and payload["mono_ms"] >= decided.mono_ms - _APART_MS)
