"""A card on which every sync takes 200 ms longer holds back no call (E2)."""

from pathlib import Path

import pytest
from end_to_end.court import court
from fixtures.broker import Broker

from benchmarks.call_latency import QUIET, STALL_MS, measure, p99

SIREN_WITHIN_MS = 250


@pytest.mark.timeout(300)
async def test_on_a_slow_card_a_call_reaches_the_siren_in_time(
    tmp_path: Path, broker: Broker
) -> None:
    async with court(tmp_path, broker, QUIET) as here:
        found = await measure(here, STALL_MS)
    for kind, took in found.items():
        print(f"{kind}: p99 {p99(took):.1f} ms of {len(took)} presses")
        assert p99(took) <= SIREN_WITHIN_MS
