"""A year of 100 facilities: the report by day and the hourly CSV, over HTTP, beside bare SQL.

3.5 million buckets. The gateway's API runs in a process of its own, over a real store; judged is
its processor time, as a ratio to bare sqlite3 with `GROUP BY` over the same table in the same run,
which writes the same columns with `csv` or `json` and knows nothing of days that have 23 hours,
of shares, or of reasons. Beside that, by how much the process grew.
"""

import asyncio
import csv
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from api.api_rig import FILE, api_site, served

from benchmarks.figures import Figure, emit
from benchmarks.processes import ROOT, cpu_s, rss_mb, running
from gateway.domain.site import Site
from gateway.domain.utilization import BUCKET_MS, STATES
from gateway.store.store import SqliteStore, StoreOptions

FACILITIES, DAYS = 100, 365
ZONE = "Europe/Berlin"
QUARTERS = DAYS * 96
DAY_MS, HOUR_MS = 96 * BUCKET_MS, 4 * BUCKET_MS
ADDED = (*(state.value for state in STATES), "energy_wh", "sessions", "visits", "no_shows")
LIMIT, GROWN_MB = 3.0, 40
PATH = "/api/v1/utilization"
START_MS = int(datetime(2025, 1, 1, tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)
FILL = f"""
    WITH RECURSIVE
        facility (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM facility WHERE n < {FACILITIES - 1}),
        quarter (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM quarter WHERE n < {QUARTERS - 1}),
        used AS MATERIALIZED (SELECT n, abs(random()) % {BUCKET_MS} AS ms FROM quarter)
    INSERT INTO bucket SELECT
        printf('room_%03d', facility.n), {START_MS} + used.n * {BUCKET_MS},
        used.n * {FACILITIES} + facility.n + 1, 1, 0, 0, used.ms, 0, 0, 0, 0, {BUCKET_MS} - used.ms,
        used.ms % 300, 1, 0, 0, iif(used.ms % 50, NULL, '{{"too_early": 1}}')
    FROM facility CROSS JOIN used"""


def site() -> Site:
    """A hundred rooms."""
    found = replace(api_site(), zone=ZONE)
    room = replace(found.facilities["study"], doors=(), sensors=())
    rooms = {id_: replace(room, id=id_) for n in range(FACILITIES) for id_ in [f"room_{n:03}"]}
    return replace(found, facilities=rooms)


def fill(folder: Path) -> None:
    """A store with a year of buckets."""
    store = SqliteStore(folder / FILE, StoreOptions(ballast_bytes=0))
    store.open()
    store.close()
    with sqlite3.connect(folder / FILE) as database:
        database.execute("PRAGMA synchronous=OFF")
        (index,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'bucket_number'")
        database.execute("DROP INDEX bucket_number")
        database.execute(FILL)
        database.execute(index[0])
    database.close()


async def serve(folder: Path) -> None:
    """Serve the API; say where, and the token to ask with."""
    async with served(folder, site()) as rig:
        print(json.dumps([str(rig.client.base_url), rig.tokens["platform"]]), flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[tuple[int, httpx.AsyncClient]]:
    """The API in a process of its own, and a client that may ask it."""
    command = [sys.executable, "-m", "benchmarks.reports", "serve", str(folder)]
    process = await asyncio.to_thread(subprocess.Popen, command, cwd=ROOT, stdout=subprocess.PIPE)
    with running(process):
        assert process.stdout is not None
        where, token = json.loads(await asyncio.to_thread(process.stdout.readline))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=where, headers=headers, timeout=60) as client:
            yield process.pid, client


async def ours(process: int, client: httpx.AsyncClient, **asked: str) -> tuple[float, float, int]:
    """Processor seconds of the gateway for a report, the megabytes it grew at most, its bytes."""
    year = {"from": "2025-01-01", "to": "2026-01-01", **asked}
    began, before, most, count = cpu_s(process), rss_mb(process), 0.0, 0
    async with client.stream("GET", PATH, params=year) as answer:
        assert answer.status_code == 200, answer
        async for part in answer.aiter_raw():
            count += len(part)
            most = max(most, rss_mb(process))
    return cpu_s(process) - began, most - before, count


def bare(file: Path, period_ms: int, write: Callable[[sqlite3.Cursor], None]) -> float:
    """Processor seconds of bare SQL for the same."""
    began = time.process_time()
    sums = ", ".join(f"sum({name})" for name in ADDED)
    with sqlite3.connect(file) as database:
        write(
            database.execute(
                f"SELECT facility, (start_ms - {START_MS}) / {period_ms}, {sums}, "
                "group_concat(refused) FROM bucket GROUP BY 1, 2"
            )
        )
    database.close()
    return time.process_time() - began


def as_json(rows: sqlite3.Cursor) -> None:
    """Write what was found as JSON."""
    with open(os.devnull, "w") as nowhere:
        nowhere.writelines(json.dumps(row) for row in rows)


def as_csv(rows: sqlite3.Cursor) -> None:
    """Write what was found as CSV."""
    with open(os.devnull, "w") as nowhere:
        csv.writer(nowhere).writerows(rows)


async def measure(folder: Path) -> None:
    """Both reports, and their peers."""
    fill(folder)
    async with gateway(folder) as (process, client):
        await ours(process, client, facility="room_000")  # what is loaded once is loaded
        for what, period_ms, write, asked in (
            ("by day, JSON", DAY_MS, as_json, {"bucket": "day"}),
            ("by hour, CSV", HOUR_MS, as_csv, {"bucket": "hour", "format": "csv"}),
        ):
            raw = bare(folder / FILE, period_ms, write)
            began = time.monotonic()
            took, grown, size = await ours(process, client, **asked)
            note = f"{time.monotonic() - began:.1f} s by the clock, {size / 1e6:.1f} MB of text"
            name = f"a year of {FACILITIES} facilities {what}, CPU"
            emit(
                Figure(name, took, "s", raw=raw, judged="ratio", at_most=LIMIT, note=note),
                Figure(f"the same, memory beyond idle, {what}", grown, "MB", at_most=GROWN_MB),
            )


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        main()
