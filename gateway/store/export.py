"""The journal as JSON lines, for people and their tools."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select

from gateway.store.database import reader_engine, storage_errors
from gateway.store.epochs import Span, spans
from gateway.store.rows import JournalRow
from gateway.store.tables import journal


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records, and whether with their personal fields.

    `facts` are kinds or beginnings of kinds (`call.`). Times are half-open, UTC ms.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    facts: tuple[str, ...] = ()
    after: int = 0  # seq, of the newest epoch
    personal: bool = False


def export(path: Path, selection: Selection | None = None) -> Iterator[str]:
    """One line a record, oldest first. Raises StoreError.

    A payload is canonical: written with sorted keys and no spaces it is what was hashed.
    """
    chosen = selection or Selection()
    engine = reader_engine(path)
    try:
        with storage_errors("export", path), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            streamed = connection.execution_options(yield_per=500)
            for span in spans(connection):
                wanted = select(journal).where(*_conditions(span, chosen))
                for row in streamed.execute(wanted.order_by(journal.c.number)):
                    yield _line(JournalRow(*row), span, chosen.personal)
    finally:
        engine.dispose()


def _conditions(span: Span, chosen: Selection) -> Iterator[ColumnElement[bool]]:
    if span.end is not None and chosen.after:
        yield false()
    yield span.holds(journal.c.number, chosen.after)
    if chosen.from_ms is not None:
        yield journal.c.at_ms >= chosen.from_ms
    if chosen.to_ms is not None:
        yield journal.c.at_ms < chosen.to_ms
    if chosen.facts:
        yield or_(*(journal.c.fact.startswith(fact, autoescape=True) for fact in chosen.facts))


def _line(row: JournalRow, span: Span, personal: bool) -> str:
    line: dict[str, Any] = {
        "epoch": span.epoch,
        "seq": row.number - span.base,
        "fact": row.fact,
        "urgent": bool(row.urgent),
        "payload": _json(row.payload),
        "payload_digest": row.payload_digest.hex(),
        "personal_digest": row.personal_digest.hex() if row.personal_digest else None,
        "chain": row.chain.hex(),
    }
    if personal:
        line["personal"] = _json(row.personal)
        line["salt"] = row.salt.hex() if row.salt else None
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _json(text: bytes | None) -> Any:
    return None if text is None else json.loads(text)
