"""The gateway hurt: a disk that takes nothing, the plug pulled, a second gateway (RULES X1, E1)."""

import asyncio
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from end_to_end.court import Court, court
from fixtures.broker import Broker

from gateway.store.verify import verify

REOPEN_S = 1
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
async def quick(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    """The court, where a lost store is opened afresh every second."""
    change = {"settings": {"store_reopen_ms": REOPEN_S * 1000}}
    async with court(tmp_path, broker, change) as served:
        yield served


FULL = ("prlimit", "--fsize=0:unlimited")


@contextmanager
def disk_takes_nothing(here: Court) -> Iterator[None]:
    """Every write to a file fails, as on a card that turned read-only."""
    assert here.process is not None
    resource.prlimit(here.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        if here.process.returncode is None:
            resource.prlimit(here.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)


async def ada_has_the_study(here: Court) -> None:
    await here.start()
    await here.ready()
    await here.platform.subject("ada", pin="482913")
    await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))


async def override(here: Court) -> bool:
    """The desk releases the door; whether it is told that this is durable."""
    async with here.api() as api:
        answer = await api.post("/doors/study_door/release", json={"why": "a parcel"})
    assert answer.is_success, answer.text
    assert answer.headers["Commons-Durable"] == str(answer.json()["durable"]).lower()
    return bool(answer.json()["durable"])


async def restored(here: Court) -> None:
    """The store takes facts again: all that went up unsaved is in the journal, each once."""
    await here.until(lambda: "storage restored" in here.platform.cover.alarms, 15, "not restored")
    await here.has("storage.restored")
    held = [entry.record for entry in here.platform.records]
    assert here.platform.ledger.unsaved
    for record in here.platform.ledger.unsaved.values():
        assert held.count(record) == 1, record
    assert not here.platform.problems
    assert await here.stop() == 0
    verdict = verify(here.data / "gateway.db")
    assert verdict.whole, verdict.damages


async def test_on_a_card_that_takes_nothing_calls_sound_doors_open_and_nothing_passes_as_durable(
    quick: Court,
) -> None:
    here = quick
    await ada_has_the_study(here)
    assert await override(here)
    await here.has("access.granted")
    await here.until(lambda: here.platform.cover.status.get("storage", {}).get("lost") is False)
    known = len(here.platform.records)
    with disk_takes_nothing(here):
        assert await here.town.press("study_help")
        siren = here.town.siren("study_help")
        assert await here.town.until(lambda: siren.sounding, 5), here.log.read_text()
        await here.opens("study_door", "482913")
        keypad = here.town.keypad("study_door")
        await here.until(lambda: keypad.shows and keypad.shows.green, 5, "the keypad says nothing")
        assert not await override(here)
        await here.until(lambda: "storage lost" in here.platform.cover.alarms, 10, "no alarm")
        unsaved = here.platform.ledger.unsaved
        await here.until(lambda: "call.raised" in {one["type"] for one in unsaved.values()})
        status = await here.sees("/status", lambda found: found["storage"]["lost"])
        assert status, "the page says so too"
        await asyncio.sleep(0.25)
        assert len(here.platform.records) == known
    await restored(here)
    facts = here.facts()
    assert facts.count("call.raised") == 1
    assert facts.index("call.raised") < facts.index("storage.restored")


async def test_a_start_on_a_card_that_takes_nothing_knows_its_people_and_answers_calls(
    quick: Court,
) -> None:
    here = quick
    await ada_has_the_study(here)
    await here.opens("study_door", "482913")
    await here.kill()
    await here.platform.offline()
    await here.start(*FULL)
    with disk_takes_nothing(here):
        await here.opens("study_door", "482913")  # nobody but the card can have told of her
        await here.platform.online()
        await here.until(lambda: "storage lost" in here.platform.cover.alarms, 15, "no alarm")
        assert await here.town.press("garden_sos")
        siren = here.town.siren("garden_sos")
        assert await here.town.until(lambda: siren.sounding, 5)
        unsaved = here.platform.ledger.unsaved
        await here.until(lambda: "call.raised" in {one["type"] for one in unsaved.values()})
    await restored(here)
    assert here.facts().count("gateway.started") == 2


