"""Run every benchmark, each in a process of its own, and print what they found in one table."""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT)]

from benchmarks.figures import Figure, parsed, table  # noqa: E402 (the repository is the path)

# name: seconds it may take
BENCHMARKS = {
    "modbus_polls": 90,
    "polls": 60,
    "messages": 60,
    "pin_to_pulse": 60,
    "decisions": 40,
    "input_ring": 60,
    "call_latency": 300,
    "start": 90,
    "reports": 300,
    "rebalance": 120,
    "devices": 150,
    "offline": 400,
    "world": 180,
    "memory": 90,
}


def main(wanted: list[str]) -> int:
    """Run the wanted benchmarks (all if none is named); the number that failed or went over."""
    figures: list[Figure] = []
    failed: list[str] = []
    began = time.monotonic()
    loads = [os.getloadavg()[0]]
    for name, seconds in BENCHMARKS.items():
        if wanted and name not in wanted:
            continue
        print(f"== {name}", flush=True)
        found = run(name, seconds)
        if not found:
            failed.append(name)
        figures += found
        loads.append(os.getloadavg()[0])
    print(f"\n{table(figures)}\n")
    for name in failed:
        print(f"{name}: FAILED")
    print(
        f"{time.monotonic() - began:.0f} s on {os.cpu_count()} cores, "
        f"load {min(loads):.1f} to {max(loads):.1f} (one minute's average)"
    )
    return len(failed) + sum(not one.well for one in figures)


def run(name: str, seconds: int) -> list[Figure]:
    """The figures of one benchmark; none if it failed."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "uplink")))
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            timeout=seconds,
            check=True,
            text=True,
        )
    except subprocess.SubprocessError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return []
    print(done.stdout, end="", flush=True)
    return parsed(done.stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
