"""The broker of the demo, in a process of its own: mosquitto where it is installed, else amqtt."""

import asyncio
import logging
import random
import shutil
import socket
import sys
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

PORTS = range(20_000, 32_000)
_ports = cycle(random.sample(PORTS, len(PORTS)))
APART = 0  # a process group of its own: Ctrl-C is for the demo, which ends its processes in order


def mosquitto() -> str | None:
    """The program, None where it is not installed. Debian keeps it outside a user's path."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A TCP port that nobody has now, below those that outgoing connections are given.

    So it is free again after its holder was killed. Each is given once before any is given again:
    whoever has one may leave it for a while.
    """
    for port in islice(_ports, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


async def start_broker(folder: Path, port: int) -> tuple[asyncio.subprocess.Process, str]:
    """Start a broker on a port of this machine; its process and its name."""
    program = mosquitto()
    if program is None:
        command, name = [sys.executable, "-m", "simulators.broker", str(port)], "amqtt"
    else:
        settings = folder / "mosquitto.conf"
        settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        command, name = [program, "-c", str(settings)], "mosquitto"
    with (folder / "broker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, process_group=APART
        )
    await _accepting(port)
    return process, name


async def _accepting(port: int, timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def _serve(port: int) -> None:
    from amqtt.broker import Broker  # noqa: PLC0415 (only in this process)

    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config)
    await broker.start()
    try:
        await asyncio.Event().wait()
    finally:
        await broker.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(_serve(int(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(0)
