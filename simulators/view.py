"""The demo on a terminal: what a duty desk would want to see, read from the gateway's own API.

Rules: what is urgent is shown first. Where the terminal is too low for all of it, the rest takes
turns below; where it is wide, rooms and charging stand side by side.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from simulators import charging_panels, panels
from simulators.demo import Demo
from simulators.hints import hints
from simulators.panels import Seen

REFRESH_S = 0.5
USED_EVERY_S = 20.0
TURN_S = 8.0
WIDE = 190
HINTS_HEAD, HINTS_LEAST = 2, 3  # lines above the commands to try, and of them at least
PATHS = (
    *("status", "doors", "facilities", "outlets", "circuits"),
    *("fire-zones", "calls", "devices", "faults"),
)


class Watch:
    """What the API said last; utilization is asked for less often, as it changes slowly."""

    def __init__(self, demo: Demo, client: httpx.AsyncClient) -> None:
        self._demo = demo
        self._client = client
        self._used: dict[str, float | None] = {}
        self._used_at_s = 0.0

    async def look(self) -> dict[str, Any]:
        """Everything that is shown; empty until the gateway answers."""
        found: dict[str, Any] = {}
        if not self._demo.api:
            return found
        try:
            for path in PATHS:
                await self._get(found, path, path)
            for facility in self._demo.site.facilities.values():
                if facility.doors:
                    await self._get(found, f"may {facility.id}", f"facilities/{facility.id}")
            found["used"] = await self._used_today()
        except httpx.HTTPError:
            pass  # it starts or ends: what is missing is seen the next time
        for name in [one for one in found if one.startswith("may ")]:
            found[name] = found[name].get("may_enter")
        return found

    async def _get(self, found: dict[str, Any], name: str, path: str) -> None:
        answer = await self._client.get(f"{self._demo.api}/api/v1/{path}")
        if answer.is_success:
            found[name] = answer.json()

    async def _used_today(self) -> dict[str, float | None]:
        if time.monotonic() - self._used_at_s >= USED_EVERY_S:
            self._used_at_s = time.monotonic()
            today = datetime.now().astimezone().date()
            asked = f"utilization?bucket=day&from={today}&to={today + timedelta(1)}"
            told: dict[str, Any] = {}
            await self._get(told, "report", asked)
            lines = told.get("report", {}).get("lines", ())
            self._used = {line["of"]: line["utilization"] for line in lines}
        return self._used


async def show(demo: Demo, console: Console) -> None:
    """Show the demo until cancelled."""
    headers = {"Authorization": f"Bearer {demo.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=2) as client:
        watch = Watch(demo, client)
        with Live(console=console, refresh_per_second=4, screen=console.is_terminal) as live:
            while True:
                live.update(screen(demo, await watch.look(), console))
                await asyncio.sleep(REFRESH_S)


def screen(demo: Demo, seen: Seen, console: Console) -> RenderableType:
    """All that fits on this terminal."""
    if "status" not in seen:
        return Text(f"{demo.site.id}: the gateway is starting …")
    width = console.width
    rooms, charging = panels.doors(demo, seen, width), _charging(demo, seen, width)
    state = panels.equipment(seen)
    if width >= WIDE:
        pair = Table.grid(padding=(0, 3, 0, 0))
        pair.add_row(Group(rooms, "", state), charging)
        parts: list[RenderableType] = [pair]
    else:
        parts = [rooms, charging, state]
    top = [panels.head(demo, seen), *panels.fire(seen), panels.calls(seen), panels.keypads(demo)]
    left = console.height - sum(_lines(console, part) + 1 for part in (Group(*top), *parts))
    rows = left - HINTS_HEAD - 1
    help_ = hints(demo, width, rows if rows >= HINTS_LEAST else None)  # else on a page of their own
    return _fitted(console, Group(*top), [*parts, help_])


def _charging(demo: Demo, seen: Seen, width: int) -> RenderableType:
    across = width // 2 if width >= WIDE else width
    return Group(
        charging_panels.chargers(demo, seen),
        charging_panels.sockets(demo, seen, across),
        charging_panels.circuits(seen),
    )


def _lines(console: Console, part: RenderableType) -> int:
    """How many lines of this terminal a part takes."""
    return len(console.render_lines(part, pad=False))


def _fitted(
    console: Console, head: RenderableType, parts: Sequence[RenderableType]
) -> RenderableType:
    """The parts below one another, or as many at a time as there is room for."""
    pages: list[list[RenderableType]] = [[]]
    room = left = console.height - _lines(console, head) - 2
    for part in parts:
        lines = _lines(console, part)
        if lines > left and pages[-1]:
            pages.append([])
            left = room
        pages[-1] += [part, ""]
        left -= lines + 1
    page = int(time.monotonic() // TURN_S) % len(pages)
    if len(pages) == 1 or not console.is_terminal:
        return Group(head, "", *(one for each in pages for one in each))
    foot = Text(f"{page + 1} of {len(pages)}: a larger terminal shows more at a time", "dim")
    return Group(head, "", *pages[page][:-1], foot)
