"""A gateway with one guard taken away: `weakened.py WHAT PYTHON -m gateway OPTION…`.

What a proof must then find: NORMAL and OFF leave a commit in the kernel's hands, `early` says that
it is durable before it is committed.
"""

import sys

from gateway.__main__ import main
from gateway.runtime.step import Step
from gateway.store import database


def weaken(what: str) -> None:
    """Take a guard away."""
    if what == "early":
        Step._unsaved_wait = lambda self: None  # type: ignore[method-assign]
        return
    full, weak = "PRAGMA synchronous=FULL", f"PRAGMA synchronous={what}"
    assert full in database._WRITER_PRAGMAS
    pragmas = tuple(weak if one == full else one for one in database._WRITER_PRAGMAS)
    database._WRITER_PRAGMAS = pragmas  # type: ignore[assignment]


if __name__ == "__main__":
    weaken(sys.argv[1])
    sys.argv = [sys.argv[0], *sys.argv[5:]]
    sys.exit(main())
