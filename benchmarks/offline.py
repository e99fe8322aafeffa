"""A gateway that was cut off for 30 days, with 5,000 records a day: how big it grew, how it drains.

The records lie in a real store, of the kinds and sizes that a compound makes. Then the platform is
there: a real broker, the uplink as on site, and a platform that books, verifies and acknowledges.
Amid the backlog somebody presses a button, several times: the call must not wait for its turn.
Gateway and platform share this process, so the platform's verifying is in the time as well.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fixtures.broker import Broker
from fixtures.clock import MachineClock
from uplink_rig import Rig, gateway, platform

from benchmarks.figures import Figure, emit
from gateway.domain.calls import Call, CallOutcome
from gateway.domain.events import Actor, CallAcknowledged, CallCleared, PointEdge
from gateway.domain.now import DAY_MS, Now, Trust
from gateway.domain.points import PointRef
from gateway.domain.records import Fact, Record
from gateway.domain.subjects import Role
from gateway.domain.utilization import BUCKET_MS
from gateway.ports import Batch, Stamped
from gateway.store.store import SqliteStore, StoreOptions
from simulators.platform import Entry, Platform

DAYS, RECORDS_A_DAY, TOGETHER = 30, 5_000, 250
CALLS = 5
FOLDER_MB, DRAINED_S, CALL_S = 512, 15 * 60, 5
FILE = "journal.db"
DESK = Actor("Dora", Role.DESK)


def happened(number: int, wall_ms: int) -> Record:
    """One of the things that happen all day."""
    facility, subject = f"room_{number % 20}", {"subject": f"3f0c8e5a-{number % 900:04}"}
    booking = f"booking-{number // 7:08}"
    match number % 5:
        case 0:
            start = wall_ms // BUCKET_MS * BUCKET_MS
            spent = {"in_use_booked": number % BUCKET_MS, "idle": BUCKET_MS - number % BUCKET_MS}
            data = {"facility": facility, "start_ms": start, "spent_ms": spent, "visits": 1}
            return Record(Fact.BUCKET_CLOSED, data)
        case 1:
            data = {"door": facility, "basis": booking, "clock_uncertain": False}
            return Record(Fact.GRANTED, data, subject)
        case 2:
            data = {"visit": f"visit-{number:08}", "facility": facility, "booking": booking}
            return Record(Fact.VISIT_OPENED, data, subject)
        case 3:
            why = {"code": "too_early", "en": "It begins at 09:15.", "zh": "预订于09:15开始。"}
            return Record(Fact.REFUSED, {"door": facility, "reason": why}, subject)
        case _:
            return Record(Fact.PRESENCE_BEGAN, {"facility": facility})


def batches() -> Iterator[Batch]:
    """Thirty days of them."""
    clock = MachineClock()
    count, first_ms = DAYS * RECORDS_A_DAY, clock.wall_ms() - DAYS * DAY_MS
    for batch in range(count // TOGETHER):
        stamped = []
        for number in range(batch * TOGETHER, (batch + 1) * TOGETHER):
            wall_ms = first_ms + number * DAY_MS // RECORDS_A_DAY
            now = Now(wall_ms, wall_ms - first_ms, Trust.SYNCHRONISED, "boot")
            stamped.append(Stamped(happened(number, wall_ms), now))
        yield Batch(batch + 1, tuple(stamped), ())


def cut_off(folder: Path) -> float:
    """Fill a data folder; its megabytes, ballast included."""
    store = SqliteStore(folder / FILE, StoreOptions())
    store.open()
    for batch in batches():
        store.commit(batch)
    size = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
    store.close()
    return size / 1024 / 1024


async def drained(folder: Path, port: int) -> tuple[float, list[float]]:
    """Seconds until the platform has everything, and until it knew of each call amid that."""
    async with platform(port) as desk, gateway(folder, port, resend_ms=10_000) as rig:
        began, waited = time.monotonic(), []
        for call in range(CALLS):
            share = DAYS * RECORDS_A_DAY * call // (CALLS + 1)
            await desk.until(lambda p, share=share: len(p.records) >= share, DRAINED_S)
            waited.append(await called(desk, rig))
        behind = rig.store.journal.head().seq - len(desk.records)
        assert behind > RECORDS_A_DAY, "the calls came when all was sent"
        await desk.until(lambda _: rig.cursor() == rig.engine.head.seq, DRAINED_S)
        took = time.monotonic() - began
        assert len(desk.records) >= DAYS * RECORDS_A_DAY
        assert desk.problems == []
        return took, waited


async def called(desk: Platform, rig: Rig) -> float:
    """Seconds from a press until the platform knows of the call; then it is cleared."""
    began = time.monotonic()
    for pressed in (True, False):
        await rig.note(PointEdge(PointRef.parse("board/input_3"), pressed))
    (call,) = [one.id for one in rig.state.all(Call) if one.open]
    await desk.until(lambda p: any(one.data.get("call") == call for one in ahead(p)), 60)
    took = time.monotonic() - began
    for event in (CallAcknowledged(call, DESK), CallCleared(call, DESK, CallOutcome.FALSE)):
        reply = await rig.engine.ask(event)
        assert reply.accepted, reply
    return took


def ahead(desk: Platform) -> list[Entry]:
    """What came ahead of the backlog."""
    return desk.ledger.calls_ahead


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "data"
        folder.mkdir()
        size = cut_off(folder)
        broker = Broker(Path(temporary) / "broker")
        broker.start()
        try:
            took, waited = asyncio.run(drained(folder, broker.port))
        finally:
            broker.kill()
    rate = DAYS * RECORDS_A_DAY / took
    days = f"{DAYS} days offline, {RECORDS_A_DAY:,} records each"
    emit(
        Figure(f"{days}: data folder", size, "MB", at_most=FOLDER_MB),
        Figure("the same drained", took, "s", at_most=DRAINED_S, note=f"{rate:,.0f} records/s"),
        Figure("a call amid it known to the platform, worst", max(waited), "s", at_most=CALL_S),
    )


if __name__ == "__main__":
    main()
