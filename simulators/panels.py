"""What the demo shows of rooms, doors, calls and equipment."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulators.demo import Demo
from simulators.readers import Shown

Seen = Mapping[str, Any]  # what the gateway's API said, by resource

FAULTS_MOST = 5
CALLS_MOST = 3
ROOMY = 120  # columns of a terminal that has room for both names of a place
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
    "Charging": "green",
    "Preparing": "yellow",
    "SuspendedEVSE": "magenta",
    "SuspendedEV": "cyan",
    "Finishing": "blue",
    "Faulted": "bold red",
    "Unavailable": "red",
    "Available": "dim",
}


def columns(*heads: str) -> Table:
    """A table without lines, whose first head is its title; what is too long is cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for number, head in enumerate(heads):
        style = "bold not dim" if number == 0 else ""
        table.add_column(head, no_wrap=True, overflow="ellipsis", header_style=style)
    return table


def keep(table: Table, *but: str) -> Table:
    """The table with columns as wide as what is in them; where there is no room, `but` are cut."""
    for column in table.columns:
        if column.header not in but:
            cells = [column.header, *column.cells]
            column.min_width = max(cell_len(str(cell)) for cell in cells)
    return table


def dot(word: str, health: str) -> Text:
    """A word with a light in the colour of how it is."""
    return Text.assemble(("● ", COLOURS.get(health, "dim")), word)


def head(demo: Demo, seen: Seen) -> Text:
    """How the gateway itself is."""
    status = seen["status"]
    journal, place = status["journal"], next(iter(demo.site.places.values())).name
    distance = journal["distance"]
    up = "the platform has all" if not distance else f"{distance} not at the platform yet"
    said = f"  journal {journal['head']}, {up}  clock {status['clock']['trust']}"
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {place.zh} {place.en} ", "bold reverse")
    text.append(f"{said}  broker {demo.broker}")
    if status["storage"]["lost"]:
        text.append("  STORAGE LOST", "bold red")
    return text


def doors(demo: Demo, seen: Seen, width: int) -> Table:
    """Each door with its room: who is seen, who has it, who may come in."""
    table = columns("ROOMS", "door", "is", "seen", "today", "booked", "may enter")
    rooms = {room["id"]: room for room in seen.get("facilities", ())}
    behind = {door: one.id for one in demo.site.facilities.values() for door in one.doors}
    for door in seen.get("doors", ()):
        id_ = behind.get(door["id"], "")
        room = rooms.get(id_, {})
        place = demo.site.places[demo.site.doors[door["id"]].place].name
        present = room.get("presence", {}).get("present")
        table.add_row(
            f"{place.zh} {place.en}" if width >= ROOMY else place.zh,
            door["id"],
            str(door["state"]),
            {True: "yes", False: "no"}.get(present, "–"),
            used(seen, id_),
            booked(room),
            _who(seen.get(f"may {id_}")),
        )
    return keep(table, "booked", "may enter")


def booked(facility: Mapping[str, Any]) -> str:
    """Whose bookings hold a facility now."""
    current = facility.get("current", ())
    return names(f"{', '.join(one['subjects'] or ())} {_words(one['status'])}" for one in current)


def used(seen: Seen, facility: str) -> str:
    """The share of today that a facility was in use."""
    share = seen.get("used", {}).get(facility)
    return "–" if share is None else f"{100 * share:.0f} %"


def keypads(demo: Demo) -> Text:
    """What keypads tell the people in front of them, in their lights' colours; a line at most."""
    said = {}
    for at in (*demo.site.doors, *demo.world.town.outlets):
        readers = demo.world.town.readers(at)
        shown = demo.world.shows(at)
        if shown is not None:
            said[readers[0].device] = _said(shown)
    found = [Text.assemble(f"{device} ", text) for device, text in said.items()]
    text = Text("  ").join(found) if found else Text("dark", "dim")
    return Text.assemble(("KEYPADS  ", "bold"), text, no_wrap=True, overflow="ellipsis")


def _said(shown: Shown) -> Text:
    said = f"● {shown.fields.get('zh', '')} {shown.fields.get('en', '')}"
    return Text(said, style="green" if shown.green else "red")


def _words(status: str) -> str:
    return status.replace("_", " ")


def fire(seen: Seen) -> list[Text]:
    """A line while a fire zone is latched."""
    latched = [one["id"] for one in seen.get("fire-zones", ()) if one["latched"]]
    return [_line("FIRE", Text(", ".join(latched), "bold white on red"))] if latched else []


def calls(seen: Seen) -> RenderableType:
    """Calls for help; a line while there is none."""
    found = seen.get("calls", ())
    if not found:
        return _line("CALLS", Text("none", "dim"))
    table = columns("CALLS", "place", "is", "presses", "step")
    for call in found[:CALLS_MOST]:
        state = Text(call["state"], style=COLOURS.get(call["state"], ""))
        test = " TEST" if call["test"] else ""
        presses, step = str(call["presses"]), str(call["step"])
        table.add_row(call["id"], call["place"] + test, state, presses, step)
    return table


def equipment(seen: Seen) -> Group:
    """Links, those devices that are not well, and faults."""
    links = Text(" ").join(dot(*one) for one in seen["status"]["links"].items())
    devices = seen.get("devices", ())
    ill = [dot(one["id"], one["health"]) for one in devices if one["health"] != "online"]
    count = Text(f"{len(devices) - len(ill)} of {len(devices)} online")
    faults = [Text(one["reason"]["en"]) for one in seen.get("faults", ())]
    return Group(
        _line("LINKS", links),
        _line("DEVICES", Text("  ").join([count, *ill])),
        *(_line("FAULTS" if not n else "", one) for n, one in enumerate(faults[:FAULTS_MOST])),
    )


def _line(head: str, text: Text) -> Text:
    return Text.assemble((f"{head:<9}", "bold"), text)


def _who(may_enter: Any) -> str:
    if not isinstance(may_enter, dict):
        return "–"
    return names(one["subject"] for one in may_enter.get("subjects") or ())


def names(found: Iterable[str]) -> str:
    """People, or nobody."""
    return ", ".join(found) or "–"
