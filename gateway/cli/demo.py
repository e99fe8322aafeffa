"""The demo, and a site's devices without their hardware. Simulators are imported here alone."""

import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import WRONG_USE, SiteFolder, fail

DEMO_SITE = Path(__file__).parents[2] / "config" / "sites" / "demo"
LATEST = Path(tempfile.gettempdir()) / "commons-demo"

Socket = Annotated[Path, typer.Option("--socket", help="The simulation to tell.")]


def demo(
    seconds: Annotated[float, typer.Option(help="End by itself after so long; 0: never.")] = 0,
    days: Annotated[int, typer.Option(min=0, max=60, help="Days of past to begin with.")] = 7,
) -> None:
    """Run a simulated community, its platform and the gateway, and show them live."""
    from rich.console import Console  # noqa: PLC0415

    from gateway.domain.errors import GatewayError  # noqa: PLC0415
    from simulators.demo import running  # noqa: PLC0415
    from simulators.view import show  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="commons-demo-"))

    async def live() -> None:
        if days:
            print(f"its last {days} days first, in virtual time …", flush=True)
        async with running(DEMO_SITE, folder, days) as world:
            LATEST.unlink(missing_ok=True)
            LATEST.symlink_to(folder)
            async with asyncio.timeout(seconds or None):
                await show(world, Console())

    try:
        _run(live())
    except GatewayError as error:
        fail(error)
    except TimeoutError:
        print(f"the demo ran for {seconds:g} s")
    finally:
        LATEST.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def simulate(
    site: SiteFolder,
    broker: Annotated[str, typer.Option(help="host:port of the broker of its MQTT links.")] = "",
    socket: Annotated[Path, typer.Option(help="Where `commons tell` finds it.")] = Path(
        "world.sock"
    ),
) -> None:
    """Serve the devices of a site without their hardware, to try it."""
    from config.site import load_site  # noqa: PLC0415
    from drivers.registry import kinds  # noqa: PLC0415
    from gateway.domain.errors import ConfigError  # noqa: PLC0415
    from simulators.control import Control, world_commands, world_names  # noqa: PLC0415
    from simulators.devices import SimulatedSite  # noqa: PLC0415

    try:
        loaded = load_site(site, kinds(), demo=True)
    except ConfigError as error:
        fail(error, WRONG_USE)
    host, _, port = broker.partition(":")
    links = [link for link in loaded.equipment.links.values() if link.driver == "mqtt"]
    brokers = {link.id: (host, int(port or 1883)) for link in links} if broker else None

    async def serve() -> None:
        async with (
            SimulatedSite(loaded, brokers=brokers) as world,
            Control(socket, world_commands(world), world_names(world)),
        ):
            print("links of the site must say, to lead here:")
            print(json.dumps(world.overrides, indent=2))
            await asyncio.Event().wait()

    _run(serve())


def tell(
    do: Annotated[str, typer.Argument(help="What to do; `help` lists it.")],
    args: Annotated[list[str] | None, typer.Argument(help="To whom or what.")] = None,
    socket: Socket = LATEST / "world.sock",
) -> None:
    """Tell the running simulation to do something: present a PIN, press a button, cut a wire."""
    from gateway.domain.errors import GatewayError  # noqa: PLC0415
    from simulators.control import ask  # noqa: PLC0415

    try:
        result: Any = asyncio.run(ask(socket, do, *(args or ())))
    except GatewayError as error:
        fail(error)
    print("done" if result is None else json.dumps(result, indent=2, ensure_ascii=False))


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Until it is interrupted, asked to end, or its terminal is closed; then all of it ends."""

    async def ending() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await work

    try:
        asyncio.run(ending())
    except (KeyboardInterrupt, asyncio.CancelledError):
        with suppress(OSError):  # nobody may be there to read it
            print("ended")
