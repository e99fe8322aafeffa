"""Carry running durations over a checkpoint or a restart (DESIGN §6)."""

from collections.abc import Hashable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast

from gateway.domain.now import Elapsed, Now

T = TypeVar("T")


def carried(value: T, now: Now) -> T:
    """The same value, with every running duration in it measured up to now and carried on."""
    if isinstance(value, Elapsed):
        return value.checkpoint(now)  # type: ignore[return-value]
    if not is_dataclass(value):
        return value
    fresh: dict[str, Any] = {}
    for name in _names(cast(Hashable, type(value))):
        old = getattr(value, name)
        new = carried(old, now)
        if new is not old:
            fresh[name] = new
    return cast(T, replace(cast(Any, value), **fresh)) if fresh else value


@cache
def _names(type_: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cast(Any, type_)))
