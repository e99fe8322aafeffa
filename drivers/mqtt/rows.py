"""A row of an MQTT profile: which topic, where in its JSON, and what it means.

Columns of a point, beside the common ones:

| column | means |
|---|---|
| `topic` | where it is reported; `{topic}` is the device's, `{base}` the first level of that |
| `path` | keys into the JSON, joined by dots; without it the whole payload is the value, as text |
| `enum` | what is reported → the value; null: the device does not know |
| `scale` | factor on a number |
| `limits` | least and greatest plausible value; beyond them a report is garbage |
| `momentary` | a message that holds it is a happening; it has no standing value |
| `detail` | what else of the message goes with a happening: name → path |
| `pin`, `card`, `pass`, `identifier`, `at` | of a presented credential: paths to whichever comes |
| `set_topic`, `set_payload` | how it is written; a payload, or one by value |
| `get_topic`, `get_payload` | how it is asked for |
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.domain.errors import MalformedError
from gateway.domain.points import Value
from gateway.domain.profile import Edge, PointSpec, ValueKind

COLUMNS = frozenset(
    (
        "topic",
        "path",
        "enum",
        "scale",
        "limits",
        "momentary",
        "detail",
        "pin",
        "card",
        "pass",
        "identifier",
        "at",
        "set_topic",
        "set_payload",
        "get_topic",
        "get_payload",
    )
)
MISSING: Any = object()
FLOAT_MAX = sys.float_info.max  # beyond any reading, and short of infinity


@dataclass(frozen=True, slots=True)
class Row:
    """How one point of one device is read: compiled once, used for each message."""

    name: str
    kind: ValueKind
    path: tuple[str, ...]
    enum: Mapping[Any, Value | None] | None
    figures: tuple[float, float, float] | None  # scale, least, greatest
    invert: bool
    momentary: bool
    detail: tuple[tuple[str, tuple[str, ...]], ...]

    def value(self, raw: Any) -> Value | None:
        """What a report means; None if it says nothing (null, or a happening that is none of ours).

        Raises MalformedError for what cannot be a value of this point.
        """
        if raw is None or (self.momentary and raw == ""):
            return None
        if self.enum is not None:
            return self._listed(raw)
        if self.figures is not None:
            return _number(self.kind, raw, self.figures)
        if not isinstance(raw, bool if self.kind is ValueKind.BOOL else str):
            raise MalformedError(f"{self.name}: expected {self.kind}, found {raw!r:.40}")
        value: Value = raw
        return not value if self.invert else value

    def _listed(self, raw: Any) -> Value | None:
        assert self.enum is not None
        key = (type(raw), raw) if isinstance(raw, str | bool | int) else None
        if key not in self.enum:
            if self.momentary:
                return None
            raise MalformedError(f"{self.name}: {raw!r:.40} is not listed")
        found = self.enum[key]
        return not found if self.invert and found is not None else found


def compile_row(spec: PointSpec, invert: bool) -> Row:
    """The row of a point that passed `check_profile`."""
    raw = spec.binding
    enum = raw.get("enum")
    numeric = spec.kind in (ValueKind.INT, ValueKind.FLOAT)
    least, greatest = raw.get("limits", (-FLOAT_MAX, FLOAT_MAX))
    return Row(
        name=spec.name,
        kind=spec.kind,
        path=split(raw.get("path", "")),
        enum=None if enum is None else {(type(key), key): value for key, value in enum.items()},
        figures=(raw.get("scale", 1), least, greatest) if numeric else None,
        invert=invert,
        momentary=bool(raw.get("momentary", False)) or spec.edge is Edge.CREDENTIAL,
        detail=tuple((name, split(path)) for name, path in raw.get("detail", {}).items()),
    )


def split(path: str) -> tuple[str, ...]:
    """The keys of a path; none for the whole payload."""
    return tuple(path.split(".")) if path else ()


def dig(body: Any, path: tuple[str, ...]) -> Any:
    """What lies at a path of a JSON value; MISSING if nothing does."""
    for key in path:
        if not isinstance(body, dict):
            return MISSING
        body = body.get(key, MISSING)
    return body


def fill(template: str, topic: str) -> str:
    """A topic of one device."""
    base = topic.partition("/")[0]
    return template.replace("{topic}", topic).replace("{base}", base)


def _number(kind: ValueKind, raw: Any, figures: tuple[float, float, float]) -> int | float:
    """A plausible number of that kind, also out of text. Raises MalformedError."""
    if type(raw) is not float and type(raw) is not int:
        raw = _number_in(kind, raw)
    scale, least, greatest = figures
    value: float = raw * scale
    if not least <= value <= greatest:
        raise MalformedError(f"found {value}, expected {least} to {greatest}")
    if kind is ValueKind.FLOAT:
        return float(value)
    if scale == 1 and value != int(value):
        raise MalformedError(f"expected {kind}, found {raw!r:.40}")
    return round(value)


def _number_in(kind: ValueKind, raw: Any) -> float:
    """A number that came as text. Raises MalformedError."""
    if isinstance(raw, str):
        try:
            return float(raw)
        except ValueError:
            pass
    raise MalformedError(f"expected {kind}, found {raw!r:.40}")
