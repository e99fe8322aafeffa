"""Visits: the ones that go on from state, the ones that ended from the journal (RULES A7)."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from gateway.api.actions import problems
from gateway.api.auth import Caller, Staff
from gateway.api.common import Asked, FaultShown, Shown
from gateway.api.journal import check_cursor, head_of
from gateway.api.parts import Parts
from gateway.api.problems import unknown
from gateway.api.threads import in_thread
from gateway.domain.faults import Fault
from gateway.domain.records import Fact, JournalRecord
from gateway.domain.visits import Visit
from gateway.ports import JournalReader

router = APIRouter(tags=["visits"])

PAGE_RECORDS = 1_000
PAGES_MAX = 10  # a request reads no more of the journal than this


class VisitShown(Shown):
    """One use of a room. `subject` for roles that may see it; `cause` of its end."""

    id: str
    facility: str
    booking: str | None
    subject: str | None
    entered_ms: int
    duration_ms: int
    cause: str | None = None


class VisitsPage(Shown):
    """Visits that go on, and those that ended after a cursor: ask again with `next_after`."""

    open: list[VisitShown]
    closed: list[VisitShown]
    next_after: int
    more: bool


class VisitsAsked(Asked):
    """Of which facility; the ended ones from where in the journal (none if not given)."""

    facility: Annotated[str, Field(max_length=128)] = ""
    after: Annotated[int | None, Field(ge=0)] = None


@router.get("/visits", responses=problems(404, 409, 503), summary="Visits")
async def visits(
    parts: Parts, caller: Staff, wanted: Annotated[VisitsAsked, Query()]
) -> VisitsPage:
    """Those that go on; with `after`, those that ended too, as far as one request reads."""
    facilities = parts.views.site.facilities
    if wanted.facility and wanted.facility not in facilities:
        raise unknown("facility", wanted.facility, facilities)
    now = parts.views.now()
    going_on = [
        VisitShown(
            id=visit.id,
            facility=visit.facility,
            booking=visit.booking,
            subject=visit.subject if caller.sees_people else None,
            entered_ms=visit.entered_ms,
            duration_ms=visit.spent.at(now),
        )
        for visit in parts.views.state.all(Visit)
        if wanted.facility in ("", visit.facility)
    ]
    if wanted.after is None:
        return VisitsPage(open=going_on, closed=[], next_after=0, more=False)
    head = await head_of(parts)
    check_cursor(head, wanted.after)
    closed, reached = await in_thread(_closed, parts.journal, wanted, caller)
    return VisitsPage(open=going_on, closed=closed, next_after=reached, more=reached < head.seq)


@router.get("/faults", summary="Faults that are open")
async def faults(parts: Parts, _: Staff) -> list[FaultShown]:
    """The urgent ones first, then the oldest."""
    found = sorted(
        parts.views.state.all(Fault), key=lambda fault: (not fault.urgent, fault.opened_ms)
    )
    return [FaultShown.of(fault) for fault in found]


def _closed(
    journal: JournalReader, wanted: VisitsAsked, caller: Caller
) -> tuple[list[VisitShown], int]:
    """Visits that ended after the cursor, and how far the journal was read for them."""
    found: list[VisitShown] = []
    reached = wanted.after or 0
    for _ in range(PAGES_MAX):
        page = journal.read(reached, PAGE_RECORDS)
        for record in page:
            reached = record.position.seq
            if record.fact is Fact.VISIT_CLOSED and record.payload is not None:
                visit = _ended(record, record.payload, caller)
                if wanted.facility in ("", visit.facility):
                    found.append(visit)
        if len(page) < PAGE_RECORDS:
            break
    return found, reached


def _ended(record: JournalRecord, payload: bytes, caller: Caller) -> VisitShown:
    data: dict[str, Any] = json.loads(payload)["data"]
    personal = json.loads(record.personal) if record.personal else {}
    return VisitShown(
        id=data["visit"],
        facility=data["facility"],
        booking=data.get("booking"),
        subject=personal.get("subject") if caller.sees_people else None,
        entered_ms=data["entered_ms"],
        duration_ms=data["duration_ms"],
        cause=data.get("cause"),
    )
