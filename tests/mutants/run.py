"""Show that each mutant is noticed, by whom and how soon: `run.py [part of a name …]`.

Each is made in a copy of the gateway's source, and looked at by the world and by the property
tests until one of them notices it. The number of mutants that nobody noticed is the exit code.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from changes import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
ORDERS = ("tests/core/test_any_order.py", "tests/core/test_charging_any_order.py")
TRUTH = "tests/simulation/test_truth.py"  # which state held, by what really was (U2)
OTHERS = (
    "tests/runtime/test_agenda.py",
    "tests/core/test_power.py",
    "tests/simulation/test_feeder.py",
)
PROPERTIES = (*ORDERS, *OTHERS, TRUTH)
LIVES = {
    "PROOF_LIVES": "1500",
    "PROOF_CHARGING_LIVES": "500",
    "PROOF_FEEDER_STEPS": "1000",
    "PROOF_TRUTHS": "1",
}
PROPERTY_S, WORLD_S = 900.0, 1_800.0
SOON_SEEDS, YEAR_SEEDS = 20, 146  # of two and a half days each


@dataclass(frozen=True, slots=True)
class Noticed:
    """Who noticed a mutant: the rule they named, after how much of a life."""

    by: str
    rule: str
    after: str


def main(wanted: list[str]) -> int:
    """Look at the wanted mutants (all if none is named); how many nobody noticed."""
    chosen = [one for one in MUTANTS if not wanted or any(part in one.name for part in wanted)]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        found = list(workers.map(_look_at, chosen))
    survived = [mutant for mutant, noticed in found if noticed is None]
    print(f"\n{len(chosen)} mutants, {len(survived)} survived")
    return len(survived)


def _look_at(mutant: Mutant) -> tuple[Mutant, Noticed | None]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _make(mutant, folder)
        noticed = next(filter(None, (look(folder) for look in LOOKS)), None)
    said = f"{noticed.by}: {noticed.rule}, {noticed.after}" if noticed else "SURVIVED"
    took = time.monotonic() - began
    print(f"{mutant.rule:<11} {mutant.name:<62} {said}  [{took:.0f} s]", flush=True)
    return mutant, noticed


def _make(mutant: Mutant, folder: Path) -> None:
    """The gateway with one change, in a folder that goes before the real one."""
    shutil.copytree(
        ROOT / "gateway", folder / "gateway", ignore=shutil.ignore_patterns("__pycache__")
    )
    path = folder / mutant.path
    source = path.read_text()
    assert source.count(mutant.old) == 1, f"{mutant.name}: {mutant.path} has changed"
    path.write_text(source.replace(mutant.old, mutant.new))


def _by_properties(folder: Path) -> Noticed | None:
    """State machines and property tests, the first that fails."""
    paths = os.pathsep.join(str(path) for path in (folder, ROOT, ROOT / "tests"))
    began = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
            "--hypothesis-profile=verdict",
            *("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)),
            *("-o", f"pythonpath={paths.replace(os.pathsep, ' ')}"),
            *(str(ROOT / path) for path in PROPERTIES if (ROOT / path).exists()),
        ],
        cwd=folder,
        env={**os.environ, **LIVES, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=PROPERTY_S,
        check=False,
    )
    if done.returncode == 0:
        return None
    test = re.search(r"^FAILED \S*/(\w+)\.py", done.stdout, re.MULTILINE)
    said = re.findall(r"^E +(?:AssertionError: )?(.+)$", done.stdout, re.MULTILINE)
    assert test is not None, done.stdout + done.stderr
    return Noticed(test[1], said[0][:60] if said else "?", f"{time.monotonic() - began:.0f} s")


# Worlds until one breaks a rule; a bug that ends the process counts too.
WORLDS = """
import sys
from simulators.world import World
first, last = map(int, sys.argv[1:])
days = 2.5 * first
for seed in range(first, last):
    world = World(seed, 2.5)
    try:
        lived = world.run()
    except Exception as error:
        print(f"{type(error).__name__} {error}|{days:.1f}")
        break
    days += lived.days
    if lived.breach is not None:
        print(f"{lived.breach}|{days:.1f}")
        break
"""


def _by_world(first: int, last: int, folder: Path) -> Noticed | None:
    """The auditor of simulated worlds, of these seeds."""
    paths = os.pathsep.join(str(path) for path in (folder, ROOT))
    done = subprocess.run(
        [sys.executable, "-c", WORLDS, str(first), str(last)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=WORLD_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rule, _, days = done.stdout.strip().rpartition("|")
    return Noticed("world", rule[:60], f"{days} days") if days else None


# What is seldom to be seen in a world is soon found by a property: a year of worlds is the last.
LOOKS: tuple[Callable[[Path], Noticed | None], ...] = (
    partial(_by_world, 0, SOON_SEEDS),
    _by_properties,
    partial(_by_world, SOON_SEEDS, YEAR_SEEDS),
)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
