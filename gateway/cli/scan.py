"""`commons devices scan`: what is on a link, and how it would stand in the site's files."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import (
    UNREACHABLE,
    WRONG_USE,
    AsJson,
    SiteFolder,
    fail,
    loaded_site,
    show,
    table,
)

if TYPE_CHECKING:
    from gateway.domain.site import Link, Site

HEAD = ("device", "found", "profiles", "binding", "in the site as", "note")


def scan(
    link: Annotated[str, typer.Argument(help="The link to look at, as site.yaml names it.")],
    site: SiteFolder,
    within: Annotated[float, typer.Option("--within", help="Seconds to listen to a broker.")] = 3.0,
    last_unit: Annotated[int, typer.Option("--to", help="The last Modbus unit to ask.")] = 32,
    as_json: AsJson = False,
) -> None:
    """Show what is on a link. It only reads; no gateway may use a Modbus line meanwhile."""
    loaded = loaded_site(site)
    found = loaded.equipment.links.get(link)
    if found is None:
        fail(f"no link {link!r}; there is {', '.join(loaded.equipment.links)}", WRONG_USE)
    rows = asyncio.run(_look(loaded, found, within, last_unit))
    cells = [tuple(_cell(row[name]) for name in HEAD) for row in rows]
    show(rows, as_json, table(cells, HEAD) if rows else f"nothing answers on {link}")


async def _look(site: "Site", link: "Link", within_s: float, last_unit: int) -> list[Any]:
    from gateway.domain.errors import GatewayError  # noqa: PLC0415

    try:
        if link.driver == "mqtt":
            return await _broker(site, link, within_s)
        if link.driver.startswith("modbus"):
            return await _bus(site, link, last_unit)
    except GatewayError as error:
        fail(f"{link.id}: {error}", UNREACHABLE)
    return fail(f"{link.id}: a link of {link.driver} cannot be looked at", WRONG_USE)


async def _broker(site: "Site", link: "Link", within_s: float) -> list[Any]:
    from config.profiles import load_profiles  # noqa: PLC0415
    from drivers.mqtt.discovery import discover  # noqa: PLC0415
    from drivers.registry import kinds  # noqa: PLC0415

    profiles = {**load_profiles(kinds()), **site.equipment.profiles}
    known = _known(site, link, "topic")
    return [
        {
            "device": one.id,
            "found": one.model or one.name,
            "profiles": list(one.profiles),
            "binding": dict(one.binding),
            "in the site as": known.get(one.binding["topic"], ""),
            "note": one.note,
            "rows": {name: _plain(row) for name, row in one.rows.items()},
        }
        for one in await discover(link, profiles, within_s)
    ]


async def _bus(site: "Site", link: "Link", last_unit: int) -> list[Any]:
    from drivers.modbus.scan import scan as units  # noqa: PLC0415

    known = _known(site, link, "unit")
    return [
        {
            "device": f"unit_{one.unit}",
            "found": " ".join(text for _, text in one.identity),
            "profiles": [],
            "binding": {"unit": one.unit},
            "in the site as": known.get(one.unit, ""),
            "note": f"answers for {', '.join(one.tables) or 'nothing at address 0'}",
        }
        async for one in units(link, range(1, last_unit + 1))
    ]


def _known(site: "Site", link: "Link", key: str) -> dict[Any, str]:
    """The site's devices on a link by what tells them apart there."""
    devices = site.equipment.devices.values()
    return {device.binding.get(key): device.id for device in devices if device.link == link.id}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose keys JSON can hold."""
    enum = row.get("enum")
    return {**row, "enum": {str(k): v for k, v in enum.items()}} if enum else dict(row)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return str(value)
