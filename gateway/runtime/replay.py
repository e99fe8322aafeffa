"""Run recorded inputs through the core again (docs/adr/replay.md). Pure: lines in, decisions out.

The disk is taken to answer at once, so a setpoint shows where it was derived, not where the commit
let it go. What this code decides is compared with what the gateway stated then, fact by fact.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from gateway.domain.errors import GatewayError
from gateway.domain.events import Event
from gateway.domain.now import Now, Trust
from gateway.domain.points import PointRef, Reading, Setpoint
from gateway.domain.records import Position
from gateway.domain.site import Site
from gateway.domain.state import KINDS, Decision
from gateway.ports import Loaded
from gateway.runtime.plain import TYPE, value_of
from gateway.runtime.readings import unseen
from gateway.runtime.recording import CHECKPOINT, DERIVE, TAKE, Beginning, Input, Seen
from gateway.runtime.ring import FORMAT
from gateway.runtime.step import Step, Told

_EVENTS: Mapping[str, type[Any]] = {type_.__name__: type_ for type_ in get_args(Event)}
_KINDS_OF_INPUT = (TAKE, DERIVE, CHECKPOINT)


class RingError(GatewayError):
    """A recording that cannot be read, or was not made on this site."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One input and what came of it. `failed` is what the core raised: a bug, as it was then."""

    input: Input
    decisions: tuple[Decision, ...]
    setpoints: Mapping[PointRef, Setpoint | None]
    failed: BaseException | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts stated now."""
        return tuple(record.fact.value for one in self.decisions for record in one.records)

    @property
    def matters(self) -> bool:
        """Something was stated, set or answered, or went wrong."""
        answered = any(one.reply is not None for one in self.decisions)
        return bool(self.facts or self.setpoints or answered or self.failed or not self.same)

    @property
    def same(self) -> bool:
        """The gateway decided the same then, as far as facts tell."""
        failed = type(self.failed).__name__ if self.failed is not None else ""
        return (self.facts, failed) == (tuple(self.input.facts), self.input.failed)


@dataclass(frozen=True, slots=True)
class Recording:
    """A beginning, and the inputs after it."""

    beginning: Beginning
    inputs: tuple[Input, ...]
    version: str  # of the gateway that recorded


class _Told:
    """The readings as they were told then."""

    def __init__(self) -> None:
        self._latest: dict[PointRef, Reading] = {}
        self._heard: dict[str, int | None] = {}
        self._seen: dict[PointRef, int | None] = {}

    def tell(self, saw: Seen) -> None:
        """What was told from here on."""
        self._latest |= {reading.ref: reading for reading in saw.readings}
        self._heard |= saw.heard
        self._seen |= saw.seen

    def latest(self, ref: PointRef) -> Reading:
        return self._latest.get(ref) or unseen(ref)

    def heard_ms(self, device: str) -> int | None:
        return self._heard.get(device)

    def seen_ms(self, ref: PointRef) -> int | None:
        return self._seen.get(ref)


def replay(recording: Recording, site: Site) -> Iterator[Replayed]:
    """What the core decides of a recording's inputs, one after another."""
    told = _Told()
    step = _Resumed(site, recording.beginning, told)
    for input_ in recording.inputs:
        told.tell(input_.saw)
        yield step.again(input_)


class _Resumed(Step):
    """A Step as it was at a beginning."""

    def __init__(self, site: Site, beginning: Beginning, told: _Told) -> None:
        super().__init__(site, Loaded(beginning.entities, Position("", 0), {}), told)
        self._derived = {setpoint.ref: setpoint for setpoint in beginning.setpoints}

    def again(self, input_: Input) -> Replayed:
        """Decide an input, and have the disk take it at once."""
        decisions: tuple[Decision, ...] = ()
        setpoints: dict[PointRef, Setpoint | None] = {}
        try:
            if input_.kind == TAKE:
                out = self.take((Told(event), now) for event, now in input_.events)
                decisions, setpoints = tuple(out.decided), dict(out.setpoints)
            elif input_.kind == DERIVE:
                setpoints = dict(self.derive_all(input_.at).setpoints)
            else:
                self.checkpoint(input_.at)
        except Exception as error:  # a bug of the core is what may be looked for
            return Replayed(input_, decisions, setpoints, error)
        batch = self.seal(checkpoint=True)
        if batch is not None:
            setpoints |= self.durable(batch.number).setpoints
        return Replayed(input_, decisions, setpoints)


# --- reading ------------------------------------------------------------------------------------


def recordings(lines: Iterable[bytes]) -> Iterator[Recording]:
    """The recordings that lines hold, oldest first. Raises RingError."""
    found: Recording | None = None
    inputs: list[Input] = []
    boot = ""
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            if "format" in said:
                if found is not None:
                    yield replace(found, inputs=tuple(inputs))
                found, inputs, boot = _begun(said), [], said["boot"]
            else:
                inputs.append(_input(said, boot))
        except (ValueError, KeyError, TypeError) as error:
            raise RingError(f"line {number}: expected an input of the gateway: {error}") from error
    if found is not None:
        yield replace(found, inputs=tuple(inputs))


def _begun(said: dict[str, Any]) -> Recording:
    if said["format"] != FORMAT:
        raise RingError(f"expected format {FORMAT}, found {said['format']}: use its own version")
    beginning = Beginning(
        at=_instant(said["at"], said["boot"]),
        site=said["site"],
        site_digest=said["site_digest"],
        entities=tuple(value_of(KINDS[kind], body) for kind, body in said["entities"]),
        setpoints=tuple(value_of(Setpoint, one) for one in said["setpoints"]),
    )
    return Recording(beginning, (), said["version"])


def _input(said: dict[str, Any], boot: str) -> Input:
    kind = next(kind for kind in _KINDS_OF_INPUT if kind in said)
    return Input(
        kind,
        _instant(said[kind], boot),
        events=tuple(
            (value_of(_EVENTS[event[TYPE]], event), _instant(at, boot))
            for event, at in said.get("events", ())
        ),
        saw=Seen(
            [value_of(Reading, reading) for reading in said.get("readings", ())],
            said.get("heard", {}),
            {PointRef.parse(ref): seen_ms for ref, seen_ms in said.get("seen", {}).items()},
        ),
        facts=tuple(said.get("facts", ())),
        failed=said.get("failed", ""),
    )


def _instant(said: list[Any], boot: str) -> Now:
    wall_ms, mono_ms, trust, serial, timeline = said
    return Now(wall_ms, mono_ms, Trust(trust), boot, serial, timeline)
