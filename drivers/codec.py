"""Rows of a profile to and from registers: what the bytes of a device mean.

Rules:
- Addresses are protocol addresses, from 0. A row lies in one table and in consecutive registers.
- `word_order` and `byte_order` are `big` unless the row says `little`.
- A value is missing (None, a bad reading) when the raw one is undefined, no number, not in the
  `enum`, or outside `limits`. Undefined are, unless the row lists others: all-FF of an unsigned
  type, 7FFF… and 8000… of a signed one, NaN and infinity.
- What was decoded can be encoded again; a scaled integer is rounded to the scale's own digits.
- With `by`, what a row means hangs on another row's value: its `scale` or `enum` is given for each.
Everything that can be worked out beforehand is: a decoder is one closure over bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from operator import itemgetter
from struct import Struct
from typing import Any

from gateway.domain.errors import MalformedError
from gateway.domain.points import Value
from gateway.domain.profile import PointSpec, ValueKind

Decode = Callable[[bytes], Value | None]

SCALES = (1e-12, 1e12)  # beyond these no unit is, and a number of 64 bits is one no longer


A_SCALE = "of 1e-12 to 1e12, with a sign or not"


def is_number(found: Any) -> bool:
    """A number that can be reckoned with: neither a yes or no nor beyond what a float holds."""
    try:
        return isinstance(found, int | float) and not isinstance(found, bool) and isfinite(found)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def is_value(kind: ValueKind, found: Any) -> bool:
    """A value that a point of this kind can have."""
    match kind:
        case ValueKind.BOOL:
            return isinstance(found, bool)
        case ValueKind.INT:
            return isinstance(found, int) and not isinstance(found, bool)
        case ValueKind.FLOAT:
            return is_number(found)
        case ValueKind.TEXT:
            return isinstance(found, str)


def is_scale(found: Any) -> bool:
    """A factor that a unit can have."""
    return is_number(found) and SCALES[0] <= abs(found) <= SCALES[1]


class Table(StrEnum):
    """The four tables of a Modbus device."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def bits(self) -> bool:
        """True where an address holds one bit, not a register."""
        return self in (Table.COIL, Table.DISCRETE)


BY = ("scale", "enum")  # columns that may hang on the value of another row

