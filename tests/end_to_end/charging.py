"""People who charge: vehicles plugged in, credentials presented, and what the platform is told."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from end_to_end.court import Court, court, edit
from fixtures.broker import Broker

from simulators.models.vehicles import Ebike

GARAGE = Path(__file__).parents[1] / "simulation" / "garage"
PIN = "482913"
SOON_S = 10.0
WAKES_MS = 8_000  # a register is opened before its vehicle draws
STRONG_W = {"scooter": 2_200.0}
Outlets = Mapping[str, dict[str, Any]]


@asynccontextmanager
async def garage(
    folder: Path,
    broker: Broker,
    outlets: Outlets | None = None,
    site: dict[str, Any] | None = None,
    **environment: str,
) -> AsyncIterator[Court]:
    """The garage with a gateway, and Ada, who may charge anywhere; outlets may be set otherwise."""
    async with court(folder, broker, site, template=GARAGE) as here:
        for outlet, change in (outlets or {}).items():
            edit(here.folder, f"facilities/{outlet}.yaml", {"outlet": change})
        await here.start(**environment)
        await here.ready()
        await here.platform.subject("ada", pin=PIN)
        await here.platform.right("ada-charges", "ada", ["*"])
        yield here
        assert not here.platform.problems
        await here.stop()


async def present(here: Court, outlet: str, **credential: str) -> dict[str, Any]:
    """A credential at an outlet, Ada's PIN if nothing else is said; the answer.

    Who is told to try again soon does: an outlet that was not heard just now, as a busy machine may
    let its simulation answer too late, is not to be charged at (C1).
    """
    shown = credential or {"kind": "pin", "pin": PIN}
    until_s = time.monotonic() + SOON_S
    async with here.api() as api:
        while True:
            answer = await api.post(f"/outlets/{outlet}/present", json={"credential": shown})
            unseen = "outlet_unseen" in answer.text
            if not unseen or time.monotonic() > until_s:
                break
            await here.sees(f"/outlets/{outlet}", lambda one: one["status"] != "Unavailable")
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def plug_in(here: Court, outlet: str, vehicle: str, wakes_ms: int = WAKES_MS) -> None:
    """Somebody plugs a vehicle in that takes its time."""
    here.town.plug_in(outlet, vehicle)
    plugged = here.town.town.connector(outlet).vehicle
    assert plugged is not None
    plugged.wakes_ms = wakes_ms
    if isinstance(plugged, Ebike):
        plugged.rated_w = STRONG_W.get(outlet, 1_000.0)  # a register moves while a test waits


async def charges(here: Court, outlet: str, timeout_s: float = 40) -> dict[str, Any]:
    """Wait until a session at an outlet draws power; the session."""
    shown = await here.sees(
        f"/outlets/{outlet}",
        lambda one: one["status"] == "Charging" and one["session"]["state"] == "active",
        timeout_s,
    )
    found: dict[str, Any] = shown["session"]
    return found


async def start_session(here: Court, outlet: str, vehicle: str, wakes_ms: int = WAKES_MS) -> None:
    """Plugged in, authorised, charging."""
    plug_in(here, outlet, vehicle, wakes_ms)
    known = ("Preparing", "Available")
    await here.sees(f"/outlets/{outlet}", lambda one: one["status"] in known)
    await present(here, outlet)
    await charges(here, outlet)


def ended(here: Court, outlet: str) -> list[dict[str, Any]]:
    """What the platform was told of the sessions that ended at an outlet."""
    return facts_at(here, "session.ended", outlet)


def facts_at(here: Court, fact: str, outlet: str) -> list[dict[str, Any]]:
    """What the platform was told of this kind about an outlet."""
    found = (entry for entry in here.platform.records if entry.fact == fact)
    return [entry.data for entry in found if entry.data.get("facility") == outlet]


async def end_of(here: Court, outlet: str, number: int = 1, timeout_s: float = 40) -> Any:
    """Wait for the end of an outlet's session of that number; what was told of it."""
    what = f"no end of session {number} at {outlet}"
    await here.until(lambda: len(ended(here, outlet)) >= number, timeout_s, what)
    return ended(here, outlet)[number - 1]


def drawn(here: Court, outlet: str) -> float:
    """What the outlet's own meter counted, in Wh, as only the simulation knows it."""
    plug = here.town.town.meters.get("plug") if outlet == "scooter" else None
    return plug.energy_wh if plug is not None else here.town.town.connector(outlet).energy_wh
