"""What a driver says becomes readings that know their worth."""

from simulation.sites import ref, small_site

from gateway.domain.faults import Health
from gateway.domain.points import Quality, Reading
from gateway.domain.records import Position
from gateway.ports import Loaded
from gateway.runtime.clock import SystemClock
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.sink import LinkSink
from gateway.runtime.step import Step
from gateway.store.store import SqliteStore


async def test_a_dead_link_leaves_no_reading_that_looks_alive(tmp_path) -> None:
    clock = SystemClock("t")
    readings = Readings()
    step = Step(small_site(), Loaded((), Position("", 0), {}), readings)
    store = SqliteStore(tmp_path / "gateway.db")
    engine = Engine(step, Reconciler(lambda _: None, 0), readings, store, clock)
    sink = LinkSink("bus", engine, lambda _: lambda: None)
    for point in ("board/input_1", "keypad/credential"):
        sink.reading(Reading(ref(point), True, Quality.GOOD, 1, 1))
    sink.link_health(Health.SILENT, "connection lost")
    assert readings.latest(ref("board/input_1")).quality is Quality.STALE
    assert readings.latest(ref("keypad/credential")).quality is Quality.GOOD, "another link's"
