"""What of one journal goes up next, and how far the platform has it (RULES U1). No I/O.

- `acknowledged` moves only by the platform's own acknowledgement, never by a broker's.
- Records go up in order within a window; without progress in time they are sent again from the
  acknowledgement on, a single batch at growing intervals, until there is progress.
- Urgent records go up ahead of the backlog, and again in their order in it. They are sent again
  until acknowledged, one by one (`also`) or by the cumulative acknowledgement, which they never
  move.
- Nothing sent is kept here, only numbers: a record to be sent again is read again.
- A look (what to read) and what came of it are two calls, for the reading is done elsewhere; one
  that was overtaken by a new connection or a resumption comes to nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.errors import MalformedError
from gateway.uplink.settings import UplinkSettings
from gateway.uplink.wire import Acknowledgement

URGENT_MAX = 100  # urgent records under way at once


@dataclass(frozen=True, slots=True)
class Look:
    """Read so many records after this one; `turn` says whether the look still counts."""

    urgent: bool
    after: int
    limit: int
    head: int
    turn: int


@dataclass(slots=True)
class Counts:
    """What was done since the start."""

    batches: int = 0
    records: int = 0
    urgent: int = 0
    sent_again: int = 0
    acknowledgements: int = 0


class Push:
    """The way up of one epoch's journal, from the cursor that was kept."""

    def __init__(self, settings: UplinkSettings, acknowledged: int, now_ms: int) -> None:
        self.counts = Counts()
        self._settings = settings
        self._turn = 0
        self.acknowledged = acknowledged
        self._urgent_done = acknowledged  # the platform has every urgent record up to here
        self.restart(now_ms)

    @property
    def urgent_acknowledged(self) -> int:
        """The platform has every urgent record up to this one."""
        return max(self._urgent_done, self.acknowledged)

    @property
    def under_way(self) -> int:
        """Records sent in order and not acknowledged."""
        return max(0, self._sent - self.acknowledged)

    @property
    def urgent_under_way(self) -> int:
        """Urgent records sent and not acknowledged."""
        return len(self._waiting)

    def restart(self, now_ms: int) -> None:
        """A new connection: nothing is under way any more."""
        self._turn += 1
        self._sent = self.acknowledged
        self._progress_ms = now_ms
        self._resend_ms = self._settings.resend_ms
        self._probing = True
        self._urgent_seen = self._urgent_done  # every urgent record up to here was sent
        self._urgent_sent_ms = now_ms
        self._waiting: set[int] = set()  # urgent records sent and not acknowledged

    def look_urgent(self, head: int, now_ms: int) -> Look | None:
        """The urgent records to read next, None if none can be due."""
        if self._waiting and now_ms - self._urgent_sent_ms >= self._settings.urgent_resend_ms:
            self._urgent_seen = self._urgent_done
            self._waiting = set()
        after = max(self._urgent_seen, self.acknowledged)
        room = URGENT_MAX - len(self._waiting)
        if room <= 0 or after >= head:
            return None
        return Look(True, after, room, head, self._turn)

    def look(self, head: int, now_ms: int) -> Look | None:
        """The records to read next, None if none is due."""
        settings = self._settings
        if self._sent > self.acknowledged and now_ms - self._progress_ms >= self._resend_ms:
            self.counts.sent_again += self._sent - self.acknowledged
            self._sent = self.acknowledged
            self._resend_ms = min(2 * self._resend_ms, settings.resend_max_ms)
            self._probing = True
        window = settings.batch_records if self._probing else settings.window_records
        room = min(self.acknowledged + window - self._sent, settings.batch_records)
        if room <= 0 or self._sent >= head:
            return None
        return Look(False, self._sent, room, head, self._turn)

    def sending(self, look: Look, seqs: Sequence[int], now_ms: int) -> bool:
        """These records of a look are about to be sent; False if the look no longer counts."""
        if look.turn != self._turn:
            return False
        if look.urgent:
            self._sending_urgent(look, seqs, now_ms)
        elif seqs:
            if self._sent <= self.acknowledged:
                self._progress_ms = now_ms
            self._sent = seqs[-1]
            self.counts.batches += 1
            self.counts.records += len(seqs)
        return bool(seqs)

    def take(self, said: Acknowledgement, head: int, now_ms: int) -> None:
        """The platform's word. Raises MalformedError."""
        self.counts.acknowledgements += 1
        if said.seq > head:
            raise MalformedError(f"seq: at most {head}, where the journal ends")
        if said.resume:
            # The platform started, maybe from an older copy of itself: go on from what it has.
            self.acknowledged = self._urgent_done = said.seq
            self.restart(now_ms)
            return
        self._waiting = {seq for seq in self._waiting if seq > said.seq and seq not in said.also}
        if not self._waiting:
            self._urgent_done = self._urgent_seen
        if said.seq > self.acknowledged:
            self.acknowledged = said.seq
            self._sent = max(self._sent, said.seq)
            self._progress_ms = now_ms
            self._resend_ms = self._settings.resend_ms
            self._probing = False

    def _sending_urgent(self, look: Look, seqs: Sequence[int], now_ms: int) -> None:
        # Where there was none up to the head, the next look begins there: idling reads nothing.
        self._urgent_seen = seqs[-1] if seqs else look.head
        self._waiting.update(seqs)
        self._urgent_sent_ms = now_ms if seqs else self._urgent_sent_ms
        self.counts.urgent += len(seqs)
        if not self._waiting:
            self._urgent_done = self._urgent_seen
