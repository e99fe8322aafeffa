"""The Clock: the system's time, with how far it can be believed.

`COMMONS_CLOCK` in the environment says what the system cannot: `synchronised` (whoever runs the
gateway vouches for the system's clock, for instance in a container or with a GPS receiver that the
kernel does not know of) or `untrusted` (never believe it), for the whole run; or the path of a file
that holds one of these words, and is read at each look (whatever else it holds is untrusted), for a
time service that says so itself. Trust is shown wherever it counts; unset, the kernel is asked.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Protocol

import structlog

from gateway.domain.events import ClockChanged
from gateway.domain.now import HOUR_MS, MINUTE_MS, Basis, ClockStanding, Now
from gateway.runtime.discipline import Discipline, Kept, Sample

log = structlog.get_logger()

OVERRIDE = "COMMONS_CLOCK"
_POLL_S = 1.0
_KEEP_EVERY_MS = 10 * MINUTE_MS  # a flash card wears by what is kept
_RTC_EVERY_MS = HOUR_MS
_RTC_AGREES_MS = 3_000  # it counts whole seconds


class TimeSource(Protocol):
    """The lowest door to time: what the operating system says.

    `word`: whose it is that the clock is synchronised or not.
    """

    word: Basis

    def mono_ms(self) -> int:
        """Monotonic milliseconds; they go on while the machine runs."""
        ...

    def clocks(self) -> tuple[int, int]:
        """(monotonic, UTC) milliseconds of one instant."""
        ...

    def synchronised(self) -> bool:
        """The system says that its clock is set by a time source now."""
        ...

    def rtc_ms(self) -> int | None:
        """UTC milliseconds of a hardware clock that runs without power, None if there is none."""
        ...

    def machine_boot(self) -> str:
        """The id of this boot of the machine, "" if not known."""
        ...


class SystemClock:
    """The Clock of a running gateway. `boot` is this process's own id."""

    def __init__(self, boot: str, source: TimeSource | None = None) -> None:
        self._boot = boot
        self._source = source or system_time()
        self._rtc = False
        self._rtc_read_ms: int | None = None
        self._kept_ms: int | None = None
        self._floor_ms: int | None = None
        self._discipline = Discipline(self._sample(), self._source.machine_boot())

    def now(self) -> Now:
        """This instant."""
        mono_ms, time_ = self._source.mono_ms(), self._discipline
        wall_ms, trust = time_.wall_ms(mono_ms), time_.trust(mono_ms)
        return Now(wall_ms, mono_ms, trust, self._boot, timeline=time_.timeline)

    def mono_ms(self) -> int:
        """Monotonic milliseconds, cheaper than `now`."""
        return self._source.mono_ms()

    def wall_ms(self) -> int:
        """UTC milliseconds, trusted or not."""
        return self._discipline.wall_ms(self._source.mono_ms())

    def standing(self) -> ClockStanding:
        """How far wall time is believed, why, and since when."""
        return self._discipline.standing(self._source.mono_ms())

    @property
    def machine(self) -> str:
        """The boot of the machine, "" if not known."""
        return self._source.machine_boot()

    def poll(self) -> ClockChanged | None:
        """Look at the system's time; what changed since the last look, if anything that matters."""
        return self._discipline.observe(self._sample())

    def remember(self, meta: Mapping[str, str]) -> ClockChanged | None:
        """Take up what an earlier process kept in the store's meta."""
        kept = _from_meta(meta)
        self._floor_ms = kept.floor_ms if kept is not None else None
        return self._discipline.remember(kept, self._sample()) if kept is not None else None

    def away_ms(self) -> int | None:
        """Since the last trusted time of an earlier process; None unless both ends are trusted."""
        now = self.now()
        if self._floor_ms is None or not now.trusted:
            return None
        return max(0, now.wall_ms - self._floor_ms)

    def keep(self, *, every_ms: int = 0) -> dict[str, str] | None:
        """What to put into the store's meta; None if nothing is trusted, or it was done lately."""
        mono_ms = self._source.mono_ms()
        if self._kept_ms is not None and mono_ms - self._kept_ms < every_ms:
            return None
        kept = self._discipline.kept(mono_ms)
        if kept is None:
            return None
        self._kept_ms = mono_ms
        return {_meta_name(name): str(value) for name, value in asdict(kept).items()}

    async def watch(
        self,
        changed: Callable[[ClockChanged], None],
        keep: Callable[[Mapping[str, str]], None],
        every_s: float = _POLL_S,
    ) -> None:
        """Poll for ever, tell changes, and have the last trusted time kept now and then."""
        while True:
            event = self.poll()
            if event is not None:
                log.warning("clock_changed", step_ms=event.step_ms, source=event.source)
                changed(event)
            worth = self.keep(every_ms=0 if event else _KEEP_EVERY_MS)
            if worth is not None:
                keep(worth)
            await asyncio.sleep(every_s)

    def _sample(self) -> Sample:
        mono_ms, wall_ms = self._source.clocks()
        due = self._rtc_read_ms is None or mono_ms - self._rtc_read_ms >= _RTC_EVERY_MS
        if due:
            self._rtc_read_ms = mono_ms
            rtc_ms = self._source.rtc_ms()
            self._rtc = rtc_ms is not None and abs(rtc_ms - wall_ms) < _RTC_AGREES_MS
        source = self._source
        return Sample(mono_ms, wall_ms, source.synchronised(), self._rtc, source.word)


