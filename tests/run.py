"""Run the parts of the test suite, each with its budget, and print what each took.

`run.py` runs the short parts, `run.py --prove` the long ones: the same tests at other sizes, which
`fixtures.sizes` reads from the environment. Parts of a lane run one after the other, lanes beside
one another: what has devices and brokers to answer comes first at the processor, and what only
computes takes what that leaves. What is measured runs before all, alone.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

PYTEST = [str(BIN / "python"), "-m", "pytest"]
PROOF = [*PYTEST, "-s"]  # with the figures seen
COMPUTED = [*PYTEST, "--timeout=600"]  # a test of seconds may wait for a processor for minutes
WORLD = "tests/simulation/test_world.py"
CLOCKS = "tests/simulation/test_clock_world.py"
PARTITIONS = "tests/uplink/test_partitions.py"

# State machines: 40 steps a life, 200,000 steps in all.
ANY_ORDER = ["tests/core/test_any_order.py", "tests/core/test_charging_any_order.py"]

FEEDER = "tests/simulation/test_feeder.py"
TRUTH = "tests/simulation/test_truth.py"


@dataclass(frozen=True)
class Part:
    """A command with its budget in seconds."""

    budget: int
    command: list[str]
    lane: str = "computes"
    sizes: Mapping[str, str] = field(default_factory=dict)
    gives_way: bool = False  # to whoever wakes


# Python compiles a file once, and not for each of the hundreds of processes of a run.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
LAST_WORDS = 12  # lines of a part that failed, told again under the table
NICED = ("computes", "also computes")
LANES = (*NICED, "waits", "also waits", "soaks")

PARTS: dict[str, Part] = {
    "speed": Part(180, [str(BIN / "python"), "-m", "benchmarks.world"], lane="alone"),
    "lint": Part(20, [f"{BIN}/ruff", "check", "-q", "."]),
    "format": Part(20, [f"{BIN}/ruff", "format", "--check", "-q", "."]),
    "types": Part(90, [f"{BIN}/mypy"]),
    "layering": Part(20, [f"{BIN}/lint-imports", "--no-logo"]),
    "architecture": Part(20, [*COMPUTED, "tests/architecture"]),
    "config": Part(60, [*COMPUTED, "tests/config", "tests/codec"]),
    "core": Part(150, [*COMPUTED, "tests/core", *(f"--ignore={one}" for one in ANY_ORDER)]),
    "any order": Part(
        900,
        [*COMPUTED, *ANY_ORDER],
        lane="also computes",
        sizes={"PROOF_LIVES": "4500", "PROOF_CHARGING_LIVES": "500"},
    ),
    "mutants": Part(20, [*COMPUTED, "tests/mutants"]),
    "drivers": Part(150, [*PYTEST, "tests/drivers"], lane="also waits"),
    "runtime": Part(30, [*PYTEST, "tests/runtime"], lane="also waits"),
    "store": Part(60, [*PYTEST, "tests/store"], lane="also waits"),
    "security": Part(20, [*PYTEST, "tests/security"], lane="also waits"),
    "uplink": Part(90, [*PYTEST, "tests/uplink", "--ignore", PARTITIONS], lane="waits"),
    "api": Part(120, [*PYTEST, "tests/api"], lane="also waits"),
    "fuzz corpus": Part(30, [*COMPUTED, "tests/fuzz"]),
    "simulation": Part(
        150,
        [
            *PYTEST,
            "tests/simulation",
            *(f"--ignore={one}" for one in (CLOCKS, FEEDER, TRUTH, WORLD)),
        ],
        lane="also waits",
    ),
    "world": Part(480, [*COMPUTED, "-s", WORLD], sizes={"PROOF_SEEDS": "146"}),  # a gateway-year
    "clocks": Part(120, [*COMPUTED, CLOCKS]),
    "truth": Part(120, [*COMPUTED, "-s", TRUTH], sizes={"PROOF_TRUTHS": "1"}),
    "feeder": Part(120, [*COMPUTED, FEEDER], sizes={"PROOF_FEEDER_STEPS": "1000"}),
    "end to end": Part(480, [*PYTEST, "tests/end_to_end"], lane="waits"),
    "power cuts": Part(240, [*PROOF, "tests/proof/test_power_cuts.py"], lane="waits"),
    "I/O errors": Part(240, [*PROOF, "tests/proof/test_io_errors.py"], lane="waits"),
    "kill -9": Part(240, [*PROOF, "tests/proof/test_kill.py"], lane="waits"),
    "partitions": Part(180, [*PROOF, PARTITIONS], lane="waits"),
    "full disk": Part(90, [*PROOF, "tests/proof/test_full_disk.py"], lane="waits"),
    "slow card": Part(150, [*PROOF, "tests/proof/test_slow_card.py"], lane="waits"),
    "soak": Part(120, [*PROOF, "tests/proof/test_soak.py"], lane="waits"),
    "flood": Part(90, [*PROOF, "tests/proof/test_flood.py"], lane="waits"),
}

# With an hour of all else beside them they have so little of a processor that one takes minutes.
WORLDS = replace(
    PARTS["world"],
    budget=7_200,
    command=[*PARTS["world"].command, "--timeout=1800"],
    gives_way=True,
)

# An hour or two, by what the processor is worth: only what has another size than above, or is not
# there.
PROOFS: dict[str, Part] = {
    "fuzz": Part(
        720,
        [str(BIN / "python"), "tests/fuzz/run.py"],
        lane="waits",
        sizes={"PROOF_FUZZ_S": "60"},
        gives_way=True,
    ),
    "hostile": Part(
        600,
        [*PROOF, "tests/drivers/test_modbus_liar.py"],
        lane="waits",
        sizes={"PROOF_HOSTILE_REPLIES": "100000"},
    ),
    "any request": Part(
        600,
        [*PYTEST, "tests/api/test_any_request.py"],
        lane="waits",
        sizes={"PROOF_API_EXAMPLES": "300"},
        gives_way=True,
    ),
    "flood": replace(PARTS["flood"], budget=300, sizes={"PROOF_FLOOD_CALLS": "200"}),
    "world": replace(WORLDS, sizes={"PROOF_SEEDS": "1460"}),
    "other worlds": replace(
        WORLDS, lane="also computes", sizes={"PROOF_SEEDS": "1460", "PROOF_FIRST_SEED": "1460"}
    ),
    "truth": replace(PARTS["truth"], budget=900, sizes={"PROOF_TRUTHS": "10"}, gives_way=True),
    "soak": replace(PARTS["soak"], budget=3_700, lane="soaks", sizes={"PROOF_SOAK_S": "3600"}),
    "power cuts": replace(
        PARTS["power cuts"], budget=2_400, sizes={"PROOF_CUTS": "100000"}, gives_way=True
    ),
    "I/O errors": replace(PARTS["I/O errors"], budget=480, sizes={"PROOF_ERRORS": "2"}),
    "offline": Part(600, [str(BIN / "python"), "benchmarks/run.py", "offline"], lane="waits"),
    "partitions": replace(PARTS["partitions"], budget=900, sizes={"PROOF_SCHEDULES": "600"}),
    "kill -9": replace(
        PARTS["kill -9"],
        budget=2_000,
        lane="also waits",
        sizes={"PROOF_KILL_S": "1800"},
        gives_way=True,
    ),
}


@dataclass(frozen=True)
class Row:
    """What became of a part."""

    part: str
    took: float
    used: float  # of a processor, with all it started
    budget: int
    code: int
    last_words: str

    @property
    def result(self) -> str:
        """In words."""
        said = "ok" if self.code == 0 else f"FAILED (exit {self.code})"
        return said + ("  OVER" if self.took > self.budget else "")


def main(wanted: list[str]) -> int:
    """Run the wanted parts (all if none is named); the number of parts that failed."""
    listed = PROOFS if "--prove" in wanted else PARTS
    wanted = [name for name in wanted if name != "--prove"]
    if unknown := set(wanted) - set(listed):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; expected of {', '.join(listed)}")
    chosen = {name: part for name, part in listed.items() if not wanted or name in wanted}
    began = time.monotonic()
    rows = _run_lane(chosen, "alone")
    with ThreadPoolExecutor(len(LANES)) as workers:
        running = [workers.submit(_run_lane, chosen, lane) for lane in LANES]
    rows += [row for lane in running for row in lane.result()]
    _print_table(rows, time.monotonic() - began)
    return sum(row.code != 0 for row in rows)


def _run_lane(parts: Mapping[str, Part], lane: str) -> list[Row]:
    """Run those of a lane one after the other; what one says is printed in one piece at its end."""
    rows = []
    for name, part in parts.items():
        if part.lane != lane:
            continue
        row, said = _run(name, part)
        rows.append(row)
        sys.stdout.write(f"== {name}\n{said}")
        sys.stdout.flush()
    return rows


def _run(name: str, part: Part) -> tuple[Row, str]:
    began = time.monotonic()
    with subprocess.Popen(
        ["nice", *part.command] if part.lane in NICED else part.command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**ENVIRONMENT, **part.sizes},
    ) as process:
        assert process.stdout is not None
        if part.gives_way:
            _give_way(process.pid)
        said = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took, used = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    last_words = "\n".join(said.splitlines()[-LAST_WORDS:])
    return Row(name, took, used, part.budget, process.returncode, last_words), said


def _give_way(pid: int) -> None:
    """Let whoever wakes have the processor at once, and not when a slice is over.

    With two threads of a gateway that hand the interpreter's lock to and fro, slices add up.
    """
    with suppress(AttributeError, OSError):  # not Linux, or not allowed
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def _print_table(rows: list[Row], took: float) -> None:
    print(f"\n{'part':<14}{'took':>8}{'budget':>9}{'processor':>11}  result")
    for row in rows:
        print(f"{row.part:<14}{row.took:>6.1f} s{row.budget:>7} s{row.used:>9.1f} s  {row.result}")
    failed = [row for row in rows if row.code != 0]
    used = sum(row.used for row in rows)
    print(f"{'together':<14}{took:>6.1f} s{used:>18.1f} s")
    print(f"{len(rows) - len(failed)} passed, {len(failed)} failed")
    for row in failed:
        print(f"-- the end of {row.part}\n{row.last_words}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
