"""Each link's task is supervised on its own: a bug in one driver quarantines that link alone."""

import asyncio
from collections.abc import Mapping

import structlog

from gateway.domain.faults import Health
from gateway.domain.site import Site
from gateway.domain.uses import watches
from gateway.ports import Driver, Sink
from gateway.runtime.tasks import cancelled

log = structlog.get_logger()

QUARANTINE_S = 60.0


class Supervisor:
    """Runs drivers. One that raises has a bug: its link failed, and is tried again much later."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, drivers: Mapping[str, tuple[Driver, Sink]]) -> None:
        """Start these links."""
        for link, (driver, sink) in drivers.items():
            self._tasks[link] = asyncio.create_task(_serve(link, driver, sink), name=f"link {link}")

    async def stop(self, links: set[str] | None = None) -> None:
        """Stop these links (all of them if none are named)."""
        names = set(self._tasks) if links is None else links & set(self._tasks)
        tasks = [self._tasks.pop(name) for name in names]
        await cancelled(*tasks)


async def _serve(link: str, driver: Driver, sink: Sink) -> None:
    while True:
        try:
            await driver.run()
        except Exception as error:
            log.exception("driver_failed", link=link)
            sink.link_health(Health.FAILED, f"{type(error).__name__}: {error}")
        await asyncio.sleep(QUARANTINE_S)


def changed_links(before: Site, after: Site) -> set[str]:
    """The links that must be opened anew: they, their devices, profiles or watches differ."""
    names = set(before.equipment.links) | set(after.equipment.links)
    return {name for name in names if _of_link(before, name) != _of_link(after, name)}


def _of_link(site: Site, name: str) -> tuple[object, ...]:
    devices = {d.id: d for d in site.equipment.devices.values() if d.link == name}
    profiles = {d.profile: site.equipment.profiles[d.profile] for d in devices.values()}
    watched = {ref: watch for ref, watch in watches(site).items() if ref.device in devices}
    polls = site.settings.poll_ms
    return site.equipment.links.get(name), devices, profiles, watched, polls
