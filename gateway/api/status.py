"""How the gateway itself is: status for people, health and readiness for machines (E8, X1)."""

import asyncio
import platform
from collections import Counter
from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.api.auth import Staff
from gateway.api.common import ReasonShown, Shown
from gateway.api.parts import Gateway, Parts
from gateway.api.safety import latched_zones
from gateway.api.threads import in_thread
from gateway.domain.bookings import Authority
from gateway.domain.calls import Call
from gateway.domain.errors import StoreError
from gateway.domain.events import CallerFine, Stream
from gateway.domain.faults import Fault, Health
from gateway.domain.now import ClockStanding, Now, Trust
from gateway.domain.reasons import reason
from gateway.ports import JournalReader

router = APIRouter(tags=["gateway"])
probes = APIRouter(tags=["probes"])

PLATFORM_READER = "platform"  # the uplink's cursor
ALIVE_WITHIN_S = 2.0


class ClockShown(Shown):
    """The wall clock: how far it is trusted, why, since when, and in which timeline.

    `at_start`: it was so when the gateway started, at `since_ms`. `error_ms`: how far it can be off
    by now. `synchronised_ms`: when a trusted source last set it. None where nobody can tell.
    """

    trust: Trust
    why: ReasonShown
    since_ms: int
    at_start: bool
    error_ms: int | None
    synchronised_ms: int | None
    timeline: int
    wall_ms: int

    @classmethod
    def of(cls, standing: ClockStanding, now: Now) -> "ClockShown":
        """The clock at this instant."""
        return cls(
            trust=standing.trust,
            why=ReasonShown.of(reason(f"clock_{standing.basis.value}")),
            since_ms=standing.since_ms,
            at_start=standing.at_start,
            error_ms=standing.error_ms,
            synchronised_ms=standing.synchronised_ms,
            timeline=now.timeline,
            wall_ms=now.wall_ms,
        )


class StorageShown(Shown):
    """Whether the store can be written; why not."""

    lost: bool
    why: str


class JournalShown(Shown):
    """The journal's head, and how far the platform has it. None while it cannot be read.

    `distance`: records that the platform has not acknowledged, those of earlier epochs with them.
    """

    epoch: str | None
    head: int | None
    platform: int | None
    distance: int | None


class AppliedShown(Shown):
    """The newest revision applied of a stream. `held`: a snapshot waits for a confirmation."""

    epoch: str
    revision: int
    held: bool


class StatusShown(Shown):
    """The gateway in one look. `fire`: the fire zones that are latched."""

    site: str
    version: str
    python: str
    boot: str
    clock: ClockShown
    storage: StorageShown
    journal: JournalShown
    applied: dict[str, AppliedShown]
    calls: dict[str, int]
    fire: list[str]
    faults: int
    faults_urgent: int
    links: dict[str, Health]
    devices: dict[Health, int]
    desk_pages: int


class Ready(BaseModel):
    """Whether the gateway can do its work; why not."""

    ready: bool
    reasons: list[str]


class Alive(BaseModel):
    """Whether process and engine are alive."""

    alive: bool


@router.get("/status", summary="The gateway in one look")
async def status(parts: Parts, _: Staff) -> StatusShown:
    """Boot, clock, storage, journal and platform, calls, fire, faults, links and devices."""
    views = parts.views
    now = views.now()
    lost = views.storage_lost()
    faults = list(views.state.all(Fault))
    health = views.health()
    return StatusShown(
        site=views.site.id,
        version=parts.version,
        python=platform.python_version(),
        boot=now.boot,
        clock=ClockShown.of(views.clock(), now),
        storage=StorageShown(lost=bool(lost), why=lost),
        journal=await journal_of(parts),
        applied={stream.value: _applied(parts, stream) for stream in Stream},
        calls=dict(Counter(call.state.value for call in views.state.all(Call) if call.open)),
        fire=sorted(latched_zones(views.state)),
        faults=len(faults),
        faults_urgent=sum(fault.urgent for fault in faults),
        links={
            id_: health.get(f"link:{id_}", Health.UNKNOWN) for id_ in views.site.equipment.links
        },
        devices=_devices(parts),
        desk_pages=parts.desk.pages,
    )


async def journal_of(parts: Gateway) -> JournalShown:
    """Head and the platform's cursor, read off the event loop."""
    try:
        return await in_thread(_journal, parts.journal)
    except StoreError:
        return JournalShown(epoch=None, head=None, platform=None, distance=None)


def _journal(journal: JournalReader) -> JournalShown:
    head, cursor = journal.head(), journal.cursor(PLATFORM_READER)
    earlier = sum(
        one.head().seq - one.cursor(PLATFORM_READER) for one in journal.earlier(PLATFORM_READER)
    )
    distance = max(0, head.seq - cursor) + earlier
    return JournalShown(epoch=head.epoch, head=head.seq, platform=cursor, distance=distance)


def _applied(parts: Gateway, stream: Stream) -> AppliedShown:
    authority = parts.views.state.get(Authority, stream.value) or Authority(stream.value)
    held = bool(authority.held_digest)
    return AppliedShown(epoch=authority.epoch, revision=authority.revision, held=held)


def _devices(parts: Gateway) -> dict[Health, int]:
    health = parts.views.health()
    devices = parts.views.site.equipment.devices
    return dict(Counter(health.get(f"device:{id_}", Health.UNKNOWN) for id_ in devices))


@probes.get(
    "/healthz",
    responses={503: {"model": Alive, "description": "The engine does not answer"}},
    summary="Process and engine are alive",
)
async def healthz(parts: Parts, response: Response) -> Alive:
    """Answered through the engine itself, within 2 s; it commits nothing."""
    alive = await engine_alive(parts)
    if not alive:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Alive(alive=alive)


@probes.get(
    "/readyz",
    responses={503: {"model": Ready, "description": "Not ready, with the reasons"}},
    summary="The store is open and the site loaded",
)
async def readyz(parts: Parts, response: Response) -> Ready:
    """Not ready is not useless: calls and doors work without a store (X1)."""
    reasons = []
    lost = parts.views.storage_lost()
    if lost:
        reasons.append(f"storage lost: {lost}")
    if not parts.views.site.places:
        reasons.append("no site is loaded")
    if not await engine_alive(parts):
        reasons.append(f"the engine does not answer within {ALIVE_WITHIN_S:g} s")
    if reasons:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready(ready=not reasons, reasons=reasons)


async def engine_alive(parts: Gateway) -> bool:
    """The engine takes an event and replies. It is about no call, so it changes nothing."""
    try:
        async with asyncio.timeout(ALIVE_WITHIN_S):
            await parts.engine.ask(CallerFine(""))
    except TimeoutError:
        return False
    return True
