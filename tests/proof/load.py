"""People who use a court all at once, and go on when its gateway dies under their hands.

`Load.told` is what they were told to be durable, `Load.presses` how often somebody called for help,
each time after the call before was cleared.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
from end_to_end.court import TEMPLATE, Court, write_site

from gateway.domain.subjects import Role
from gateway.runtime.tasks import cancelled
from gateway.security.tokens import ApiTokens

PIN = "482913"
BUTTON = "garden_sos"
OUTLET = "rack_1"
PATIENCE_S = 120
GARAGE = TEMPLATE.parents[1] / "simulation" / "garage"
Fact = tuple[str, str]
Work = Callable[[httpx.AsyncClient], Awaitable[Any]]


def site_with_outlet(folder: Path) -> Path:
    """The court's files, and one outlet of the garage's e-bike station in it."""
    circuit = {"place": "study_room", "limit_a": [0, 0, 32]}
    station = {"driver": "modbus_tcp", "host": "127.0.0.1", "port": 502}
    change = {"links": {"station_host": station}, "circuits": {"shed": circuit}}
    write_site(folder, change)
    for name in ("devices/station.yaml", f"facilities/{OUTLET}.yaml"):
        shutil.copy(GARAGE / name, folder / name)
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("place: shed", "place: study_room"))
    return folder


class Load:
    """What people do at a court, and what they are told."""

    def __init__(self, here: Court, chance: Random, pace_s: float) -> None:
        self.here = here
        self.told: set[Fact] = set()
        self.presses = 0
        self.revisions = 0
        self.sessions = 0  # begun or ended
        self._chance = chance
        self._pace_s = pace_s
        here.town.lines.bridges["radio"].qos = 1  # as `docs/devices.md` asks for buttons
        self._token = ApiTokens(here.data).add("Dora", Role.DESK, here.now_ms())

    async def prepare(self) -> None:
        """Ada has the study room now, may charge, and has a PIN."""
        async with asyncio.timeout(PATIENCE_S):
            await self.here.platform.subject("ada", pin=PIN)
            await self.here.platform.right("ada-charges", "ada", ["*"])
            await self.here.platform.book("b0", "study", ["ada"], self.here.window(-5, 120))
        if OUTLET in self.here.town.town.outlets:
            self.here.town.plug_in(OUTLET, "ebike")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """People come and go meanwhile; a call that is open is answered to its end."""
        ending = asyncio.Event()
        works = [self._release, self._visit, self._call, self._book]
        if OUTLET in self.here.town.town.outlets:
            works.append(self._charge)
        tasks = [asyncio.create_task(self._again(work, ending)) for work in works]
        try:
            yield
            ending.set()
            await asyncio.gather(*tasks)
        finally:
            await cancelled(*tasks)

    async def _again(self, work: Work, ending: asyncio.Event) -> None:
        async def go_on(api: httpx.AsyncClient) -> None:
            while not ending.is_set():
                await work(api)
                await asyncio.sleep(self._chance.uniform(0, 2 * self._pace_s))

        while not ending.is_set():
            await self._speak(go_on)

    async def _speak(self, work: Work) -> Any:
        """What comes of it, None where the gateway died meanwhile or is not there yet."""
        try:
            async with self.here.client(self._token) as api:
                return await work(api)
        except (httpx.HTTPError, OSError):
            await asyncio.sleep(0.05)
            return None

    async def drained(self) -> None:
        """All is answered, no call is open, nobody charges, and the platform has it all."""
        async with asyncio.timeout(PATIENCE_S), self.here.client(self._token) as api:
            outlet = f"/outlets/{OUTLET}"
            if session := (await api.get(outlet)).json().get("session"):
                await api.post(f"/sessions/{session['id']}/stop", json={})
                await self.here.sees(outlet, lambda found: not found.get("session"), PATIENCE_S)
            while not (last := self._said(await self._let_in(api))):
                await asyncio.sleep(0.1)
        grants = self.here.platform.records
        await self.here.until(
            lambda: any(entry.data.get("grant") == last["grant"] for entry in grants[-200:]), 60
        )

    # --- what they do -------------------------------------------------------------------------

    async def _release(self, api: httpx.AsyncClient) -> None:
        """The desk lets somebody in."""
        said = self._said(await self._let_in(api))
        if said is not None:
            self.told.add(("access.granted", said["grant"]))

    @staticmethod
    async def _let_in(api: httpx.AsyncClient) -> httpx.Response:
        return await api.post("/doors/study_door/release", json={"why": "a parcel"})

    async def _visit(self, api: httpx.AsyncClient) -> None:
        """Ada types her PIN."""
        await self.here.town.present_pin("study_door", PIN, patience_ms=0)

    async def _call(self, api: httpx.AsyncClient) -> None:
        """Somebody calls for help, and is helped."""
        assert await self.here.town.press(BUTTON)
        self.presses += 1
        await self._answered(self._find)
        await self._answered(self._close)

    async def _charge(self, api: httpx.AsyncClient) -> None:
        """Ada starts to charge, or stops."""
        pin = {"kind": "pin", "pin": PIN}
        said = self._said(await api.post(f"/outlets/{OUTLET}/present", json={"credential": pin}))
        if said is not None:
            self.sessions += 1

    async def _book(self, api: httpx.AsyncClient) -> None:
        """The platform says something new, whether or not the last is answered."""
        self.revisions += 1
        window = self.here.window(200 + self.revisions, 201 + self.revisions)
        self.here.platform.book(f"b{self.revisions}", "study", ["ada"], window)

    async def _answered(self, ask: Work) -> Any:
        """Ask until there is an answer, whatever dies meanwhile."""
        ends = time.monotonic() + PATIENCE_S
        while (answer := await self._speak(ask)) is None:
            assert time.monotonic() < ends, "no answer in time"
            await asyncio.sleep(0.02)
        return answer

    async def _find(self, api: httpx.AsyncClient) -> Any:
        calls = (await api.get("/calls")).json()
        return next((one["id"] for one in calls if one["state"] != "cleared"), None)

    async def _close(self, api: httpx.AsyncClient) -> Any:
        """Answer what call there is to its end; None while one is open.

        It may have been raised again, or be another than was seen: what is seen may not be durable
        yet, and a press that a kill took back raises a call of its own.
        """
        if (call := await self._find(api)) is None:
            return True
        for what, more in (("acknowledge", {}), ("clear", {"outcome": "false"})):
            said = self._said(await api.post(f"/calls/{call}/{what}", json=more))
            if said is not None:
                self.told.add((f"call.{said['state']}", call))
        return (await self._find(api) is None) or None

    @staticmethod
    def _said(answer: httpx.Response) -> Any:
        """What was said, if it was yes and is durable."""
        durable = answer.is_success and answer.headers.get("Commons-Durable") == "true"
        return answer.json() if durable else None
