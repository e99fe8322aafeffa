"""The gateway's processor time with 100 devices of all kinds: the demo compound, four times over.

Locks, keypads, boards, sensors, plugs, chargers, meters and e-bike stations on 20 Modbus hosts, 8
serial lines and a broker, simulated on real wires in this process; the whole gateway with uplink
and API in its own, for a minute in which nobody does anything.
"""

import asyncio
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from end_to_end.court import Court, court
from fixtures.broker import Broker
from ruamel.yaml import YAML

from benchmarks.figures import Figure, emit
from benchmarks.processes import ROOT, as_on_site, cpu_s, rss_mb
from gateway.domain.subjects import Role

DEMO = ROOT / "config" / "sites" / "demo"
COPIES, DEVICES = 4, 100
SETTLE_S, SECONDS = 10.0, 60.0
SHARED = {"court", "radio"}  # one compound, one broker
LIMIT_PERCENT = 15
INSIDE = ("doors", "call_points", "fire_zones")

yaml = YAML()


class Names:
    """The ids of a copy, each with its number."""

    def __init__(self, ids: set[str], number: int) -> None:
        self.suffix = f"_{number}"
        self._ids = re.compile(rf"\b({'|'.join(sorted(ids - SHARED, key=len, reverse=True))})\b")

    def renamed(self, what: Any, key: str = "") -> Any:
        """The same with the copy's own ids, topics and lines; what people call a thing is left."""
        if isinstance(what, dict):
            return {
                self.renamed(name): one if name == "name" else self.renamed(one, name)
                for name, one in what.items()
            }
        if isinstance(what, list):
            return [self.renamed(one, key) for one in what]
        if not isinstance(what, str) or key in ("profile", "driver"):
            return what
        found = self._ids.sub(rf"\g<1>{self.suffix}", what)
        return f"{found}{self.suffix}" if key in ("topic", "port") and found == what else found


def written(folder: Path) -> Path:
    """The demo's site with its devices, places and facilities as often as that."""
    shutil.copytree(DEMO, folder)
    site, places = (yaml.load(folder / name) for name in ("site.yaml", "places.yaml"))
    files = [*folder.glob("devices/*.yaml"), *folder.glob("facilities/*.yaml")]
    ids = {*site["links"], *site["circuits"], *places, *(file.stem for file in files)}
    ids |= {id_ for place in places.values() for inside in INSIDE for id_ in place.get(inside, ())}
    for number in range(2, COPIES + 1):
        names = Names(ids, number)
        for part in (site["links"], site["circuits"], places):
            original = {id_: part[id_] for id_ in part if id_ in ids - SHARED}
            part.update(names.renamed(original))
        for file in files:
            yaml.dump(names.renamed(yaml.load(file)), file.with_stem(file.stem + names.suffix))
    yaml.dump(site, folder / "site.yaml")
    yaml.dump(places, folder / "places.yaml")
    return folder


async def measure(folder: Path, broker: Broker) -> Figure:
    """Percent of one core."""
    template = written(folder / "template")
    async with court(folder, broker, template=template) as here:
        assert len(here.town.site.equipment.devices) == DEVICES
        await here.start()
        await here.ready()
        await asyncio.sleep(SETTLE_S)
        assert here.process is not None
        process = here.process.pid
        asked, began = await polls(here), cpu_s(process)
        await asyncio.sleep(SECONDS)
        used = cpu_s(process) - began
        asked = await polls(here) - asked
        size = rss_mb(process)
    assert asked > DEVICES, "hardly anything was polled"
    return Figure(
        f"{DEVICES} devices of all kinds, a minute",
        used / SECONDS * 100,
        "%",
        at_most=LIMIT_PERCENT,
        note=f"{asked / SECONDS:.0f} polls a second, {size:.0f} MB",
    )


async def polls(here: Court) -> int:
    """How many requests to devices there were so far."""
    async with here.api(Role.TECHNICIAN) as api:
        text = (await api.get(api.base_url.join("/metrics"))).raise_for_status().text
    counted = (line.split() for line in text.splitlines() if 'what="polls"' in line)
    return sum(int(float(count)) for _, count in counted)


def main() -> None:
    """Measure a minute."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        as_on_site(folder / "bytecode")
        broker = Broker(folder / "broker")
        broker.start()
        try:
            emit(asyncio.run(measure(folder, broker)))
        finally:
            broker.kill()


if __name__ == "__main__":
    main()
