"""Whatever stands in a file, the site is judged: nothing a person can write raises."""

import functools
import io
from typing import Any

from houses import BASE
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from config.files import read_texts
from config.profiles import SHIPPED
from config.site import judge
from config.yaml12 import read
from drivers.registry import kinds

VALUES: list[Any] = [
    *(None, "", 0, -1, 1.5, True, 10**30, float("inf"), float("nan")),
    *("x", "x/y", "ümlaut", [], {}, [None], ["a", "a"], {"a": 1}, {1: 2}),
]


def paths(data: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and item of a file, and the file itself."""
    within = data.items() if isinstance(data, dict) else ()
    within = enumerate(data) if isinstance(data, list) else within
    return [here, *(path for key, value in within for path in paths(value, (*here, key)))]


@functools.cache
def texts() -> dict[str, str]:
    found, _ = read_texts(BASE)
    profile = (SHIPPED / "waveshare_relay_8_di.yaml").read_text(encoding="utf-8")
    return {**found, "profiles/waveshare_relay_8_di.yaml": profile}


@functools.cache
def spots() -> list[tuple[str, tuple[Any, ...]]]:
    return [(file, path) for file, text in texts().items() for path in paths(read(text)[1])]


def put(file: str, path: tuple[Any, ...], value: Any) -> str:
    """A file's text with another value at a path."""
    data = read(texts()[file])[1]
    inner = data
    for step in path[:-1]:
        inner = inner[step]
    if path:
        inner[path[-1]] = value
    written = io.StringIO()
    YAML().dump(data if path else value, written)
    return written.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_judged(data: st.DataObject) -> None:
    file, path = data.draw(st.sampled_from(spots()))
    value = data.draw(st.sampled_from(VALUES))
    site, problems = judge({**texts(), file: put(file, path, value)}, kinds())
    assert site is not None or any(not problem.warning for problem in problems)
