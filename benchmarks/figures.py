"""What a benchmark hands back: figures with their limits, as JSON lines and as a table.

A benchmark is a program of its own that prints one JSON line for each figure; anybody may run it
alone. `run.py` runs them all and prints the table.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

Judged = Literal["ours", "ratio"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure. `raw` is the bare library's, in the same run; `ratio` is ours to it.

    What is judged is at most `at_most`, or at least `at_least`.
    """

    measure: str
    ours: float
    unit: str
    raw: float | None = None
    judged: Judged = "ours"
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours to the raw library's."""
        return self.ours / self.raw if self.raw else None

    @property
    def well(self) -> bool:
        """It keeps its limit; what has none always does."""
        found = self.ratio if self.judged == "ratio" else self.ours
        if found is None:
            return False
        return not (
            (self.at_most is not None and found > self.at_most)
            or (self.at_least is not None and found < self.at_least)
        )

    @property
    def limit(self) -> str:
        """The limit, in words."""
        unit = "times raw" if self.judged == "ratio" else self.unit
        if self.at_most is not None:
            return f"at most {self.at_most:,g} {unit}"
        if self.at_least is not None:
            return f"at least {self.at_least:,g} {unit}"
        return ""


def emit(*figures: Figure) -> None:
    """Print figures, one JSON line each."""
    for figure in figures:
        print(json.dumps(asdict(figure), ensure_ascii=False), flush=True)


def parsed(lines: str) -> list[Figure]:
    """The figures in what a benchmark printed."""
    return [Figure(**json.loads(line)) for line in lines.splitlines() if line.startswith("{")]


def table(figures: Iterable[Figure]) -> str:
    """The figures for a person."""
    rows = [("measure", "ours", "raw library", "ratio", "limit", "")]
    for one in figures:
        raw = "" if one.raw is None else f"{one.raw:,.4g} {one.unit}"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        verdict = "OVER" if not one.well else "ok" if one.limit else ""
        rows.append((one.measure, f"{one.ours:,.4g} {one.unit}", raw, ratio, one.limit, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 4, 5) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
