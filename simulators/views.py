"""What a person standing there sees and hears."""

from collections.abc import Callable
from dataclasses import dataclass

from simulators.models.relay import Flash
from simulators.town import Town


@dataclass(frozen=True, slots=True)
class DoorView:
    """A door from the outside."""

    town: Town
    id: str
    now_ms: Callable[[], int]

    @property
    def opened(self) -> bool:
        """The leaf is open."""
        return self.town.doors[self.id].opened(self.now_ms())

    @property
    def released(self) -> bool:
        """The bolt is back."""
        return self.town.doors[self.id].released(self.now_ms())

    @property
    def pulses(self) -> tuple[Flash, ...]:
        """Every timed pulse that released it, with time and length, oldest first."""
        strike = self.town.site.doors[self.id].points.strike
        lock = self.town.locks.get(strike.device)
        return tuple(lock.releases if lock else self.town.relay(strike).flashes)

    @property
    def openings(self) -> tuple[int, ...]:
        """When the leaf was opened."""
        return tuple(self.town.doors[self.id].openings)


@dataclass(frozen=True, slots=True)
class CallPointView:
    """A call point with its siren and lamp."""

    town: Town
    id: str
    now_ms: Callable[[], int]

    @property
    def sounding(self) -> bool:
        """A siren of it sounds just now."""
        return any(siren.on(self.now_ms()) for siren in self.town.sirens(self.id))

    @property
    def lit(self) -> bool:
        """A lamp of it is lit just now."""
        return any(lamp.on(self.now_ms()) for lamp in self.town.lamps(self.id))

    @property
    def flashing(self) -> bool:
        """A lamp of it flashes."""
        return any(lamp.flashing(self.now_ms()) for lamp in self.town.lamps(self.id))

    @property
    def presses(self) -> int:
        """How often its button was pressed."""
        return self.town.buttons[self.id].presses

    @property
    def sounded(self) -> tuple[tuple[int, bool], ...]:
        """When its first siren went on and off, oldest first."""
        return self.town.sirens(self.id)[0].edges(self.now_ms())
