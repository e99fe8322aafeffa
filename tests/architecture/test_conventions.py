"""Conventions we care about, each with its reason. An exception is named here with its own."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("gateway", "drivers", "config", "simulators")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PURE = sorted(
    path for room in ("domain", "core") for path in (ROOT / "gateway" / room).glob("*.py")
)

MODULE_LINES_MAX = 440
FUNCTION_LINES_MAX = 44
PARAMETERS_MAX = 6  # self included
FIELDS_MAX = 9  # eight and an id

# What is longer, with the reason why it is better so.
LONGER: dict[str, str] = {
    "gateway/store/migrations/versions/0001_first_tables.py:upgrade": "a migration is a list",
    "gateway/domain/events.py:SnapshotReceived": "what the wire carries, plus what was found",
    "gateway/domain/site.py:Facility": "what a site says of one thing, in one file",
    "gateway/domain/records.py:JournalRecord": "a row of the journal as it lies there",
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        yield _name(path), ast.parse(path.read_text())


def _functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.name}", node


def _longer(found: Iterator[tuple[str, int]], most: int) -> dict[str, int]:
    return {name: size for name, size in found if size > most and name not in LONGER}


def test_modules_are_short_enough_to_be_read_at_once() -> None:
    sizes = ((_name(path), path.read_text().count("\n")) for path in MODULES)
    assert not _longer(sizes, MODULE_LINES_MAX)


def test_functions_are_short_enough_to_be_held_in_mind() -> None:
    sizes = ((name, (node.end_lineno or 0) - node.lineno + 1) for name, node in _functions())
    assert not _longer(sizes, FUNCTION_LINES_MAX)


def test_functions_take_few_parameters() -> None:
    counts = (
        (name, len(node.args.posonlyargs) + len(node.args.args)) for name, node in _functions()
    )
    assert not _longer(counts, PARAMETERS_MAX)


def test_values_are_frozen_slotted_and_small() -> None:
    """A value with many fields is several values that have not met their names yet."""
    wrong = []
    for name, tree in _trees():
        if not name.startswith("gateway/domain"):
            continue
        for node in ast.walk(tree):
            words = _dataclass_words(node)
            if words is None or f"{name}:{node.name}" in LONGER:  # type: ignore[attr-defined]
                continue
            if not {"frozen", "slots"} <= words:
                wrong.append(f"{name}:{node.name} is not frozen and slotted")  # type: ignore[attr-defined]
            if _fields(node) > FIELDS_MAX:
                wrong.append(f"{name}:{node.name} has {_fields(node)} fields")  # type: ignore[attr-defined]
    assert not wrong


def _dataclass_words(node: ast.AST) -> set[str] | None:
    for decorator in getattr(node, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "dataclass":
            return {k.arg or "" for k in decorator.keywords if ast.unparse(k.value) == "True"}
    return None


def _fields(node: ast.AST) -> int:
    body = getattr(node, "body", ())
    named = (s for s in body if isinstance(s, ast.AnnAssign))
    return sum("ClassVar" not in ast.unparse(s.annotation) for s in named)


CLOCKS_AND_WIRES = re.compile(
    r"(datetime\.(now|utcnow|today)|date\.today|time\.\w+|random\.\w+|uuid\.uuid\w+|open|print)\("
)


@pytest.mark.parametrize("path", PURE, ids=_name)
def test_the_domain_and_the_core_have_no_clock_no_chance_and_no_wires(path: Path) -> None:
    """Time, randomness and ids are arguments, so that an incident can be replayed."""
    tree = ast.parse(path.read_text())
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call for call in calls if CLOCKS_AND_WIRES.match(call)]
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef | ast.Await)]


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(
        r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b|NotImplemented" + "Error"
    )
    assert not [
        f"{_name(path)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().split("\n"), 1)
        if marks.search(line)
    ]


def test_a_citation_of_a_rule_is_a_letter_and_a_number() -> None:
    """So that a search for a rule finds every place that rests on it."""
    wrong = re.compile(r"RULES? (?![ABCEUX]\d|[ABCEUX]\b)\w+")
    assert not [
        f"{_name(path)}: {found.group()}"
        for path in MODULES
        for found in wrong.finditer(path.read_text())
    ]


def test_modules_of_tests_have_names_of_their_own() -> None:
    """So that any of them can be run together, in one process."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert not [name for name, count in names.items() if count > 1]


def test_every_module_of_tests_is_in_a_part_that_runs() -> None:
    """A test that no command runs proves nothing. A part names its folder, or the module."""
    parts = (ROOT / "tests" / "run.py").read_text()
    modules = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").glob("*/test_*.py"))
    named = [name for name in modules if f'{name.parent}"' in parts or f'{name}"' in parts]
    assert modules == named
