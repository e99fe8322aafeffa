"""Metrics: what Prometheus reads, with no label that grows with use."""

from api.api_rig import Rig
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.faults import Health


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
    await rig.press("board/input_3")
    found = await scrape(rig)
    assert found["commons_events_total", ()] > before["commons_events_total", ()]
    assert found["commons_commits_total", ()] > before["commons_commits_total", ()]
    assert found["commons_link_total", ("bus", "polls")] == 3
    assert found["commons_link_up", ("bus",)] == 1
    assert found["commons_link_up", ("mqtt",)] == 0
    assert found["commons_devices", ("degraded", "bus")] == 1
    assert found["commons_calls_open", ("raised",)] == 1
    assert found["commons_calls_open", ("acknowledged",)] == 0
    assert found["commons_storage_lost", ()] == 0
    assert found["commons_clock_trust", ("synchronised",)] == 1
    assert found["commons_clock_trust", ("untrusted",)] == 0
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
