"""Utilization against what truly was, as only the simulation knows it (RULES U2, U3).

Five weeks of Morocco, whose clocks change twice in them, with every trouble there is. Each minute
somebody looks who is where and what draws power, and whether the gateway could know it.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import cache

import pytest
from fixtures.sizes import size

from gateway.domain.now import DAY_MS, MINUTE_MS
from gateway.domain.records import Fact
from gateway.domain.site import Facility
from gateway.domain.state import State
from gateway.domain.utilization import BUCKET_MS, Usage
from simulators.world import World

pytestmark = pytest.mark.timeout(600)
BEGINS_MS = int(datetime(2026, 2, 13, tzinfo=UTC).timestamp() * 1000)  # they change on 15 and 22
ZONE = "Africa/Casablanca"
DAYS = 38.0
IN_USE = ("in_use_booked", "in_use_walk_in")
DRAWS_W = 20
Quarter = tuple[str, int]


class Watch:
    """A look at everything, each minute; `known` are the quarters that the gateway could see."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.used: Counter[Quarter] = Counter()  # minutes
        self.ended: Counter[str] = Counter()  # uses, by facility
        self.dark: set[Quarter] = set()
        self.blind: Counter[Quarter] = Counter()  # minutes without a gateway
        self._doubt: set[str] = set()
        self._before: dict[str, bool] = defaultdict(bool)
        self.look()

    def look(self) -> None:
        self.world.schedule.after(MINUTE_MS, self.look)
        at = self.world.schedule.now_ms // BUCKET_MS * BUCKET_MS
        for facility in self.world.site.facilities.values():
            quarter, used = (facility.id, at), self._is_used(facility)
            self.used[quarter] += used
            self.ended[facility.id] += self._before[facility.id] and not used
            self._before[facility.id] = used
            if not self._is_seen(facility, used):
                self.dark.add(quarter)
            gateway = self.world.place.gateway
            self.blind[quarter] += gateway is None or not gateway.now().trusted

    def is_dark(self, quarter: Quarter) -> bool:
        """It could not be seen, or the next one could not."""
        facility, start_ms = quarter
        return quarter in self.dark or (facility, start_ms + BUCKET_MS) in self.dark

    def _is_used(self, facility: Facility) -> bool:
        town = self.world.place.town
        if facility.outlet is not None:
            return town.outlets[facility.id].watts(self.world.schedule.now_ms) > DRAWS_W
        return bool(town.rooms[facility.place].people)

    def _is_seen(self, facility: Facility, used: bool) -> bool:
        """Nothing is wrong; what was not seen meanwhile is doubted until both agree again."""
        gateway = self.world.place.gateway
        if gateway is None or self._is_troubled():
            self._doubt.add(facility.id)
        elif facility.id in self._doubt and _said(gateway.state, facility.id) is used:
            self._doubt.discard(facility.id)
        return facility.id not in self._doubt

    def _is_troubled(self) -> bool:
        """Something is wrong, or was of late, that may hide what goes on."""
        since_ms = self.world.schedule.now_ms - 5 * MINUTE_MS
        troubles = self.world.troubles.since(since_ms)
        hides = any(one.name != "the platform is away" for one in troubles)
        return hides or self.world.booted_ms > since_ms


def _said(state: State, facility: str) -> bool:
    usage = state.get(Usage, facility)
    return usage is not None and usage.state.value in IN_USE


@cache
def lived(seed: int) -> tuple[World, Watch, dict[Quarter, dict[str, int]]]:
    """A world, what was seen of it, and the times its buckets tell."""
    world = World(seed, DAYS, begins_ms=BEGINS_MS, zone=ZONE)
    watch = Watch(world)
    found = world.run()
    assert found.breach is None, found.breach
    told: dict[Quarter, dict[str, int]] = {}
    for stamped in world.disk.stamped:
        record = stamped.record
        if record.fact is Fact.BUCKET_CLOSED:
            told[record.data["facility"], record.data["start_ms"]] = record.data["spent_ms"]
    return world, watch, told


SEEDS = range(size("truths", 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_each_second_is_in_one_state_and_each_quarter_is_told_or_unknown(seed: int) -> None:
    world, watch, told = lived(seed)
    assert all(sum(spent.values()) == BUCKET_MS for spent in told.values())
    first, last = BEGINS_MS + DAY_MS, world.ends_ms - DAY_MS
    whole = [q for q in watch.used if first <= q[1] < last]
    silent = [q for q in whole if q not in told]
    assert all(q in watch.dark for q in silent), "a quarter that was seen is not told"
    unknown = [q for q in whole if watch.blind[q] == 15 and q in told]
    assert all(told[q].get("unknown", 0) > 0 for q in unknown)


@pytest.mark.parametrize("seed", SEEDS)
def test_use_is_as_it_truly_was_where_it_could_be_seen(seed: int) -> None:
    """To the minute of a look at each end, and for a room the time it is held to be used after."""
    world, watch, told = lived(seed)
    held_min = world.site.settings.booking.vacant_ms / MINUTE_MS
    for facility in world.site.facilities.values():
        # Of a start that does not know how long it was away, what came just before is unknown too.
        seen = [q for q in told if q[0] == facility.id and q in watch.used and not watch.is_dark(q)]
        true = sum(watch.used[q] for q in seen)
        said = sum(told[q].get(state, 0) for q in seen for state in IN_USE) / MINUTE_MS
        holds = [sensor.hold_ms / MINUTE_MS for sensor in facility.sensors]
        after = 0 if facility.outlet is not None else held_min + max(holds, default=0)
        uses = watch.ended[facility.id]
        print(f"seed {seed} {facility.id}: {len(seen) / 4:.0f} h, {true} min, said {said:.0f}")
        assert true - uses <= said <= true + uses * (after + 2), facility.id
        assert not any(told[q].get("unknown") for q in seen), facility.id
        assert len(seen) > 0.3 * DAYS * DAY_MS / BUCKET_MS, "too little of it was seen"
