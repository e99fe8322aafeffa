"""A system clock that a test sets, for the gateway's process alone."""

from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class Time:
    """What the gateway's system clock shows, and whether a time service vouches for it."""

    def __init__(self, folder: Path) -> None:
        self._shown, self._trust = folder / "shown", folder / "trust"
        self._later_s = 0
        self.show("+0", "synchronised")

    def environment(self) -> dict[str, str]:
        """What a process needs to see it."""
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._shown),
            "FAKETIME_NO_CACHE": "1",  # else what is set is vouched for before it is seen
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else a wait for the interpreter's lock spins
            "COMMONS_CLOCK": str(self._trust),
        }

    def show(self, shown: str, trust: str) -> None:
        """`@…` is a start, from which time goes on; `+0` is the truth."""
        said = [(self._shown, shown + "\n"), (self._trust, trust)]
        for path, text in said if trust == "synchronised" else reversed(said):
            whole = path.with_suffix(".new")
            whole.write_text(text)
            whole.replace(path)  # never half of it, and no wrong time is vouched for

    def later(self, seconds: int) -> None:
        """So much later than it was."""
        self._later_s += seconds
        self.show(f"+{self._later_s}", "synchronised")
