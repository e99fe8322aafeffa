"""The platform in virtual time: it tells bookings until they are durable, and takes the journal.

Rules: one revision of a stream is under way until the gateway answered that it is durable; now and
then an older one comes again. Records come in order, up to 500 at a time, and once more where an
acknowledgement was lost. Nothing passes while the way to the gateway is cut.
"""

from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from gateway.domain.events import ChangesReceived, Stream, SyncItem
from gateway.domain.now import MINUTE_MS
from gateway.domain.state import Reply
from gateway.store.rows import JournalRow
from simulators.virtual.disk import MemoryDisk
from simulators.virtual.site import VirtualSite

EPOCH = "platform"
EVERY_MS = MINUTE_MS
AT_ONCE = 500
Applied = Callable[[ChangesReceived], None]


class VirtualPlatform:
    """What the platform knows, and what it has not told or heard yet."""

    def __init__(self, place: VirtualSite, disk: MemoryDisk, random: Random) -> None:
        self.online = True
        self.cursor = 0
        self._heard = 0  # records, acknowledged or not
        self.applied: list[Applied] = []
        self.took: list[Callable[[Sequence[JournalRow], int], None]] = []
        self._place = place
        self._disk = disk
        self._random = random
        self._revisions = dict.fromkeys(Stream, 0)
        self._waiting: dict[Stream, deque[ChangesReceived]] = {one: deque() for one in Stream}
        self._done: list[ChangesReceived] = []

    @property
    def drained(self) -> bool:
        """Everything has been told, and everything heard."""
        return not any(self._waiting.values()) and self._heard == len(self._disk.rows)

    def change(self, stream: Stream, put: Sequence[SyncItem], removed: Sequence[str] = ()) -> None:
        """Make the next revision of a stream, and tell it as soon as it can be told."""
        self._revisions[stream] += 1
        revision = self._revisions[stream]
        told = ChangesReceived(stream, EPOCH, revision, tuple(put), tuple(removed))
        self._waiting[stream].append(told)
        if len(self._waiting[stream]) == 1:
            self._tell(stream)

    def turn(self) -> None:
        """Once a minute: what is not answered is told again, and what is new is taken."""
        self._place.schedule.after(EVERY_MS, self.turn)
        gateway = self._place.gateway
        if not self.online or gateway is None or not gateway.alive:
            return
        for stream in Stream:
            self._tell(stream)
        if self._done and self._random.random() < 0.01:
            gateway.tell(self._random.choice(self._done))  # changes nothing (RULES B1)
        self._take()

    def _tell(self, stream: Stream) -> None:
        gateway, waiting = self._place.gateway, self._waiting[stream]
        if not waiting or not self.online or gateway is None or not gateway.alive:
            return
        told = waiting[0]

        def answered(reply: Reply) -> None:
            if reply.durable and waiting and waiting[0] is told:
                waiting.popleft()
                self._done = [*self._done[-50:], told]
                for applied in self.applied:
                    applied(told)
                self._place.schedule.after(100, lambda: self._tell(stream))

        gateway.tell(told, answer=answered)

    def _take(self) -> None:
        rows = self._disk.rows[self.cursor : self.cursor + AT_ONCE]
        for took in self.took:
            took(rows, self.cursor)
        self._heard = self.cursor + len(rows)
        if rows and self._random.random() < 0.02:
            return  # the acknowledgement was lost: they come again
        self.cursor += len(rows)
