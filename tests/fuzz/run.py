"""Fuzz one target, or all in turn: `python tests/fuzz/run.py [target …]`.

atheris mutates what is kept and what the seeds say, by what code it reaches, for `PROOF_FUZZ_S`
seconds a target. `--keep` adds what it found to what is kept. An input that raises is printed and
laid in `/tmp`; add it to the corpus with the correction of what it found.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
INPUT_MAX = 1_000


def main(asked: list[str]) -> int:
    """Run the targets; how many of them raised."""
    sys.path[:0] = [str(ROOT), str(TESTS)]
    from fixtures.sizes import size  # noqa: PLC0415 (after the path to it)
    from fuzz.corpus import keep, kept  # noqa: PLC0415
    from fuzz.seeds import seeds  # noqa: PLC0415
    from fuzz.targets import TARGETS  # noqa: PLC0415

    seconds, failed = size("fuzz_s", 60), 0
    for name in [one for one in asked if one in TARGETS] or TARGETS:
        with tempfile.TemporaryDirectory() as temporary:
            folder, begun = Path(temporary), {*seeds(name), *kept(name)}
            for number, data in enumerate(begun):
                (folder / str(number)).write_bytes(data)
            began = time.monotonic()
            code, runs = _fuzz(name, folder, f"-max_total_time={seconds}")
            took = time.monotonic() - began
            print(f"{name:<18}{runs:>9} inputs in {took:.0f} s: {'raised' if code else 'ok'}")
            failed += bool(code)
            if "--keep" in asked and not code:
                found = {one.read_bytes() for one in folder.iterdir()} - {*seeds(name)}
                print(f"{keep(name, found)} kept")
    return failed


def _fuzz(name: str, folder: Path, *options: str) -> tuple[int, str]:
    """Run atheris in a process of its own; its exit code, and how many inputs it ran."""
    command = [sys.executable, __file__, "--target", name, str(folder), *options]
    command += [f"-max_len={INPUT_MAX}", "-artifact_prefix=/tmp/", "-rss_limit_mb=1000"]
    done = subprocess.run(
        command, cwd=TESTS, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        print(done.stdout[-3_000:], done.stderr[-3_000:])
    runs = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("Done ")]
    return done.returncode, runs[-1] if runs else "?"


def fuzz(name: str, options: list[str]) -> None:
    """Never returns: atheris ends the process."""
    import atheris  # noqa: PLC0415 (where there is one)

    sys.path[:0] = [str(ROOT), str(TESTS)]
    rooms = ("drivers", "config", "gateway.uplink", "gateway.core", "gateway.store.rows")
    with atheris.instrument_imports(include=list(rooms)):
        from fuzz.targets import TARGETS  # noqa: PLC0415

    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--target"]:
        os.environ["COMMONS_CLOCK"] = "synchronised"
        fuzz(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))
