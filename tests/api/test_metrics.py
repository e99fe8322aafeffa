"""Metrics: what Prometheus reads, with no label that grows with use."""

import math
from dataclasses import replace
from pathlib import Path

from api.api_rig import Rig, api_site, served
from fixtures.waiting import until
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.charging import Meter, MeterStatus, Outlet, OutletPoints
from gateway.domain.faults import Health
from gateway.domain.points import PointRef
from gateway.domain.power import Circuit, Load, LoadKind
from gateway.domain.site import BookingPolicy, Facility, Name


async def scrape(rig: Rig) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = await rig.get("/metrics", "technician")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_the_gateways_state_is_measured(rig: Rig) -> None:
    for device in ("board", "board", ""):
        rig.sinks["bus"].count("polls", device)
    rig.sinks["bus"].link_health(Health.ONLINE)
    rig.sinks["bus"].device_health("board", Health.DEGRADED)
    before = await scrape(rig)
    rig.store.journal.set_cursor("platform", 1)
    assert before["commons_fire_latched", ("fire",)] == 0
    await rig.press("board/input_3")
    await rig.press("board/input_4")
    beats = ("commons_loop_lag_seconds_count", ())
    while not (found := await scrape(rig))[beats]:
        pass  # the first beat is to come
    assert found["commons_events_total", ()] > before["commons_events_total", ()]
    assert found["commons_commits_total", ()] > before["commons_commits_total", ()]
    assert found["commons_link_total", ("bus", "polls")] == 3
    assert found["commons_link_up", ("bus",)] == 1
    assert found["commons_link_up", ("mqtt",)] == 0
    assert found["commons_devices", ("degraded", "bus")] == 1
    assert found["commons_calls_open", ("raised",)] == 1
    assert found["commons_calls_open", ("acknowledged",)] == 0
    assert found["commons_fire_latched", ("fire",)] == 1
    assert found["commons_storage_lost", ()] == 0
    assert found["commons_clock_trust", ("synchronised",)] == 1
    assert found["commons_clock_trust", ("untrusted",)] == 0
    assert found["commons_clock_basis", ("kernel",)] == 1
    assert found["commons_clock_basis", ("nobody",)] == 0
    assert 0 < found["commons_clock_since_timestamp_seconds", ()] * 1000 <= rig.clock.wall_ms()
    assert (
        found["commons_loop_lag_seconds_bucket", ("+Inf",)]
        >= found["commons_loop_lag_seconds_bucket", ("0.1",)]
    )
    assert found["commons_loop_lag_seconds_max", ()] >= found["commons_loop_held_seconds_max", ()]
    assert found["commons_loop_held_seconds_count", ()] == found[beats]
    assert found["commons_tasks", ()] >= 2
    assert found["commons_journal_head", ()] == rig.engine.head.seq
    assert found["commons_platform_distance", ()] == rig.engine.head.seq - 1


async def test_use_adds_no_time_series(rig: Rig) -> None:
    before = set(await scrape(rig))
    await rig.booking()
    for _ in range(3):
        await rig.post("/api/v1/calls", {"place": "study_room"})
        await rig.get("/api/v1/doors/nowhere")
    assert set(await scrape(rig)) - before == set()


async def test_a_lost_store_is_seen(rig: Rig) -> None:
    rig.break_store()
    await rig.post("/api/v1/calls", {"place": "study_room"})
    assert (await scrape(rig))["commons_storage_lost", ()] == 1


async def test_what_outlets_draw_and_circuits_carry_is_measured(tmp_path: Path) -> None:
    """An outlet that is not read is not a number, and no zero."""
    circuit = Circuit("feeder", "compound", (16_000,) * 3, other_ma=(1_000, 0, 0))
    points = OutletPoints(
        switch=PointRef("board", "relay_7"),
        power=PointRef("board", "power"),
        currents=(PointRef("board", "current"),),
    )
    load = Load("feeder", LoadKind.SWITCHED, (2,), minimum_ma=5_000, maximum_ma=5_000)
    meter = Meter(PointRef("board", "energy"))
    socket = Facility(
        "socket",
        "compound",
        Name("插座", "Socket"),
        BookingPolicy.NONE,
        outlet=Outlet(points, load, meter),
    )
    site = api_site()
    facilities = {**site.facilities, socket.id: socket}
    site = replace(site, facilities=facilities, circuits={circuit.id: circuit})
    async with served(tmp_path, site) as rig:
        assert math.isnan((await scrape(rig))["commons_outlet_power_w", ("socket",)])
        for point, value in (("power", 160.0), ("current", 696), ("energy", 4_711)):
            rig.read(f"board/{point}", value)
        rig.read("board/relay_7", True)
        await until(lambda: rig.engine.state.get(MeterStatus, "socket"))
        found = await scrape(rig)
        assert found["commons_outlet_power_w", ("socket",)] == 160
        assert found["commons_outlet_energy_wh", ("socket",)] == 4_711
        assert found["commons_outlet_granted_ma", ("socket",)] == 0
        loads = [found["commons_circuit_load_ma", ("feeder", f"L{n}")] for n in (1, 2, 3)]
        assert loads == [1_000, 696, 0]
        assert found["commons_circuit_limit_ma", ("feeder", "L1")] == 16_000
        (shown,) = (await rig.get("/api/v1/circuits")).json()
        assert (shown["load_ma"], shown["metered"], shown["outlets"]) == (
            [1_000, 696, 0],
            False,
            ["socket"],
        )
