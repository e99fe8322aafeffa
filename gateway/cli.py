"""The `commons` command."""

import typer

app = typer.Typer(no_args_is_help=True, help="The edge gateway for shared community facilities.")
