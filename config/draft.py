"""A site's files as validated pieces that know where they stand, before they make sense together.

Rules:
- Each door, link, call point … is validated apart, so that one mistake hides no other.
- A piece that is not valid is kept with no model: its id is known, its content is not.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar, cast

from config.base import Strict
from config.charging import CircuitFile, TariffFile
from config.files import FOLDERS, SINGLE, Document, KeyPath, parse
from config.models import (
    CallPointFile,
    ChannelFile,
    DeviceFile,
    DoorFile,
    EscalationFile,
    FacilityFile,
    FireZoneFile,
    LinkFile,
    PlaceFile,
    SiteFile,
)
from config.problems import ID_PATTERN, PATTERNS, Problems, shown, validate
from gateway.domain.errors import Problem

M = TypeVar("M", bound=Strict)

# The keys of a model that hold things with ids of their own.
COLLECTIONS: Mapping[type[Strict], Mapping[str, type[Strict]]] = {
    SiteFile: {
        "links": LinkFile,
        "channels": ChannelFile,
        "escalations": EscalationFile,
        "circuits": CircuitFile,
        "tariffs": TariffFile,
    },
    PlaceFile: {"doors": DoorFile, "call_points": CallPointFile, "fire_zones": FireZoneFile},
}
FILE_OF: Mapping[type[Strict], str] = {
    **dict.fromkeys((LinkFile, ChannelFile, EscalationFile, CircuitFile, TariffFile), "site.yaml"),
    **dict.fromkeys((PlaceFile, DoorFile, CallPointFile, FireZoneFile), "places.yaml"),
}
OF_FOLDER: Mapping[str, type[Strict]] = {"devices": DeviceFile, "facilities": FacilityFile}

WORDS: Mapping[type[Strict], str] = {
    SiteFile: "a site",
    LinkFile: "a link",
    ChannelFile: "a channel",
    EscalationFile: "an escalation",
    CircuitFile: "a circuit",
    TariffFile: "a tariff",
    PlaceFile: "a place",
    DoorFile: "a door",
    CallPointFile: "a call point",
    FireZoneFile: "a fire zone",
    DeviceFile: "a device",
    FacilityFile: "a facility",
}


@dataclass(frozen=True, slots=True)
class Item(Generic[M]):
    """One thing with an id: its model (None where it is not valid) and where it stands."""

    id: str
    document: Document
    path: KeyPath
    model: M | None
    within: str = ""  # the place that holds a door, call point or fire zone


class Draft:
    """All pieces of a site, by their kind and id, and what is wrong with them so far."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.documents: dict[str, Document] = {}
        self._items: dict[type[Strict], dict[str, Item[Any]]] = {kind: {} for kind in WORDS}

    def of(self, kind: type[M]) -> dict[str, Item[M]]:
        """All pieces of a kind by id."""
        return cast(dict[str, Item[M]], self._items[kind])

    def valid(self, kind: type[M]) -> Iterator[tuple[Item[M], M]]:
        """The pieces of a kind that have a model, with it."""
        for item in self.of(kind).values():
            if item.model is not None:
                yield item, item.model

    def complete(self, kind: type[M]) -> bool:
        """True when every piece of a kind has a model: only then can one be said to be missing."""
        return not self.lost(kind) and all(
            item.model is not None for item in self.of(kind).values()
        )

    def lost(self, kind: type[Strict]) -> bool:
        """True when the one file that holds a kind cannot be read: its ids are not known."""
        document = self.documents.get(FILE_OF[kind]) if kind in FILE_OF else None
        return document is not None and not isinstance(document.data, dict)

    def items(self) -> Iterator[Item[Any]]:
        """Every piece."""
        for pieces in self._items.values():
            yield from pieces.values()

    def wrong(
        self, item: Item[Any], path: KeyPath, message: str, rule: str = "", *, warns: bool = False
    ) -> None:
        """Something is wrong at a key of a piece."""
        self.problems.add(item.document, (*item.path, *path), message, rule, warns=warns)

    def take(self, kind: type[Strict], item: Item[Any], data: Any) -> None:
        """Validate data as a piece, and the pieces within it apart."""
        collections = COLLECTIONS.get(kind, {})
        rest = data
        if isinstance(data, dict):
            apart = {key for key in collections if isinstance(data.get(key), dict)}
            rest = {key: {} if key in apart else value for key, value in data.items()}
        model = validate(kind, item.document, item.path, rest, self.problems)
        self._keep(kind, Item(item.id, item.document, item.path, model, item.within))
        if not isinstance(data, dict):
            return
        for name, inner in collections.items():
            held = data.get(name)
            for key, value in held.items() if isinstance(held, dict) else ():
                path = (*item.path, name, str(key))
                self.take(inner, Item(str(key), item.document, path, None, item.id), value)

    def _keep(self, kind: type[Strict], item: Item[Any]) -> None:
        if not re.fullmatch(ID_PATTERN, item.id):
            said = f"found the id {shown(item.id)}, expected {PATTERNS[ID_PATTERN]}"
            self.wrong(item, (), said)
        other = self.of(kind).get(item.id)
        if other is not None:
            key, line = other.document.locate(other.path)
            said = f"found {WORDS[kind]} {item.id!r}, which is also {key} of "
            self.wrong(item, (), f"{said}{other.document.file}:{line}; expected each id once")
            return
        self.of(kind)[item.id] = item


def draft_of(texts: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Draft:
    """The pieces of a site from its texts. `overrides` are merged into site.yaml, deeply."""
    problems = Problems()
    draft = Draft(problems)
    for name in SINGLE:
        if name not in texts:
            problems.found.append(Problem(name, "", "the file is missing; every site has one"))
    for name, text in texts.items():
        folder = PurePosixPath(name).parent.name
        if folder == "profiles":
            continue
        document, wrong = parse(name, text)
        problems.found.extend(wrong)
        draft.documents[name] = document
        if document.node is None and wrong:
            _remember(draft, document)
        else:
            _take_document(draft, document, overrides or {})
    return draft


def _take_document(draft: Draft, document: Document, overrides: Mapping[str, Any]) -> None:
    path = PurePosixPath(document.file)
    if path.name.endswith(".yml"):
        said = f"found the name {path.name}, expected {path.stem}.yaml"
        draft.problems.add(document, (), said)
    elif document.file == "site.yaml":
        draft.take(SiteFile, Item("site", document, (), None), merged(document.data, overrides))
    elif document.file == "places.yaml":
        _take_places(draft, document)
    else:
        draft.take(OF_FOLDER[path.parent.name], Item(path.stem, document, (), None), document.data)


def _take_places(draft: Draft, document: Document) -> None:
    if not isinstance(document.data, dict):
        said = f"found {shown(document.data)}, expected places by their ids"
        draft.problems.add(document, (), said)
        return
    for key, value in document.data.items():
        draft.take(PlaceFile, Item(str(key), document, (str(key),), None), value)


def _remember(draft: Draft, document: Document) -> None:
    """Keep the id of a device or facility whose file is no YAML, so that it is not unknown too."""
    path = PurePosixPath(document.file)
    if path.parent.name in FOLDERS:
        kind = OF_FOLDER[path.parent.name]
        draft.of(kind)[path.stem] = Item(path.stem, document, (), None)


def merged(data: Any, over: Mapping[str, Any]) -> Any:
    """Data with other data laid over it: mappings are merged deeply, all else is replaced."""
    if not isinstance(data, dict):
        return data
    result = dict(data)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else value
    return result
