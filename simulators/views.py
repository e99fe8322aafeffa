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
        """Every timed pulse its strike was given, with time and length, oldest first."""
        return tuple(self.town.strike(self.id).flashes)

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
        return self.town.siren_sounds(self.id, self.now_ms())

    @property
    def lit(self) -> bool:
        """A lamp of it is lit just now."""
        return any(lamp.on(self.now_ms()) for lamp in self.town.lamps(self.id))

    @property
    def flashing(self) -> bool:
        """A lamp of it flashes."""
        return any(lamp.flashing(self.now_ms()) for lamp in self.town.lamps(self.id))

    @property
    def sounded(self) -> tuple[tuple[int, bool], ...]:
        """When its first siren went on and off, oldest first."""
        outputs = self.town.site.safety.call_points[self.id].outputs
        return self.town.relay(outputs.sirens[0]).edges(self.now_ms())
