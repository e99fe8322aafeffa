"""Everything that is true now. One writer applies changes; all others only look."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from gateway.domain.bookings import Authority, Booking, CommandSeen
from gateway.domain.calls import Call, CallPointStatus, FireLatch
from gateway.domain.charging import (
    ChargingSession,
    CircuitEnergy,
    CircuitLoad,
    CircuitStatus,
    MeterStatus,
    OutletStatus,
)
from gateway.domain.clock import ClockStatus
from gateway.domain.entity import Entity
from gateway.domain.faults import DeviceStatus, Fault
from gateway.domain.quotas import Hold, Quota
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Record
from gateway.domain.subjects import Credential, StandingRight, Subject
from gateway.domain.utilization import Usage
from gateway.domain.visits import DoorStatus, ReaderStatus, RoomStatus, Visit

E = TypeVar("E", bound=Entity)

KINDS: dict[str, type[Entity]] = {
    entity.kind: entity
    for entity in (
        Authority,
        Booking,
        Call,
        CallPointStatus,
        ChargingSession,
        CircuitEnergy,
        CircuitLoad,
        CircuitStatus,
        ClockStatus,
        CommandSeen,
        Credential,
        DeviceStatus,
        DoorStatus,
        Fault,
        FireLatch,
        Hold,
        MeterStatus,
        OutletStatus,
        Quota,
        ReaderStatus,
        RoomStatus,
        StandingRight,
        Subject,
        Usage,
        Visit,
    )
}


class Change(NamedTuple):
    """An entity of that type and id is now so; None: it is no more."""

    type: type[Entity]
    id: str
    entity: Entity | None


def put(entity: Entity) -> Change:
    """It is now so."""
    return Change(type(entity), entity.id, entity)


def drop(type_: type[Entity], id_: str) -> Change:
    """It is no more."""
    return Change(type_, id_, None)


class Result(StrEnum):
    """Answers, in OCPP's words of authorisation where they fit."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    CONCURRENT = "ConcurrentTx"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    NO_CREDIT = "NoCredit"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"
    REJECTED = "Rejected"
    HELD = "Held"  # a snapshot that waits for a confirmation


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to who asked: a result, the reason, and what a program needs of it."""

    result: Result
    reason: Reason = field(default_factory=lambda: reason("ok"))
    data: dict[str, Any] = field(default_factory=dict)
    durable: bool = True

    @property
    def accepted(self) -> bool:
        """True when what was asked is so."""
        return self.result is Result.ACCEPTED


class Decision(NamedTuple):
    """What the core decided of one event."""

    changes: tuple[Change, ...] = ()
    records: tuple[Record, ...] = ()
    reply: Reply | None = None


class State:
    """Tables of entities with the indexes their types ask for."""

    __slots__ = ("_index", "_tables")

    def __init__(self, entities: Iterable[Entity] = ()) -> None:
        self._tables: dict[type[Entity], dict[str, Entity]] = {t: {} for t in KINDS.values()}
        self._index: dict[tuple[type[Entity], str], dict[Any, dict[str, Entity]]] = {
            (t, name): {} for t in KINDS.values() for name in t.indexed
        }
        for entity in entities:
            self._put(entity)

    def get(self, type_: type[E], id_: str) -> E | None:
        """The entity of that id, if there is one."""
        return self._tables[type_].get(id_)  # type: ignore[return-value]

    def all(self, type_: type[E]) -> Iterator[E]:
        """All entities of a type. Do not change state while looking."""
        return iter(self._tables[type_].values())  # type: ignore[arg-type]

    def where(self, type_: type[E], name: str, value: Any) -> tuple[E, ...]:
        """Entities whose indexed field `name` is, or contains, `value`."""
        found = self._index[type_, name].get(value)
        return (*found.values(),) if found else ()  # type: ignore[arg-type]

    @property
    def tables(self) -> Mapping[type[Entity], Mapping[str, Entity]]:
        """Everything by type and id, to look at."""
        return self._tables

    def count(self, type_: type[Entity]) -> int:
        """How many there are."""
        return len(self._tables[type_])

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the changes true. Only the step calls this, between decisions."""
        for type_, id_, entity in changes:
            if entity is not None:
                self._put(entity)
            else:
                self._drop(type_, id_)

    def entities(self) -> Iterator[Entity]:
        """Everything, for a checkpoint."""
        for table in self._tables.values():
            yield from table.values()

    def _put(self, entity: Entity) -> None:
        type_ = type(entity)
        old = self._tables[type_].get(entity.id)
        self._tables[type_][entity.id] = entity
        for name in type_.indexed:
            if old is not None:
                if getattr(old, name) == getattr(entity, name):
                    self._reindex_same(type_, name, entity)
                    continue
                self._unindex(type_, name, old)
            for key in _keys(entity, name):
                self._index[type_, name].setdefault(key, {})[entity.id] = entity

    def _reindex_same(self, type_: type[Entity], name: str, entity: Entity) -> None:
        for key in _keys(entity, name):
            self._index[type_, name][key][entity.id] = entity

    def _drop(self, type_: type[Entity], id_: str) -> None:
        old = self._tables[type_].pop(id_, None)
        if old is not None:
            for name in type_.indexed:
                self._unindex(type_, name, old)

    def _unindex(self, type_: type[Entity], name: str, entity: Entity) -> None:
        index = self._index[type_, name]
        for key in _keys(entity, name):
            index[key].pop(entity.id, None)
            if not index[key]:
                del index[key]


def _keys(entity: Entity, name: str) -> tuple[Any, ...]:
    value = getattr(entity, name)
    return value if isinstance(value, tuple) else (value,)
