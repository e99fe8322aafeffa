"""Carry running durations over a checkpoint or a restart (DESIGN §6)."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from gateway.domain.now import SECOND_MS, Elapsed, Now

T = TypeVar("T")
LATE_MS = SECOND_MS  # a deadline that is looked at later was looked at before


def carried(value: T, now: Now) -> T:
    """The same value, with every running duration in it measured up to now and carried on."""
    if isinstance(value, Elapsed):
        return value.checkpoint(now)  # type: ignore[return-value]  # T is Elapsed
    fresh: dict[str, Any] = {}
    for name in running(type(value)):  # type: ignore[arg-type]  # a type is hashable
        old = getattr(value, name)
        if old is not None:
            fresh[name] = carried(old, now)
    return replace(value, **fresh) if fresh else value  # type: ignore[type-var]  # a dataclass


def first_ahead(waits_ms: Iterable[int]) -> int | None:
    """The first of these waits that is not over: each is due once, whatever comes of it."""
    ahead = [max(0, wait_ms) for wait_ms in waits_ms if wait_ms > -LATE_MS]
    return min(ahead, default=None)


@cache
def running(type_: Any) -> tuple[str, ...]:
    """The fields of a dataclass that are, or hold, a running duration."""
    if not is_dataclass(type_):
        return ()
    hints = get_type_hints(type_)
    return tuple(field.name for field in fields(type_) if _holds(hints[field.name]))


def _holds(hint: Any) -> bool:
    return any(
        found is Elapsed or (isinstance(found, type) and bool(running(found)))
        for found in (hint, *get_args(hint))
    )
