"""Charging outlets from the terminal of the site."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import REFUSED, AsJson, DataFolder, Person, fail, show, table

app = typer.Typer(no_args_is_help=True, help="See charging outlets, stop one, reset a hazard.")

Outlet = Annotated[str, typer.Argument(help="The outlet's facility, as `outlet list` shows it.")]


@app.command("list")
def list_outlets(data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """Show every outlet: its state, what it may draw, and its session."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, "") as api:
        found = api.get("/outlets")
    heads = ("outlet", "status", "may draw A", "draws W", "session kWh", "faults")
    show(found, as_json, table([_row(one) for one in found], heads) if found else "no outlets")


@app.command()
def stop(outlet: Outlet, person: Person, data: DataFolder = Path("var")) -> None:
    """End the session at an outlet."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, person) as api:
        session = api.get(f"/outlets/{outlet}")["session"]
        if session is None:
            fail(f"no session runs at {outlet}", REFUSED)
        print(api.post(f"/sessions/{session['id']}/stop")["reason"]["en"])


@app.command()
def reset(outlet: Outlet, person: Person, data: DataFolder = Path("var")) -> None:
    """Say that you have looked at an outlet that was too hot or drew too much, and it is safe."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, person) as api:
        print(api.post(f"/outlets/{outlet}/reset")["reason"]["en"])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    session = one["session"]
    return (
        one["facility"],
        one["status"],
        f"{one['granted_ma'] / 1000:g}",
        "–" if one["power_w"] is None else f"{one['power_w']:.0f}",
        "" if session is None else f"{session['energy_wh'] / 1000:.2f}",
        " ".join(fault["reason"]["code"] for fault in one["faults"]),
    )
