"""Somebody who watches a world and knows what is true in it; and what they say of a broken rule."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from simulators.world import World


@dataclass(slots=True)
class Breach(Exception):
    """A rule was broken, at a true time of the world."""

    rule: str
    what: str
    at_ms: int

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


class Witness:
    """What every part of the auditor has."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def _now_ms(self) -> int:
        """The true time."""
        return self._world.schedule.now_ms

    def _breach(self, rule: str, what: str) -> NoReturn:
        raise Breach(rule, what, self._now_ms)
