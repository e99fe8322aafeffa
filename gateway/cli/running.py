"""Run the gateway, and ask how it is."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import AsJson, DataFolder, SiteFolder, show


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


def status(data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """Say how the running gateway is: clock, store, platform, links, calls, faults."""
    from gateway.cli.client import gateway_api  # noqa: PLC0415

    with gateway_api(data, "") as api:
        found = api.get("/status")
    show(found, as_json, "\n".join(_lines(found)))


def _lines(found: dict[str, object], indent: str = "") -> list[str]:
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines
