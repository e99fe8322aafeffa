"""What lies between gateway and platform, and goes wrong: proxies, or network namespaces."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bad_line import BadLine
from bad_network import BadLink, network
from fixtures.broker import Broker

Here = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Side:
    """The gateway's or the platform's: what begins `here` reaches the broker by this line."""

    line: BadLine | BadLink
    host: str
    port: int
    here: Here = nullcontext


@dataclass(frozen=True, slots=True)
class Between:
    """What lies between gateway and platform: a broker, and a line to it from each."""

    broker: Broker
    gateway: Side
    platform: Side
    here: Here = nullcontext  # where the broker is

    @property
    def lines(self) -> tuple[BadLine | BadLink, ...]:
        """Both."""
        return self.gateway.line, self.platform.line

    async def start(self) -> None:
        """Start the broker."""
        with self.here():
            await asyncio.to_thread(self.broker.start)


@asynccontextmanager
async def proxies(folder: Path, seed: int) -> AsyncIterator[Between]:
    """All on this machine's own address."""
    broker = Broker(folder / "broker")
    async with AsyncExitStack() as stack:
        stack.callback(broker.kill)
        broker.start()
        lines = [BadLine(broker.port, Random(2 * seed + n)) for n in (0, 1)]
        for line in lines:
            await stack.enter_async_context(line)
        here, there = (Side(line, broker.host, line.port) for line in lines)
        yield Between(broker, here, there)


@asynccontextmanager
async def namespaces(folder: Path, seed: int) -> AsyncIterator[Between]:
    """Each on a host of its own."""
    links = [BadLink(Random(2 * seed + n)) for n in (0, 1)]
    with network(*links) as (hub, ends):
        broker = Broker(folder / "broker", host=hub.address)
        here, there = (
            Side(link, hub.address, broker.port, end.here)
            for link, end in zip(links, ends, strict=True)
        )
        between = Between(broker, here, there, hub.here)
        await between.start()
        try:
            yield between
        finally:
            broker.kill()


Ground = Callable[[Path, int], AbstractAsyncContextManager[Between]]


def grounds() -> tuple[Ground, ...]:
    """What schedules run on here, in turn."""
    try:
        with network():
            return proxies, namespaces
    except OSError as error:
        print(f"no network namespaces here, so all of it through proxies: {error}")
        return (proxies,)
