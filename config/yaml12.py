"""Reading YAML 1.2 fast, with the line of every node.

libyaml (through PyYAML) reads a site thirteen times as fast as a parser in Python, which is what a
gateway waits for at its start; but it knows the values of YAML 1.1, where `off` is false and 010 is
eight. Here a value is what YAML 1.2 says.
"""

import re
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes without types
from yaml import MappingNode, Node, ScalarNode, SequenceNode

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEPTH_MAX = 200
LINE_MAX = 4_000
_BRACKET = re.compile(r"[\[\]{}]")
TAG = "tag:yaml.org,2002:"


class NotYaml(ValueError):
    """A text that is no YAML, with the line where that shows."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.line = line


class _Loader(_Base):  # type: ignore[misc]  # chosen at run time
    """Mappings, lists, text, numbers, true, false and null: no dates, no tags of programs."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # as the base class has it


def _whole(loader: Any, node: ScalarNode) -> int:
    text: str = loader.construct_scalar(node)
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


for _name, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
        r"|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor(TAG + "int", _whole)


def _refuse_depth(text: str) -> None:
    """What nests too deep would end the process in libyaml: a level needs a bracket or a column."""
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        for bracket in _BRACKET.findall(line):
            depth += 1 if bracket in "[{" else -1
            if depth > DEPTH_MAX:
                raise NotYaml(f"brackets nest deeper than {DEPTH_MAX}", number)
        if len(line) > LINE_MAX:
            raise NotYaml(f"a line is longer than {LINE_MAX} characters", number)


def read(text: str) -> tuple[Node | None, Any]:
    """The node of a text and its data; None for an empty one. Raises NotYaml."""
    _refuse_depth(text)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return node, None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "it makes no sense"
        last = text.count("\n", 0, len(text.rstrip())) + 1
        raise NotYaml(said, 1 if mark is None else min(mark.line + 1, last)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotYaml(str(error).partition("\n")[0] or "it goes too deep", 1) from error


__all__ = ["MappingNode", "Node", "NotYaml", "SequenceNode", "read"]
