"""The published OpenAPI description is the one that is served, and is whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api.api_rig import Rig
from api.publish import FILE, text


def published() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text()))


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from refs(inner)


def test_the_published_description_is_current(tmp_path: Path) -> None:
    assert FILE.read_text() == text(tmp_path), "run: PYTHONPATH=tests python -m api.publish"


async def test_the_served_description_is_the_published_one(rig: Rig) -> None:
    served = (await rig.client.get("/openapi.json")).json()
    assert served["paths"] == published()["paths"]
    assert served["components"] == published()["components"]


def test_every_reference_leads_somewhere() -> None:
    described = published()
    found = set(refs(described))
    assert found
    for ref in found:
        at: Any = described
        for part in ref.removeprefix("#/").split("/"):
            assert part in at, ref
            at = at[part]


def test_every_operation_is_described_and_fails_with_problems() -> None:
    for path, methods in published()["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            assert operation["operationId"], where
            for status, answer in operation["responses"].items():
                if status >= "400" and path not in ("/healthz", "/readyz"):
                    assert list(answer["content"]) == ["application/problem+json"], where
            if path.startswith("/api/"):
                assert operation["security"], where


@pytest.mark.parametrize("stream", ["bookings", "subjects", "rights"])
def test_what_the_platform_sends_is_described(stream: str) -> None:
    operation = published()["paths"][f"/api/v1/sync/{stream}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["discriminator"]["propertyName"] == "type"
