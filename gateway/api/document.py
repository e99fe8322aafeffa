"""The OpenAPI description, as served at /openapi.json and as published in docs/openapi.json.

It is made when first asked for, in a thread: it takes half a second that no call may wait for.
"""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic.json_schema import models_json_schema

from gateway.api.actions import Refused
from gateway.api.auth import BEARER, EVERYBODY
from gateway.api.problems import MEDIA_TYPE, Problem
from gateway.api.threads import in_thread
from gateway.domain.events import Stream
from gateway.ports import SyncReader

URL = "/openapi.json"
_DEFINED = "#/$defs/"
_SCHEMAS = "#/components/schemas/"
_REFUSALS = frozenset({"403", "404", "409", "429"})
_PROBES = frozenset({"/healthz", "/readyz"})  # what they answer has one shape, whatever it says


def publish(app: FastAPI, reader: SyncReader) -> None:
    """Serve the description of the application."""

    async def openapi_document() -> JSONResponse:
        return JSONResponse(await in_thread(describe, app, reader))

    app.add_api_route(URL, openapi_document, include_in_schema=False)


def describe(app: FastAPI, reader: SyncReader) -> dict[str, Any]:
    """The description of the application, made once."""
    if app.openapi_schema is None:
        described = app.openapi()
        app.openapi_schema = None  # not before it is whole
        _describe_problems(described)
        _describe_sync(described, reader)
        app.openapi_schema = described
    return app.openapi_schema


def published(app: FastAPI, reader: SyncReader) -> str:
    """The text of docs/openapi.json; its version is the API's, not that of a build."""
    described = json.loads(json.dumps(describe(app, reader)))
    described["info"]["version"] = "1"
    return json.dumps(described, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _describe_problems(described: dict[str, Any]) -> None:
    """What goes wrong is a problem; what the core refuses says its result and reason too."""
    modes: Any = [(Problem, "serialization"), (Refused, "serialization")]
    _, definitions = models_json_schema(modes, ref_template=_SCHEMAS + "{model}")
    described["components"]["schemas"] |= definitions["$defs"]
    for path, operation in _operations(described):
        for status in _statuses(path, operation):
            said = operation["responses"].setdefault(str(int(status)), {})
            said["description"] = status.phrase
        answer = operation["responses"].get("200", {}).get("content", {})
        refuses = answer.get("application/json", {}).get("schema", {}).get("$ref", "")
        for status, response in operation["responses"].items():
            if status < "400" or path in _PROBES:
                continue
            problem: dict[str, Any] = {"$ref": _SCHEMAS + "Problem"}
            if refuses.endswith("/Answer") and status in _REFUSALS:
                # the core's answer, or of what stands before it: a token's role, an unknown id
                problem = {"anyOf": [{"$ref": _SCHEMAS + "Refused"}, problem]}
            response["content"] = {MEDIA_TYPE: {"schema": problem}}


def _statuses(path: str, operation: dict[str, Any]) -> Iterator[HTTPStatus]:
    """What may go wrong follows from who may ask, what is named in the path, and what is sent."""
    roles = {role for one in operation.get("security", ()) for role in one[BEARER]}
    if roles:
        yield HTTPStatus.UNAUTHORIZED
    if roles and roles != set(EVERYBODY):
        yield HTTPStatus.FORBIDDEN
    if "{" in path:
        yield HTTPStatus.NOT_FOUND
    if "requestBody" in operation or "/sync/" in path:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if "422" in operation["responses"]:
        yield HTTPStatus.UNPROCESSABLE_ENTITY


def _describe_sync(described: dict[str, Any], reader: SyncReader) -> None:
    """What the platform sends, by the shapes of who understands it."""
    schemas = described["components"]["schemas"]
    for path, operation in _operations(described):
        _, is_sync, name = path.partition("/sync/")
        if is_sync:
            schema = _hoisted(dict(reader.schema(Stream(name))), schemas, name.capitalize())
            body = {"application/json": {"schema": schema}}
            operation["requestBody"] = {"required": True, "content": body}


def _operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for operation in methods.values():
            yield path, operation


def _hoisted(schema: dict[str, Any], schemas: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A schema whose own definitions have become components, under the prefix."""
    for name, definition in schema.pop("$defs", {}).items():
        schemas[prefix + name] = _renamed(definition, prefix)
    renamed: dict[str, Any] = _renamed(schema, prefix)
    return renamed


def _renamed(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(inner, prefix) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, prefix) for inner in value]
    if isinstance(value, str) and value.startswith(_DEFINED):
        return f"{_SCHEMAS}{prefix}{value.removeprefix(_DEFINED)}"
    return value
