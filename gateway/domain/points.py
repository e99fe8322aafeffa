"""Points of devices: what was read from them, and what they should be."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from gateway.domain.reasons import Reason

Value = bool | int | float | str
NUMBERS = (int, float)  # for isinstance: a union would be made anew at each look


class PointRef(NamedTuple):
    """One quantity of one device, written `device/point` in files and pages."""

    device: str
    point: str

    def __str__(self) -> str:
        return f"{self.device}/{self.point}"

    @classmethod
    def parse(cls, text: str) -> "PointRef":
        """The reference written as `device/point`. Raises ValueError."""
        device, slash, point = text.partition("/")
        if not (device and slash and point):
            raise ValueError(f"expected device/point, found {text!r}")
        return cls(device, point)


class Quality(StrEnum):
    """What a reading is worth."""

    GOOD = "good"
    STALE = "stale"  # was good; its device has not been heard in time
    BAD = "bad"  # the device answered, but with no plausible value
    UNKNOWN = "unknown"  # not seen since the start


_GOOD = Quality.GOOD  # asked at every turn, and a member's name takes Python long to look up


@dataclass(frozen=True, slots=True)
class Reading:
    """A point's value as reported. `at_ms` is wall time, `mono_ms` monotonic arrival."""

    ref: PointRef
    value: Value | None
    quality: Quality
    at_ms: int
    mono_ms: int

    @property
    def good(self) -> bool:
        """True when the value may be acted on."""
        return self.quality is _GOOD


class Freshness:
    """When a group of points was last heard: one mutable cell its driver sets at each answer.

    Freshness belongs to the group, so an answer that changed nothing costs no `Reading`.
    `heard_ms` is monotonic, None until the first live answer; `expected_ms`: how often one is due.
    """

    __slots__ = ("expected_ms", "heard_ms")

    def __init__(self, expected_ms: int) -> None:
        self.expected_ms = expected_ms
        self.heard_ms: int | None = None


class ReadingsView(Protocol):
    """The latest readings, as the core sees them."""

    def latest(self, ref: PointRef) -> Reading:
        """The latest reading of a point; one of quality unknown where none was seen."""
        ...

    def heard_ms(self, device: str) -> int | None:
        """Monotonic time at which the device was last heard live, None if not since the start."""
        ...

    def seen_ms(self, ref: PointRef) -> int | None:
        """Monotonic time at which the point itself was last heard, also if it had not changed."""
        ...


class SetpointKind(StrEnum):
    """The three ways in which a writable point is driven."""

    LEVEL = "level"
    LEASE = "lease"
    PULSE = "pulse"


@dataclass(frozen=True, slots=True)
class Level:
    """What a point should be until something else is derived; written until it is read back.

    `secures` says that this value is in the safe direction: it never waits for disk (RULES X1).
    """

    ref: PointRef
    value: Value
    secures: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Lease:
    """A level its driver keeps alive until `until_mono_ms`, which the reconciler renews.

    A hung core lets it run out, and the device's own failsafe acts. Text names a pattern that the
    driver plays (`on`, `flash`, `test`) until it is `off`; any other value, such as a current
    limit, is kept alive whatever it is, and read back.
    """

    ref: PointRef
    value: Value
    secures: bool
    reason: Reason
    until_mono_ms: int = 0

    @property
    def plays(self) -> bool:
        """It is a pattern, which no register shows."""
        return isinstance(self.value, str)


@dataclass(frozen=True, slots=True)
class Pulse:
    """Do a thing once (release a door), RULES A4: written at most once for its token.

    Never written after `until_mono_ms`, nor by another boot. The device bounds `length_ms`.
    `confirms` are other points whose next report of the paired value proves the effect.
    """

    ref: PointRef
    token: str
    length_ms: int
    until_mono_ms: int
    boot: str
    secures: bool
    reason: Reason
    confirms: tuple[tuple[PointRef, Value], ...] = ()


Setpoint = Level | Lease | Pulse


class WriteResult(StrEnum):
    """What a driver knows after a write: that it was sent proves nothing of its effect."""

    SENT = "sent"  # the link took it and the device, where it can, echoed it
    REFUSED = "refused"  # the device itself said no: nothing has happened
    UNKNOWN = "unknown"  # no answer: it may or may not have happened


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """How one write ended, with the detail an engineer needs."""

    result: WriteResult
    detail: str = ""


def refs(texts: Iterable[str]) -> tuple[PointRef, ...]:
    """References written as `device/point`."""
    return tuple(PointRef.parse(text) for text in texts)
