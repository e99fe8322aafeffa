"""The store cannot be written: the platform is told, and nothing passes as durable (RULES X1)."""

from pathlib import Path

from fixtures.broker import Broker
from fixtures.waiting import until
from uplink_rig import Rig, gateway, platform, window

from gateway.domain.bookings import Booking
from gateway.domain.events import PointEdge, Stopping
from gateway.domain.points import PointRef


async def test_while_storage_is_lost_facts_go_up_marked_so_and_come_again_in_the_journal(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.book("before", "study", ["ann"], window())
        await desk.until(lambda p: p.facts("booking.applied"))
        with rig.store.read_only():
            rig.engine.tell(PointEdge(PointRef("board", "input_3"), True))
            await desk.until(lambda p: "storage lost" in p.cover.alarms)
            booked = desk.book("meanwhile", "study", ["bob"], window())
            await desk.until(lambda p: "booking.applied" in unsaved(desk))
            await desk.until(lambda p: p.answers[-1].get("durable") is False)
            assert "call.raised" in unsaved(desk)
            assert rig.state.get(Booking, "meanwhile") is not None
            assert not booked.done()
            assert desk.facts("call.") == []
        assert (await booked).accepted
        await desk.until(lambda p: p.cover.alarms[-1] == "storage restored")
        await desk.until(lambda p: len(p.facts("booking.applied")) == 2)
        last = await rig.note(Stopping("all is well"))
        await desk.until(lambda p: len(p.records) == last)
    assert len(desk.facts("call.raised")) == 1
    raised = desk.facts("call.raised")[0]
    assert raised.record in desk.ledger.unsaved.values()
    assert desk.problems == []


async def test_unsaved_facts_go_up_once_a_connection_calls_first(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: p.cover.heard)
        with rig.store.read_only():
            broker.stop()
            await until(lambda: not rig.uplink.health.connected)
            for number in range(150):
                rig.engine.tell(Stopping(f"{number}"))
            rig.engine.tell(PointEdge(PointRef("board", "input_3"), True))
            await until(lambda: facts_unsaved(rig) > 150)
            broker.start()
            await desk.until(lambda p: len(p.ledger.unsaved) >= facts_unsaved(rig))
            sent = [payload for name, payload in desk.seen if name == "up/unsaved"]
            assert b"commons.call.raised" in sent[0]
            assert len(sent) == 2


async def test_a_card_that_opens_slower_than_it_is_tried_again_is_opened_once_at_a_time(
    tmp_path: Path, broker: Broker
) -> None:
    async with gateway(tmp_path, broker.port) as rig:
        rig.store.opens_in_s = 2.5 * rig.engine.site.settings.store_reopen_ms / 1000
        with rig.store.read_only():
            rig.engine.tell(Stopping("on a card that takes nothing"))
            await until(lambda: rig.engine.step.lost)
        await until(lambda: not rig.engine.step.lost)
        head = rig.engine.head.seq
        assert await rig.note(Stopping("all is well")) > head


def unsaved(desk: object) -> set[str]:
    return {record["type"] for record in desk.ledger.unsaved.values()}  # type: ignore[attr-defined]


def facts_unsaved(rig: Rig) -> int:
    return len(rig.engine.step.unsaved())
