"""The gateway on a slow card: `python -m benchmarks.slow_commits PYTHON -m gateway OPTION…`.

Every commit takes 200 ms longer, in the store's own thread, as with an fsync that slow.
"""

import sys
import time

from gateway import bootstrap
from gateway.__main__ import main
from gateway.domain.records import Position
from gateway.ports import Batch
from gateway.store.store import SqliteStore

SLOW_S = 0.2


class SlowStore(SqliteStore):
    """A store whose card is slow."""

    def commit(self, batch: Batch) -> Position:
        """Commit, and only then say so."""
        time.sleep(SLOW_S)
        return super().commit(batch)


if __name__ == "__main__":
    bootstrap.SqliteStore = SlowStore  # type: ignore[misc]  # the one place that builds it
    sys.argv = [sys.argv[0], *sys.argv[4:]]
    sys.exit(main())
