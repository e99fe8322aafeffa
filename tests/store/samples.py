"""Batches and entities for the store's tests."""

import json
from collections.abc import Iterable
from typing import Any

from gateway.domain.now import Now, Trust
from gateway.domain.records import Fact, Record
from gateway.domain.state import Change
from gateway.ports import Batch, Stamped

DAY_MS = 86_400_000
WALL_MS = 1_750_000_000_000


def at(wall_ms: int = WALL_MS, mono_ms: int = 5_000, trust: Trust = Trust.SYNCHRONISED) -> Now:
    return Now(wall_ms, mono_ms, trust, "boot-1")


def granted(subject: str = "s-1", door: str = "front") -> Record:
    return Record(
        Fact.GRANTED,
        {"door": door, "basis": "booking-1", "clock_uncertain": False},
        {"subject": subject},
    )


def call(place: str = "hall") -> Record:
    return Record(Fact.CALL_RAISED, {"call": "call-1", "place": place}, urgent=True)


def presence(facility: str = "study") -> Record:
    return Record(Fact.PRESENCE_BEGAN, {"facility": facility})


def batch(
    number: int,
    records: Iterable[Record] = (),
    changes: Iterable[Change] = (),
    now: Now | None = None,
) -> Batch:
    stamped = tuple(Stamped(record, now or at()) for record in records)
    return Batch(number, stamped, tuple(changes))


def data(payload: bytes | None) -> Any:
    assert payload is not None
    return json.loads(payload)["data"]
