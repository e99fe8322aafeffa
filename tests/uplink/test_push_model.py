"""`Push` against a line that loses, doubles and reorders whatever it likes (RULES U1)."""

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import MalformedError
from gateway.uplink.push import URGENT_MAX, Look, Push
from gateway.uplink.settings import UplinkSettings
from gateway.uplink.wire import Acknowledgement

SETTINGS = UplinkSettings(host="localhost", batch_records=7, window_records=20)


class Far:
    """The platform: what it has in order, and what of the urgent ones beyond."""

    def __init__(self) -> None:
        self.seq = 0
        self.ahead: set[int] = set()

    def take(self, seqs: list[int], urgent: bool) -> Acknowledgement:
        for seq in seqs:
            if urgent and seq > self.seq:
                self.ahead.add(seq)
            elif seq == self.seq + 1:
                self.seq = seq
        also = [seq for seq in seqs if seq in self.ahead and seq > self.seq]
        return Acknowledgement(epoch="e", seq=self.seq, also=also)

    def has(self, seq: int) -> bool:
        return seq <= self.seq or seq in self.ahead


class Line:
    """A journal, its `Push`, a bad line and the platform."""

    def __init__(self, chance: Random, trouble: float) -> None:
        self.chance = chance
        self.trouble = trouble
        self.urgent = [False]  # by seq
        self.now_ms = 0
        self.push = Push(SETTINGS, 0, 0)
        self.far = Far()
        self.acks: list[Acknowledgement] = []
        self.acknowledged = 0

    @property
    def head(self) -> int:
        return len(self.urgent) - 1

    def write(self) -> None:
        self.urgent.append(self.chance.random() < 0.2)

    def turn(self) -> None:
        """Send what is due, answer, and let time pass."""
        self.now_ms += self.chance.choice((0, 10, 1_000))
        looks = (self.push.look_urgent, self.push.look)
        look = next((found for way in looks if (found := way(self.head, self.now_ms))), None)
        if look is not None:
            self.send(look)
        else:
            self.now_ms += 1_000
        if self.acks and self.chance.random() < 0.7:
            which = self.chance.randrange(len(self.acks)) if self.bad() else 0
            ack = self.acks[which] if self.bad() else self.acks.pop(which)
            self.push.take(ack, self.head, self.now_ms)
        if self.bad() and self.chance.random() < 0.1:
            self.push.restart(self.now_ms)
        self.check()

    def send(self, look: Look) -> None:
        assert look.after >= self.push.acknowledged  # what is acknowledged is not sent again
        found = list(range(look.after + 1, self.head + 1))
        if look.urgent:
            found = [seq for seq in found if self.urgent[seq]]
        seqs = found[: look.limit]
        if self.bad() and self.chance.random() < 0.2:
            self.push.restart(self.now_ms)  # while the journal was being read
        if self.push.sending(look, seqs, self.now_ms) and not self.bad():
            for _ in range(2 if self.bad() else 1):
                self.acks.append(self.far.take(seqs, look.urgent))
        self.acks = [ack for ack in self.acks if not self.bad()]

    def bad(self) -> bool:
        return self.chance.random() < self.trouble

    def check(self) -> None:
        push = self.push
        assert self.acknowledged <= push.acknowledged <= self.far.seq
        self.acknowledged = push.acknowledged
        assert push.under_way <= SETTINGS.window_records
        assert push.urgent_under_way <= URGENT_MAX
        done = range(1, push.urgent_acknowledged + 1)
        assert all(self.far.has(seq) for seq in done if seq <= self.head and self.urgent[seq])


@given(seed=st.integers(0, 2**32), count=st.integers(1, 120))
@settings(max_examples=100, deadline=None)
def test_whatever_the_line_does_all_arrives_and_nothing_is_believed_too_early(
    seed: int, count: int
) -> None:
    line = Line(Random(seed), trouble=0.4)
    for _ in range(count):
        line.write()
        for _ in range(line.chance.randrange(3)):
            line.turn()
    line.trouble = 0.0
    for _ in range(2_000):
        if line.push.acknowledged == line.head:
            break
        line.turn()
    assert line.push.acknowledged == line.head == line.far.seq
    assert line.push.urgent_acknowledged >= line.head


def test_without_progress_the_waits_grow_and_a_single_batch_asks() -> None:
    push = Push(SETTINGS, 0, 0)
    sent_at, now_ms = [], 0
    while len(sent_at) < 5:
        look = push.look(100, now_ms)
        if look is not None:
            assert (look.after, look.limit) == (0, 7)
            push.sending(look, list(range(1, 8)), now_ms)
            sent_at.append(now_ms)
        now_ms += 100
    waits = [after - before for before, after in itertools.pairwise(sent_at)]
    assert waits == [10_000, 20_000, 40_000, 60_000]


def test_progress_opens_the_window_again() -> None:
    push = Push(SETTINGS, 0, 0)
    first = push.look(100, 0)
    assert first is not None
    push.sending(first, list(range(1, 8)), 0)
    assert push.look(100, 0) is None
    push.take(Acknowledgement(epoch="e", seq=7), 100, 5)
    sent = 7
    while (look := push.look(100, 5)) is not None:
        sent = look.after + look.limit
        push.sending(look, list(range(look.after + 1, sent + 1)), 5)
    assert sent == 7 + SETTINGS.window_records


def test_what_never_was_cannot_be_acknowledged() -> None:
    push = Push(SETTINGS, 0, 0)
    with pytest.raises(MalformedError, match="at most 5"):
        push.take(Acknowledgement(epoch="e", seq=6), 5, 0)
    assert push.acknowledged == 0
