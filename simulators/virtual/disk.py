"""A disk that is not there: it keeps what a store would, numbered and chained as a store does.

Rules:
- What is committed is kept, and what is not is gone with the process. Entities are read back
  through the codec that writes them, once each, so nothing survives here that would not on site.
- A commit that fails may have reached the disk all the same (`reached`): a store that is opened
  again tells its number, and takes the same batch a second time without writing it twice.
"""

from collections.abc import Callable
from random import Random

from gateway.domain.entity import Entity
from gateway.domain.errors import StoreError
from gateway.domain.records import Position, chain_start
from gateway.ports import Batch, Loaded, Stamped
from gateway.store.entities import EntityCodec
from gateway.store.rows import Head, JournalRow, seal


def at_once() -> int:
    """A commit takes no time."""
    return 0


class MemoryDisk:
    """What a store holds. `wrong`: why it is of no use now; `full`: why it takes nothing, though it
    can be read. `takes` says how long a commit is.
    """

    def __init__(self, random: Random, epoch: str = "world", takes: Callable[[], int] = at_once):
        self.epoch = epoch
        self.entities: dict[tuple[type[Entity], str], Entity] = {}
        self.rows: list[JournalRow] = []
        self.stamped: list[Stamped] = []
        self.wrong = self.full = ""
        self.reached = False  # the next commit that fails is on the disk nevertheless
        self._random = random
        self._takes = takes
        self._head = Head(epoch, 0, 0, chain_start(epoch))
        self._codec = EntityCodec()
        self._reads: dict[tuple[type[Entity], str], tuple[Entity, Entity]] = {}
        self._attempt: tuple[int, bool] | None = None

    def takes_ms(self) -> int:
        """How long the next commit takes."""
        return self._takes()

    def open(self) -> Loaded:
        """What is on it, as it would be read. Raises StoreError."""
        if self.wrong:
            raise StoreError(self.wrong)
        entities = tuple(self._read(key, entity) for key, entity in self.entities.items())
        told = {}
        if self._attempt is not None and self._attempt[1]:
            told = {"batch": str(self._attempt[0])}
        return Loaded(entities, self._head.position, told)

    def commit(self, batch: Batch) -> Position:
        """Keep a batch. Raises StoreError."""
        refused = self.wrong or self.full
        if self._attempt == (batch.number, True) and not refused:
            self._attempt = None
            return self._head.position
        if refused:
            reached, self.reached = self.reached, False
            self._attempt = (batch.number, reached)
            if reached:
                self._keep(batch)
            raise StoreError(refused)
        self._attempt = None
        self._keep(batch)
        return self._head.position

    def _read(self, key: tuple[type[Entity], str], entity: Entity) -> Entity:
        kept, read = self._reads.get(key, (None, entity))
        if kept is not entity:
            kind, _, version, body = self._codec.row(entity)
            read = self._codec.entity(kind, version, body)
            self._reads[key] = (entity, read)
        return read

    def _keep(self, batch: Batch) -> None:
        rows, self._head = seal(batch.records, self._head, self._random.randbytes)
        self.rows += rows
        self.stamped += batch.records
        for type_, id_, entity in batch.changes:
            if entity is not None:
                self.entities[type_, id_] = entity
            else:
                self.entities.pop((type_, id_), None)
