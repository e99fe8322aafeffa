"""Domain values as plain JSON values, and back. No secret is among them (RULES U5).

A value of the domain is an object that names its type under `is`; a point is `device/point`, a
kind its word, a tuple a list. A secret is what the mask makes of it, and is a secret again when it
is read: whoever reads can tell whether two were the same, and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from gateway.domain.points import PointRef
from gateway.domain.secret import Secret

Mask = Callable[[Secret], str]
_Writer = Callable[[Any], Any]
_Reader = Callable[[Any], Any]

TYPE = "is"
_ITSELF = frozenset({str, int, float, bool, NoneType})


class Plain:
    """Makes values plain. `mask` is all that is ever seen of a secret."""

    def __init__(self, mask: Mask) -> None:
        self._writers: dict[type, _Writer] = {Secret: mask, PointRef: str}

    def __call__(self, value: Any) -> Any:
        """The plain value of a domain value."""
        type_ = type(value)
        if type_ in _ITSELF:
            return value
        writer = self._writers.get(type_)
        if writer is None:
            writer = self._writers[type_] = self._writer(type_)
        return writer(value)

    def _writer(self, type_: type) -> _Writer:
        names = _names_in(type_)
        if names is not None:
            named = type_.__name__
            return lambda value: {
                TYPE: named,
                **{name: self(getattr(value, name)) for name in names},
            }
        if issubclass(type_, Enum):
            return lambda value: value.value
        if issubclass(type_, Mapping):
            return lambda value: {key: self(inner) for key, inner in value.items()}
        assert issubclass(type_, tuple | list), type_
        return lambda value: [self(inner) for inner in value]


def value_of(type_: Any, plain: Any) -> Any:
    """The value of a type whose plain value this is. Raises ValueError where it is none."""
    try:
        return _reader(type_)(plain)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a {type_}: {error!r}") from error


@cache
def _reader(hint: Any) -> _Reader:
    """What makes a value of that type from a plain one."""
    if hint is Any or hint in _ITSELF:
        return lambda plain: plain
    if hint is PointRef:
        return PointRef.parse
    names = _names_in(hint)
    if names is not None:
        return _object_of(hint, names)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _one_of(args)
    if origin is tuple:
        return _tuple_of(args)
    return cast(_Reader, hint) if origin is None else _mapping_of(args)  # a kind or secret: a word


def _mapping_of(args: tuple[Any, ...]) -> _Reader:
    each = _reader(args[1])
    return lambda plain: {key: each(value) for key, value in plain.items()}


def _tuple_of(args: tuple[Any, ...]) -> _Reader:
    if args[1:] == (...,):
        each = _reader(args[0])
        return lambda plain: tuple(each(value) for value in plain)
    readers = [_reader(arg) for arg in args]
    return lambda plain: tuple(r(value) for r, value in zip(readers, plain, strict=True))


def _one_of(args: tuple[Any, ...]) -> _Reader:
    """None, a plain value, or the member that the object names."""
    others = [arg for arg in args if arg not in _ITSELF]
    named = {arg.__name__: _reader(arg) for arg in others}
    lone = _reader(others[0]) if len(others) == 1 else None

    def read(plain: Any) -> Any:
        if plain is None or not others:
            return plain
        return lone(plain) if lone is not None else named[plain[TYPE]](plain)

    return read


def _names_in(type_: Any) -> tuple[str, ...] | None:
    """The fields of a dataclass or a named tuple; None for what is neither."""
    if is_dataclass(type_):
        return tuple(field.name for field in fields(type_))
    return getattr(type_, "_fields", None)


def _object_of(type_: Any, names: tuple[str, ...]) -> _Reader:
    """A field that is missing has its default, or is an error."""
    hints = get_type_hints(type_)
    readers = [(name, _reader(hints[name])) for name in names]
    return lambda plain: type_(
        **{name: read(plain[name]) for name, read in readers if name in plain}
    )
