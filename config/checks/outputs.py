"""One output does one thing: what is driven from two sides obeys neither.

A board may offer one output in several ways (`relay_3`, `pulse_3`, `signal_3`): writable points of
one device whose names end in the same `_<number>` are one output.
"""

import re
from collections.abc import Mapping
from typing import Any

from config.draft import WORDS, Draft, Item
from config.files import KeyPath
from config.references import pointed_by, spec_of
from gateway.domain.points import PointRef
from gateway.domain.profile import Profile
from gateway.domain.uses import Use

DRIVEN = frozenset(
    {Use.STRIKE, Use.HOLD, Use.SIREN, Use.LAMP, Use.HEARTBEAT, Use.POWER_DRIVE, Use.BREAKER}
)
SHARED = frozenset({Use.SIREN, Use.LAMP})  # several call points may sound one siren
ONE_DOOR = frozenset({Use.STRIKE, Use.HOLD})  # a relay may be pulsed and held for one door

_NUMBERED = re.compile(r"^[a-z][a-z0-9-]*_(\d+)$")


def check_outputs(draft: Draft, profiles: Mapping[str, Profile]) -> None:
    """Add a problem for each output that is used for two things."""
    first: dict[tuple[str, str], tuple[Item[Any], PointRef, Use]] = {}
    for item in draft.items():
        for path, ref, use in pointed_by(item):
            spec = spec_of(draft, profiles, str(ref))
            if use not in DRIVEN or spec is None or spec.setpoint is None:
                continue
            output = _output(ref)
            other = first.setdefault(output, (item, ref, use))
            if not _compatible((item, ref, use), other):
                _told(draft, item, path, ref, other)


def _output(ref: PointRef) -> tuple[str, str]:
    numbered = _NUMBERED.match(ref.point)
    return ref.device, numbered[1] if numbered else ref.point


def _compatible(
    one: tuple[Item[Any], PointRef, Use], other: tuple[Item[Any], PointRef, Use]
) -> bool:
    if one == other:
        return True
    (item, ref, use), (its, that, role) = one, other
    if use is role and use in SHARED:
        return ref == that
    return item is its and {use, role} == ONE_DOOR


def _told(
    draft: Draft,
    item: Item[Any],
    path: KeyPath,
    ref: PointRef,
    other: tuple[Item[Any], PointRef, Use],
) -> None:
    its, that, role = other
    assert its.model is not None
    word = WORDS[type(its.model)].partition(" ")[2]
    owner = word if role is Use.HEARTBEAT else f"{word} {its.id!r}"
    same = "" if that == ref else f" as {str(that)!r}, the same output"
    said = f"found {str(ref)!r}, which is the {role} of the {owner} already{same}"
    draft.wrong(item, path, f"{said}; expected an output of its own")
