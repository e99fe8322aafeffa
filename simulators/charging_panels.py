"""What the demo shows of chargers, e-bike outlets and the circuits they hang on."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gateway.domain.site import Facility
from simulators.demo import Demo
from simulators.panels import COLOURS, Seen, booked, columns, dot, keep, used

BAR = 10
CELL = 26  # columns of a terminal that an outlet of a station takes


def chargers(demo: Demo, seen: Seen) -> Table:
    """Each charger: its session, and what it may draw of its circuit."""
    heads = ("CHARGERS", "make", "is", "who", "session", "may draw", "draws")
    table = columns(*heads, "today", "booked")
    rooms = {one["id"]: one for one in seen.get("facilities", ())}
    for outlet in seen.get("outlets", ()):
        facility = demo.site.facilities[outlet["facility"]]
        if facility.kind != "charger":
            continue
        session = outlet["session"] or {}
        table.add_row(
            facility.id,
            _make(demo, facility),
            dot(outlet["status"], outlet["status"]),
            session.get("subject") or "–",
            f"{session['energy_wh'] / 1000:.2f} kWh" if session else "–",
            f"{outlet['granted_ma'] / 1000:.1f} A",
            _watts(outlet),
            used(seen, facility.id),
            booked(rooms.get(facility.id, {})),
        )
    return keep(table, "booked")


def sockets(demo: Demo, seen: Seen, width: int) -> Table:
    """Every switched outlet in a cell of a grid: its number, power and energy."""
    found = [
        one
        for one in seen.get("outlets", ())
        if demo.site.facilities[one["facility"]].kind == "socket"
    ]
    table = Table.grid(padding=(0, 1), expand=False)
    across = max(1, width // (CELL + 1))
    down = -(-len(found) // across) or 1
    for _ in range(-(-len(found) // down)):
        table.add_column(width=CELL, no_wrap=True, overflow="ellipsis")
    for row in range(down):
        table.add_row(*(_socket(one) for one in found[row::down]))
    return table


def circuits(seen: Seen) -> Group:
    """What flows on each phase of each circuit, against what may."""
    return Group(*(_circuit(one) for one in seen.get("circuits", ())))


def _circuit(circuit: Mapping[str, Any]) -> Text:
    text = Text.assemble((f"{circuit['id']:<9}", "bold"), no_wrap=True, overflow="ellipsis")
    for phase, (flow, most) in enumerate(_phases(circuit), 1):
        if most:
            full = flow / most
            style = "red" if full > 1 else "yellow" if full > 0.9 else "green"
            text.append(f" L{phase} ")
            text.append("▇" * min(BAR, round(full * BAR)), style)
            text.append("▁" * (BAR - min(BAR, round(full * BAR))), "dim")
            text.append(f" {flow / 1000:4.1f}")
    text.append(f" of {max(circuit['limit_ma']) / 1000:g} A", "dim")
    if circuit["open"]:
        text.append("  SWITCHED OFF", "bold red")
    return text


def _phases(circuit: Mapping[str, Any]) -> Sequence[tuple[int, int]]:
    return list(zip(circuit["load_ma"], circuit["limit_ma"], strict=True))


def _socket(outlet: Mapping[str, Any]) -> Text:
    name, session = f"{outlet['facility']:<8}", outlet["session"]
    light = ("●", COLOURS.get(outlet["status"], ""))
    if session is None:
        return Text.assemble(name, light, f" {outlet['status']}", style="dim")
    energy = f"{session['energy_wh'] / 1000:.2f} kWh"
    return Text.assemble(name, light, f" {_watts(outlet):>6} {energy:>9}")


def _watts(outlet: Mapping[str, Any]) -> str:
    power = outlet["power_w"]
    if power is None:
        return "–"
    return f"{power / 1000:.1f} kW" if power >= 1_000 else f"{power:.0f} W"


def _make(demo: Demo, facility: Facility) -> str:
    """The maker of what drives an outlet."""
    assert facility.outlet is not None
    device = demo.site.equipment.devices[facility.outlet.points.drive.device]
    return demo.site.equipment.profiles[device.profile].title.partition(" ")[0]
