"""A Step that has every input it decides kept, so that an incident can be replayed (DESIGN §8).

Rules:
- An input is what `Step` was given: events with their instants, a derivation, a checkpoint. With it
  goes what the core was told of readings while it decided, as far as it had not been told before.
- A recording begins with what was true then: every entity, and what every point should be. It
  begins anew when the ring asks for it, with another site, and when a store is read after all.
- Recording changes nothing and waits for nothing: values are handed over as they are, frozen.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.entity import Entity
from gateway.domain.events import Event
from gateway.domain.now import Now
from gateway.domain.points import PointRef, Reading, ReadingsView, Setpoint
from gateway.domain.site import Site
from gateway.ports import Batch, Loaded
from gateway.runtime.step import Released, Step, Told

TAKE, DERIVE, CHECKPOINT = "take", "derive", "checkpoint"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was true before the first input, in which site and process."""

    at: Now
    site: str
    site_digest: str
    entities: tuple[Entity, ...]
    setpoints: tuple[Setpoint, ...]


@dataclass(slots=True)
class Seen:
    """What the core was told of readings, each thing once until it changes."""

    readings: list[Reading] = field(default_factory=list)
    heard: dict[str, int | None] = field(default_factory=dict)
    seen: dict[PointRef, int | None] = field(default_factory=dict)


@dataclass(slots=True)
class Input:
    """One input: its kind, the events of a `take`, when, and what was seen for it.

    `facts` are what was decided, to compare with; `failed` is the error's type if it was a bug.
    """

    kind: str
    at: Now
    events: tuple[tuple[Event, Now], ...] = ()
    saw: Seen = field(default_factory=Seen)
    facts: tuple[str, ...] = ()
    failed: str = ""


class Recorder(Protocol):
    """Where a recording goes. Nothing here waits."""

    @property
    def wants_beginning(self) -> bool:
        """What comes next must be a beginning."""
        ...

    def begin(self, beginning: Beginning) -> None:
        """Begin anew."""
        ...

    def add(self, input_: Input) -> None:
        """Keep an input."""
        ...


class Witness:
    """Readings, and a note of what was told of them while an input is decided."""

    def __init__(self, readings: ReadingsView) -> None:
        self._readings = readings
        self._told: dict[PointRef, Reading] = {}
        self._told_heard: dict[str, int | None] = {}
        self._told_seen: dict[PointRef, int | None] = {}
        self.note: Seen | None = None

    def forget(self) -> None:
        """From now on nothing was told before."""
        self._told.clear()
        self._told_heard.clear()
        self._told_seen.clear()

    def latest(self, ref: PointRef) -> Reading:
        """The latest reading of a point."""
        reading = self._readings.latest(ref)
        if self.note is not None and self._told.get(ref) != reading:
            self._told[ref] = reading
            self.note.readings.append(reading)
        return reading

    def heard_ms(self, device: str) -> int | None:
        """When the device was last heard."""
        heard_ms = self._readings.heard_ms(device)
        if self.note is not None and self._told_heard.get(device, -1) != heard_ms:
            self._told_heard[device] = self.note.heard[device] = heard_ms
        return heard_ms

    def seen_ms(self, ref: PointRef) -> int | None:
        """When the point was last heard."""
        seen_ms = self._readings.seen_ms(ref)
        if self.note is not None and self._told_seen.get(ref, -1) != seen_ms:
            self._told_seen[ref] = self.note.seen[ref] = seen_ms
        return seen_ms


class RecordedStep(Step):
    """The same Step, on the record. `site_digest` says which files its site came from."""

    def __init__(
        self, site: Site, loaded: Loaded, readings: ReadingsView, recorder: Recorder, *, lost: str
    ) -> None:
        self._witness = Witness(readings)
        super().__init__(site, loaded, self._witness, lost=lost)
        self._recorder = recorder
        self._begun = False
        self.site_digest = ""

    def take(self, events: Iterable[tuple[Told, Now]]) -> Released:
        """Decide these events, on the record."""
        told = tuple(events)
        given = tuple((one.event, now) for one, now in told)
        with self._recorded(Input(TAKE, told[0][1], given)) as input_:
            out = super().take(told)
            input_.facts = tuple(r.fact.value for one in out.decided for r in one.records)
        return out

    def derive_all(self, now: Now) -> Released:
        """Derive every point anew, on the record."""
        with self._recorded(Input(DERIVE, now)):
            return super().derive_all(now)

    def checkpoint(self, now: Now) -> None:
        """Carry running durations into the state, on the record."""
        with self._recorded(Input(CHECKPOINT, now)):
            super().checkpoint(now)

    def reload(self, site: Site, now: Now) -> Released:
        """The site changed: what follows is another recording."""
        out = super().reload(site, now)
        self._begun = False
        return out

    def reopened(self, loaded: Loaded, now: Now) -> Batch | None:
        """The store is open again, and may have brought what was not known."""
        self._begun = self._begun and not self.blind
        return super().reopened(loaded, now)

    @contextmanager
    def _recorded(self, input_: Input) -> Iterator[Input]:
        if not self._begun or self._recorder.wants_beginning:
            self._begin(input_.at)
        self._witness.note = input_.saw
        try:
            yield input_
        except Exception as error:
            input_.failed = type(error).__name__  # its text may repeat what nobody may see
            raise
        finally:
            self._witness.note = None
            self._recorder.add(input_)

    def _begin(self, now: Now) -> None:
        self._begun = True
        self._witness.forget()
        wanted = tuple(one for one in self._derived.values() if one is not None)
        entities = tuple(self.state.entities())
        self._recorder.begin(Beginning(now, self.site.id, self.site_digest, entities, wanted))
