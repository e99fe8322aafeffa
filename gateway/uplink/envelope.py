"""Journal records as CloudEvents 1.0 in structured JSON batches.

A record's payload goes up as the very bytes that were hashed: they are JSON already, in the
canonical form of RFC 8785, and are spliced into the envelope without being parsed again.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from gateway.domain.records import Fact, JournalRecord

BATCH_TYPE = "application/cloudevents-batch+json"
_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST_MS = 253_402_300_799_999  # the end of the year 9999, where RFC 3339 ends


def event(gateway: str, record: JournalRecord, dropped_from: int | None = None) -> bytes:
    """One record as a structured CloudEvent. Records from `dropped_from` up to it are no more."""
    epoch, seq = record.position
    envelope = head(gateway, f"{epoch}:{seq}", record.fact, record.at_ms)
    proof = {
        "epoch": epoch,
        "seq": seq,
        "digest": record.payload_digest.hex(),
        "personal_digest": record.personal_digest.hex(),
        "salt": record.salt.hex() if record.salt is not None else None,
        "chain": record.chain.hex(),
        "dropped_from": dropped_from,
    }
    return b"".join(
        (
            _members({**envelope, "sequence": f"{seq:020d}"}),
            b',"data":',
            _members(proof),
            b',"record":',
            record.payload or b"null",
            b',"personal":',
            record.personal or b"null",
            b"}}",
        )
    )


def head(gateway: str, name: str, fact: Fact, at_ms: int) -> dict[str, str]:
    """The members of an envelope, without its data."""
    return {
        "specversion": "1.0",
        "id": name,
        "source": f"/commons/{gateway}",
        "type": f"commons.{fact.value}",
        "time": _rfc3339(at_ms),
        "datacontenttype": "application/json",
    }


def batch(events: Iterable[bytes]) -> bytes:
    """Events as one batch."""
    return b"[" + b",".join(events) + b"]"


def fill(
    gateway: str, records: Iterable[JournalRecord], bytes_max: int, after: int | None = None
) -> tuple[list[int], bytes]:
    """The first records that fit, at least one: their seqs, and the batch.

    With `after`, the records follow that one, and a number that is missing was dropped at its time.
    """
    events: list[bytes] = []
    seqs: list[int] = []
    size = 2
    for record in records:
        seq = record.position.seq
        missing = after is not None and seq > after + 1
        each = event(gateway, record, after + 1 if after is not None and missing else None)
        if events and size + len(each) + 1 > bytes_max:
            break
        events.append(each)
        seqs.append(seq)
        size += len(each) + 1
        after = seq if after is not None else None
    return seqs, batch(events)


def _members(values: Mapping[str, object]) -> bytes:
    """A JSON object that is still open at its end."""
    return json.dumps(values, separators=(",", ":")).encode()[:-1]


def _rfc3339(at_ms: int) -> str:
    stamp = _EPOCH + timedelta(milliseconds=min(max(at_ms, 0), _LAST_MS))
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
