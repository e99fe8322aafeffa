"""Recorded charging sessions and a recorded room, lived again by the real core in virtual time.

    python -m benchmarks.traces           every seventh session, and the room
    python -m benchmarks.traces --all     all of them: about three minutes

The data is read from `COMMONS_DATA`, or `../shared/data`; without it there is nothing to print.
"""

import sys
from collections import Counter

from benchmarks.figures import Figure, emit
from simulators.relive import SENSORS, Agreement, relive_room, relive_session, trace_site
from simulators.traces import ROOM, ROOM_FILES, SESSIONS, real_minutes, real_sessions

EVERY = 7
TOGETHER = ("motion", "co2 over 700 ppm")


def sessions(every: int) -> list[Figure]:
    """Each session at a charger: what the gateway says of it against what was recorded."""
    rows = list(real_sessions())
    for why, count in Counter(row.wrong for row in rows if row.wrong).items():
        print(f"{count:3} of {len(rows)} rows: {why}")
        print("    " + " ".join(row.id for row in rows if row.wrong == why))
    site = trace_site()
    energy, seconds, metered, odd = 0, 0.0, 0.0, 0
    usable = [row for row in rows if row.usable][::every]
    for row in usable:
        lived = relive_session(site, row)
        odd += lived.sessions != 1
        energy = max(energy, abs(lived.energy_wh - row.energy_wh))
        metered = max(metered, abs(lived.energy_wh - lived.metered_wh))
        seconds = max(seconds, abs(lived.duration_ms / 1_000 - (row.duration_s or 0)))
    return [
        Figure("recorded sessions lived again", len(usable), "sessions", at_least=1),
        Figure("of them not one session of ours", odd, "sessions", at_most=0),
        Figure("energy off the recorded, at most", energy, "Wh", at_most=10),
        Figure("energy off the simulated meter, at most", round(metered, 2), "Wh", at_most=1),
        Figure("duration off the recorded, at most", round(seconds, 1), "s", at_most=60),
    ]


def room() -> None:
    """Minutes in use against the truth, by what watches the room."""
    print("| evidence | minutes | somebody there | in use | missed | nobody there |")
    print("|---|---|---|---|---|---|")
    for sensors in [*((name,) for name in SENSORS), TOGETHER]:
        found = [relive_room(real_minutes(name), *sensors) for name in ROOM_FILES]
        print(_row(" and ".join(sensors), found))


def _row(name: str, found: list[Agreement]) -> str:
    columns = ("minutes", "occupied", "in_use", "missed", "false")
    sums = (sum(getattr(one, column) for one in found) for column in columns)
    return f"| {name} | " + " | ".join(f"{value:,}" for value in sums) + " |"


if __name__ == "__main__":
    if ROOM.exists():
        room()
    if SESSIONS.exists():
        emit(*sessions(1 if "--all" in sys.argv else EVERY))
    else:
        print(f"no data at {SESSIONS}; set COMMONS_DATA", file=sys.stderr)
