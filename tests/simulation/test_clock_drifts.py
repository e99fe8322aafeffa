"""A machine's own clock that runs fast or slow while no source tells the time (DESIGN §6)."""

from itertools import pairwise

import pytest

from gateway.domain.events import ClockChanged, Event
from gateway.domain.now import HOUR_MS, MINUTE_MS, SECOND_MS, Now, Trust
from gateway.domain.records import Fact
from gateway.domain.state import Decision
from simulators.virtual.troubles import End
from simulators.world import World

SEED = 2
BEGINS_MS, LASTS_MS = 2 * HOUR_MS, 10 * HOUR_MS
PPM = 300


class DriftingWorld(World):
    """A world whose clock drifts for ten hours, in which a process dies halfway."""

    def __init__(self, fast_ppm: int) -> None:
        super().__init__(SEED, 0.8)
        self.troubles.kinds = ()
        self.fast_ppm = fast_ppm
        self.seen: list[tuple[int, Now]] = []  # with the true time
        self.stepped: list[int] = []
        self.heard.append(self._watch)
        self.schedule.after(BEGINS_MS, lambda: self.troubles.strike("the clock drifts", self._go))
        self.schedule.after(BEGINS_MS + LASTS_MS // 2, lambda: self.crash(20_000))

    def _go(self) -> tuple[int, End]:
        self.hold_over(self.fast_ppm)
        return LASTS_MS, self.learn_time

    def _watch(self, event: Event, _decision: Decision, now: Now) -> None:
        self.seen.append((self.schedule.now_ms, now))
        if isinstance(event, ClockChanged):
            self.stepped.append(event.step_ms)


@pytest.mark.parametrize("fast_ppm", [PPM, -PPM])
def test_it_drifts_steadily_over_a_crash_and_is_put_right_at_once(fast_ppm: int) -> None:
    world = DriftingWorld(fast_ppm)
    began_ms = world.schedule.now_ms + BEGINS_MS
    lived = world.run()
    assert lived.breach is None, (lived.breach, list(world.last)[-10:])
    held = [(true_ms, now) for true_ms, now in world.seen if now.trust is Trust.HOLDOVER]
    for true_ms, now in held:
        gained_ms = fast_ppm * (true_ms - began_ms) / 1_000_000
        assert now.wall_ms - true_ms == pytest.approx(gained_ms, abs=1)
    assert all(one.wall_ms <= other.wall_ms for (_, one), (_, other) in pairwise(held))
    assert {now.boot for _, now in held} == {"boot1", "boot2"}
    gained_ms = fast_ppm * LASTS_MS // 1_000_000
    assert world.stepped == [-gained_ms]
    assert world.seen[-1][1].wall_ms == world.seen[-1][0]


@pytest.mark.parametrize("fast_ppm", [PPM, -PPM])
def test_quarters_are_closed_once_when_they_are_due_by_the_wall(fast_ppm: int) -> None:
    """U2: deadlines are kept in monotonic time, and the wall gets there earlier or later."""
    world = DriftingWorld(fast_ppm)
    assert world.run().breach is None
    late_ms = sorted(
        one.now.wall_ms - one.record.data["start_ms"] - 25 * MINUTE_MS
        for one in world.disk.stamped
        if one.record.fact is Fact.BUCKET_CLOSED and one.now.trust is Trust.HOLDOVER
    )
    assert late_ms[0] >= 0
    assert late_ms[len(late_ms) * 9 // 10] < 2 * SECOND_MS, "but where nobody was there just then"
