"""The files of a site: YAML as plain data that still knows on which line each key stands.

Rules:
- A site is read as texts once; everything after works on those texts, so that an edit can be
  judged before it is written.
- Nothing here knows what a key means. What cannot be read becomes a Problem, never an exception.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.yaml12 import MappingNode, Node, NotYaml, SequenceNode, read
from gateway.domain.errors import Problem

KeyPath = tuple[str | int, ...]

SINGLE = ("site.yaml", "places.yaml")
FOLDERS = ("devices", "facilities", "profiles")

# A duration may be written in the unit that reads best; it is known by its name in ms.
UNITS_MS: Mapping[str, int] = {"s": 1_000, "min": 60_000, "h": 3_600_000, "days": 86_400_000}


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file: its name within the site, its data, and where each key stands."""

    file: str
    data: Any = None
    node: Node | None = field(default=None, repr=False)

    def locate(self, path: KeyPath) -> tuple[str, int]:
        """The key as it is written, and its line; of the nearest parent where it is missing."""
        node, line, written = self.node, 1, list[str | int]()
        for depth, step in enumerate(path):
            found = _child(node, step)
            if found is None:
                written.extend(path[depth:])
                break
            name, line, node = found
            written.append(name)
        return key_text(written), line


def key_text(path: Iterable[str | int]) -> str:
    """A key path as people write it: `doors.gym.readers[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def spellings(name: str) -> Iterator[str]:
    """A key, and the ways in which a duration of that name may be written instead."""
    yield name
    if name.endswith("_ms"):
        yield from (f"{name[:-3]}_{unit}" for unit in UNITS_MS)


def parse(file: str, text: str) -> tuple[Document, list[Problem]]:
    """A YAML text as a document, with what is wrong with it as YAML. Never raises."""
    try:
        node, data = read(text)
    except NotYaml as error:
        return Document(file), [Problem(file, "", f"not valid YAML: {error}", error.line)]
    return Document(file, data, node), list(_duplicates(file, node, (), set()))


def read_texts(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """The texts of a site's files by their names within it, and what cannot be read."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            texts[name] = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            problems.append(Problem(name, "", f"not UTF-8 text: byte {error.start} of the file"))
        except OSError as error:
            problems.append(Problem(name, "", f"cannot be read: {error.strerror}"))
    return texts, problems


def digest_of(folder: Path) -> str:
    """SHA-256 over names and contents of a site's files: the same while nothing is edited."""
    texts, _ = read_texts(folder)
    return digest_of_texts(texts)


def digest_of_texts(texts: Mapping[str, str]) -> str:
    """SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        for part in (name.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in SINGLE if (folder / name).exists())
    for name in FOLDERS:
        for ending in ("yaml", "yml"):
            yield from sorted((folder / name).glob(f"*.{ending}"), key=_counted)


def _counted(path: Path) -> list[tuple[int, str]]:
    """As people count: `bike_2` before `bike_10`."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _child(node: Node | None, step: str | int) -> tuple[str | int, int, Node] | None:
    if isinstance(node, SequenceNode) and str(step).isdigit() and int(step) < len(node.value):
        item = node.value[int(step)]
        return int(step), item.start_mark.line + 1, item
    if isinstance(node, MappingNode):
        keys = {str(key.value): (key, value) for key, value in node.value}
        for name in spellings(str(step)):
            if name in keys:
                key, value = keys[name]
                return name, key.start_mark.line + 1, value
    return None


def _duplicates(file: str, node: Node | None, path: KeyPath, seen: set[int]) -> Iterator[Problem]:
    """Keys found twice. Each node is looked at once, however many aliases lead to it."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(file, item, (*path, index), seen)
    if not isinstance(node, MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key.value, str):
            continue
        line, here = key.start_mark.line + 1, (*path, key.value)
        if key.value in lines:
            said = f"found twice (first on line {lines[key.value]}), expected once"
            yield Problem(file, key_text(here), said, line)
        lines.setdefault(key.value, line)
        yield from _duplicates(file, value, here, seen)
