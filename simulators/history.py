"""`python -m simulators.history SITE DATA DAYS`: live the demo's past, as a process of its own.

Apart, because it takes a processor for seconds and has to end at once with the demo.
"""

import sys
import time
from pathlib import Path

from config.site import load_site
from drivers.registry import kinds
from simulators.neighbours import PEOPLE
from simulators.past import live_past


def main(site: str, data: str, days: str) -> None:
    """Fill the data folder with so many days that end now."""
    loaded = load_site(Path(site), kinds(), demo=True)
    now_ms = time.time_ns() // 1_000_000
    live_past(loaded, Path(data), PEOPLE, int(days), now_ms=now_ms)


if __name__ == "__main__":
    main(*sys.argv[1:])
