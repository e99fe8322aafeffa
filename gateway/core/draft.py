"""A decision in the making: what it has changed so far lies over the state it looks at."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from gateway.domain.entity import Entity
from gateway.domain.now import Now
from gateway.domain.points import ReadingsView
from gateway.domain.reasons import Reason
from gateway.domain.records import Fact, Record
from gateway.domain.site import Site
from gateway.domain.state import Change, Decision, Reply, State

E = TypeVar("E", bound=Entity)


class Draft:
    """State with one decision's own changes on top. Lives for one `decide` and is never shared."""

    __slots__ = (
        "_found",
        "_ids",
        "_over",
        "_records",
        "_tables",
        "now",
        "reading",
        "readings",
        "seen",
        "site",
        "state",
    )

    def __init__(self, site: Site, state: State, readings: ReadingsView, now: Now) -> None:
        self.site = site
        self.state = state
        self.readings = readings
        self.reading = readings.latest  # the latest reading of a point
        self.seen: dict[int, Any] = {}  # made of readings, which stand still in a decision
        self.now = now
        self._tables = state.tables
        self._over: dict[type[Entity], dict[str, Entity | None]] = {}
        self._found: dict[type[Entity], dict[str, Any]] = {}
        self._records: list[Record] = []
        self._ids = 0

    def get(self, type_: type[E], id_: str) -> E | None:
        """The entity as it is after what was decided so far."""
        if type_ in self._over and id_ in self._over[type_]:
            return self._over[type_][id_]  # type: ignore[return-value]
        return self._tables[type_].get(id_)  # type: ignore[return-value]

    def where(self, type_: type[E], name: str, value: Any) -> Sequence[E]:
        """Entities whose indexed field is, or contains, the value."""
        found = self.state.where(type_, name, value)
        over = self._over.get(type_)
        if over is None:
            return found
        kept = [e for e in found if e.id not in over]
        return kept + [e for e in self._changed(type_) if _has(e, name, value)]

    def all(self, type_: type[E]) -> list[E]:
        """All entities of a type."""
        over = self._over.get(type_, {})
        return [e for e in self.state.all(type_) if e.id not in over] + self._changed(type_)

    def found(self, type_: type[Entity]) -> dict[str, Any]:
        """What was found of a type's entities so far; empty again once one of them changes."""
        found = self._found.get(type_)
        if found is None:
            found = self._found[type_] = {}
        return found

    def put(self, entity: Entity) -> None:
        """The entity is now so; a put of what is already so changes nothing."""
        known = self.get(type(entity), entity.id)
        if known is not entity and known != entity:
            self._change(type(entity), entity.id, entity)

    def drop(self, type_: type[Entity], id_: str) -> None:
        """The entity is no more."""
        if self.get(type_, id_) is not None:
            self._change(type_, id_, None)

    def _change(self, type_: type[Entity], id_: str, entity: Entity | None) -> None:
        self._over.setdefault(type_, {})[id_] = entity
        self._found.pop(type_, None)

    def record(
        self,
        fact: Fact,
        *,
        personal: dict[str, str] | None = None,
        urgent: bool = False,
        why: Reason | None = None,
        **data: Any,
    ) -> None:
        """State a fact. None values are left out; personal fields lie apart."""
        body = {key: value for key, value in data.items() if value is not None}
        if why is not None:
            body["reason"] = {"code": why.code, "en": why.en, "zh": why.zh}
        self._records.append(Record(fact, body, personal or {}, urgent))

    def new_id(self, kind: str) -> str:
        """An id that nothing else has, of this decision or any other."""
        self._ids += 1
        id_ = self.now.new_id(kind)
        return id_ if self._ids == 1 else f"{id_}-{self._ids}"

    def local_time(self, wall_ms: int) -> str:
        """The hour and minute that a clock on the site's wall shows, with the day if not today."""
        zone = zone_of(self.site.zone)
        then = datetime.fromtimestamp(wall_ms / 1000, zone)
        today = datetime.fromtimestamp(self.now.wall_ms / 1000, zone)
        return then.strftime("%H:%M" if then.date() == today.date() else "%m-%d %H:%M")

    def records(self) -> tuple[Record, ...]:
        """The facts stated so far."""
        return tuple(self._records)

    def changed(self) -> Mapping[type[Entity], Mapping[str, Entity | None]]:
        """What was put, or dropped (None), so far: by type and id."""
        return self._over

    def decision(self, reply: Reply | None) -> Decision:
        """What was decided."""
        changes = [
            Change(type_, id_, entity)
            for type_, over in self._over.items()
            for id_, entity in over.items()
        ]
        return Decision(tuple(changes), tuple(self._records), reply)

    def _changed(self, type_: type[E]) -> list[E]:
        over = self._over.get(type_, {})
        return [one for one in over.values() if one is not None]  # type: ignore[misc]


@lru_cache(maxsize=8)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name."""
    return ZoneInfo(name)


def _has(entity: Entity, name: str, value: Any) -> bool:
    found = getattr(entity, name)
    return value in found if isinstance(found, tuple) else found == value
