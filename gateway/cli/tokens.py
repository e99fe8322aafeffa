"""Who may use the HTTP API."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import AsJson, DataFolder, fail, show, table
from gateway.domain.subjects import Role

app = typer.Typer(no_args_is_help=True, help="Give and take tokens of the HTTP API.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The person who holds it.")],
    role: Annotated[Role, typer.Option(help="platform, desk, technician or resident.")],
    subject: Annotated[str, typer.Option(help="Whom a resident's token acts for.")] = "",
    data: DataFolder = Path("var"),
) -> None:
    """Make a token. It is shown once, and kept only as a digest."""
    from gateway.domain.errors import GatewayError  # noqa: PLC0415
    from gateway.security.tokens import ApiTokens  # noqa: PLC0415

    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        print(ApiTokens(data).add(name, role, time.time_ns() // 1_000_000, subject))
    except (GatewayError, OSError) as error:
        fail(error)


@app.command("list")
def list_tokens(data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """Show who holds a token."""
    from gateway.domain.errors import GatewayError  # noqa: PLC0415
    from gateway.security.tokens import ApiTokens  # noqa: PLC0415

    try:
        holders = ApiTokens(data).list()
    except (GatewayError, OSError) as error:
        fail(error)
    rows = [(h.id, h.role.value, h.name, h.subject) for h in holders]
    named = [dict(zip(("id", "role", "name", "subject"), row, strict=True)) for row in rows]
    show(named, as_json, table([*rows], ("id", "role", "name", "subject")))


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(help="Its id, as `token list` shows it.")],
    data: DataFolder = Path("var"),
) -> None:
    """Take a token away, at once."""
    from gateway.domain.errors import GatewayError  # noqa: PLC0415
    from gateway.security.tokens import ApiTokens  # noqa: PLC0415

    try:
        gone = ApiTokens(data).revoke(token)
    except (GatewayError, OSError) as error:
        fail(error)
    if gone is None:
        fail(f"no token {token}")
    print(f"{gone.name} holds it no more")
