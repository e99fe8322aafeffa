"""Run the gateway."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import DataFolder, SiteFolder


def run(
    site: SiteFolder,
    data: DataFolder = Path("var"),
    log: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Run the gateway of a site until it is told to stop (SIGTERM; SIGHUP reloads the site)."""
    # The daemon takes this process's place, so that nothing of this command stays in memory.
    module = [sys.executable, "-m", "gateway"]
    options = ["--site", str(site), "--data", str(data), "--log", log]
    os.execv(sys.executable, [*module, *options])  # noqa: S606 (no shell is what is wanted)
