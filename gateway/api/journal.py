"""The journal, read by a cursor: any page may be asked for again, and the chain proves it (U1)."""

import json
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.api.actions import problems
from gateway.api.auth import Caller, Staff
from gateway.api.common import Asked, Shown
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import ProblemError
from gateway.api.threads import in_thread
from gateway.domain.records import JournalRecord, Position
from gateway.ports import JournalReader

router = APIRouter(prefix="/journal", tags=["journal"])

PAGE_MAX = 1_000


class RecordShown(Shown):
    """A record. `personal` for roles that may see it, None once erased.

    With `exact`, `payload` is the text that was hashed (SHA-256 of its UTF-8 is
    `payload_digest`), and `personal_text` with `salt` (hex) the same for `personal_digest`.
    """

    epoch: str
    seq: int
    type: str
    at_ms: int
    urgent: bool
    mono_ms: int | None = None
    boot: str | None = None
    trust: str | None = None
    timeline: int | None = None
    data: dict[str, Any] | None = None
    personal: dict[str, Any] | None = None
    erased: bool = False
    payload_digest: str
    personal_digest: str
    chain: str
    payload: str | None = None
    personal_text: str | None = None
    salt: str | None = None


class JournalPage(Shown):
    """Records after a cursor; ask again with `next_after`. `more`: there are some already."""

    epoch: str
    head: int
    records: list[RecordShown]
    next_after: int
    more: bool


class Cursor(Asked):
    """Where to read on. `epoch`, if given, is the one that `after` is of."""

    after: Annotated[int, Field(ge=0, description="The seq of the last record you have.")] = 0
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    urgent: Annotated[bool, Field(description="Urgent ones alone.")] = False
    exact: Annotated[bool, Field(description="With the bytes that were hashed.")] = False
    epoch: Annotated[str, Field(max_length=64)] = ""


@router.get(
    "",
    response_model=JournalPage,
    responses=problems(409, 503),
    summary="Records after a cursor",
)
async def journal(parts: Parts, caller: Staff, at: Annotated[Cursor, Query()]) -> Response:
    """In order. A cursor of another epoch, or beyond the head, is a conflict, not an empty page."""
    # In a thread to the last byte: a thousand records take longer than a call may wait.
    page = await in_thread(_page, parts.journal, caller, at)
    return Response(page, media_type="application/json")


def _page(journal: JournalReader, caller: Caller, at: Cursor) -> str:
    head = journal.head()
    check_cursor(head, at.after, at.epoch)
    read = journal.read_urgent if at.urgent else journal.read
    found = read(at.after, at.limit + 1)
    page = found[: at.limit]
    return JournalPage(
        epoch=head.epoch,
        head=head.seq,
        records=[show(record, caller, exact=at.exact) for record in page],
        next_after=page[-1].position.seq if page else at.after,
        more=len(found) > at.limit,
    ).model_dump_json()


def check_cursor(head: Position, after: int, epoch: str = "") -> None:
    """A cursor must be of this journal. Raises ProblemError."""
    if after <= head.seq and epoch in ("", head.epoch):
        return
    raise ProblemError(
        HTTPStatus.CONFLICT,
        "unknown-cursor",
        "The journal has begun anew, or the cursor is of another one: read from 0.",
        found=f"{epoch or head.epoch}:{after}",
        expected=f"{head.epoch}:0 to {head.epoch}:{head.seq}",
        epoch=head.epoch,
        head=head.seq,
    )


def show(record: JournalRecord, caller: Caller, *, exact: bool = False) -> RecordShown:
    """A record as the caller may see it."""
    body = json.loads(record.payload) if record.payload is not None else {}
    personal = record.personal if caller.sees_people else None
    erased = record.payload is None or (record.personal is None and any(record.personal_digest))
    fields: dict[str, Any] = {
        name: body.get(name) for name in ("mono_ms", "boot", "trust", "timeline", "data")
    }
    if exact:
        fields["payload"] = record.payload.decode() if record.payload is not None else None
        if personal is not None and record.salt is not None:
            fields["personal_text"] = personal.decode()
            fields["salt"] = record.salt.hex()
    return RecordShown(
        epoch=record.position.epoch,
        seq=record.position.seq,
        type=record.fact.value,
        at_ms=record.at_ms,
        urgent=record.urgent,
        personal=json.loads(personal) if personal is not None else None,
        erased=erased,
        payload_digest=record.payload_digest.hex(),
        personal_digest=record.personal_digest.hex(),
        chain=record.chain.hex(),
        **fields,
    )


async def head_of(parts: Gateway) -> Position:
    """The head, read off the event loop. Raises StoreError."""
    return await in_thread(parts.journal.head)
