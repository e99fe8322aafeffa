"""Each way a clock can be wrong, at each moment of a world that goes on (DESIGN §6).

No other trouble comes. People come and go, charge and call as ever while the clock errs, and the
auditor, who knows the time, looks at every step; at the end all must have come right. The core
sees the whole error, as if there had never been a trusted time to hold on to.
"""

from datetime import UTC, datetime

import pytest
from fixtures.clock import WRONG, Wrong

from gateway.domain.events import Event
from gateway.domain.now import HOUR_MS, MINUTE_MS, SECOND_MS, Now, Trust
from gateway.domain.records import Fact
from gateway.domain.state import Decision
from gateway.ports import Stamped
from simulators.virtual.gateway import WallClock
from simulators.virtual.troubles import End
from simulators.world import World

SEED = 0  # of premises with rooms that are booked, outlets, and call points
DAYS = 0.8
BEGINS_MS = int(datetime(2026, 3, 2, 4, tzinfo=UTC).timestamp() * 1000)
CALLS_MS = 6 * HOUR_MS  # after that, if nobody has yet
ERRS_MS = 5 * HOUR_MS
AWAY_MS = 20 * SECOND_MS
MOMENTS = {
    "boot": Fact.BOOKING_CHECKED_IN,
    "booking": Fact.BOOKING_CHECKED_IN,
    "session": Fact.SESSION_STARTED,
    "call": Fact.CALL_RAISED,
}
CALLED = {Fact.CALL_RAISED, Fact.CALL_PRESSED}
UNCERTAIN_MS = 12 * HOUR_MS  # a booking within that of the estimate lets its holder in
BY_TIME = (Fact.BOOKING_NO_SHOW, Fact.BOOKING_ENDED, Fact.BUCKET_CLOSED)


class ErringWorld(World):
    """A world whose clock errs once, a minute after a fact was first decided."""

    def __init__(self, wrong: Wrong, trust: Trust, moment: str) -> None:
        super().__init__(SEED, DAYS, begins_ms=BEGINS_MS, zone="Europe/Berlin")
        self.troubles.kinds = ()
        self.offsets: dict[str, int] = {}  # the truth, by boot: wall minus monotonic
        self._wrong, self._trust, self._moment = wrong, trust, moment
        self._struck = False
        self.heard.append(self._watch)
        self.call_point = min(self.site.safety.call_points)
        self.schedule.after(CALLS_MS, self._call)

    def _call(self) -> None:
        self.place.press(self.call_point)

    def _watch(self, _event: Event, decision: Decision, now: Now) -> None:
        self.offsets[now.boot] = self.schedule.now_ms - now.mono_ms
        facts = {record.fact for record in decision.records}
        if MOMENTS[self._moment] in facts and not self._struck:
            self._struck = True
            self.schedule.after(MINUTE_MS, self._strike)

    def _strike(self) -> None:
        self.troubles.strike("the clock errs", self._errs)
        self.schedule.after(30 * MINUTE_MS, self._call)

    def _errs(self) -> tuple[int, End]:
        now_ms = self.schedule.now_ms
        clock = WallClock(self._wrong(now_ms) - now_ms, self._trust)
        if self._moment == "boot":
            self.troubles.wakes(AWAY_MS, clock)
        else:
            self.set_clock(clock)
        return ERRS_MS, self.learn_time

    def facts(self, fact: Fact) -> list[Stamped]:
        """What the platform was told of this kind."""
        return [one for one in self.disk.stamped if one.record.fact is fact]


@pytest.mark.parametrize("vouched", [False, True], ids=["nobody vouches", "a source errs"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("wrong", WRONG)
def test_no_rule_is_broken_and_all_comes_right(wrong: str, moment: str, vouched: bool) -> None:
    trust = Trust.SYNCHRONISED if vouched else Trust.UNTRUSTED
    world = ErringWorld(WRONG[wrong], trust, moment)
    lived = world.run()
    assert lived.breach is None, (lived.breach, list(world.last)[-10:])
    assert [trouble.name for trouble in world.troubles.came] == ["the clock errs"]
    flagged = [one for one in world.disk.stamped if not one.now.trusted]
    assert bool(flagged) is not vouched
    assert not [one for one in flagged if one.record.fact in BY_TIME], "ended by nobody's time"
    for one in flagged:
        told_ms = one.now.wall_ms + correction(world, one)
        assert abs(told_ms - one.now.mono_ms - world.offsets[one.now.boot]) <= SECOND_MS, one
    if not vouched:
        assert {one.record.fact for one in flagged} & CALLED, "E1"
        near = abs(WRONG[wrong](BEGINS_MS) - BEGINS_MS) < UNCERTAIN_MS
        granted = [one.record.data for one in flagged if one.record.fact is Fact.GRANTED]
        assert near is any(data.get("clock_uncertain") for data in granted)


def correction(world: ErringWorld, stamped: Stamped) -> int:
    """As a platform does it: the first for its boot that ends after it."""
    for one in world.facts(Fact.CLOCK_CORRECTED):
        data = one.record.data
        if data["boot"] == stamped.now.boot and stamped.now.mono_ms < data["before_mono_ms"]:
            return int(data["add_ms"])
    raise AssertionError(f"never corrected: {stamped}")
