"""Edits of a site by tools: judged before they are written, atomic, and keeping what people wrote.

Rules:
- One edit changes one file. The site is judged as it would be after it; if it would not load, the
  edit is refused with all that would be wrong, and nothing is written.
- A file is written beside the old one, flushed to the disk, and put in its place: after a power cut
  there is the old file or the new one.
- Comments, order and quotes of a file stay as they are.
- Who edits says which version of the site they looked at (its digest), so that two people do not
  undo one another.
"""

import fcntl
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from config.files import FOLDERS, SINGLE, KeyPath, digest_of_texts, read_texts
from config.site import Kinds, judge
from gateway.domain.errors import ConfigError, Problem

EDITABLE = re.compile(
    rf"^(?:{'|'.join(SINGLE)}|(?:{'|'.join(FOLDERS)})/[a-z0-9][a-z0-9_-]*\.yaml)$"
)


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit did: the digest of the site since, and what is doubtful about it."""

    digest: str
    warnings: tuple[Problem, ...]


def set_key(path: KeyPath, value: Any) -> Callable[[Any], None]:
    """A change that sets one key, making the mappings on the way to it."""

    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step] if isinstance(step, int) else data.setdefault(step, CommentedMap())
        data[path[-1]] = value

    return change


def remove_key(path: KeyPath) -> Callable[[Any], None]:
    """A change that removes one key."""

    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return change


def edit(
    folder: Path,
    file: str,
    change: Callable[[Any], None],
    kinds: Kinds,
    *,
    seen: str | None = None,
) -> Edited:
    """Change one file of a site, or make it. `seen` is the digest the change was thought out on.

    Raises ConfigError if the site would not load, or is no longer the one that was seen.
    """
    with _alone(folder):
        texts = _texts(folder, file, seen)
        texts[file] = _changed(file, texts.get(file, ""), change)
        warnings = _judged(texts, kinds)
        _write(folder / file, texts[file])
    return Edited(digest_of_texts(texts), warnings)


def remove(folder: Path, file: str, kinds: Kinds, *, seen: str | None = None) -> Edited:
    """Remove one file of a site: a device, a facility, a profile. Raises ConfigError as `edit`."""
    with _alone(folder):
        texts = _texts(folder, file, seen)
        if texts.pop(file, None) is None:
            raise ConfigError((Problem(file, "", "there is no such file"),))
        warnings = _judged(texts, kinds)
        (folder / file).unlink()
        _sync((folder / file).parent)
    return Edited(digest_of_texts(texts), warnings)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One edit of a site at a time, over all processes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _texts(folder: Path, file: str, seen: str | None) -> dict[str, str]:
    if not EDITABLE.fullmatch(file):
        said = f"no file of a site; expected {', '.join(SINGLE)}, or <id>.yaml in one of "
        raise ConfigError((Problem(file, "", said + ", ".join(FOLDERS)),))
    texts, unread = read_texts(folder)
    if unread:
        raise ConfigError(tuple(unread))
    if seen is not None and seen != digest_of_texts(texts):
        raise ConfigError((Problem(file, "", "the site was edited meanwhile: look again"),))
    return texts


def _changed(file: str, text: str, change: Callable[[Any], None]) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        data = yaml.load(text)
    except YAMLError as error:
        said = f"not valid YAML, so it cannot be edited: {str(error).splitlines()[0]}"
        raise ConfigError((Problem(file, "", said),)) from error
    data = CommentedMap() if data is None else data
    try:
        change(data)
    except (LookupError, TypeError, AttributeError) as error:
        said = f"the change does not fit the file: {error}"
        raise ConfigError((Problem(file, "", said),)) from error
    written = io.StringIO()
    yaml.dump(data, written)
    return written.getvalue()


def _judged(texts: dict[str, str], kinds: Kinds) -> tuple[Problem, ...]:
    site, problems = judge(texts, kinds)
    if site is None:
        raise ConfigError(tuple(problem for problem in problems if not problem.warning))
    return problems


def _write(path: Path, text: str) -> None:
    """Put a file in its place, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            if path.exists():
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make a new name in a folder outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
