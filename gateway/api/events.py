"""The journal as it grows, as server-sent events: a page that was away asks on from where it was.

Rules: an event's id is its record's seq; a stream that begins with `Last-Event-ID` (or `after`)
misses nothing and repeats nothing. A desk's stream also carries `call` events without an id, which
do not wait for the journal (RULES E4, X1). A comment every 15 s says that the line is alive.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from gateway.api.actions import problems
from gateway.api.auth import Caller, Staff
from gateway.api.common import Asked
from gateway.api.desk import Page
from gateway.api.journal import check_cursor, head_of, show
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import ProblemError
from gateway.api.threads import in_thread
from gateway.domain.errors import StoreError
from gateway.domain.subjects import Role

router = APIRouter(tags=["journal"])

HEARTBEAT_S = 15.0
PAGE_RECORDS = 200
STREAMS_MAX = 64
RETRY_MS = 2_000
MEDIA_TYPE = "text/event-stream"


class Following(Asked):
    """From where: after a seq, or from now on."""

    after: Annotated[int | None, Field(ge=0)] = None
    urgent: Annotated[bool, Field(description="Urgent records alone.")] = False


class Streams:
    """The event streams that are open; `close` ends them all, so that a stop waits for none."""

    def __init__(self) -> None:
        self.open = 0
        self.closing = asyncio.Event()

    def close(self) -> None:
        """End every stream."""
        self.closing.set()


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        **problems(409, 503),
    },
    summary="The journal as it grows (server-sent events)",
)
async def events(
    request: Request,
    parts: Parts,
    caller: Staff,
    wanted: Annotated[Following, Query()],
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> StreamingResponse:
    """`id` is the seq, `event` the record's type, `data` the record as `/journal` shows it."""
    streams: Streams = request.app.state.streams
    if streams.open >= STREAMS_MAX:
        detail = f"{STREAMS_MAX} event streams are open already."
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-streams", detail)
    after = last_event_id if last_event_id is not None else wanted.after
    if after is None:
        after = (await head_of(parts)).seq
    else:
        check_cursor(await head_of(parts), after)
    stream = _Stream(parts, caller, after, urgent=wanted.urgent)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream.run(streams), media_type=MEDIA_TYPE, headers=headers)


class _Stream:
    """One page that follows."""

    def __init__(self, parts: Gateway, caller: Caller, after: int, *, urgent: bool) -> None:
        self._parts = parts
        self._caller = caller
        self._after = after
        self._read_to = 0  # everything up to here was looked at, urgent or not
        self._journal = parts.journal
        self._read = self._journal.read_urgent if urgent else self._journal.read

    async def run(self, streams: Streams) -> AsyncIterator[str]:
        """Until the page goes or the server stops."""
        streams.open += 1
        try:
            with ExitStack() as opened:
                is_desk = self._caller.role is Role.DESK
                page = opened.enter_context(self._parts.desk.page()) if is_desk else None
                yield f"retry: {RETRY_MS}\n\n"
                while not streams.closing.is_set():
                    async for told in self._news(page):
                        yield told
                    if not await self._wait(streams, page):
                        yield ": alive\n\n"
        finally:
            streams.open -= 1

    async def _news(self, desk: Page | None) -> AsyncIterator[str]:
        """Calls first, then the records that are there."""
        while True:
            for call in desk.take() if desk is not None else ():
                yield told("call", call)
            try:
                page = await in_thread(self._page, self._after)
            except StoreError:
                return  # lost: calls still come, and the journal once it can be read again
            for seq, text in page:
                self._after = seq
                yield text
            if len(page) < PAGE_RECORDS:
                return

    def _page(self, after: int) -> list[tuple[int, str]]:
        """The next records as events, made in a thread: reading many takes a while."""
        shown = (show(record, self._caller) for record in self._read(after, PAGE_RECORDS))
        return [
            (one.seq, told(one.type, one.model_dump_json(exclude_none=True), one.seq))
            for one in shown
        ]

    async def _wait(self, streams: Streams, page: Page | None) -> bool:
        """Until there may be news; False when the line was quiet for the whole heartbeat."""
        self._read_to = max(self._read_to, self._after)
        waits: list[Coroutine[Any, Any, Any]] = [
            self._parts.engine.committed(self._read_to),
            streams.closing.wait(),
        ]
        if page is not None:
            waits.append(page.wait())
        tasks = [asyncio.ensure_future(one) for one in waits]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if tasks[0] in done:
                self._read_to = tasks[0].result().seq
        finally:
            for task in tasks:
                task.cancel()
        return bool(done)


def told(event: str, data: str, id_: int | None = None) -> str:
    """One server-sent event; JSON holds no line break."""
    numbered = f"id: {id_}\n" if id_ is not None else ""
    return f"{numbered}event: {event}\ndata: {data}\n\n"
