"""A site on real wires: its folder, its devices, its broker, and the gateway as a process."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fixtures.broker import Broker
from ruamel.yaml import YAML

from config.site import load_site
from drivers.registry import kinds
from gateway.domain.site import Site
from gateway.domain.subjects import Role
from gateway.security.tokens import ApiTokens
from simulators.devices import SimulatedSite
from simulators.platform import Address, Platform

TEMPLATE = Path(__file__).parent / "site"
MINUTE_MS = 60_000
STOPS_WITHIN_S = 30.0


@dataclass
class Court:
    """Everything around a gateway, and the gateway itself, which may be killed and started."""

    folder: Path
    data: Path
    town: SimulatedSite
    platform: Platform
    process: asyncio.subprocess.Process | None = None
    log: Path = field(default=Path())

    async def start(self, *under: str, **environment: str) -> None:
        """Start the gateway's process, under a command that becomes it where one is given."""
        vouched = {"COMMONS_CLOCK": "synchronised"}  # a test machine has no time server
        self.log = self.data.parent / f"gateway-{time.monotonic_ns()}.log"
        with self.log.open("wb") as output:
            self.process = await asyncio.create_subprocess_exec(
                *(*under, sys.executable, "-m", "gateway"),
                *("--site", str(self.folder), "--data", str(self.data)),
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **vouched, **environment},
            )

    async def kill(self) -> None:
        """Pull the plug: SIGKILL, no last word."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        self.process = None
        (self.data / "listening").unlink(missing_ok=True)

    async def stop(self) -> int:
        """Ask it to stop; its exit code. One that does not shows in its log where it stands."""
        if self.process is None:
            return 0
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOPS_WITHIN_S):
                return await self.process.wait()
        except TimeoutError:
            self.process.send_signal(signal.SIGABRT)
            await self.process.wait()
            raise AssertionError(f"it does not stop\n{self.log.read_text()[-8000:]}") from None

    def facts(self, prefix: str = "") -> list[str]:
        """The kinds of facts the platform holds, in order."""
        return [entry.fact for entry in self.platform.facts(prefix)]

    async def has(self, fact: str, timeout_s: float = 20.0) -> Any:
        """Wait until the platform holds a fact of this kind; the newest one."""
        await self.until(lambda: fact in self.facts(), timeout_s, f"no {fact}")
        return [entry for entry in self.platform.records if entry.fact == fact][-1]

    async def until(
        self, condition: Callable[[], object], timeout_s: float = 20.0, what: str = "condition"
    ) -> None:
        """Wait for a condition; a timeout shows what there was instead."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline or (self.process and self.process.returncode):
                raise AssertionError(
                    f"{what}; facts: {self.facts()}\n{self.log.read_text()[-4000:]}"
                )
            await asyncio.sleep(0.02)

    async def opens(self, door: str, pin: str, timeout_s: float = 20.0) -> None:
        """Somebody types a PIN, again where the keypad makes them wait, until the strike moves."""
        before = self.town.door(door).pulses[-1:]
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            await self.town.present_pin(door, pin, patience_ms=0)
            for _ in range(25):
                if self.town.door(door).pulses[-1:] != before:
                    return
                await asyncio.sleep(0.02)
        raise AssertionError(f"no pulse at {door}; facts: {self.facts()}\n{self.log.read_text()}")

    def api(
        self, role: Role = Role.DESK, name: str = "Dora", subject: str = ""
    ) -> httpx.AsyncClient:
        """A client of the gateway's API, as a person with a role; a resident is a subject."""
        return self.client(ApiTokens(self.data).add(name, role, self.now_ms(), subject))

    def client(self, token: str) -> httpx.AsyncClient:
        """A client of the gateway's API, where it listens now."""
        address = (self.data / "listening").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=f"http://{address}/api/v1", headers=headers)

    async def ready(self) -> None:
        """Wait until the API answers and every link is up."""
        await self.until((self.data / "listening").exists, 20, "the API does not listen")
        await self.sees("/status", lambda found: set(found["links"].values()) == {"online"})

    async def sees(
        self, path: str, wanted: Callable[[Any], object], timeout_s: float = 20.0
    ) -> Any:
        """Wait until a resource of the API is as wanted; the resource."""
        deadline = time.monotonic() + timeout_s
        async with self.api(Role.TECHNICIAN) as api:
            while True:
                found = (await api.get(path)).json()
                if wanted(found):
                    return found
                if time.monotonic() > deadline:
                    raise AssertionError(f"{path}: {found}\n{self.log.read_text()[-3000:]}")
                await asyncio.sleep(0.05)

    def now_ms(self) -> int:
        """Wall time."""
        return time.time_ns() // 1_000_000

    def window(self, start_min: float, end_min: float) -> tuple[int, int]:
        """A window by minutes from now."""
        now = self.now_ms()
        return now + int(start_min * MINUTE_MS), now + int(end_min * MINUTE_MS)


def write_site(folder: Path, change: dict[str, Any], template: Path = TEMPLATE) -> Path:
    """A copy of the template with `change` merged into its site.yaml."""
    shutil.copytree(template, folder)
    edit(folder, "site.yaml", change)
    return folder


def edit(folder: Path, file: str, change: dict[str, Any]) -> None:
    """Merge `change` into a file of a site."""
    yaml, path = YAML(), folder / file
    text = yaml.load(path)
    _merge(text, change)
    with path.open("w") as out:
        yaml.dump(text, out)


def _merge(into: Any, change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


@asynccontextmanager
async def court(
    folder: Path, broker: Broker, change: dict[str, Any] | None = None, template: Path = TEMPLATE
) -> AsyncIterator[Court]:
    """Devices and platform served; the gateway is not started yet."""
    site = _template_site(template)
    brokers = {
        link.id: (broker.host, broker.port)
        for link in site.equipment.links.values()
        if link.driver == "mqtt"
    }
    async with SimulatedSite(site, brokers=brokers) as town:
        uplink = {"host": broker.host, "port": broker.port}
        wires = {"links": town.overrides, "settings": {"uplink": uplink, "listen": "127.0.0.1:0"}}
        _merge(wires, change or {})
        written = write_site(folder / "site", wires, template)
        platform = Platform(Address(broker.port), site.id)
        async with platform:
            here = Court(written, folder / "data", town, platform)
            try:
                yield here
            finally:
                if here.process is not None and here.process.returncode is None:
                    await here.kill()


def _template_site(template: Path) -> Site:
    return load_site(template, kinds())
