"""What a bus reads next. Pure: no I/O, no clock; time and randomness are arguments.

Rules:
- Every read has its own deadline. Of those that are due, the one most overdue for its own period
  goes first, so that on a bus with too much to do all fall behind in proportion. What was never
  answered waits like what is due every second: a first look must not take an hour.
- A read that was late is due again one period after it was due, but never in the past: what was
  missed is not caught up in a burst.
- A device that did not answer is parked: one of its reads at a time is tried after a wait that
  doubles with every miss, with jitter, up to its cap. Its bus mates are not touched. Once anything
  of it is answered, all its reads are due at once.
- On a serial line an answer does not say what it answers. So the same read is tried again first,
  then all in turn, and a read whose answer looks like one that never came is put off until that
  one cannot come any more.
- A read that alone fails on a device that answers waits by itself in the same way.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from random import Random

FIRST_WAIT_MS = 200
GROUP_WAIT_MAX_MS = 60_000
FIRST_LOOK_MS = 1_000
TOO_LATE_MS = 1_000  # an answer does not come later than this after its time-out


class Backoff:
    """Waits that double, with jitter: between half of the wait and all of it."""

    __slots__ = ("_random",)

    def __init__(self, random: Random) -> None:
        self._random = random

    def wait_ms(self, misses: int, cap_ms: int) -> int:
        """How long to wait after so many misses in a row."""
        longest_ms = min(cap_ms, FIRST_WAIT_MS << min(misses - 1, 20))
        return round(longest_ms * (0.5 + self._random.random() / 2))


class Member:
    """One device on the bus: its reads, fastest first, and how often it failed to answer."""

    __slots__ = ("cap_ms", "groups", "missed_ms", "misses", "name", "unanswered")

    def __init__(self, name: str, cap_ms: int) -> None:
        self.name = name
        self.cap_ms = cap_ms
        self.misses = 0
        self.missed_ms = 0  # when it last did not answer
        self.groups: list[Group] = []
        self.unanswered: set[bytes] = set()  # how the answers that never came would have begun

    @property
    def parked(self) -> bool:
        """True while it is only tried now and then."""
        return self.misses > 0


class Group:
    """One read of one device. `begins` is how its answer begins."""

    __slots__ = ("begins", "due_ms", "member", "misses", "patience_ms", "period_ms", "ticket")

    def __init__(self, member: Member, period_ms: int, begins: bytes = b"") -> None:
        self.begins = begins
        self.member = member
        self.period_ms = period_ms
        self.patience_ms = min(period_ms, FIRST_LOOK_MS)
        self.misses = 0
        self.due_ms = 0
        self.ticket = 0  # of its place in the queue; an older place is void
        member.groups.append(self)


class Schedule:
    """The order of reads on one bus."""

    def __init__(self, members: Iterable[Member], backoff: Backoff) -> None:
        self._members = tuple(members)
        self._backoff = backoff
        self._waiting: list[tuple[int, int, Group]] = []
        self._ready: list[Group] = []
        self._tickets = 0

    def start(self, now_ms: int) -> None:
        """Everything is due (again): the link is new."""
        self._waiting.clear()
        self._ready.clear()
        for member in self._members:
            member.misses = 0
            member.unanswered.clear()
            for group in member.groups:
                group.misses = 0
                self._put(group, now_ms)

    def next(self, now_ms: int) -> Group | None:
        """What to read now; None if nothing is due. It stays out until it is put back."""
        waiting, ready = self._waiting, self._ready
        while waiting and waiting[0][0] <= now_ms:
            _, ticket, group = heappop(waiting)
            if ticket == group.ticket:
                ready.append(group)
        if not ready:
            return None
        if len(ready) == 1:
            return ready.pop()
        first = max(ready, key=lambda group: (now_ms - group.due_ms + 1) / group.patience_ms)
        ready.remove(first)
        return first

    def due_ms(self) -> int | None:
        """When something is due next; None if nothing ever is."""
        if self._ready:
            return self._ready[0].due_ms
        while self._waiting and self._waiting[0][1] != self._waiting[0][2].ticket:
            heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def answered(self, group: Group, now_ms: int) -> None:
        """The read was answered: it is due after its period, and its device is back if parked."""
        group.misses = 0
        group.patience_ms = group.period_ms
        self._put(group, max(group.due_ms + group.period_ms, now_ms))
        if group.member.misses:
            self.back(group.member, now_ms, group)

    def back(self, member: Member, now_ms: int, but: Group | None = None) -> None:
        """The device answered something: all its reads are due, save those that fail alone."""
        member.misses = 0
        still_coming = now_ms - member.missed_ms < TOO_LATE_MS
        for group in member.groups:
            if group is but:
                continue
            wait_ms = self._backoff.wait_ms(group.misses, GROUP_WAIT_MAX_MS) if group.misses else 0
            if still_coming and group.begins in member.unanswered:
                wait_ms = max(wait_ms, TOO_LATE_MS)
            self._put(group, now_ms + wait_ms)
        member.unanswered.clear()

    def missed(self, member: Member, group: Group | None, now_ms: int, cap_ms: int) -> None:
        """A read (or a write: None) was not answered: park the device, try a read later."""
        if not member.groups:
            return
        if group is not None and not member.misses:  # in an outage it is not this read that fails
            group.misses += 1
        member.misses += 1
        member.missed_ms = now_ms
        for other in member.groups:
            self._drop(other)
        if group is not None:
            member.unanswered.add(group.begins)
        probe = member.groups[member.misses % len(member.groups)]
        if member.misses == 1 and group is not None:
            probe = group
        wait_ms = self._backoff.wait_ms(member.misses, cap_ms)
        if probe is not group and probe.begins in member.unanswered:
            wait_ms = max(wait_ms, TOO_LATE_MS)
        self._put(probe, now_ms + wait_ms)

    def refused(self, group: Group, now_ms: int) -> None:
        """The device answered, but will not give this read."""
        if group.member.misses:
            self.back(group.member, now_ms, group)
        group.misses += 1
        wait_ms = self._backoff.wait_ms(group.misses, GROUP_WAIT_MAX_MS)
        self._put(group, now_ms + max(wait_ms, group.period_ms))

    def soon(self, group: Group, at_ms: int) -> None:
        """Read a group early, unless its device is parked."""
        if not group.member.misses and group not in self._ready and at_ms < group.due_ms:
            self._put(group, at_ms)

    def _put(self, group: Group, due_ms: int) -> None:
        self._drop(group)
        group.due_ms = due_ms
        heappush(self._waiting, (due_ms, group.ticket, group))

    def _drop(self, group: Group) -> None:
        self._tickets += 1
        group.ticket = self._tickets
        if group in self._ready:
            self._ready.remove(group)
