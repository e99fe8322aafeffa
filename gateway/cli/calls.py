"""Emergency calls from the terminal of the site."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, DataFolder, Person, show, table

app = typer.Typer(no_args_is_help=True, help="See and answer emergency calls.")

CallId = Annotated[str, typer.Argument(help="The call, as `call list` shows it.")]


@app.command("list")
def list_calls(data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """Show the calls that are open, and those cleared within a day."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, "") as api:
        calls = api.get("/calls")
    rows = [(c["id"], c["state"], c["place"], "TEST" if c.get("test") else "") for c in calls]
    show(calls, as_json, table(rows, ("call", "state", "place", "")) if rows else "no calls")


@app.command()
def ack(call: CallId, person: Person, data: DataFolder = Path("var")) -> None:
    """Acknowledge a call: you have it, and will see that somebody goes there."""
    _act(data, person, f"/calls/{call}/acknowledge", {})


@app.command()
def attend(
    call: CallId,
    person: Person,
    responder: Annotated[str, typer.Option(help="Who is there; yourself if not given.")] = "",
    data: DataFolder = Path("var"),
) -> None:
    """Say that somebody is at the place."""
    _act(data, person, f"/calls/{call}/attend", {"responder": responder or person})


@app.command()
def clear(
    call: CallId,
    person: Person,
    outcome: Annotated[str, typer.Option(help="genuine, false, test or technical.")],
    note: Annotated[str, typer.Option(help="What should be remembered.")] = "",
    data: DataFolder = Path("var"),
) -> None:
    """End a call, with what it was."""
    _act(data, person, f"/calls/{call}/clear", {"outcome": outcome, "note": note})


def _act(data: Path, person: str, path: str, body: dict[str, Any]) -> None:
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, person) as api:
        found = api.post(path, body)
    print(f"{found.get('call', '')} {found.get('state', '')}".strip())
