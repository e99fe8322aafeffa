"""Everything that goes wrong, as RFC 9457 problems: what, where, what was found and expected.

No problem ever repeats what may be a secret (RULES U5): a value is shown only where it came in a
path or query, or in a member that is known to hold none.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from gateway.domain.errors import MalformedError, StoreError
from gateway.domain.reasons import Reason

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:commons-gateway:problem:"
FOUND_MAX = 80

_KINDS = {
    "dict": "an object",
    "list": "a list",
    "str": "text",
    "bytes": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "null",
}

# Members of bodies whose values are repeated in a problem; all others may hold what somebody
# typed in the wrong place.
_HARMLESS = frozenset(
    {"place", "origin", "outcome", "minutes", "facility", "kind", "after", "limit", "person"}
    | {"needed_wh", "leaves_ms", "most_wh", "longest_ms"}
)


class Invalid(BaseModel):
    """One thing wrong in a request: where, what was found, what was expected."""

    field: str
    found: str
    expected: str


class Problem(BaseModel):
    """RFC 9457 problem details, with members of our own."""

    type: str
    title: str
    status: int
    detail: str
    expected: str | None = None
    nearest: str | None = None
    errors: list[Invalid] | None = None


class ProblemError(Exception):
    """An answer that is no success. `slug` ends its type; `more` are members of its own."""

    def __init__(
        self,
        status: HTTPStatus,
        slug: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.headers = dict(headers or {})
        self.more = more


def unknown(kind: str, id_: str, known: Iterable[str] = ()) -> ProblemError:
    """404: there is no such thing, with the nearest name there is."""
    names = list(known)
    near = difflib.get_close_matches(id_, names, n=1, cutoff=0.5)
    more: dict[str, Any] = {"expected": f"the id of a {kind}", "found": id_[:FOUND_MAX]}
    if near:
        more["nearest"] = near[0]
    hint = f"; the nearest known is {near[0]!r}" if near else ""
    detail = f"There is no {kind} {id_[:FOUND_MAX]!r}{hint}."
    return ProblemError(HTTPStatus.NOT_FOUND, "unknown-id", detail, **more)


def forbidden(why: Reason, expected: str) -> ProblemError:
    """403: whoever asks may not do this."""
    return ProblemError(
        HTTPStatus.FORBIDDEN, "not-allowed", why.en, expected=expected, reason=said(why)
    )


def said(why: Reason) -> dict[str, str]:
    """A reason as JSON."""
    return {"code": why.code, "zh": why.zh, "en": why.en}


def response(error: ProblemError) -> JSONResponse:
    """The problem as an answer."""
    status = error.status
    body = {
        "type": TYPE_PREFIX + error.slug,
        "title": status.phrase,
        "status": int(status),
        "detail": str(error),
        **error.more,
    }
    return JSONResponse(body, int(status), error.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(StoreError, _on_store)
    app.add_exception_handler(MalformedError, _on_malformed)
    app.add_exception_handler(Exception, _on_bug)


async def _on_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return response(error)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _invalid_request([_invalid(each) for each in error.errors()])


def _invalid_request(found: list[Invalid]) -> JSONResponse:
    fields = ", ".join(each.field for each in found)
    return response(
        ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid",
            f"The request is not as expected: {fields}.",
            errors=[each.model_dump() for each in found],
        )
    )


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.BAD_REQUEST and error.__cause__ is not None:  # raised over its bytes
        unread = Invalid(field="body", found="no JSON", expected="JSON in UTF-8, not too deep")
        return _invalid_request([unread])
    slug = status.phrase.lower().replace(" ", "-")
    return response(ProblemError(status, slug, f"{error.detail}.", error.headers))


async def _on_store(_: Request, error: Exception) -> JSONResponse:
    return response(
        ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "storage-lost",
            f"The journal cannot be read: {error}.",
            {"Retry-After": "10"},
            expected="a store that can be read",
        )
    )


async def _on_malformed(_: Request, error: Exception) -> JSONResponse:
    return response(
        ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "malformed",
            f"The message makes no sense: {error}.",
            expected=str(error),
        )
    )


async def _on_bug(_: Request, __: Exception) -> JSONResponse:
    # The server logs it with its traceback, once this is sent.
    return response(
        ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The gateway failed to answer this."
        )
    )


def _invalid(error: Mapping[str, Any]) -> Invalid:
    location = [str(part)[:FOUND_MAX] for part in error["loc"]]
    return Invalid(
        field=".".join(location) or "request",
        found=_found(location, error),
        expected=_expected(error),
    )


def _found(location: list[str], error: Mapping[str, Any]) -> str:
    kind, value = str(error["type"]), error.get("input")
    if kind == "missing":
        return "nothing"
    if kind == "json_invalid":
        return "no JSON"
    if kind == "extra_forbidden":
        return "a member of that name"
    if location[0] == "body" and location[-1] not in _HARMLESS:
        return _KINDS.get(type(value).__name__, "something else")
    if isinstance(value, str | int | float):
        return str(value)[:FOUND_MAX]
    return _KINDS.get(type(value).__name__, "something else")


def _expected(error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    match error["type"]:
        case "missing":
            return "a value"
        case "extra_forbidden":
            return "no such member"
        case "union_tag_invalid" | "union_tag_not_found":
            tags = context.get("expected_tags", "")
            return f"{context.get('discriminator')} one of {tags}" if tags else "a known kind"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "a JSON object, sent as application/json"
        case "json_invalid":
            return f"JSON: {context.get('error', 'malformed')} at byte {error['loc'][-1]}"
        case _:
            return re.sub("^(Value error, |Input should be )", "", str(error["msg"]))
