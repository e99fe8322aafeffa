"""How a device on a bus is, from what came of each request. Pure.

Rules:
- Silent after three requests in a row without an answer; online with the next answer.
- Degraded while failures are frequent: each adds one to a level that 20 good answers take away;
  at three it is degraded, below one it is well again. Its reason is `garbage` when most of what
  failed was garbage, and also when nothing but garbage has come three times (RULES X2).
"""

from gateway.domain.faults import Health

SILENT_AFTER = 3
DEGRADED_AT = 3.0
WELL_BELOW = 1.0
LEVEL_MAX = 6.0
DECAY = 1 / 20


class Condition:
    """The health of one device. Its methods say True when it changed."""

    __slots__ = ("_garbage", "_level", "_silences", "health")

    def __init__(self) -> None:
        self.health = Health.UNKNOWN
        self._silences = 0  # in a row
        self._level = 0.0
        self._garbage = 0.0  # the part of the level that garbage made

    @property
    def well(self) -> bool:
        """True when one more good answer changes nothing."""
        return self.health is Health.ONLINE and not self._level

    @property
    def reason_code(self) -> str:
        """What most of the failures were."""
        return "garbage" if 2 * self._garbage > self._level else "device_silent"

    def answered(self) -> bool:
        """A good answer, or a refusal."""
        self._silences = 0
        self._level = max(0.0, self._level - DECAY)
        self._garbage = min(self._garbage, self._level)
        if self.health is Health.DEGRADED and self._level >= WELL_BELOW:
            return False
        return self._become(Health.ONLINE)

    def silent(self) -> bool:
        """No answer."""
        self._silences += 1
        self._level = min(LEVEL_MAX, self._level + 1)
        if self._silences >= SILENT_AFTER:
            return self._become(Health.SILENT)
        return self._frequent()

    def garbage(self) -> bool:
        """Something that is no answer."""
        self._silences = 0
        self._level = min(LEVEL_MAX, self._level + 1)
        self._garbage = min(self._level, self._garbage + 1)
        return self._frequent()

    def _frequent(self) -> bool:
        if self._level < DEGRADED_AT or self.health is Health.SILENT:
            return False
        return self._become(Health.DEGRADED)

    def _become(self, health: Health) -> bool:
        changed, self.health = health is not self.health, health
        return changed
