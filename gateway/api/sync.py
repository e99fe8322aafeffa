"""What the platform says is so, by revision: the messages of the uplink, over HTTP (B1, B3)."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.api.actions import ACTION, answered, ask
from gateway.api.auth import Caller, only
from gateway.api.parts import Parts
from gateway.domain.events import Stream
from gateway.domain.subjects import Role

Platform = Annotated[Caller, only(Role.PLATFORM)]
_SUMMARY = "A snapshot or changes of {stream}, applied whole or not at all"


def add(router: APIRouter) -> None:
    """One operation for each stream; `document` describes what it takes."""
    for stream in Stream:
        router.add_api_route(
            f"/{stream}",
            _operation(stream),
            methods=["POST"],
            name=f"sync_{stream}",
            summary=_SUMMARY.format(stream=stream),
            **ACTION,
        )


def _operation(stream: Stream) -> Callable[..., Awaitable[JSONResponse]]:
    async def sync(request: Request, parts: Parts, _: Platform) -> JSONResponse:
        """Answered with the revision that holds now, and what was rejected and why.

        Items are understood one by one: one that is not as described is rejected by name, and
        the others hold.
        """
        return answered(await ask(parts, parts.sync.read(stream, await request.body())))

    return sync


router = APIRouter(prefix="/sync", tags=["sync"])
add(router)
