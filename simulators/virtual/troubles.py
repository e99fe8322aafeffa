"""What goes wrong in a world, drawn by chance: each trouble comes, lasts, and ends.

Rules: one source of chance of its own; a trouble undoes itself. From `until_ms` on none comes, and
what still lasts is ended.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Trust
from gateway.domain.points import PointRef, Pulse, Setpoint, Value, WriteResult
from simulators.virtual.gateway import WallClock

if TYPE_CHECKING:
    from simulators.world import World

EVERY_MS = 5 * HOUR_MS  # on the average
End = Callable[[], None]
NOW = 1 << 62
SURELY_RESET_WH = 1_000_000_000
DRIFT_PPM = (50, 300)  # a crystal's, in the cold or the heat
YEAR_MS = 365 * DAY_MS


@dataclass(slots=True)
class Trouble:
    """What went wrong and when, and the devices that cannot be believed or reached meanwhile."""

    name: str
    began_ms: int
    devices: frozenset[str] = frozenset()
    ended_ms: int = NOW


class Troubles:
    """All that can go wrong in a world."""

    def __init__(self, world: "World", random: Random, until_ms: int) -> None:
        self._world = world
        self._random = random
        self._until_ms = until_ms
        self._ends: dict[int, tuple[Trouble, End]] = {}
        self._count = 0
        self.kinds = tuple(_KINDS)  # that come by chance
        self._devices: Iterable[str] = ()
        self.came: list[Trouble] = []

    def begin(self) -> None:
        """Plan the first of them, and the end of all."""
        self._plan_next()
        self._world.schedule.at(self._until_ms, self._end_all)

    def _plan_next(self) -> None:
        wait_ms = 1 + int(self._random.expovariate(1 / EVERY_MS))
        at_ms = self._world.schedule.now_ms + wait_ms
        if at_ms < self._until_ms and self.kinds:
            self._world.schedule.at(at_ms, self._come)

    def _come(self) -> None:
        name = self._random.choice(self.kinds)
        self.strike(name, partial(_KINDS[name], self))
        self._plan_next()

    def strike(self, name: str, kind: Callable[[], tuple[int, End] | None]) -> None:
        """A trouble comes now: by chance, or because somebody wants to see it at this moment."""
        now_ms = self._world.schedule.now_ms
        self._devices = ()
        ended = kind()
        trouble = Trouble(name, now_ms, frozenset(self._devices))
        self.came.append(trouble)
        if ended is None:
            trouble.ended_ms = now_ms
        else:
            self._lasts(trouble, *ended)

    def _lasts(self, trouble: Trouble, lasts_ms: int, end: End) -> None:
        self._count += 1
        number = self._count
        self._ends[number] = (trouble, end)
        self._world.schedule.after(lasts_ms, lambda: self._end(number))

    def _end(self, number: int) -> None:
        if number in self._ends:
            trouble, end = self._ends.pop(number)
            trouble.ended_ms = self._world.schedule.now_ms
            end()

    def _end_all(self) -> None:
        for number in list(self._ends):
            self._end(number)

    def _time_ms(self, least_ms: int, most_ms: int) -> int:
        return self._random.randint(least_ms, most_ms)

    def since(self, at_ms: int) -> Iterator[Trouble]:
        """What was wrong then, or has been at any time since."""
        return (trouble for trouble in self.came if trouble.ended_ms >= at_ms)

    # --- the kinds ----------------------------------------------------------------------------

    def device_silent(self) -> tuple[int, End]:
        """A device answers no more for a while."""
        links = self._world.place.links
        id_ = self._random.choice(sorted(links.devices))
        self._devices = [id_]
        links.silence(id_)
        return self._time_ms(5 * SECOND_MS, 3 * HOUR_MS), lambda: links.heal(id_)

    def device_restarts(self) -> tuple[int, End]:
        """A device is without power for a moment: its relays drop, and it forgets."""
        place = self._world.place
        id_ = self._random.choice(sorted(place.links.devices))
        self._devices = [id_]
        place.links.silence(id_)
        place.town.supply(False, place.now_ms, id_)

        def end() -> None:
            place.town.supply(True, place.now_ms, id_)
            place.links.heal(id_)

        return self._time_ms(SECOND_MS, 2 * MINUTE_MS), end

    def link_down(self) -> tuple[int, End]:
        """A link is down."""
        links = self._world.place.links
        link = self._random.choice(sorted(self._world.site.equipment.links))
        self._devices = [one.id for one in links.devices.values() if one.link == link]
        links.cut_link(link)
        return self._time_ms(SECOND_MS, HOUR_MS), lambda: links.mend_link(link)

    def messages_late(self) -> tuple[int, End]:
        """What devices on MQTT say is late, and some of it comes twice."""
        links, equipment = self._world.place.links, self._world.site.equipment
        brokers = {link for link, one in equipment.links.items() if one.driver == "mqtt"}
        self._devices = [one.id for one in links.devices.values() if one.link in brokers]
        return self._time_ms(10 * MINUTE_MS, 6 * HOUR_MS), links.air.slow(self._devices)

    def writes_lost(self) -> tuple[int, End]:
        """Some writes end without an answer: done, or not."""
        links, random = self._world.place.links, self._random
        self._devices = links.devices

        def outcome(setpoint: Setpoint) -> WriteResult | None:
            if random.random() < 0.6:
                return None
            if random.random() < 0.5 and not isinstance(setpoint, Pulse):
                links.act(setpoint)
            return random.choice((WriteResult.UNKNOWN, WriteResult.REFUSED))

        links.outcome = outcome

        def end() -> None:
            links.outcome = lambda _setpoint: None

        return self._time_ms(MINUTE_MS, HOUR_MS), end

    def disk_broken(self) -> tuple[int, End]:
        """The disk takes nothing; what it said no to may be on it."""
        disk = self._world.disk
        self._world.keep_time()
        disk.wrong, disk.reached = "input/output error", self._random.random() < 0.5

        def end() -> None:
            disk.wrong = ""

        return self._time_ms(SECOND_MS, 40 * MINUTE_MS), end

    def disk_full(self) -> tuple[int, End]:
        """There is no room on the disk; what is on it can be read."""
        disk = self._world.disk
        self._world.keep_time()
        disk.full = "database or disk is full"

        def end() -> None:
            disk.full = ""

        return self._time_ms(MINUTE_MS, 6 * HOUR_MS), end

    def disk_slow(self) -> tuple[int, End]:
        """Each commit takes a long time."""
        world = self._world
        world.commit_ms = (200, 3_000)

        def end() -> None:
            world.commit_ms = world.COMMIT_MS

        return self._time_ms(10 * MINUTE_MS, 3 * HOUR_MS), end

    def crash(self) -> None:
        """The process dies and is started again."""
        self._devices = self._world.place.links.devices
        self._world.crash(self._time_ms(SECOND_MS, 20 * SECOND_MS))

    def long_crash(self) -> None:
        """It stays away for long."""
        self._devices = self._world.place.links.devices
        self._world.crash(self._time_ms(MINUTE_MS, 2 * HOUR_MS))

    def wakes_in_another_time(self) -> tuple[int, End]:
        """It is started with a clock that nobody trusts, and learns the time later."""
        off_ms = self._random.choice((-1_700_000_000_000, -10 * YEAR_MS, 10 * YEAR_MS))
        off_ms = self._random.choice((off_ms, HOUR_MS, -HOUR_MS, -SECOND_MS))
        away_ms = self._time_ms(SECOND_MS, MINUTE_MS)
        self.wakes(away_ms, WallClock(off_ms, Trust.UNTRUSTED))
        return self._time_ms(2 * MINUTE_MS, 6 * HOUR_MS), self._world.learn_time

    def wakes(self, away_ms: int, clock: WallClock) -> None:
        """The process dies, and is started with this time."""
        self._devices = self._world.place.links.devices
        self._world.crash(away_ms, clock)

    def clock_jumps(self) -> None:
        """A trusted source steps the clock a little, back or forth."""
        clock = self._clock(Trust.SYNCHRONISED)
        if clock is not None:
            self._world.set_clock(WallClock(-clock.error_ms or self._random.choice((-900, 900))))

    def clock_drifts(self) -> tuple[int, End] | None:
        """No source tells the time for hours, and the machine's own runs fast or slow."""
        if self._clock(Trust.SYNCHRONISED) is None:
            return None
        fast_ppm = self._random.choice((-1, 1)) * self._random.randint(*DRIFT_PPM)
        self._world.hold_over(fast_ppm)
        return self._time_ms(2 * HOUR_MS, 30 * HOUR_MS), self._world.learn_time

    def _clock(self, trust: Trust) -> WallClock | None:
        """The clock of the gateway that runs, if it is worth that."""
        gateway = self._world.place.gateway
        runs = gateway is not None and gateway.alive and gateway.clock.trust is trust
        return gateway.clock if gateway is not None and runs else None

    def platform_away(self) -> tuple[int, End]:
        """Nothing comes from the platform, nothing goes there; for weeks where there are weeks."""
        platform = self._world.platform
        platform.online = False

        def end() -> None:
            platform.online = True

        return self._time_ms(MINUTE_MS, max(2 * DAY_MS, round(self._world.days * DAY_MS / 2))), end

    def sensor_stuck(self) -> tuple[int, End] | None:
        """A presence sensor says the same whatever happens."""
        town = self._world.place.town
        if not town.sensors:
            return None
        ref = self._random.choice(sorted(town.sensors))
        end = self._shows(ref, self._random.random() < 0.5)
        return self._time_ms(HOUR_MS, 30 * HOUR_MS), end

    def _shows(self, ref: PointRef, value: Value) -> End:
        """A point shows this whatever is true; how that ends."""
        town, links = self._world.place.town, self._world.place.links
        self._devices = [ref.device]
        town.stuck[ref] = value
        links.touch([ref.device])

        def end() -> None:
            town.stuck.pop(ref, None)
            links.touch([ref.device])

        return end

    def meter_reset(self) -> None:
        """An outlet's energy register begins anew; not where that could be its roll-over."""
        connectors = {
            key: one
            for key, one in self._world.place.town.connectors.items()
            if one.energy_wh < SURELY_RESET_WH
        }
        if connectors:
            key = self._random.choice(sorted(connectors))
            self._devices = [key.rpartition("_")[0] or key]
            self._world.auditor.books.meter_reset(connectors[key])
            connectors[key].energy_wh = 0.0
            self._world.place.links.touch(self._devices)

    def meter_lies(self) -> tuple[int, End] | None:
        """An outlet's meter shows what was never so, for one poll or two."""
        town = self._world.place.town
        outlets = [one for one in self._world.site.facilities.values() if one.outlet is not None]
        if not outlets:
            return None
        outlet = self._random.choice(outlets).outlet
        assert outlet is not None
        assert outlet.meter is not None
        ref = self._random.choice([outlet.meter.energy, *filter(None, [outlet.points.power])])
        lie: Value = 1_100.0
        if ref == outlet.meter.energy:
            true_wh = int(town.value(ref, self._world.schedule.now_ms))
            lie = max(0, true_wh + self._random.choice((-4_000, 6_000, 9_876_543)))
        end = self._shows(ref, lie)
        return self._time_ms(200, 1_500), end


_KINDS: dict[str, Callable[[Troubles], tuple[int, End] | None]] = {
    "a device falls silent": Troubles.device_silent,
    "a device restarts": Troubles.device_restarts,
    "a link goes down": Troubles.link_down,
    "messages are late": Troubles.messages_late,
    "writes are lost": Troubles.writes_lost,
    "the disk breaks": Troubles.disk_broken,
    "the disk is full": Troubles.disk_full,
    "the disk is slow": Troubles.disk_slow,
    "a crash": Troubles.crash,
    "a long absence": Troubles.long_crash,
    "it wakes in another time": Troubles.wakes_in_another_time,
    "the clock is stepped": Troubles.clock_jumps,
    "the clock drifts": Troubles.clock_drifts,
    "the platform is away": Troubles.platform_away,
    "a sensor is stuck": Troubles.sensor_stuck,
    "a meter is reset": Troubles.meter_reset,
    "a meter lies": Troubles.meter_lies,
}
