"""What is left to a subject, over the wire: held offline, counted once by records (B3, B4)."""

from pathlib import Path

from fixtures.broker import Broker
from uplink_rig import HOUR_MS, Rig, gateway, platform

from gateway.domain.events import Actor, WalkInAsked
from gateway.domain.quotas import Hold, Quota
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Role

ANN = Actor("ann", Role.RESIDENT)


async def walk_in(rig: Rig, minutes: int) -> Reply:
    return await rig.engine.ask(WalkInAsked("study", "ann", minutes, ANN))


async def test_time_that_was_used_offline_counts_once_when_the_platform_hears_of_it(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk:
        async with gateway(tmp_path, broker.port) as rig:
            await desk.subject("ann")
            assert (await desk.quota("ann-h", "ann", HOUR_MS, "time")).accepted
            await desk.offline()
            granted = await walk_in(rig, 30)
            assert granted.accepted
            refused = await walk_in(rig, 45)
            assert refused.result is Result.CONCURRENT  # ann has the study herself
        async with gateway(tmp_path, broker.port) as rig:
            (held,) = rig.state.all(Hold)  # over a restart
            assert held.amount == HOUR_MS // 2
            beyond = await rig.engine.ask(WalkInAsked("store", "ann", 45, ANN))
            assert beyond.result in (Result.NO_CREDIT, Result.UNKNOWN)
            await desk.online()
            await desk.cancel(granted.data["booking"])
            await desk.until(lambda it: it.ledger.used("ann-h", "ms") > 0)
            used = desk.ledger.used("ann-h", "ms")
            assert 0 < used < 60_000
            quota = rig.state.get(Quota, "ann-h")
            assert quota is not None
            assert (quota.used, quota.left) == (used, HOUR_MS - used)
            assert (await desk.quota("ann-h", "ann", HOUR_MS, "time")).accepted
            quota = rig.state.get(Quota, "ann-h")
            assert quota is not None
            assert (quota.terms.used, quota.used, quota.left) == (used, used, HOUR_MS - used)
            assert not list(rig.state.all(Hold))
            assert desk.problems == []
