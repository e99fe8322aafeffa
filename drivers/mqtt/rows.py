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
| `pin`, `card`, `pass`, `identifier`, `outlet`, `at` | paths to what of a credential comes |
| `feedback_topic`, `feedback` | where a reader is answered, and what it is told: name → path |
| `set_topic`, `set_payload` | how it is written; a payload, or one by value |
| `get_topic`, `get_payload` | how it is asked for |
"""

import sys
from collections.abc import Callable, Mapping
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
        "outlet",
        "at",
        "feedback_topic",
        "feedback",
        "set_topic",
        "set_payload",
        "get_topic",
        "get_payload",
    )
)
FEEDBACK = frozenset(("result", "code", "zh", "en", "retry_after_s", "door", "at"))
MISSING: Any = object()
FLOAT_MAX = sys.float_info.max  # beyond any reading, and short of infinity


# What a report means; None if it says nothing (null, or a happening that is none of ours). Raises
# MalformedError for what cannot be a value of the point.
Convert = Callable[[Any], Value | None]


@dataclass(frozen=True, slots=True)
class Row:
    """How one point of one device is read: compiled once, used for each message."""

    path: tuple[str, ...]
    value: Convert
    momentary: bool
    detail: tuple[tuple[str, tuple[str, ...]], ...]


def compile_row(spec: PointSpec, invert: bool) -> Row:
    """The row of a point that passed `check_profile`."""
    raw = spec.binding
    momentary = bool(raw.get("momentary", False)) or spec.edge is Edge.CREDENTIAL
    if "enum" in raw:
        convert = _listed(raw["enum"], spec.name, momentary, invert)
    elif spec.kind in (ValueKind.INT, ValueKind.FLOAT):
        least, greatest = raw.get("limits", (-FLOAT_MAX, FLOAT_MAX))
        convert = _number(spec.kind, raw.get("scale", 1), least, greatest)
    else:
        convert = _plain(spec.kind, momentary, invert)
    return Row(
        path=split(raw.get("path", "")),
        value=convert,
        momentary=momentary,
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


def put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Lay a value at a path of a JSON object, which no other value of it may begin with."""
    *parents, last = path
    for key in parents:
        body = body.setdefault(key, {})
    body[last] = value


def fill(template: str, topic: str) -> str:
    """A topic of one device."""
    base = topic.partition("/")[0]
    return template.replace("{topic}", topic).replace("{base}", base)


def _listed(enum: Mapping[Any, Value | None], name: str, momentary: bool, invert: bool) -> Convert:
    """Of a point whose reports are listed. `1` is not `true`, so types are compared too."""
    known = {(type(key), key): value for key, value in enum.items()}

    def convert(raw: Any) -> Value | None:
        key = (type(raw), raw) if isinstance(raw, str | bool | int) else None
        if key not in known:
            if raw is None or momentary:
                return None
            raise MalformedError(f"{name}: {raw!r:.40} is not listed")
        found = known[key]
        return not found if invert and found is not None else found

    return convert


def _plain(kind: ValueKind, momentary: bool, invert: bool) -> Convert:
    """Of a point that is told as text or as true and false."""
    wanted: type[bool] | type[str] = bool if kind is ValueKind.BOOL else str

    def convert(raw: Any) -> Value | None:
        if raw is None or (momentary and raw == ""):
            return None
        if type(raw) is not wanted:
            raise MalformedError(f"expected {kind}, found {raw!r:.40}")
        value: bool | str = raw
        return not value if invert else value

    return convert


def _number(kind: ValueKind, scale: float, least: float, greatest: float) -> Convert:
    """Of a point that is told as a number, perhaps in text, and must be plausible."""
    whole = kind is ValueKind.INT

    def convert(raw: Any) -> Value | None:
        if type(raw) is not float and type(raw) is not int:
            if raw is None:
                return None
            raw = _number_in(kind, raw)
        try:
            value: float = raw * scale
        except OverflowError:  # a whole number of hundreds of digits
            raise MalformedError(f"expected {kind}, found a number that none is") from None
        if not least <= value <= greatest:
            raise MalformedError(f"found {value}, expected {least} to {greatest}")
        if not whole:
            return float(value)
        if scale == 1 and value != int(value):
            raise MalformedError(f"expected {kind}, found {raw!r:.40}")
        return round(value)

    return convert


def _number_in(kind: ValueKind, raw: Any) -> float:
    """A number that came as text. Raises MalformedError."""
    if isinstance(raw, str):
        try:
            return float(raw)
        except ValueError:
            pass
    raise MalformedError(f"expected {kind}, found {raw!r:.40}")
