"""What facilities were used for, on the terminal."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, DataFolder, show, table

_HEADS = (
    *("of", "from", "in use", "idle", "unknown", "blocked h", "held h"),
    *("visits", "sessions", "no-shows", "kWh", "refused"),
)


def report(  # noqa: PLR0913 (a command's options)
    *,
    start: Annotated[str, typer.Option("--from", help="The first day, or a time.")],
    end: Annotated[str, typer.Option("--to", help="Where it ends: that day is not in it.")],
    bucket: Annotated[str, typer.Option(help="quarter, hour, day, week or month.")] = "day",
    facility: Annotated[list[str] | None, typer.Option(help="Some facilities; else all.")] = None,
    group: Annotated[str, typer.Option(help="facility, place or kind.")] = "facility",
    out: Annotated[Path | None, typer.Option("--csv", help="Write it as CSV too.")] = None,
    data: DataFolder = Path("var"),
    as_json: AsJson = False,
) -> None:
    """Say how facilities were used: shares of the time they were open, usable and watched."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    asked: dict[str, Any] = {"from": start, "to": end, "bucket": bucket, "group": group}
    asked["facility"] = facility or []
    with gateway_api(data, "") as api:
        found = api.get("/utilization", **asked)
        if out is not None:
            api.save(out, "/utilization", **asked, format="csv")
    lines = found["lines"]
    text = table([_row(line) for line in lines], _HEADS) if lines else "no time that is over"
    show(found, as_json, text)


def _row(line: dict[str, Any]) -> tuple[object, ...]:
    from datetime import UTC, datetime  # noqa: PLC0415

    counts, spent = line["counts"], line["spent_s"]
    refused = " ".join(f"{code}={count}" for code, count in counts["refused"].items())
    return (
        line["of"],
        f"{datetime.fromtimestamp(line['from_ms'] / 1000, UTC):%Y-%m-%d %H:%MZ}",
        *(_percent(line[name]) for name in ("utilization", "idle", "unknown")),
        *(f"{spent.get(name, 0) / 3600:.1f}" for name in ("blocked", "held")),
        *(counts[name] for name in ("visits", "sessions", "no_shows")),
        f"{counts['energy_wh'] / 1000:.1f}",
        refused,
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