def _meta_name(field: str) -> str:
    """What is true of this machine alone goes when the database moves to another."""
    return "machine_rtc" if field == "rtc" else f"clock_{field}"


def _from_meta(meta: Mapping[str, str]) -> Kept | None:
    try:
        return Kept(
            floor_ms=int(meta["clock_floor_ms"]),
            mono_ms=int(meta["clock_mono_ms"]),
            machine_boot=meta["clock_machine_boot"],
            error_ms=int(meta["clock_error_ms"]),
            rtc=meta.get("machine_rtc") == "True",
            timeline=int(meta["clock_timeline"]),
        )
    except (KeyError, ValueError):
        return None  # never kept


# --- the operating system -----------------------------------------------------------------------


class LinuxTime:
    """The kernel's clocks, its word on whether they are synchronised, and its hardware clock."""

    word = Basis.KERNEL

    def __init__(self, rtc: Path = Path("/sys/class/rtc/rtc0")) -> None:
        self._rtc = rtc
        self._kernel = ctypes.CDLL(None, use_errno=True)

    def mono_ms(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns() // 1_000_000

    def clocks(self) -> tuple[int, int]:
        """Both clocks, read again when something came between: that would look like a step."""
        for _ in range(5):
            before = time.monotonic_ns()
            wall = time.time_ns()
            after = time.monotonic_ns()
            if after - before < 20_000_000:
                break
        return (before + after) // 2_000_000, wall // 1_000_000

    def synchronised(self) -> bool:
        """adjtimex(2), which only reads with no modes set."""
        state = _Timex()
        try:
            found = self._kernel.adjtimex(ctypes.byref(state))
        except AttributeError:  # a system without it
            return False
        return found not in (-1, _TIME_ERROR) and not state.status & _STA_UNSYNC

    def rtc_ms(self) -> int | None:
        """The clock that set the system's at boot (`hctosys`): the one the kernel keeps right."""
        try:
            if (self._rtc / "hctosys").read_text().strip() != "1":
                return None
            return int((self._rtc / "since_epoch").read_text()) * 1000
        except (OSError, ValueError):
            return None

    def machine_boot(self) -> str:
        """The kernel's id of this boot."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""


class VouchedTime(LinuxTime):
    """The same clocks, believed or not as whoever runs the gateway says, or says in a file."""

    def __init__(self, said: bool | Path) -> None:
        super().__init__()
        self._said = said
        self.word = Basis.DISOWNED if said is False else Basis.VOUCHED

    def synchronised(self) -> bool:
        """What was said."""
        if isinstance(self._said, bool):
            return self._said
        try:
            return self._said.read_text().strip() == "synchronised"
        except OSError:
            return False

    def rtc_ms(self) -> int | None:
        """No hardware clock outweighs that word."""
        return None


def system_time(environment: Mapping[str, str] = os.environ) -> TimeSource:
    """The system's time, or as `COMMONS_CLOCK` says. Raises ValueError for what makes no sense."""
    said = environment.get(OVERRIDE, "")
    if not said:
        return LinuxTime()
    if "/" in said:
        return VouchedTime(Path(said))
    if said not in ("synchronised", "untrusted"):
        raise ValueError(f"{OVERRIDE}={said}: expected synchronised, untrusted, or a file's path")
    return VouchedTime(said == "synchronised")


_TIME_ERROR = 5
_STA_UNSYNC = 0x40
_LONG = ctypes.c_long


class _Timex(ctypes.Structure):
    """`struct timex` of <sys/timex.h>."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        *((name, _LONG) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, _LONG) for name in ("constant", "precision", "tolerance", "sec", "usec", "tick")),
        *((name, _LONG) for name in ("ppsfreq", "jitter")),
        ("shift", ctypes.c_int),
        *((name, _LONG) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")),
        ("tai", ctypes.c_int),
        ("room", ctypes.c_int * 44),
    ]
