"""The demo on a terminal: what a duty desk would want to see, read from the gateway's own API."""

import asyncio
from datetime import datetime
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from simulators.demo import PEOPLE, STAFF, Demo
from simulators.readers import Shown

REFRESH_S = 0.5
PATHS = ("status", "doors", "facilities", "calls", "devices", "faults")
COLOURS = {
    "online": "green",
    "degraded": "yellow",
    "silent": "red",
    "failed": "red",
    "raised": "bold white on red",
    "delivered": "bold white on red",
    "acknowledged": "yellow",
    "attended": "cyan",
    "cleared": "dim",
}


async def show(demo: Demo, console: Console) -> None:
    """Show the demo until cancelled."""
    headers = {"Authorization": f"Bearer {demo.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=2) as client:
        with Live(console=console, refresh_per_second=4, screen=console.is_terminal) as live:
            while True:
                live.update(_screen(demo, await _look(demo, client)))
                await asyncio.sleep(REFRESH_S)


async def _look(demo: Demo, client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not demo.api:
        return found
    for path in PATHS:
        try:
            answer = await client.get(f"{demo.api}/api/v1/{path}")
        except httpx.HTTPError:
            return found
        if answer.is_success:
            found[path] = answer.json()
    for facility in demo.site.facilities:
        answer = await client.get(f"{demo.api}/api/v1/facilities/{facility}")
        if answer.is_success:
            found[f"may {facility}"] = answer.json().get("may_enter")
    return found


def _screen(demo: Demo, seen: dict[str, Any]) -> Group:
    if "status" not in seen:
        return Group(Panel("the gateway is starting …", title=str(demo.site.id)))
    return Group(
        _head(demo, seen["status"]),
        _doors(demo, seen),
        _calls(seen.get("calls", [])),
        _equipment(seen),
        _try(demo),
    )


def _head(demo: Demo, status: dict[str, Any]) -> Panel:
    journal = status["journal"]
    distance = journal["distance"]
    up = "platform has all" if not distance else f"{distance} records behind the platform"
    clock = status["clock"]["trust"]
    text = f"journal {journal['head']}, {up}   clock {clock}   broker {demo.broker}"
    if status["storage"]["lost"]:
        text += "   [red]STORAGE LOST[/red]"
    title = f"{demo.site.id}   {datetime.now().astimezone():%H:%M:%S}"
    return Panel(Text.from_markup(text), title=title)


def _doors(demo: Demo, seen: dict[str, Any]) -> Table:
    table = Table(expand=True, title="Rooms and doors", title_justify="left")
    for name in ("place", "door", "state", "presence", "now", "may enter now", "keypad"):
        table.add_column(name)
    rooms = {room["id"]: room for room in seen.get("facilities", [])}
    by_door = {
        door: facility.id for facility in demo.site.facilities.values() for door in facility.doors
    }
    for door in seen.get("doors", []):
        room = rooms.get(by_door.get(door["id"], ""), {})
        place = demo.site.places[demo.site.doors[door["id"]].place].name
        seen_there = room.get("presence", {}).get("present")
        present = {True: "somebody", False: "nobody"}.get(seen_there, "–")
        table.add_row(
            f"{place.zh} {place.en}",
            door["id"],
            str(door["state"]),
            present,
            ", ".join(f"{b['id']} {b['status']}" for b in room.get("current", [])) or "–",
            _who(seen.get(f"may {room.get('id')}")),
            _keypad(demo.world.shows(door["id"])),
        )
    return table


def _who(may_enter: Any) -> str:
    if not isinstance(may_enter, dict):
        return "–"
    names = [one["subject"] for one in may_enter.get("subjects") or ()]
    return ", ".join(names) or "–"


def _keypad(shown: Shown | None) -> Text:
    """What a keypad tells the person in front of it, in its light's colour."""
    if shown is None:
        return Text("–")
    said = f"{shown.fields.get('zh', '')} {shown.fields.get('en', '')}"
    return Text(f"● {said}", style="green" if shown.green else "red")


def _calls(calls: list[dict[str, Any]]) -> Table:
    table = Table(expand=True, title="Calls", title_justify="left")
    for name in ("call", "place", "state", "presses", "step"):
        table.add_column(name)
    for call in calls[:5]:
        state = Text(call["state"], style=COLOURS.get(call["state"], ""))
        test = " TEST" if call["test"] else ""
        table.add_row(
            call["id"], call["place"] + test, state, str(call["presses"]), str(call["step"])
        )
    return table


def _equipment(seen: dict[str, Any]) -> Table:
    table = Table(expand=True, title="Links, devices and faults", title_justify="left")
    table.add_column("links")
    table.add_column("devices")
    table.add_column("faults")
    links = [_dot(name, health) for name, health in seen["status"]["links"].items()]
    devices = [_dot(d["id"], d["health"]) for d in seen.get("devices", [])]
    faults = [fault["reason"]["en"] for fault in seen.get("faults", [])][:6]
    table.add_row(Text("\n").join(links), Text("  ").join(devices), "\n".join(faults) or "none")
    return table


def _dot(name: str, health: str) -> Text:
    return Text(f"● {name}", style=COLOURS.get(health, "dim"))


def _try(demo: Demo) -> Panel:
    door = next(iter(demo.site.doors), "")
    call_point = next(iter(demo.site.safety.call_points), "")
    device = next(iter(demo.site.equipment.devices), "")
    pins = "  ".join(f"{name} {pin}" for name, pin in {**PEOPLE, **STAFF}.items())
    data = f"--data {demo.data}"
    lines = [
        f"PINs: {pins}",
        f"API: {demo.api}/api/v1/status   token: {demo.token}",
        "In another terminal:",
        f"  .venv/bin/commons tell present_pin {door} {PEOPLE['ada']}",
        f"  .venv/bin/commons tell person_enters {door} ada",
        f"  .venv/bin/commons tell press {call_point}",
        f"  .venv/bin/commons call list {data}",
        f"  .venv/bin/commons call ack CALL --as Dora {data}",
        f"  .venv/bin/commons tell silence {device}    (heal {device})",
        "  .venv/bin/commons tell cut_uplink          (mend_uplink)",
        "Ctrl-C ends all of it.",
    ]
    return Panel(Text("\n".join(lines)), title="Try it", title_align="left")
