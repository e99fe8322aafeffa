"""The demo starts, lives, is told what to do, and ends without a trace."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fixtures.waiting import until
from rich.console import Console, RenderableType

from gateway.cli.demo import DEMO_SITE
from simulators import panels
from simulators.control import ask
from simulators.demo import Demo, running
from simulators.view import Watch, screen

STRANGER = "00000000"


async def newest(demo: Demo, fact: str) -> Any:
    """Wait until the platform holds a fact of this kind; the newest one."""
    await demo.platform.until(lambda it: it.facts(fact), 30)
    return demo.platform.facts(fact)[-1]


@pytest.mark.timeout(90)
async def test_the_demo_lives_and_is_told_what_to_do(tmp_path: Path) -> None:
    async with running(DEMO_SITE, tmp_path, past_days=1) as demo:
        booked = await newest(demo, "booking.applied")
        assert booked.data["facility"] in demo.site.facilities
        call_point = next(iter(demo.site.safety.call_points))
        told = await ask(demo.socket, "present_pin", "study_door", STRANGER)
        assert told["code"] in ("not_recognised", "slow_down"), "the keypad answers who types at it"
        assert told["en"] in shown(panels.keypads(demo))
        await ask(demo.socket, "press", call_point)
        raised = await newest(demo, "call.raised")
        assert raised.data["call_point"] == call_point
        headers = {"Authorization": f"Bearer {demo.token}"}
        async with httpx.AsyncClient(headers=headers) as client:
            calls = (await client.get(f"{demo.api}/api/v1/calls")).json()
            assert [call["id"] for call in calls] == [raised.data["call"]]
        await newest(demo, "session.authorised")  # a resident came to charge
        await fits(demo)
        await tells_of_its_past(demo)
        assert not demo.platform.problems
    assert not left_over(tmp_path), "a process of the demo is still running"


async def fits(demo: Demo) -> None:
    """Whatever the terminal's size, what is shown fits; a large one shows all of it."""
    headers = {"Authorization": f"Bearer {demo.token}"}
    async with httpx.AsyncClient(headers=headers) as client:
        seen = await Watch(demo, client).look()
    for width, height in ((80, 24), (100, 40), (160, 50), (220, 60)):
        console = Console(
            width=width, height=height, force_terminal=True, record=True, file=StringIO()
        )
        lines = console.render_lines(screen(demo, seen, console))
        assert len(lines) <= height, (width, height)
    console.print(screen(demo, seen, console))
    text = console.export_text()
    for word in ("study_door", "bay_4", "bike_12", "feeder", "commons report --from"):
        assert word in text


async def tells_of_its_past(demo: Demo) -> None:
    """Rooms were used and vehicles charged before anything started; the platform is told of it."""
    headers = {"Authorization": f"Bearer {demo.token}"}
    today = datetime.now(ZoneInfo(demo.site.zone)).date()
    days = f"from={today - timedelta(2)}&to={today + timedelta(1)}"
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.get(f"{demo.api}/api/v1/utilization?{days}&group=kind")
    counts = [line["counts"] for line in answer.json()["lines"]]
    assert sum(one["visits"] for one in counts) > 0
    assert sum(one["sessions"] for one in counts) > 0
    await newest(demo, "session.ended")


def shown(part: RenderableType) -> str:
    """What a part of the screen says."""
    console = Console(width=200, record=True, file=StringIO())
    console.print(part)
    return " ".join(console.export_text().split())


def left_over(folder: Path) -> bytes:
    """The processes that have to do with a folder."""
    return subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, check=False).stdout


async def test_a_demo_whose_terminal_is_closed_leaves_nothing_behind(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "demo", "--days", "0"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=os.setsid,
    )
    os.close(slave)
    asyncio.get_running_loop().add_reader(master, os.read, master, 65_536)
    await until(lambda: list(tmp_path.glob("commons-demo-*/data/listening")), 30)
    asyncio.get_running_loop().remove_reader(master)
    os.close(master)
    demo.send_signal(signal.SIGHUP)
    assert await asyncio.wait_for(demo.wait(), 20) is not None
    assert not left_over(tmp_path)
    assert not list(tmp_path.glob("commons-demo*"))
