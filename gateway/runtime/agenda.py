"""When each entity is worth a look, sans-I/O.

Rules: the heap holds hints; a popped one is recomputed from state, so nothing hangs on it (DESIGN
§5). What was looked at is not looked at again within a second, whatever it says of itself. Hints of
what is gone, or was planned anew, are dropped whenever the heap has doubled.
"""

import heapq
from collections.abc import Callable, Iterable

from gateway.domain.entity import Entity
from gateway.domain.events import DeadlineReached
from gateway.domain.now import Now
from gateway.domain.state import KINDS, State

SOONEST_MS = 1_000
NEVER = 1 << 62
DueMs = Callable[[Entity, Now], int | None]
_Key = tuple[str, str]


class Agenda:
    """Deadlines of entities by `(kind, id)`. `due_ms` computes one from state (monotonic)."""

    def __init__(self, due_ms: DueMs) -> None:
        self._due_ms = due_ms
        self._heap: list[tuple[int, str, str]] = []
        self._planned: dict[_Key, int] = {}
        self._looked: dict[_Key, int] = {}
        self._tidy_at = 0  # hints

    def __len__(self) -> int:
        """How many hints are kept."""
        return len(self._heap)

    def note(self, entity: Entity, now: Now) -> None:
        """An entity changed: plan the next look at it, unless an earlier one is planned."""
        due = self._due_ms(entity, now)
        if due is not None:
            self._plan((entity.kind, entity.id), due)

    def note_all(self, entities: Iterable[Entity], now: Now) -> None:
        """Plan everything anew: after a start, a stepped clock, a changed site."""
        self._heap.clear()
        self._planned.clear()
        for entity in entities:
            self.note(entity, now)

    def take(self, state: State, now: Now) -> DeadlineReached | None:
        """The next entity that is due; None when there is none. To be decided before the next."""
        if len(self._heap) > self._tidy_at:
            self._tidy(state)
        while self._heap and self._heap[0][0] <= now.mono_ms:
            planned, kind, id_ = heapq.heappop(self._heap)
            key = (kind, id_)
            if self._planned.get(key) != planned:
                continue  # planned anew since
            del self._planned[key]
            entity = state.get(KINDS[kind], id_)
            due = None if entity is None else self._due_ms(entity, now)
            if due is None:
                self._looked.pop(key, None)
            elif due > now.mono_ms:
                self._plan(key, due)
            else:
                self._looked[key] = now.mono_ms
                self._plan(key, now.mono_ms + SOONEST_MS)
                return DeadlineReached(kind, id_)
        return None

    def next_ms(self) -> int:
        """When `take` is next worth asking (monotonic)."""
        return self._heap[0][0] if self._heap else NEVER

    def _tidy(self, state: State) -> None:
        def alive(hints: dict[_Key, int]) -> dict[_Key, int]:
            return {
                (kind, id_): ms
                for (kind, id_), ms in hints.items()
                if state.get(KINDS[kind], id_) is not None
            }

        self._planned, self._looked = alive(self._planned), alive(self._looked)
        self._heap = [(due, *key) for key, due in self._planned.items()]
        heapq.heapify(self._heap)
        self._tidy_at = 2 * len(self._heap)

    def _plan(self, key: _Key, due: int) -> None:
        looked = self._looked.get(key)
        if looked is not None:
            due = max(due, looked + SOONEST_MS)
        planned = self._planned.get(key)
        if planned is None or due < planned:
            self._planned[key] = due
            heapq.heappush(self._heap, (due, *key))
