"""Run the gateway, and ask how it is."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import WRONG_USE, AsJson, DataFolder, SiteFolder, fail, show


def run(
    site: SiteFolder,
    data: DataFolder = Path("var"),
    demo: Annotated[bool, typer.Option("--demo", hidden=True)] = False,
    log: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Run the gateway of a site until it is told to stop (SIGTERM; SIGHUP reloads the site)."""
    import uvloop  # noqa: PLC0415 (each command imports what it needs)

    from gateway.bootstrap import Gateway, Options  # noqa: PLC0415
    from gateway.domain.errors import ConfigError, GatewayError  # noqa: PLC0415
    from gateway.logs import configure  # noqa: PLC0415

    configure(log)

    async def serve() -> None:
        gateway = Gateway(Options(site, data, demo=demo))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, gateway.reload)
        await gateway.serve(stop)

    try:
        uvloop.run(serve())
    except ConfigError as error:
        fail(error, WRONG_USE)
    except GatewayError as error:
        fail(error)


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
