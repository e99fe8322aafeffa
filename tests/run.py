"""Run the parts of the test suite, each with its budget, and print what each took."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

PYTEST = [str(BIN / "python"), "-m", "pytest"]

# part: (budget in seconds, command)
PARTS: dict[str, tuple[int, list[str]]] = {
    "lint": (20, [f"{BIN}/ruff", "check", "-q", "."]),
    "format": (20, [f"{BIN}/ruff", "format", "--check", "-q", "."]),
    "types": (90, [f"{BIN}/mypy"]),
    "layering": (20, [f"{BIN}/lint-imports", "--no-logo"]),
    "architecture": (20, [*PYTEST, "tests/architecture"]),
    "config": (60, [*PYTEST, "tests/config", "tests/codec"]),
    "core": (60, [*PYTEST, "tests/core"]),
    "drivers": (90, [*PYTEST, "tests/drivers"]),
    "runtime": (30, [*PYTEST, "tests/runtime"]),
    "store": (60, [*PYTEST, "tests/store"]),
    "security": (20, [*PYTEST, "tests/security"]),
    "uplink": (60, [*PYTEST, "tests/uplink"]),
    "api": (60, [*PYTEST, "tests/api"]),
    "simulation": (120, [*PYTEST, "tests/simulation"]),
    "end to end": (180, [*PYTEST, "tests/end_to_end"]),
}


def main(wanted: list[str]) -> int:
    """Run the wanted parts (all if none is named); the number of parts that failed."""
    rows = []
    for part, (budget, command) in PARTS.items():
        if wanted and part not in wanted:
            continue
        print(f"== {part}", flush=True)
        began = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        rows.append((part, time.monotonic() - began, budget, code))
    print(f"\n{'part':<14}{'took':>8}{'budget':>9}  result")
    for part, took, budget, code in rows:
        result = "ok" if code == 0 else f"FAILED (exit {code})"
        print(f"{part:<14}{took:>6.1f} s{budget:>7} s  {result}{'  OVER' if took > budget else ''}")
    failed = sum(code != 0 for *_, code in rows)
    print(f"{'together':<14}{sum(row[1] for row in rows):>6.1f} s")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
