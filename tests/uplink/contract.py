"""The published description of the wire, as a judge of messages."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, FormatChecker
from ruamel.yaml import YAML

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml"


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(DOCUMENT)
    return loaded


def resolved(reference: str) -> Any:
    """What a reference within the document stands for."""
    found: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def violations_of(seen: Iterable[tuple[str, bytes]]) -> list[str]:
    """What is wrong with messages; of a flood of batches, the first and the last are judged."""
    by_name: dict[str, list[bytes]] = {}
    for name, payload in seen:
        by_name.setdefault(name, []).append(payload)
    judged = (
        (name, one) for name, all_ in by_name.items() for one in (*all_[:40], *all_[40:][-5:])
    )
    return [each for name, payload in judged for each in violations(name, payload)]


@cache
def validator(channel: str) -> Draft7Validator:
    """Of the messages of a channel."""
    (message,) = document()["channels"][channel]["messages"].values()
    schema = {**document(), **resolved(message["$ref"])["payload"]}
    return Draft7Validator(schema, format_checker=FormatChecker())


def violations(name: str, payload: bytes) -> list[str]:
    """What is wrong with a message on `up/<channel>` or `down/<channel>`."""
    channel = name.partition("/")[2]
    if channel not in document()["channels"]:
        return [f"{name}: no such channel"]
    try:
        message = json.loads(payload)
    except ValueError:
        return [f"{name}: no JSON"]
    if isinstance(message, list) and len(message) > 12:
        message = [*message[:8], *message[-4:]]  # a flood of records is alike
    found = validator(channel).iter_errors(message)
    return [f"{name}: {'.'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in found]
