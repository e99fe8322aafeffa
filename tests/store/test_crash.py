"""`kill -9` of a real writer, and logs torn by a power cut: nothing acknowledged is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from store.samples import batch, granted

from gateway.domain.bookings import Authority
from gateway.domain.state import put
from gateway.store.store import SqliteStore, StoreOptions
from gateway.store.verify import verify

OPTIONS = StoreOptions(machine="m", ballast_bytes=0)

WRITER = Path(__file__).with_name("crash_writer.py")


def killed_writer(path: Path, after_lines: int) -> int:
    """Kill a writer in the midst of its work; the last position it had acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, str(WRITER), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout is not None
    acknowledged = 0
    for line, said in enumerate(writer.stdout):
        acknowledged = int(said)
        if line == after_lines:
            # not at the acknowledgement itself, but some way into the next commits
            threading.Timer(random.uniform(0, 0.003), writer.send_signal, [signal.SIGKILL]).start()
    assert writer.wait() == -signal.SIGKILL
    return acknowledged


def test_kill_9_in_a_loop_loses_nothing_that_was_acknowledged(path: Path) -> None:
    head_before = 0
    for turn in range(4):
        acknowledged = killed_writer(path, after_lines=10 + 29 * turn)
        assert acknowledged > head_before
        store = SqliteStore(path, OPTIONS)
        loaded = store.open()
        assert loaded.head.seq >= acknowledged
        assert loaded.head.seq <= acknowledged + 20  # no more than the one commit in flight
        assert loaded.entities == (Authority("bookings", "e", loaded.head.seq),)
        assert 0 < store.journal.cursor("platform") <= loaded.head.seq // 2
        head_before = loaded.head.seq
        store.close()
    verdict = verify(path)
    assert (verdict.whole, verdict.records) == (True, head_before)


@pytest.mark.parametrize("seed", range(6))
def test_a_torn_log_ends_at_a_whole_batch(path: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    store = SqliteStore(path, OPTIONS)
    store.open()
    ends = {0}
    for number in range(1, 40):
        records = [granted(door="d" * 400)] * chance.randint(1, 9)
        change = put(Authority("bookings", "e", max(ends) + len(records)))
        ends.add(store.commit(batch(number, records, [change])).seq)
    cut = tmp_path / "cut"
    cut.mkdir()
    log = shutil.copy(f"{path}-wal", cut)
    shutil.copy(path, cut)
    with open(log, "r+b") as file:
        at = chance.randrange(Path(log).stat().st_size)
        file.truncate(at)
        file.seek(max(0, at - 100))
        file.write(chance.randbytes(chance.randint(0, 5000)))
    store.close()
    torn = SqliteStore(cut / "gateway.db", OPTIONS)
    loaded = torn.open()
    assert loaded.head.seq in ends
    held = {entity.revision for entity in loaded.entities if isinstance(entity, Authority)}
    assert held == ({loaded.head.seq} if loaded.head.seq else set())
    assert torn.commit(batch(1, [granted()])).seq == loaded.head.seq + 1
    torn.close()
    assert verify(cut / "gateway.db").whole
