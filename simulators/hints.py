"""What a person may try with the demo, in another terminal."""

from datetime import datetime, timedelta

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gateway.domain.site import Facility
from simulators.demo import Demo
from simulators.neighbours import PEOPLE, STAFF

PAST_DAYS = 7
PAIR = 48  # columns of a terminal that a command takes


def hints(demo: Demo, width: int, rows: int | None = None) -> Group:
    """People, and commands to type, in so many rows at most."""
    first = Text(no_wrap=True, overflow="ellipsis")
    first.append("TRY IT   ", "bold").append("in another terminal, first  ")
    first.append(f". {demo.env}", "cyan")
    first.append("   Ctrl-C here ends all of it", "dim")
    pins = "  ".join(f"{name} {pin}" for name, pin in {**PEOPLE, **STAFF}.items())
    return Group(first, Text.assemble("PINs     ", pins), _commands(demo, width, rows))


def _commands(demo: Demo, width: int, rows: int | None) -> Table:
    """Side by side, as many as there is room for."""
    texts = [Text(one, style="cyan", no_wrap=True, overflow="ellipsis") for one in _texts(demo)]
    across = max(1, width // PAIR)
    down = -(-len(texts) // across)
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in range(down)[:rows]:
        table.add_row(*texts[row::down])
    return table


def _texts(demo: Demo) -> list[str]:
    """The left column is of rooms and calls, the right one of charging and faults."""
    site = demo.site
    door = next((one.id for one in site.doors.values() if one.points.readers), "")
    call_point = next(iter(site.safety.call_points), "")
    bay, socket = _last(demo, "charger"), _last(demo, "socket")
    circuit = next(iter(site.circuits), "")
    zone = next((one.id for one in site.safety.fire_zones.values() if socket in one.outlets), "")
    today = datetime.now().astimezone().date()
    first, after = today - timedelta(PAST_DAYS), today + timedelta(1)
    return [
        f"commons tell present_pin {door} {PEOPLE['ada']}",
        f"commons tell person_enters {door} ada",
        f"commons tell press {call_point}",
        "commons call list    # ack, attend, clear",
        f"commons report --from {first} --to {after}",
        "commons tell cut_uplink    # mend_uplink",
        "commons tell help",
        'curl -H "$TOKEN" $API/status',
        f"commons tell plug_in {bay} car 40    # unplug",
        f"commons tell present_pin {bay} {PEOPLE['bo']}",
        f"commons tell overload {circuit} 12    # 0: no more",
        f"commons tell silence {_device(demo, bay)}    # heal",
        f"commons tell swap {socket} ebike 60",
        f"commons tell fire {zone}    # alarm=false",
        f"commons fire reset {zone}",
        "commons outlet list    # stop, reset",
    ]


def _last(demo: Demo, kind: str) -> str:
    """The last outlet of a kind: nobody uses it at first."""
    found = [one.id for one in demo.site.facilities.values() if one.kind == kind]
    return found[-1] if found else ""


def _device(demo: Demo, outlet: str) -> str:
    facility: Facility | None = demo.site.facilities.get(outlet)
    if facility is None or facility.outlet is None:
        return next(iter(demo.site.equipment.devices), "")
    return facility.outlet.points.drive.device
