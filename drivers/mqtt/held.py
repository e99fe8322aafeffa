"""Messages that the broker holds for us until we acknowledge them.

Rules: acknowledged in the order they came (MQTT 4.6), each once it is settled or after 2 s,
whichever is first. One that was told, and comes again over a new connection before it was
acknowledged, is not told twice.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paho.mqtt.client import MQTTMessage

SETTLE_S = 2.0

Settle = Callable[[], None]


@dataclass(slots=True)
class _Entry:
    mid: int
    payload: bytes
    settled: bool = False


class Held:
    """The messages in flight of one lasting session. `ready` is called when one more is settled."""

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._waiting: deque[_Entry] = deque()
        self._told: dict[int, _Entry] = {}

    def connected(self, *, session_present: bool) -> None:
        """A new connection: what is still held comes again, unless the broker forgot us."""
        self._waiting.clear()
        if not session_present:
            self._told.clear()

    def take(self, message: MQTTMessage, hand_over: Callable[[Settle], bool]) -> None:
        """Hand a message over, unless it was. `hand_over` says whether it will be settled later."""
        again = self._told.get(message.mid) if message.dup else None
        if again is not None and again.payload == message.payload:
            self._waiting.append(again)
            return
        entry = _Entry(message.mid, bytes(message.payload))
        self._waiting.append(entry)
        loop = asyncio.get_running_loop()

        def settle() -> None:
            if not entry.settled:
                entry.settled = True
                loop.call_soon_threadsafe(self._ready)

        if hand_over(settle):
            self._told[message.mid] = entry
            loop.call_later(SETTLE_S, settle)
        else:
            entry.settled = True

    def settled(self) -> Iterator[int]:
        """The message ids to acknowledge now, in order."""
        while self._waiting and self._waiting[0].settled:
            entry = self._waiting.popleft()
            if self._told.get(entry.mid) is entry:
                del self._told[entry.mid]
            yield entry.mid
