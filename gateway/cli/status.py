"""How the running gateway is, in one look: what is wrong comes first."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.cli.options import AsJson, DataFolder, show

Found = Mapping[str, Any]

_MARGIN = 10
_FAULTS_MAX = 20


def status(data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """Say how the running gateway is, and first what is wrong with it."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, "") as api:
        found, faults = api.get("/status"), api.get("/faults")
    show(found, as_json, "\n".join(layout(found, faults)))


def layout(found: Found, faults: list[Found]) -> Iterator[str]:
    """The lines of a status, under their heads."""
    yield f"{found['site']}: {_verdict(found)}"
    for head, lines in (
        ("calls", [_counted(found["calls"]) or "none open"]),
        ("fire", [", ".join(found["fire"]) or "none"]),
        ("faults", list(_faults(faults, found["clock"]["wall_ms"])) or ["none"]),
        ("clock", list(_clock(found["clock"]))),
        ("store", [_store(found)]),
        ("platform", list(_platform(found))),
        ("links", [_named(found["links"]) or "none"]),
        ("devices", [_counted(found["devices"]) or "none"]),
        ("version", [f"{found['version']}, Python {found['python']}, boot {found['boot']}"]),
    ):
        for number, line in enumerate(lines):
            yield f"{'' if number else head:<{_MARGIN}}{line}"


def _verdict(found: Found) -> str:
    wrong = [
        (found["fire"], "FIRE"),
        (any(found["calls"].values()), "SOMEBODY CALLS FOR HELP"),
        (found["faults_urgent"], "urgent faults"),
        (found["storage"]["lost"], "the store is lost"),
        (found["clock"]["trust"] == "untrusted", "the clock is not trusted"),
        (any(state != "online" for state in found["links"].values()), "not every link is up"),
        (found["faults"] > found["faults_urgent"], "faults"),
    ]
    return ", ".join(what for is_so, what in wrong if is_so) or "all is well"


def _faults(faults: list[Found], now_ms: int) -> Iterator[str]:
    """Urgent ones first, then those that must be repaired soonest."""
    ordered = sorted(faults, key=lambda fault: (not fault["urgent"], fault["repair_by_ms"]))
    for fault in ordered[:_FAULTS_MAX]:
        mark = "URGENT " if fault["urgent"] else ""
        left = duration(fault["repair_by_ms"] - now_ms)
        until = f"repair within {left}" if left else "its repair is overdue"
        yield f"{mark}{fault['about']}: {fault['reason']['en']} ({until})"
    if len(faults) > _FAULTS_MAX:
        yield f"and {len(faults) - _FAULTS_MAX} more"


def _clock(clock: Found) -> Iterator[str]:
    start = " (the gateway's start)" if clock["at_start"] else ""
    yield f"{clock['trust']} since {moment(clock['since_ms'])}{start}. {clock['why']['en']}"
    shown = f"it shows {moment(clock['wall_ms'])}"
    if clock["trust"] == "synchronised":
        yield shown
    elif clock["error_ms"] is None:
        yield f"{shown}, and nobody can tell how far that is off"
    else:
        off = f"{clock['error_ms'] / 1000:.0f} s"
        yield f"{shown}, at most {off} off; last set {moment(clock['synchronised_ms'])}"


def _store(found: Found) -> str:
    storage, journal = found["storage"], found["journal"]
    if storage["lost"]:
        return f"LOST, nothing is kept: {storage['why']}"
    if journal["head"] is None:
        return "written, but the journal cannot be read"
    return f"written, {journal['head']:,} records in epoch {journal['epoch']}"


def _platform(found: Found) -> Iterator[str]:
    waiting = found["journal"]["distance"]
    if waiting is not None:
        yield f"{waiting:,} records wait for it" if waiting else "has every record"
    applied = found["applied"]
    said = (
        f"{stream} {one['epoch']}/{one['revision']}" + (" (a snapshot is HELD)" * one["held"])
        for stream, one in applied.items()
        if one["epoch"]
    )
    yield "applied: " + (", ".join(said) or "nothing yet")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _named(states: Mapping[str, str]) -> str:
    """What is not as it should be is shouted, and comes first."""
    ordered = sorted(states.items(), key=lambda item: (item[1] == "online", item[0]))
    return ", ".join(f"{id_} {s if s == 'online' else s.upper()}" for id_, s in ordered)


def moment(ms: int) -> str:
    """An instant as this terminal's clock shows it."""
    return f"{datetime.fromtimestamp(ms / 1000).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def duration(ms: int) -> str:
    """A length of time in its two greatest units; nothing for one that is over."""
    if ms <= 0:
        return ""
    minutes = ms // 60_000
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
