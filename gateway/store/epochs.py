"""Epochs: random, new with every empty folder, restore, or other machine (RULES U1)."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from gateway.domain.records import chain_start
from gateway.store.rows import Head
from gateway.store.tables import epoch, gap, journal, meta

Randomness = Callable[[int], bytes]


class Span(NamedTuple):
    """The rows of one epoch: numbers after `base`, up to `end` (None: it goes on)."""

    epoch: str
    base: int
    end: int | None

    def holds(self, number: ColumnElement[int], after: int = 0) -> ColumnElement[bool]:
        """The condition that a row number is of this epoch, and after a seq of it.

        One lower bound: of two, SQLite would seek by the first and filter by the other.
        """
        beyond = number > self.base + after
        return beyond if self.end is None else and_(beyond, number <= self.end)


def spans(connection: Connection) -> list[Span]:
    """All epochs, oldest first."""
    found = connection.execute(select(epoch.c.epoch, epoch.c.base).order_by(epoch.c.ordinal)).all()
    ends: list[int | None] = [row.base for row in found[1:]]
    return [Span(row.epoch, row.base, end) for row, end in zip(found, [*ends, None], strict=False)]


def find_head(connection: Connection) -> Head | None:
    """Where the journal ends, whether that row still is or was dropped; None without an epoch."""
    newest = connection.execute(
        select(epoch.c.epoch, epoch.c.base).order_by(epoch.c.ordinal.desc())
    ).first()
    if newest is None:
        return None
    number, chain = _last_row(connection)
    if number == newest.base:
        chain = chain_start(newest.epoch)
    return Head(newest.epoch, newest.base, number, chain)


def ensure_epoch(connection: Connection, machine: str, randomness: Randomness) -> Head:
    """The head of the epoch to go on with on this machine, which may have to begin."""
    newest = connection.execute(select(epoch).order_by(epoch.c.ordinal.desc())).first()
    mine = _machine_digest(machine)
    if newest is None:
        return begin_epoch(connection, "new", randomness, machine)
    if mine and not newest.machine:
        own = update(epoch).where(epoch.c.ordinal == newest.ordinal)
        connection.execute(own.values(machine=mine))
    elif mine and newest.machine != mine:
        return begin_epoch(connection, "moved", randomness, machine)
    head = find_head(connection)
    assert head is not None
    return head


def begin_epoch(
    connection: Connection, origin: str, randomness: Randomness, machine: str = ""
) -> Head:
    """Begin an epoch after all rows there are. Without a machine the next one may take it.

    What meta knows of the machine it was on (`machine_…`) is true no longer.
    """
    ordinal = len(spans(connection)) + 1
    number, _ = _last_row(connection)
    begun = randomness(8).hex()
    row = (ordinal, begun, number, _machine_digest(machine), origin)
    connection.execute(insert(epoch).values(row))
    connection.execute(delete(meta).where(meta.c.name.startswith("machine_", autoescape=True)))
    return Head(begun, number, number, chain_start(begun))


def origin_of(connection: Connection) -> str:
    """Why the newest epoch began: new, restored or moved."""
    newest = select(epoch.c.origin).order_by(epoch.c.ordinal.desc()).limit(1)
    return str(connection.execute(newest).scalar())


def _machine_digest(machine: str) -> str:
    """What is kept of a machine's id, which is nobody else's business."""
    return hashlib.sha256(f"commons-gateway:{machine}".encode()).hexdigest()[:32] if machine else ""


def _last_row(connection: Connection) -> tuple[int, bytes]:
    newest = select(journal.c.number, journal.c.chain).order_by(journal.c.number.desc()).limit(1)
    dropped = select(gap.c.last, gap.c.chain).order_by(gap.c.last.desc()).limit(1)
    ends = [(row[0], row[1]) for one in (newest, dropped) for row in connection.execute(one)]
    return max(ends, default=(0, b""))
