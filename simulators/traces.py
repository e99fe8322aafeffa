"""What was recorded in the real world, lived again by the real core in virtual time.

Two traces: sessions of electric cars in 24 Norwegian garages (Sørensen et al., CC BY 4.0), each at
a simulated charger with a car that wants what was charged; and the air of an office with who was
really in it (UCI 357, Candanedo and Feldheim, CC BY 4.0), as the room's sensors would tell it. The
data is read where it lies, `COMMONS_DATA` or `../shared/data`, and is no part of the project.
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

DATA = Path(os.environ.get("COMMONS_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")
SESSIONS = DATA / "ev_sessions_norway" / "Dataset_1_EV_charging_reports.csv"
ROOM = DATA / "occupancy_uci_2015"
ROOM_FILES = ("datatest.txt", "datatraining.txt", "datatest2.txt")
OSLO = ZoneInfo("Europe/Oslo")
MINUTE_S = 60
MINUTES_MAY_DIFFER = 1.02  # times are whole minutes, durations are not


@dataclass(frozen=True, slots=True)
class RealSession:
    """One row: when the car was plugged in and out, what it took, and what is wrong with it.

    `end_ms` is None where the row has no end. `wrong` is empty, or says why the row contradicts
    itself as it stands: its stored duration is not its end minus its start.
    """

    id: str
    start_ms: int
    end_ms: int | None
    energy_wh: int
    duration_s: float | None
    wrong: str = ""

    @property
    def usable(self) -> bool:
        """It has both ends, and they are where they are said to be."""
        return self.end_ms is not None and self.wrong in ("", CLOCK_BACK)


NO_END = "no end and no duration were stored"
CLOCK_BACK = "the clocks went back in between: as UTC it is right"
SHIFTED = "its end is two hours later than start and duration say"


def real_sessions(path: Path = SESSIONS) -> Iterator[RealSession]:
    """The rows of the trace, as they are stored. Raises OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            yield _session(row)


def _session(row: dict[str, str]) -> RealSession:
    start = _local(row["Start_plugin"])
    energy_wh = round(_number(row["El_kWh"]) * 1_000)
    if row["End_plugout"] == "NA":
        return RealSession(row["session_ID"], _ms(start), None, energy_wh, None, NO_END)
    end, stored_s = _local(row["End_plugout"]), _number(row["Duration_hours"]) * 3_600
    wall_s = (end - start).total_seconds()
    utc_s = (_ms(end) - _ms(start)) / 1_000
    wrong = ""
    if abs(stored_s - wall_s) > MINUTES_MAY_DIFFER * MINUTE_S:
        wrong = CLOCK_BACK if abs(stored_s - utc_s) <= MINUTES_MAY_DIFFER * MINUTE_S else SHIFTED
    return RealSession(row["session_ID"], _ms(start), _ms(end), energy_wh, stored_s, wrong)


def _local(text: str) -> datetime:
    return datetime.strptime(text, "%d.%m.%Y %H:%M")  # noqa: DTZ007  # local, as it is stored


def _ms(local: datetime) -> int:
    return int(local.replace(tzinfo=OSLO).timestamp() * 1_000)


def _number(text: str) -> float:
    return float(text.replace(",", "."))


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute of the room: carbon dioxide in ppm, and whether somebody was there."""

    at_ms: int
    co2_ppm: int
    occupied: bool


def real_minutes(name: str, folder: Path = ROOM) -> list[Minute]:
    """The rows of one file of the room's trace. Raises OSError."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return [_minute(row[-7:]) for row in rows[1:]]  # two of the files number their rows


def _minute(row: list[str]) -> Minute:
    at = datetime.fromisoformat(row[0]).replace(tzinfo=ZoneInfo("Europe/Brussels"))
    return Minute(int(at.timestamp() * 1_000), round(float(row[4])), row[6] == "1")
