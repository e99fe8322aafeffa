"""Processes that are measured: what they have used, and the gateway as one of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILE = ROOT / "config" / "deploy" / "compile.py"
STOP_S = 10.0


def cpu_s(process: int) -> float:
    """CPU seconds of every thread of a living process so far."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def rss_mb(process: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def as_on_site(bytecode: Path) -> None:
    """From now on processes run as an installation has it, with bytecode of their own there."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(bytecode)
    os.environ["COMMONS_CLOCK"] = "synchronised"
    subprocess.run([sys.executable, "-X", "no_debug_ranges", COMPILE], check=True)


def gateway(site: Path, data: Path) -> "subprocess.Popen[bytes]":
    """Start `python -m gateway`, with its log beside its data."""
    command = [sys.executable, "-m", "gateway", "--demo", "--site", str(site), "--data", str(data)]
    with data.with_suffix(".log").open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


@contextmanager
def running(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Stop it in the end."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], object], timeout_s: float = 20.0, what: str = "it") -> None:
    """Wait until something is so. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come in {timeout_s:g} s")
        time.sleep(0.02)
