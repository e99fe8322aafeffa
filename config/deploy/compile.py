"""Compile what the daemon runs, once, at its installation: its own user may not.

Libraries lose their docstrings, which nothing on site reads (4 MB of memory); ours keep them, for
the API tells them, and their asserts. To be run with `-X no_debug_ranges`: tracebacks then name
lines, not columns.
"""

import py_compile
import sys
import sysconfig
from importlib.util import cache_from_source
from pathlib import Path

OURS = Path(__file__).parents[2]
ROOMS = ("gateway", "drivers", "config")
AS_WRITTEN, WITHOUT_DOCSTRINGS = 0, 2


def main() -> None:
    """Compile the libraries of this environment and the gateway's own rooms."""
    libraries = Path(sysconfig.get_paths()["purelib"])
    for path in libraries.rglob("*.py"):
        _compile(path, WITHOUT_DOCSTRINGS)
    for room in ROOMS:
        for path in (OURS / room).rglob("*.py"):
            _compile(path, AS_WRITTEN)


def _compile(path: Path, optimize: int) -> None:
    """To where an interpreter without options looks; what no Python can read is left as it is."""
    target = cache_from_source(str(path), optimization="")
    try:
        py_compile.compile(str(path), cfile=target, doraise=True, optimize=optimize)
    except (py_compile.PyCompileError, UnicodeDecodeError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)  # noqa: T201 (for who installs)


if __name__ == "__main__":
    main()
