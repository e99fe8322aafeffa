"""Devices from the technician's ladder: list, read, write and scan, with no gateway running."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import (
    REFUSED,
    WRONG_USE,
    AsJson,
    SiteFolder,
    fail,
    loaded_site,
    show,
    table,
)

if TYPE_CHECKING:
    from gateway.domain.events import CredentialPresented, PointEdge
    from gateway.domain.faults import Health
    from gateway.domain.feedback import Answer
    from gateway.domain.points import Freshness, Reading, Value
    from gateway.domain.site import Site

app = typer.Typer(no_args_is_help=True, help="Look at devices and try them.")

Seconds = Annotated[float, typer.Option("--within", help="Seconds to wait for an answer.")]


class Collected:
    """A Sink that keeps what one driver says."""

    def __init__(self) -> None:
        self.readings: dict[str, Reading] = {}
        self.said: list[str] = []

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> "Freshness":
        """A cell nobody looks at."""
        from gateway.domain.points import Freshness  # noqa: PLC0415

        del device, points
        return Freshness(expected_ms)

    def reading(self, reading: "Reading") -> None:
        """Keep the latest of each point."""
        self.readings[str(reading.ref)] = reading

    def edge(self, edge: "PointEdge", durable: Callable[[], None] | None = None) -> None:
        """Say that something happened."""
        self.said.append(f"{edge.ref} {edge.value}")
        if durable is not None:
            durable()

    def presented(self, event: "CredentialPresented", answer: "Answer | None" = None) -> None:
        """Say that a credential was presented; never which. Nobody here can answer it."""
        del answer
        self.said.append(f"{event.reader} a {event.presented.type.value} was presented")

    def device_health(
        self, device: str, health: "Health", reason_code: str = "", detail: str = ""
    ) -> None:
        """Say how a device is."""
        self.said.append(f"{device} is {health.value} {detail or reason_code}".strip())

    def link_health(self, health: "Health", detail: str = "") -> None:
        """Say how the link is."""
        self.said.append(f"link is {health.value} {detail}".strip())

    def count(self, what: str, device: str = "") -> None:
        """Nothing is counted here."""


@app.command("list")
def list_devices(site: SiteFolder, as_json: AsJson = False) -> None:
    """Show the devices of a site, with their profiles and links."""
    loaded = loaded_site(site)
    devices = loaded.equipment.devices.values()
    rows = [(d.id, d.profile, d.link, d.place, d.name.en) for d in devices]
    head = ("device", "profile", "link", "place", "name")
    show([dict(zip(head, row, strict=True)) for row in rows], as_json, table([*rows], head))


@app.command()
def read(
    device: Annotated[str, typer.Argument(help="The device, or device/point.")],
    site: SiteFolder,
    within: Seconds = 3.0,
    as_json: AsJson = False,
) -> None:
    """Read a device once, over its own link, and show what it says."""
    loaded = loaded_site(site)
    name, _, point = device.partition("/")
    _known(loaded, name)
    collected = asyncio.run(_collect(loaded, name, within))
    found = [
        reading
        for reading in collected.readings.values()
        if reading.ref.device == name and point in ("", reading.ref.point)
    ]
    if not found:
        fail("\n".join([f"{device}: no answer within {within:g} s", *collected.said]))
    rows = [(r.ref.point, r.value, r.quality.value) for r in found]
    head = ("point", "value", "quality")
    show([dict(zip(head, row, strict=True)) for row in rows], as_json, table([*rows], head))


@app.command()
def write(
    point: Annotated[str, typer.Argument(help="device/point")],
    value: Annotated[str, typer.Argument(help="true, false, a number, or a word.")],
    site: SiteFolder,
    within: Seconds = 3.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Write one point once: a relay clicks, a strike releases. Not while the gateway runs."""
    loaded = loaded_site(site)
    name, _, what = point.partition("/")
    spec = loaded.equipment.profiles[_known(loaded, name).profile].points.get(what)
    if spec is None or spec.setpoint is None:
        fail(f"{point}: no such point, or it cannot be written", WRONG_USE)
    if not yes:
        typer.confirm(f"Write {value} to {point}? It moves a real device.", abort=True)
    outcome = asyncio.run(_write(loaded, point, _value(value), within))
    print(f"{point}: {outcome.result.value} {outcome.detail}".strip())
    if outcome.result.value != "sent":
        raise typer.Exit(REFUSED)


def _value(text: str) -> "Value":
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _known(site: "Site", device: str) -> Any:
    import difflib  # noqa: PLC0415

    found = site.equipment.devices.get(device)
    if found is None:
        near = difflib.get_close_matches(device, site.equipment.devices, 1)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        fail(f"no device {device!r}{hint}", WRONG_USE)
    return found


async def _collect(site: "Site", device: str, within_s: float) -> Collected:
    """What one link's driver says until every readable point of the device was read."""
    from gateway.bootstrap import lone_driver  # noqa: PLC0415
    from gateway.runtime.tasks import cancelled  # noqa: PLC0415

    collected = Collected()
    driver = lone_driver(site, site.equipment.devices[device].link, collected)
    task = asyncio.create_task(driver.run())
    ends = time.monotonic() + within_s
    seen = -1
    while time.monotonic() < ends:
        await asyncio.sleep(0.25)
        now = sum(reading.ref.device == device for reading in collected.readings.values())
        if now and now == seen:
            break
        seen = now
    await cancelled(task)
    return collected


async def _write(site: "Site", point: str, value: "Value", within_s: float) -> Any:
    from gateway.bootstrap import lone_driver  # noqa: PLC0415
    from gateway.domain.points import (  # noqa: PLC0415
        Lease,
        Level,
        PointRef,
        Pulse,
        SetpointKind,
        WriteResult,
    )
    from gateway.domain.reasons import reason  # noqa: PLC0415
    from gateway.runtime.tasks import cancelled  # noqa: PLC0415

    ref = PointRef.parse(point)
    spec = site.equipment.spec_of(ref).setpoint
    assert spec is not None
    collected = Collected()
    driver = lone_driver(site, site.equipment.devices[ref.device].link, collected)
    task = asyncio.create_task(driver.run())
    why = reason("override", person="technician", why="tried")
    ends = time.monotonic() + within_s
    while True:
        until = time.monotonic_ns() // 1_000_000 + 2_000
        match spec.kind:
            case SetpointKind.PULSE:
                setpoint: Any = Pulse(ref, "try", 1_000, until, "try", False, why)
            case SetpointKind.LEASE:
                setpoint = Lease(ref, value, True, why, until)
            case SetpointKind.LEVEL:
                setpoint = Level(ref, value, True, why)
        outcome = await driver.write(setpoint)
        refused = outcome.result is WriteResult.REFUSED and outcome.detail == "not connected"
        if not refused or time.monotonic() > ends:
            break
        await asyncio.sleep(0.1)
    await cancelled(task)
    return outcome
