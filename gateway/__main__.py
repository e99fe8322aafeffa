"""`python -m gateway`: the daemon itself, with nothing imported that it does not need.

`commons run` is the same for people; it puts this in its own place.
"""

import argparse
import asyncio
import ctypes
import gc
import signal
import sys
from pathlib import Path
from types import ModuleType

# What is loaded now stays for good: to search it for garbage would make every start longer.
gc.disable()
# Two libraries take others along where they can be had, and say that they do without: structlog
# rich, for tracebacks on a terminal, and fastapi the pydantic of old, for models of that kind.
for unwanted in ("rich", "pydantic.v1"):
    sys.modules.setdefault(unwanted, None)  # type: ignore[arg-type]  # None: not to be imported
# uvicorn always takes its command line along, and that its supervisors: 1.4 MB for nothing here.
unwanted_command = ModuleType("uvicorn.main")
vars(unwanted_command).update(dict.fromkeys(("Server", "main", "run")))
sys.modules.setdefault(unwanted_command.__name__, unwanted_command)

import uvloop  # noqa: E402 (after the lines above)

from gateway.bootstrap import Gateway, Options  # noqa: E402
from gateway.domain.errors import ConfigError, GatewayError  # noqa: E402
from gateway.logs import configure  # noqa: E402

REFUSED, WRONG_SITE = 1, 2
M_ARENA_MAX = -8  # of mallopt(3)
TRIM_EVERY_S = 30.0


def main() -> int:
    """Run the gateway of a site until it is told to stop; the exit code."""
    parser = argparse.ArgumentParser("gateway", description=main.__doc__)
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--log", default="info")
    parser.add_argument("--demo", action="store_true", help="allow what is fit for a demo only")
    asked = parser.parse_args()
    _share_one_heap()
    configure(asked.log)
    try:
        uvloop.run(_serve(Options(asked.site, asked.data, demo=asked.demo)))
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 (what a person must read)
        return WRONG_SITE
    except GatewayError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return REFUSED
    return 0


def _share_one_heap() -> None:
    """All threads take memory from one heap: with one for each, each costs half a megabyte."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has no such heaps
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


async def _serve(options: Options) -> None:
    gateway = Gateway(options)
    gc.freeze()  # nor is it searched later, while somebody presses a button
    gc.enable()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, gateway.reload)
    trimming = asyncio.create_task(_trim_heap())
    try:
        await gateway.serve(stop)
    finally:
        trimming.cancel()


async def _trim_heap() -> None:
    """What a busy moment needed goes back to the machine: a trim takes 0.2 ms."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
    while trim is not None:
        await asyncio.sleep(TRIM_EVERY_S)
        trim(0)


if __name__ == "__main__":
    sys.exit(main())
