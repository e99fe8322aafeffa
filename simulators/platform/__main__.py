"""A platform in a process of its own: `python -m simulators.platform --port 1883 --gateway NAME`.

It writes one JSON line for every record, answer and alarm, and takes commands on standard input:
`offline`, `online`, or a method of `Platform` with its arguments as a JSON list, such as
`book ["b1", "study_room", ["ada"], [1767261600000, 1767265200000]]`.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from simulators.platform.service import Address, Platform

_METHODS = ("book", "cancel", "subject", "right", "snapshot", "command")


async def main(arguments: argparse.Namespace) -> None:
    """Serve until standard input ends or somebody interrupts."""
    platform = Platform(Address(arguments.port, arguments.host), arguments.gateway)
    async with platform:
        told = asyncio.create_task(_tell(platform))
        try:
            await _obey(platform)
        finally:
            told.cancel()


async def _tell(platform: Platform) -> None:
    """Write what is new, for ever."""
    ledger, cover = platform.ledger, platform.cover
    sources: dict[str, Callable[[], list[Any]]] = {
        "record": lambda: [_record(entry) for entry in ledger.records],
        "answer": lambda: platform.answers,
        "alarm": lambda: cover.alarms,
        "problem": lambda: ledger.problems,
    }
    written = dict.fromkeys(sources, 0)
    while True:
        for name, found in sources.items():
            news = found()
            for each in news[written[name] :]:
                _write({name: each})
            written[name] = len(news)
        await asyncio.sleep(0.2)


async def _obey(platform: Platform) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, _, rest = line.strip().partition(" ")
        try:
            if name in ("offline", "online"):
                await getattr(platform, name)()
            elif name in _METHODS:
                getattr(platform, name)(*json.loads(rest or "[]"))
            elif name:
                _write({"error": f"expected one of offline, online, {', '.join(_METHODS)}"})
        except (TypeError, ValueError) as error:
            _write({"error": str(error)})


def _record(entry: Any) -> dict[str, Any]:
    return {"seq": entry.seq, "fact": entry.fact, "data": entry.data}


def _write(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m simulators.platform", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--gateway", required=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
