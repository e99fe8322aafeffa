"""Fire zones from the terminal of the site (RULES A3)."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import AsJson, DataFolder, Person, show, table

app = typer.Typer(no_args_is_help=True, help="See fire and smoke zones, and reset one.")

Zone = Annotated[str, typer.Argument(help="The zone, as `fire list` shows it.")]


@app.command("list")
def list_zones(data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """Show every fire zone: whether it alarms, and whether it is latched."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, "") as api:
        zones = api.get("/fire-zones")
    rows = [
        (
            one["id"],
            "alarm" if one["input_active"] else "quiet",
            "latched" if one["latched"] else "",
        )
        for one in zones
    ]
    show(zones, as_json, table(rows, ("zone", "input", "")) if rows else "no fire zones")


@app.command()
def reset(zone: Zone, person: Person, data: DataFolder = Path("var")) -> None:
    """Say that the fire is over: you are on site, and its input is quiet again."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, person) as api:
        print(api.post(f"/fire-zones/{zone}/reset")["reason"]["en"])