async def test_a_start_that_can_read_nothing_takes_up_what_the_store_holds_once_it_opens(
    quick: Court,
) -> None:
    here = quick
    await ada_has_the_study(here)
    assert await here.stop() == 0
    database, aside = here.data / "gateway.db", here.data / "aside.db"
    database.rename(aside)
    database.mkdir()
    await here.platform.offline()
    await here.start()
    await here.ready()
    assert await here.town.press("study_help")
    siren = here.town.siren("study_help")
    assert await here.town.until(lambda: siren.sounding, 5)
    database.rmdir()
    aside.rename(database)
    await here.sees("/status", lambda found: not found["storage"]["lost"], 10)
    await here.opens("study_door", "482913")
    await here.platform.online()
    await here.has("call.raised")
    assert here.facts().count("gateway.started") == 2
    assert not here.platform.problems


async def test_a_press_whose_commit_never_came_is_raised_by_the_next_start(here: Court) -> None:
    await here.start()
    await here.ready()
    with sqlite3.connect(here.data / "gateway.db", isolation_level=None) as slow:
        slow.execute("BEGIN IMMEDIATE")  # the card is busy, and stays so
        assert await here.town.press("garden_sos")
        siren = here.town.siren("garden_sos")
        assert await here.town.until(lambda: siren.sounding, 5)
        await here.kill()
    assert "call.raised" not in here.facts()
    await here.start()
    await here.has("call.raised")
    await here.ready()
    assert await here.town.until(lambda: siren.sounding, 5)
    assert here.facts().count("call.raised") == 1
    assert (here.data / "calls.latch").read_bytes() == b""
    assert not here.platform.problems


async def test_a_changed_site_leaves_links_that_are_as_they_were_alone(here: Court) -> None:
    await here.start()
    await here.ready()
    board = here.town.lines.buses["relays"]
    before = connections(board)
    assert before
    sensor = here.folder / "devices" / "pir.yaml"
    sensor.write_text(sensor.read_text().replace("Motion sensor", "New motion sensor"))
    assert here.process is not None
    here.process.send_signal(signal.SIGHUP)
    changed = await here.has("site.changed")
    assert changed.data["links"] == ["sensors"]
    await here.ready()
    assert connections(board) == before
    assert await here.town.press("study_help")
    siren = here.town.siren("study_help")
    assert await here.town.until(lambda: siren.sounding, 5)


async def test_another_way_to_the_platform_is_taken_without_a_restart(here: Court) -> None:
    settings = here.folder / "site.yaml"
    right = f"port: {here.platform.address.port}"
    text = settings.read_text()
    head, uplink, rest = text.partition("uplink:")
    assert right in rest
    settings.write_text(head + uplink + rest.replace(right, "port: 1", 1))
    await here.start()
    await here.ready()
    assert await here.town.press("study_help")
    await here.sees("/calls", lambda calls: calls)
    assert here.facts() == []
    settings.write_text(text)
    assert here.process is not None
    here.process.send_signal(signal.SIGHUP)
    await here.has("site.changed")
    assert here.facts().count("gateway.started") == 1
    assert here.facts().count("call.raised") == 1
    assert not here.platform.problems
    assert await here.stop() == 0


def connections(face: Any) -> set[int]:
    """The connections a device has now."""
    return {id(one) for one in face._connections}


async def test_asked_to_stop_it_says_so_and_is_gone_within_five_seconds(here: Court) -> None:
    await here.start()
    await here.ready()
    began = time.monotonic()
    assert await here.stop() == 0
    assert time.monotonic() - began < 5
    await here.start()
    await here.has("gateway.stopped")
    assert not here.platform.problems


async def test_a_second_gateway_on_the_same_folder_is_told_so(here: Court) -> None:
    await here.start()
    await here.ready()
    assert here.process is not None
    command = (sys.executable, "-m", "gateway", "--site", here.folder, "--data", here.data)
    second = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await second.communicate()
    assert second.returncode == 1
    assert f"is in use by process {here.process.pid}: stop it".encode() in said
    assert b"Traceback" not in said
