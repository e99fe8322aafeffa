"""Commits as fast as it can and says how far it got, until it is killed."""

import random
import sys
from pathlib import Path

from store.samples import batch, call, granted

from gateway.domain.bookings import Authority
from gateway.domain.state import put
from gateway.store.store import SqliteStore, StoreOptions

store = SqliteStore(Path(sys.argv[1]), StoreOptions(machine="m", ballast_bytes=0))
seq = store.open().head.seq
for number in range(1, 1_000_000):
    count = random.randint(1, 20)
    records = [call(), *[granted(door="d" * random.randint(1, 1500)) for _ in range(count - 1)]]
    # the last revision says how many records there are: both are there, or neither
    change = put(Authority("bookings", "e", seq + count))
    seq = store.commit(batch(number, records, [change])).seq
    store.journal.set_cursor("platform", seq // 2)
    print(seq, flush=True)
