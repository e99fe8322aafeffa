"""Whatever becomes due is looked at in time, each second while it is, and not more (DESIGN 5)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.entity import Entity
from gateway.domain.now import Now, Trust
from gateway.domain.state import State
from gateway.domain.visits import DoorStatus
from gateway.runtime.agenda import SOONEST_MS, Agenda

DOORS = [DoorStatus(name) for name in ("front", "study", "store")]
LATE_MS = 200  # the longest that anybody waits here before asking
Change = tuple[int, str, int | None]  # after so long this door is due so much later, or no more

changes = st.lists(
    st.tuples(
        st.integers(1, LATE_MS),
        st.sampled_from([door.id for door in DOORS]),
        st.none() | st.integers(-100, 3_000),
    ),
    max_size=60,
)


class Watch:
    """An agenda of doors whose deadlines are as told, and when each was looked at."""

    def __init__(self) -> None:
        self.ms = 0
        self.due: dict[str, int | None] = dict.fromkeys((door.id for door in DOORS), None)
        self.looked: dict[str, list[int]] = {door.id: [] for door in DOORS}
        self.state = State(DOORS)
        self.agenda = Agenda(self._due_ms)

    def _due_ms(self, entity: Entity, _now: Now) -> int | None:
        return self.due[entity.id]

    def now(self) -> Now:
        return Now(self.ms, self.ms, Trust.SYNCHRONISED, "boot1")

    def changes(self, door: str, later_ms: int | None) -> None:
        self.due[door] = None if later_ms is None else self.ms + later_ms
        self.agenda.note(next(one for one in DOORS if one.id == door), self.now())

    def look(self) -> None:
        while (event := self.agenda.take(self.state, self.now())) is not None:
            self.looked[event.id].append(self.ms)


@given(changes)
def test_what_is_due_is_looked_at_each_second_until_it_is_not(told: list[Change]) -> None:
    watch = Watch()
    for wait_ms, door, later_ms in told:
        watch.ms += wait_ms
        watch.look()
        watch.changes(door, later_ms)
        watch.look()
        for name, due in watch.due.items():
            looked = watch.looked[name]
            if due is not None:
                soonest = max(due, looked[-1] + SOONEST_MS) if looked else due
                assert watch.agenda.next_ms() <= soonest, f"{name} is forgotten"
                assert soonest > watch.ms, f"{name} is due, and nobody looks"
            gaps = [after - before for before, after in pairwise(looked)]
            assert min(gaps, default=SOONEST_MS) >= SOONEST_MS, "looked at too soon"


def test_nothing_is_kept_of_what_is_gone() -> None:
    # a cleared call is due in a day, and gone before when many follow it
    watch = Watch()
    for number in range(1_000):
        door = DoorStatus(f"door-{number}")
        watch.due[door.id] = watch.ms + 86_400_000
        watch.agenda.note(door, watch.now())
        watch.look()
    assert len(watch.agenda) <= 1