# type: (struct letter, registers); text states its own number of registers
TYPES: Mapping[str, tuple[str, int]] = {
    "bool": ("?", 1),
    "u16": ("H", 1),
    "i16": ("h", 1),
    "u32": ("I", 2),
    "i32": ("i", 2),
    "u64": ("Q", 4),
    "i64": ("q", 4),
    "f32": ("f", 2),
    "f64": ("d", 4),
    "text": ("s", 0),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a value lies in its registers. `bits` from `bit` upwards are it, where bit is given."""

    type: str
    words: int
    little_words: bool = False
    little_bytes: bool = False
    bit: int | None = None
    bits: int = 1


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a raw number means."""

    kind: ValueKind
    scale: float = 1
    enum: Mapping[int | str, Value] | None = None
    undefined: frozenset[int] = frozenset()
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a profile: where a point lies, how, and what it means.

    Where `by` names another row, it means what the one of `variants` for that row's value does.
    """

    name: str
    table: Table
    address: int
    layout: Layout
    meaning: Meaning
    by: str | None = None
    variants: Mapping[Value, "Row"] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many addresses it takes."""
        return 1 if self.table.bits else self.layout.words

    def decoder(self, base: int) -> Decode:
        """Finds the value in the bytes of a reply that begins at address `base`."""
        offset = self.address - base
        if self.table.bits:
            return _bit_decoder(offset, self.meaning)
        if self.layout.type == "text":
            return _text_decoder(2 * offset, self.layout, self.meaning)
        return _number_decoder(2 * offset, self.layout, self.meaning)

    def encode(self, value: Value) -> bytes:
        """The value as its registers' bytes; a coil's as one byte, 0 or 1. Raises MalformedError.

        A row that is some bits of a register gives the register with all its other bits 0.
        """
        if self.table.bits:
            return bytes([_raw_of(value, self.meaning)])
        if self.layout.type == "text":
            text = str(value if self.meaning.enum is None else _raw_of(value, self.meaning))
            return _ordered(text.encode("ascii", "replace"), self.layout)
        return _encode_number(self, value)


def row_of(spec: PointSpec, defaults: Mapping[str, Any] | None = None) -> Row:
    """The row that a profile's point is; `defaults` are columns of the device as a whole.

    Raises KeyError, TypeError or ValueError where the columns make no sense: check them before.
    """
    columns = {**(defaults or {}), **spec.binding}
    if "by" in columns:
        found = {value: _row(spec, one) for value, one in variants(columns).items()}
        first = next(iter(found.values()))
        return replace(first, by=str(columns["by"]), variants=found)
    return _row(spec, columns)


def written_row(spec: PointSpec, defaults: Mapping[str, Any] | None = None) -> Row:
    """The row that a point is written to, where that is another than it is read from."""
    elsewhere = {
        key: spec.binding[column]
        for key, column in (("address", "write_address"), ("type", "write_type"))
        if column in spec.binding
    }
    return row_of(replace(spec, binding={**spec.binding, **elsewhere}), defaults)


def variants(columns: Mapping[str, Any]) -> dict[Value, dict[str, Any]]:
    """The plain columns of a row for each value of the row that its `by` names."""
    given = {key: columns[key] for key in BY if _by_value(key, columns.get(key))}
    plain = {key: value for key, value in columns.items() if key not in given and key != "by"}
    values = dict.fromkeys(value for one in given.values() for value in one)
    return {
        value: plain | {key: one[value] for key, one in given.items() if value in one}
        for value in values
    }


def _by_value(key: str, found: Any) -> bool:
    """The column says one thing for each value: an enum is a mapping by itself."""
    if key == "scale" or not isinstance(found, Mapping):
        return isinstance(found, Mapping)
    return all(isinstance(one, Mapping) for one in found.values())


def _row(spec: PointSpec, columns: Mapping[str, Any]) -> Row:
    table = Table(columns["table"])
    kind = "bool" if table.bits else str(columns.get("type", "u16"))
    layout = Layout(
        type=kind,
        words=int(columns["words"]) if kind == "text" else TYPES[kind][1],
        little_words=columns.get("word_order", "big") == "little",
        little_bytes=columns.get("byte_order", "big") == "little",
        bit=columns.get("bit"),
        bits=int(columns.get("bits", 1)),
    )
    meaning = Meaning(
        kind=spec.kind,
        scale=columns.get("scale", 1),
        enum=_enum(columns, spec.kind, layout),
        undefined=_undefined(columns.get("undefined"), layout),
        limits=tuple(columns["limits"]) if "limits" in columns else None,
    )
    return Row(spec.name, table, int(columns["address"]), layout, meaning)


def _enum(
    columns: Mapping[str, Any], kind: ValueKind, layout: Layout
) -> Mapping[int | str, Value] | None:
    if "enum" in columns:
        raw_of = str if layout.type == "text" else int
        return {raw_of(raw): value for raw, value in columns["enum"].items()}
    if kind is ValueKind.BOOL and layout.type != "text":
        return {0: False, 1: True}
    return None


def _undefined(named: Any, layout: Layout) -> frozenset[int]:
    if named is not None:
        return frozenset(int(raw) for raw in named)
    if layout.bit is not None or layout.type[0] not in "ui":
        return frozenset()
    width = 16 * layout.words
    if layout.type[0] == "u":
        return frozenset({(1 << width) - 1})
    return frozenset({(1 << (width - 1)) - 1, -(1 << (width - 1))})


# --- bytes to values ----------------------------------------------------------------------------


def _bit_decoder(offset: int, meaning: Meaning) -> Decode:
    index, shift = divmod(offset, 8)
    assert meaning.enum is not None
    values = (meaning.enum.get(0), meaning.enum.get(1))
    return lambda data: values[data[index] >> shift & 1]


def _text_decoder(start: int, layout: Layout, meaning: Meaning) -> Decode:
    end = start + 2 * layout.words
    enum = meaning.enum

    def decode(data: bytes) -> Value | None:
        raw = _ordered(data[start:end], layout)
        text = raw.partition(b"\0")[0].strip()
        if not all(32 <= byte < 127 for byte in text):
            return None
        found = text.decode("ascii")
        return found if enum is None else enum.get(found)

    return decode


def _number_decoder(start: int, layout: Layout, meaning: Meaning) -> Decode:
    raw_of = _raw_decoder(start, layout)
    if layout.bit is not None:
        finish = _finish(meaning, layout)
        shift, mask = layout.bit, (1 << layout.bits) - 1
        return lambda data: finish(raw_of(data) >> shift & mask)
    if _plain(layout) and meaning.enum is None and meaning.limits is None:
        return _plain_decoder(start, layout, meaning)
    finish, undefined = _finish(meaning, layout), meaning.undefined

    def decode(data: bytes) -> Value | None:
        raw = raw_of(data)
        return None if raw in undefined else finish(raw)

    return decode


def _plain(layout: Layout) -> bool:
    """A whole number whose bytes lie in an order that a struct knows."""
    ordered = layout.words == 1 or layout.little_words == layout.little_bytes
    return ordered and layout.type[0] in "ui"


def _plain_decoder(start: int, layout: Layout, meaning: Meaning) -> Decode:
    """What most registers are, in one closure each: this is where polls spend their time."""
    letter = TYPES[layout.type][0]
    unpack_from = Struct(("<" if layout.little_bytes else ">") + letter).unpack_from
    undefined, scale = meaning.undefined, meaning.scale
    whole, digits, fine = meaning.kind is ValueKind.INT, _digits(meaning.scale), float(scale)

    def as_is(data: bytes) -> Value | None:
        raw: int = unpack_from(data, start)[0]
        return None if raw in undefined else raw

    def scaled(data: bytes) -> Value | None:
        raw: int = unpack_from(data, start)[0]
        if raw in undefined:
            return None
        return round(raw * scale) if whole else round(raw * fine, digits)

    return as_is if whole and scale == 1 else scaled


def _raw_decoder(start: int, layout: Layout) -> Callable[[bytes], Any]:
    """Finds the raw number in the bytes."""
    letter = TYPES[layout.type][0]
    if layout.words == 1 or layout.little_words == layout.little_bytes:
        unpack_from = Struct(("<" if layout.little_bytes else ">") + letter).unpack_from
        return lambda data: unpack_from(data, start)[0]
    unpack = Struct(">" + letter).unpack
    pick = itemgetter(*(start + index for index in _order(layout)))
    return lambda data: unpack(bytes(pick(data)))[0]


def _finish(meaning: Meaning, layout: Layout) -> Callable[[Any], Value | None]:
    """Turns a raw number into the value it means."""
    if meaning.enum is not None:
        return meaning.enum.get
    scale, limits = meaning.scale, meaning.limits
    real = layout.type[0] == "f"
    whole = meaning.kind is ValueKind.INT
    digits = _digits(scale)

    def finish(raw: Any) -> Value | None:
        value = raw if scale == 1 else raw * scale
        if real and not isfinite(value):
            return None
        value = round(value) if whole else float(value)
        if scale != 1 and not whole and not real:
            value = round(value, digits)
        if limits is not None and not limits[0] <= value <= limits[1]:
            return None
        return value

    return finish


def _digits(scale: float) -> int:
    exponent = Decimal(str(scale)).normalize().as_tuple().exponent
    return max(0, -int(exponent))


# --- values to bytes ----------------------------------------------------------------------------


def _encode_number(row: Row, value: Value) -> bytes:
    layout, meaning = row.layout, row.meaning
    raw = _raw_of(value, meaning)
    if layout.type[0] != "f":
        raw = round(raw)
    if layout.bit is not None:
        raw = (raw & (1 << layout.bits) - 1) << layout.bit
    try:
        packed = Struct(">" + TYPES[layout.type][0]).pack(raw)
    except Exception as error:
        raise MalformedError(f"{row.name}: {value!r} does not fit in {layout.type}") from error
    return _ordered(packed, layout)


def _raw_of(value: Value, meaning: Meaning) -> Any:
    if meaning.enum is not None:
        for raw, named in meaning.enum.items():
            if named == value and isinstance(named, bool) == isinstance(value, bool):
                return raw
        expected = ", ".join(repr(named) for named in meaning.enum.values())
        raise MalformedError(f"expected one of {expected}, found {value!r}")
    if isinstance(value, str):
        raise MalformedError(f"expected a number, found {value!r}")
    return value if meaning.scale == 1 else value / meaning.scale


def _order(layout: Layout) -> list[int]:
    """Where each byte of the value, most significant first, lies in its registers."""
    words = range(layout.words)
    in_word = (1, 0) if layout.little_bytes else (0, 1)
    return [
        2 * word + byte
        for word in (reversed(words) if layout.little_words else words)
        for byte in in_word
    ]


def _ordered(data: bytes, layout: Layout) -> bytes:
    """The bytes put in the order of the registers; padded or cut to their length."""
    fixed = data.ljust(2 * layout.words, b"\0")[: 2 * layout.words]
    return bytes(fixed[index] for index in _order(layout))
