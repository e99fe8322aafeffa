"""Hand an event to the engine and answer with what it decided, also when that is no (RULES X1).

Every answer says `durable`: false while the store is lost, in the body and in a header.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from gateway.api.common import ReasonShown
from gateway.api.parts import Gateway
from gateway.api.problems import MEDIA_TYPE, TYPE_PREFIX, Problem, ProblemError, said
from gateway.domain.events import Event
from gateway.domain.state import Reply, Result

DURABLE_HEADER = "Commons-Durable"
ANSWER_WITHIN_S = 30.0  # a flash card may stall for many seconds, and still commit

# What the reason says better than the result.
_BY_CODE: dict[str, HTTPStatus] = {
    "slow_down": HTTPStatus.TOO_MANY_REQUESTS,
    "malformed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "call_not_open": HTTPStatus.CONFLICT,
    "call_not_acknowledged": HTTPStatus.CONFLICT,
    "fire_active": HTTPStatus.CONFLICT,
    "digest_mismatch": HTTPStatus.CONFLICT,
    "old_revision": HTTPStatus.CONFLICT,
    "inverted_window": HTTPStatus.CONFLICT,
    "in_use": HTTPStatus.CONFLICT,
    "choose_outlet": HTTPStatus.CONFLICT,
    "outlet_unseen": HTTPStatus.SERVICE_UNAVAILABLE,
    "outlet_faulted": HTTPStatus.SERVICE_UNAVAILABLE,
    "hazard": HTTPStatus.CONFLICT,
}
_BY_RESULT: dict[Result, HTTPStatus] = {
    Result.ACCEPTED: HTTPStatus.OK,
    Result.HELD: HTTPStatus.ACCEPTED,
    Result.CONCURRENT: HTTPStatus.CONFLICT,
    Result.UNKNOWN: HTTPStatus.NOT_FOUND,
}


class Answer(BaseModel):
    """What became of what was asked. Members of its own follow from the action."""

    model_config = ConfigDict(extra="allow")

    result: Result
    reason: ReasonShown
    durable: bool


class Refused(Problem):
    """A problem that is the core's own answer."""

    model_config = ConfigDict(extra="allow")

    result: Result
    reason: ReasonShown
    durable: bool
    retry_after_s: int | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What may go wrong beyond what `document` knows of any operation by its shape and roles."""
    return {status: {"description": HTTPStatus(status).phrase} for status in statuses}


ACTION: dict[str, Any] = {
    "response_model": Answer,
    "responses": problems(403, 404, 409, 422, 503),
}
PRESENTING: dict[str, Any] = {**ACTION, "responses": {**ACTION["responses"], **problems(429)}}


async def act(gateway: Gateway, event: Event) -> JSONResponse:
    """Ask the engine; its reply as an answer or a problem. Raises ProblemError."""
    return answered(await ask(gateway, event))


async def ask(gateway: Gateway, event: Event) -> Reply:
    """The engine's reply, durable or marked as not. Raises ProblemError when there is none."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await gateway.engine.ask(event)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "no-answer",
            f"No durable answer within {ANSWER_WITHIN_S:g} s; what was asked may yet be done.",
            expected="a store that commits in time",
        ) from None


def answered(reply: Reply) -> JSONResponse:
    """A reply as an answer or a problem."""
    body: dict[str, Any] = {
        **reply.data,
        "result": reply.result.value,
        "reason": said(reply.reason),
        "durable": reply.durable,
    }
    headers = {DURABLE_HEADER: "true" if reply.durable else "false"}
    status = status_of(reply)
    if reply.result in (Result.ACCEPTED, Result.HELD):
        return JSONResponse(body, int(status), headers)
    if "retry_after_s" in reply.data:
        headers["Retry-After"] = str(reply.data["retry_after_s"])
    problem = {
        "type": TYPE_PREFIX + "refused",
        "title": status.phrase,
        "status": int(status),
        "detail": reply.reason.en,
        **body,
    }
    return JSONResponse(problem, int(status), headers, media_type=MEDIA_TYPE)


def status_of(reply: Reply) -> HTTPStatus:
    """The HTTP status that says the same as a reply."""
    good = _BY_RESULT.get(reply.result, HTTPStatus.FORBIDDEN)
    return good if good < HTTPStatus.BAD_REQUEST else _BY_CODE.get(reply.reason.code, good)
