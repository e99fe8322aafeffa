"""What a model of device can do, as said by its profile: the stable surface for drivers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.domain.points import SetpointKind, Value


class ValueKind(StrEnum):
    """The type of a point's value."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"


class PollClass(StrEnum):
    """How fresh a point must be; the site sets the period of each class."""

    SAFETY = "safety"  # call and fire inputs: 200 ms
    DOOR = "door"  # 500 ms
    SENSOR = "sensor"  # 2 s
    SLOW = "slow"  # 5 s
    BATTERY = "battery"  # 1 h
    EVENT = "event"  # never asked: the device reports by itself


class Edge(StrEnum):
    """Which changes of a point are happenings, found in the driver and never conflated."""

    NONE = "none"
    PRESS = "press"  # counts at its first active sample (RULES E1)
    DOOR = "door"  # settles for 100 ms
    SUPERVISED = "supervised"  # two equal readings change it (RULES A3)
    CREDENTIAL = "credential"  # a card or PIN was presented
    CHANGE = "change"  # each change of value


@dataclass(frozen=True, slots=True)
class SetpointSpec:
    """How a writable point is driven.

    `length_ms` is the device-side length of a pulse, or how soon a lease is forgotten there: it is
    said again at half of that; None where the device has none. `secures` lists the values in the
    safe direction. What may be written: `values`, and numbers from `minimum` to `maximum`.
    `write_every_min` spares a non-volatile register.
    """

    kind: SetpointKind
    length_ms: int | None = None
    secures: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[Value, ...] = ()
    write_every_min: float = 0
    settles_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class PointSpec:
    """One row of a profile. `binding` (registers, topics) is the driver's own."""

    name: str
    kind: ValueKind
    unit: str
    poll: PollClass
    edge: Edge
    setpoint: SetpointSpec | None
    binding: Mapping[str, Any]
    deadband: float = 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A model of device: its points and what its driver must know of the model as a whole.

    `traits` are facts for `check`: `fails` (safe or secure), `shortest_press_ms`, `gap_ms` …
    """

    id: str
    title: str
    driver: str
    points: Mapping[str, PointSpec]
    binding: Mapping[str, Any]
    traits: Mapping[str, Any]
    source: str = ""
