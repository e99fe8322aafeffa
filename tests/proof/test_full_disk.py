"""A full card: the ballast keeps usage and audit, then calls, releases and stops go on (X1).

Once there is room again all is as before within a minute, and nothing is missing.
"""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker
from fixtures.disk import fill, small_disk
from proof.load import BUTTON, OUTLET, PIN, Load, site_with_outlet

from gateway.domain.subjects import Role
from gateway.security.tokens import ApiTokens
from gateway.store.verify import verify

DISK_MIB = 64  # the ballast wants three times its 16 MiB
NORMAL_WITHIN_S = 60.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "card", DISK_MIB) as mounted:
        yield mounted


@pytest.fixture
async def here(tmp_path: Path, disk: Path, broker: Broker) -> AsyncIterator[Court]:
    async with court(tmp_path, broker, template=site_with_outlet(tmp_path / "template")) as served:
        served.data = disk / "data"
        yield served


class Desk:
    """The duty desk, with a token from before the card was full."""

    def __init__(self, here: Court) -> None:
        self._here = here
        self._token = ApiTokens(here.data).add("Dora", Role.DESK, here.now_ms())

    def api(self) -> httpx.AsyncClient:
        """What it asks."""
        return self._here.client(self._token)

    async def lets_in(self) -> bool:
        """The desk releases the door; whether it is told that this is durable."""
        async with self.api() as api:
            answer = await api.post("/doors/study_door/release", json={"why": "a parcel"})
        assert answer.is_success, answer.text
        return bool(answer.json()["durable"])

    async def charges(self) -> None:
        """Ada starts or stops charging."""
        pin = {"credential": {"kind": "pin", "pin": PIN}}
        async with self.api() as api:
            answer = await api.post(f"/outlets/{OUTLET}/present", json=pin)
        assert answer.is_success, answer.text

    async def clears(self) -> None:
        """The call that is open, answered to its end."""
        async with self.api() as api:
            call = (await api.get("/calls")).json()[0]["id"]
            for what, more in (("acknowledge", {}), ("clear", {"outcome": "false"})):
                answer = await api.post(f"/calls/{call}/{what}", json=more)
                assert answer.is_success, answer.text


@pytest.mark.timeout(240)
async def test_on_a_full_card_everything_goes_on_and_nothing_is_missing_after(
    here: Court, disk: Path
) -> None:
    desk = Desk(here)
    await here.start()
    await here.ready()
    await Load(here, Random(0), pace_s=0).prepare()
    outlet = here.town.town.connector(OUTLET)
    await desk.charges()
    await here.until(lambda: outlet.offered_a() > 0, what="no power")
    ballast = here.data / "ballast"
    assert ballast.stat().st_size > 0

    hog = fill(disk, left_bytes=0)
    await commits_go_on(here, desk)
    while ballast.exists():
        assert await desk.lets_in(), "the ballast makes room"
    await commits_go_on(here, desk)

    rest = fill(disk, left_bytes=0, name="rest")
    while await desk.lets_in():
        pass
    await calls_sound(here)
    await desk.clears()
    await here.opens("study_door", PIN)
    await desk.charges()
    await here.until(lambda: outlet.offered_a() == 0, what="it charges on")
    await here.until(lambda: "storage lost" in here.platform.cover.alarms, what="nobody is told")

    hog.unlink()
    rest.unlink()
    began = time.monotonic()
    await here.until(lambda: "storage restored" in here.platform.cover.alarms, NORMAL_WITHIN_S)
    print(f"normal again {time.monotonic() - began:.1f} s after there was room")
    assert await desk.lets_in()
    assert ballast.stat().st_size > 0
    await nothing_is_missing(here)


async def commits_go_on(here: Court, desk: Desk) -> None:
    """Calls and audit are durable, and the platform has them."""
    calls, granted = here.facts().count("call.cleared"), here.facts().count("access.granted")
    await calls_sound(here)
    await desk.clears()
    assert await desk.lets_in()
    await here.until(lambda: here.facts().count("call.cleared") > calls)
    await here.until(lambda: here.facts().count("access.granted") > granted)


async def calls_sound(here: Court) -> None:
    siren = here.town.siren(BUTTON)
    assert await here.town.press(BUTTON)
    assert await here.town.until(lambda: siren.sounding, 5), here.log.read_text()[-3000:]


async def nothing_is_missing(here: Court) -> None:
    """What went up unsaved is in the journal, each once; the last call and session are whole."""
    for fact in ("storage.restored", "session.ended"):
        await here.has(fact, 30)
    await here.until(lambda: here.facts().count("call.cleared") == 3)
    held = [entry.record for entry in here.platform.records]
    for record in here.platform.ledger.unsaved.values():
        assert held.count(record) == 1, record
    assert not here.platform.problems
    assert await here.stop() == 0
    verdict = verify(here.data / "gateway.db")
    assert verdict.whole, verdict.damages
