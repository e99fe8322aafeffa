"""The `commons` command."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The edge gateway for shared community facilities.")

SiteFolder = Annotated[Path, typer.Option("--site", help="The folder of the site's files.")]
DataFolder = Annotated[Path, typer.Option("--data", help="The folder of the gateway's data.")]


@app.callback()
def main() -> None:
    """The edge gateway for shared community facilities."""


@app.command()
def run(site: SiteFolder, data: DataFolder = Path("var")) -> None:
    """Run the gateway of a site until it is told to stop."""
    import uvloop  # noqa: PLC0415 (each command imports what it needs)

    from gateway.bootstrap import Gateway, Options  # noqa: PLC0415

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await Gateway(Options(site, data)).serve(stop)

    uvloop.run(serve())


if __name__ == "__main__":
    app()
