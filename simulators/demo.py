"""The demo: a simulated community on real wires, its platform, and the real gateway beside them.

The broker and the gateway are processes of their own; devices, people and platform live here.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ruamel.yaml import YAML

from config.site import load_site
from drivers.registry import kinds
from gateway.domain.errors import GatewayError
from gateway.domain.site import Site
from gateway.domain.subjects import Role
from gateway.security.tokens import ApiTokens
from simulators.broker import APART, free_port, start_broker
from simulators.control import Control, world_commands, world_names
from simulators.devices import SimulatedSite
from simulators.neighbours import PEOPLE, STAFF, parkings, stays
from simulators.parking import Motorist, Parking, ParkingHabits, plan_parking
from simulators.platform import Address, Platform
from simulators.residents import Habits, Resident, Stay, plan

STOP_S = 6.0
FIRST_MS = 60_000
PROMPT = ParkingHabits(0, 0, 0, 0, 0, 0, 4_000)  # who charges at the beginning is to be seen


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything that runs, and what a person needs to try it."""

    site: Site
    world: SimulatedSite
    platform: Platform
    folder: Path
    token: str
    broker: str

    @property
    def socket(self) -> Path:
        """Where `commons tell` finds this world."""
        return self.folder / "world.sock"

    @property
    def data(self) -> Path:
        """The gateway's data folder."""
        return self.folder / "data"

    @property
    def env(self) -> Path:
        """What a shell sources to reach this demo with short commands."""
        return self.folder / "env"

    @property
    def api(self) -> str:
        """Where the gateway's API listens; empty until it does."""
        with suppress(OSError):
            return "http://" + (self.data / "listening").read_text().strip()
        return ""


@asynccontextmanager
async def running(template: Path, folder: Path, past_days: int = 0) -> AsyncIterator[Demo]:
    """Start the demo of a site in an empty folder that there is, and end all of it cleanly.

    It has a past of so many days, lived in virtual time before anything else starts.
    """
    site = load_site(template, kinds(), demo=True)
    async with AsyncExitStack() as stack:
        data = folder / "data"
        data.mkdir(mode=0o700)
        past = await _past(template, data, past_days)
        stack.push_async_callback(_ended, past)
        port = free_port()
        process, broker = await start_broker(folder, port)
        stack.push_async_callback(_ended, process)
        brokers = {
            link.id: ("127.0.0.1", port)
            for link in site.equipment.links.values()
            if link.driver == "mqtt"
        }
        world = await stack.enter_async_context(SimulatedSite(site, brokers=brokers))
        platform = await stack.enter_async_context(Platform(Address(port), site.id))
        written = _site_folder(template, folder, world.overrides, port)
        await _lived(past)
        token = ApiTokens(data).add("demo", Role.DESK, _wall_ms())
        demo = Demo(site, world, platform, folder, token, broker)
        gateway = await _gateway(written, data, folder / "gateway.log")
        stack.push_async_callback(_ended, gateway)
        _write_env(demo)
        commands = {
            **world_commands(world),
            "cut_uplink": platform.offline,
            "mend_uplink": platform.online,
        }
        await stack.enter_async_context(Control(demo.socket, commands, world_names(world)))
        life = asyncio.create_task(_life(demo))
        stack.callback(life.cancel)
        yield demo


def _site_folder(
    template: Path, folder: Path, links: Mapping[str, Mapping[str, Any]], port: int
) -> Path:
    """A copy of the site whose links lead to the simulated devices."""
    written = folder / "site"
    shutil.copytree(template, written)
    yaml = YAML()
    path = written / "site.yaml"
    text = yaml.load(path)
    for link, binding in links.items():
        text["links"][link].update(binding)
    settings = text.setdefault("settings", {})
    settings["uplink"] = {"host": "127.0.0.1", "port": port}
    settings["listen"] = "127.0.0.1:0"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(text, file)
    return written


def _write_env(demo: Demo) -> None:
    """The demo's addresses for another terminal; the API's port is known once it listens."""
    lines = [
        f'export PATH="{Path(sys.executable).parent}:$PATH"',
        f'export COMMONS_DATA_FOLDER="{demo.data}" COMMONS_PERSON=Dora',
        f'export API="http://$(cat "{demo.data}/listening")/api/v1"',
        f'export TOKEN="Authorization: Bearer {demo.token}"',
    ]
    demo.env.touch(mode=0o600)
    demo.env.write_text("\n".join(lines) + "\n")


async def _gateway(site: Path, data: Path, log: Path) -> asyncio.subprocess.Process:
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "--demo"),
            *("--site", str(site), "--data", str(data)),
            stdout=output,
            stderr=output,
            process_group=APART,
            # This machine's clock is good enough for a demo, whoever set it.
            env={"COMMONS_CLOCK": "synchronised", **os.environ},
        )


async def _past(site: Path, data: Path, days: int) -> asyncio.subprocess.Process | None:
    """What lives the days before, beside what starts meanwhile."""
    if not days:
        return None
    words = (sys.executable, "-m", "simulators.history", str(site), str(data), str(days))
    return await asyncio.create_subprocess_exec(
        *words, stderr=asyncio.subprocess.PIPE, process_group=APART
    )


async def _lived(past: asyncio.subprocess.Process | None) -> None:
    """Wait until the past is over. Raises GatewayError."""
    if past is None:
        return
    _, said = await past.communicate()
    if past.returncode:
        raise GatewayError(f"the demo's past could not be lived:\n{said.decode()[-2_000:]}")


async def _ended(process: asyncio.subprocess.Process | None) -> None:
    if process is None or process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


# --- a day in the compound ----------------------------------------------------------------------


async def _life(demo: Demo) -> None:
    """People get their PINs and bookings, and live by them."""
    platform, world, site = demo.platform, demo.world, demo.site
    for name, pin in PEOPLE.items():
        await platform.subject(name, pin=pin)
    for name, pin in STAFF.items():
        await platform.subject(name, roles=["staff", "responder"], pin=pin)
        await platform.right(f"{name}-everywhere", name, ["*"])
    random = Random(7)  # noqa: S311  # a simulation, to be repeated
    now = _wall_ms()
    numbers: Counter[str] = Counter()

    def book(facility: str, one: Stay | Parking) -> None:
        numbers[facility] += 1
        name, window = f"{facility}-{numbers[facility]}", (one.start_ms, one.end_ms)
        platform.book(name, facility, [one.person], window)

    async with asyncio.TaskGroup() as people:
        for facility, stay in stays(site, now):
            book(facility, stay)
            acts = plan(stay, Habits(), random)
            people.create_task(Resident(world, stay, _wall_ms).live(acts))
        for parking, booked in parkings(site, now, random):
            if booked:
                book(parking.outlet, parking)
            first = parking.start_ms < now + FIRST_MS
            acts = plan_parking(parking, PROMPT if first else ParkingHabits(), random)
            people.create_task(Motorist(world, parking, _wall_ms).live(acts))


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
