"""Whatever is asked, in any role: no 5xx, and nothing that the published document does not say."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from api.api_rig import ROLES, Rig, served
from fixtures.sizes import size
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
SCHEMA = schemathesis.openapi.from_path(DOCUMENT)
Operation = APIOperation[Any, Any, Any, Any]
NEVER_ENDS = "/api/v1/events"  # a stream, which a judge of whole answers cannot wait for
URL_MAX = 60_000  # nearly what the server reads of a request's head before it hangs up


def refused_or_named(context: CheckContext, response: Response, case: Case) -> bool | None:
    """What the document does not allow is refused; a garbled item of the platform's named (B1)."""
    if "/sync/" in case.path and response.status_code == 200 and response.json()["rejected"]:
        return None
    return negative_data_rejection(context, response, case)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    refused_or_named,
]
KNOWN = {
    "booking": "b1",
    "call_point": "help",
    "circuit": "main",
    "device": "board",
    "door": "study_room_door",
    "facility": "study",
    "link": "bus",
    "place": "study_room",
    "subject": "ada",
    "zone": "fire",
}
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if found.ok().path != NEVER_ENDS]


@dataclass(frozen=True)
class Served:
    """A gateway that serves in a thread of its own, and a call that stands open."""

    url: str
    tokens: dict[str, str]
    call: str


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    ready: Future[Served] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with served(tmp_path_factory.mktemp("any")) as rig:
            ready.set_result(await _lived_in(rig))
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield ready.result(20)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


async def _lived_in(rig: Rig) -> Served:
    await rig.people()
    await rig.booking()
    raised = (await rig.post("/api/v1/calls", {"place": "study_room"})).json()
    return Served(str(rig.client.base_url), rig.tokens, raised["call"])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_answer_is_as_the_document_says(gateway: Served, operation: Operation) -> None:
    names = {parameter.name for parameter in operation.path_parameters}
    known = {name: one for name, one in {**KNOWN, "call": gateway.call}.items() if name in names}
    modes = [
        mode for mode in GenerationMode if mode is GenerationMode.POSITIVE or _refusable(operation)
    ]

    @settings(
        max_examples=size("api_examples", 20),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        role = data.draw(st.sampled_from(["", *ROLES]))
        mode = data.draw(st.sampled_from(modes))
        fixed = known if data.draw(st.booleans()) else {}
        headers = {"Authorization": f"Bearer {gateway.tokens[role]}"} if role else {}
        given_ = {"path_parameters": fixed or None, "headers": headers or None}
        case = data.draw(operation.as_strategy(mode, **given_))
        assume(len(_url(case, gateway.url)) < URL_MAX)
        with requests.Session() as session:
            case.call_and_validate(gateway.url, session, headers, checks=CHECKS, timeout=20)

    ask()


def _url(case: Case, base: str) -> str:
    return requests.Request(**case.as_transport_kwargs(base)).prepare().url or ""


def _refusable(operation: Operation) -> bool:
    """There is something in it that can be wrong."""
    return bool(list(operation.query) or list(operation.path_parameters) or list(operation.body))
