"""Collecting what is wrong, and saying it: file, line, key, found, expected, nearest name."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.files import UNITS_MS, Document, KeyPath, key_text, spellings
from gateway.domain.errors import Problem

M = TypeVar("M", bound=BaseModel)

# Keys whose very value breaks a rule of the domain.
RULE_OF_KEY: Mapping[str, str] = {"egress": "A2", "fire_release": "A3", "wiring": "E1"}

EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
}


ID_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"
REFERENCE_PATTERN = r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$"
LISTEN_PATTERN = r"^[^\s]+:\d{1,5}$"

PATTERNS: Mapping[str, str] = {
    ID_PATTERN: "an id of small letters, digits, _ and -",
    REFERENCE_PATTERN: "a point written as device/point",
    LISTEN_PATTERN: "host:port, such as 127.0.0.1:8080",
}


class Problems:
    """Everything wrong that was found so far."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(
        self,
        document: Document,
        path: KeyPath,
        message: str,
        rule: str = "",
        *,
        warns: bool = False,
    ) -> None:
        """Something is wrong at a key of a document."""
        key, line = document.locate(path)
        self.found.append(Problem(document.file, key, message, line, rule, warns))

    @property
    def refusing(self) -> bool:
        """True when something found is more than a warning."""
        return any(not problem.warning for problem in self.found)

    def in_order(self) -> tuple[Problem, ...]:
        """Each of them once, by file and line."""
        unique = dict.fromkeys(self.found)
        return tuple(sorted(unique, key=lambda problem: (problem.file, problem.line, problem.key)))


def nearest(name: object, known: Iterable[str]) -> str:
    """`; the nearest is 'x'` for the known name most like this one; empty if none is alike."""
    match = get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f"; the nearest is {match[0]!r}" if match else ""


def unknown(name: object, what: str, known: Iterable[str]) -> str:
    """`found 'nmae', expected <what>`, with the nearest known name or all of a few."""
    known = sorted(known)
    hint = nearest(name, known)
    if not hint and 0 < len(known) <= 6:
        hint = f" ({', '.join(known)})"
    return f"found {shown(name)}, expected {what}{hint}"


def shown(value: object) -> str:
    """A value as it looks in a file, short."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "nothing"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str():
            return repr(value) if len(value) <= 60 else repr(value[:57] + "...")
        case _:
            return str(value)


def lasting(duration_ms: int) -> str:
    """A duration in the largest unit that shows it whole."""
    for unit in ("days", "h", "min", "s"):
        if duration_ms and duration_ms % UNITS_MS[unit] == 0:
            return f"{duration_ms // UNITS_MS[unit]} {unit}"
    return f"{duration_ms} ms"


def validate(
    model: type[M], document: Document, path: KeyPath, data: Any, problems: Problems
) -> M | None:
    """The data at a path of a document as a model, or None with all its problems added."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _add(model, document, path, details, problems)
        return None


def _add(
    model: type[BaseModel],
    document: Document,
    path: KeyPath,
    details: ErrorDetails,
    problems: Problems,
) -> None:
    within = tuple(step for step in details["loc"] if step != "[key]")
    last = str(within[-1]) if within else ""
    rule = RULE_OF_KEY.get(last, "")
    here = (*path, *within)
    if details["type"] == "missing":
        expected = _described(model, within)
        problems.add(document, here, f"missing, expected: {expected}", rule)
    elif details["type"] == "extra_forbidden":
        said = unknown(last, "a known key", _keys(model, within[:-1]))
        problems.add(document, here, said)
    else:
        problems.add(document, here, _said(details), rule)


def _said(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    found = shown(details["input"])
    if kind in ("enum", "literal_error"):
        names = re.findall(r"'([^']*)'", str(context["expected"]))
        expected = " or ".join((", ".join(names[:-1]), names[-1])) if names[1:] else names[0]
        return f"found {found}, expected {expected}{nearest(details['input'], names)}"
    if kind == "string_pattern_mismatch":
        return f"found {found}, expected {PATTERNS[str(context['pattern'])]}"
    if kind in EXPECTED:
        return f"found {found}, expected {EXPECTED[kind].format(**context)}"
    message = details["msg"]
    return f"found {found}, expected {message}" if kind == "expected" else message


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The model that holds what is at a path: through fields, mappings and lists."""
    annotation: Any = model
    for step in path:
        if _is_model(annotation):
            field = annotation.model_fields.get(str(step))
            annotation = None if field is None else field.annotation
        else:
            annotation = get_args(annotation)[-1] if get_args(annotation) else None
        if get_origin(annotation) in (UnionType, Annotated):
            annotation = get_args(annotation)[0]
    return annotation if _is_model(annotation) else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    found = _model_at(model, path)
    if found is None:
        return []
    return [spelling for name in found.model_fields for spelling in spellings(name)]


def _described(model: type[BaseModel], path: KeyPath) -> str:
    found = _model_at(model, path[:-1])
    if found is None or str(path[-1]) not in found.model_fields:
        return key_text(path)
    described = found.model_fields[str(path[-1])].description or "a value"
    return str(described[0].lower() + described[1:]).rstrip(".")
