"""When devices are looked at whose registers move by themselves, while nothing happens there.

Rules: what is under load, all of it together every `every_ms`; a feeder's meter also with the first
poll after the building beside it changed what it draws.
"""

from collections.abc import Callable
from random import Random

from gateway.domain.now import MINUTE_MS
from simulators.models.circuits import STEADY_MS
from simulators.town import Town
from simulators.virtual.schedule import Schedule

DRIFT_MS = MINUTE_MS


class Drifting:
    """What is to be looked at again. `look` polls devices, where a gateway runs."""

    def __init__(
        self, town: Town, schedule: Schedule, random: Random, look: Callable[..., None]
    ) -> None:
        self.every_ms = DRIFT_MS
        self._town = town
        self._schedule = schedule
        self._random = random
        self._look = look
        self._noted: dict[str, None] = {}
        self._next_ms = self._feeders_ms = self._soon_ms = 0

    def begin(self, soon_ms: int) -> None:
        """A gateway has started, and polls feeders so often."""
        self._soon_ms = soon_ms
        self._plan_feeders()

    def end(self) -> None:
        """The gateway is gone, and polls nothing."""
        self._feeders_ms = 0

    def note(self, id_: str) -> None:
        """A device was looked at: if it is under load, it is again, with the others."""
        if not self._under_load(id_):
            return
        if not self._noted:
            self._next_ms = self._schedule.now_ms + self.every_ms
            self._schedule.at(self._next_ms, self._due)
        self._noted[id_] = None

    def look(self) -> None:
        """Look at them now."""
        ids, self._noted = self._noted, {}
        self._look(*ids)

    def _due(self) -> None:
        if self._schedule.now_ms >= self._next_ms:
            self.look()  # else it was looked at since

    def _under_load(self, id_: str) -> bool:
        now_ms = self._schedule.now_ms
        feeder = self._town.feeders.get(id_)
        if feeder is not None:
            return feeder.loaded(now_ms)
        return any(one.watts(now_ms) > 0 for one in self._town.on_device.get(id_, ()))

    def _look_at_feeders(self) -> None:
        if self._schedule.now_ms == self._feeders_ms:
            self._look(*self._town.feeders)
            self._plan_feeders()

    def _plan_feeders(self) -> None:
        changes_ms = (self._schedule.now_ms // STEADY_MS + 1) * STEADY_MS
        self._feeders_ms = changes_ms + self._random.randint(0, self._soon_ms)
        self._schedule.at(self._feeders_ms, self._look_at_feeders)
