"""Site and profile files: whatever stands in them, there is a site or problems.

A file is `which, manner, bytes…`. Without bit 0 of the manner the bytes are the whole text. With
it they are JSON that is put where the second byte, shifted, points in the file as it is.
"""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.judge import setup_of
from ruamel.yaml import YAML

from config.files import read_texts
from config.problems import Problems
from config.profiles import SHIPPED, profiles_of
from config.site import judge
from config.yaml12 import read
from drivers.registry import kinds
from gateway.domain.site import Link
from gateway.domain.uses import watches

BASE = Path(__file__).resolve().parents[1] / "config" / "base"
PROFILES = ("waveshare_relay_8_di", "phoenix_charx", "evse_din", "keba_p30", "z2m_lock", "z2m_plug")
LINKS = {
    "modbus": Link("wire", "modbus_tcp", {"host": "nowhere"}),
    "mqtt": Link("radio", "mqtt", {"host": "nowhere", "client_id": "fuzz"}),
}


def take_site(data: bytes) -> None:
    """A site is judged: it is refused for a reason, or it can be used."""
    texts = _texts()
    if (written := _written(data, sorted(texts))) is None:
        return
    file, text = written
    site, problems = judge({**texts, file: text}, kinds())
    assert (site is None) is any(not problem.warning for problem in problems)
    assert not [one for one in problems if "by a bug in it" in one.message]
    if site is not None:
        watches(site)


def take_profile(data: bytes) -> None:
    """A profile is refused for a reason, or a device of it can be driven."""
    if (written := _written(data, sorted(_profile_texts()))) is None:
        return
    problems = Problems()
    found = profiles_of(dict([written]), kinds(), problems)
    assert found or problems.found
    assert not [one for one in problems.found if "by a bug in it" in one.message]
    for profile in found.values():
        link = LINKS[profile.driver]
        kind = kinds()[link.driver]
        setup = setup_of(link, profile, {"topic": "base/x"} if link.id == "radio" else {"unit": 1})
        if not any(not one.warning for one in kind.check_link(link, setup.devices, setup.profiles)):
            kind.open(setup)


def _written(data: bytes, names: list[str]) -> tuple[str, str] | None:
    """Which file, and what stands in it; None where that is no text."""
    if len(data) < 2:
        return None
    file = names[data[0] % len(names)]
    try:
        if not data[1] & 1:
            return file, data[2:].decode("utf-8-sig")
        return file, _put(file, data[1] >> 1, json.loads(data[2:]))
    except (ValueError, RecursionError):
        return None


def _put(file: str, spot: int, value: Any) -> str:
    """A file's text with a value at one of its keys or items."""
    tree = read({**_texts(), **_profile_texts()}[file])[1]
    paths = _paths(tree)
    path = paths[spot % len(paths)]
    inner = tree
    for step in path[:-1]:
        inner = inner[step]
    if path:
        inner[path[-1]] = value
    written = io.StringIO()
    YAML().dump(tree if path else value, written)
    return written.getvalue()


def _paths(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    within = tree.items() if isinstance(tree, dict) else ()
    within = enumerate(tree) if isinstance(tree, list) else within
    return [here, *(path for key, value in within for path in _paths(value, (*here, key)))]


@cache
def _texts() -> dict[str, str]:
    return read_texts(BASE)[0]


@cache
def _profile_texts() -> dict[str, str]:
    return {f"profiles/{name}.yaml": (SHIPPED / f"{name}.yaml").read_text() for name in PROFILES}
