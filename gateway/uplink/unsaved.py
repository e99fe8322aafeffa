"""Facts that no store holds: sent up marked so, while the store is lost (RULES X1).

They come again in the journal once a store takes them; until then the platform's word on them
moves nothing. Every connection, and a platform that (re)starts, gets all that are still unsaved;
the platform knows them by id.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from gateway.domain.now import Now
from gateway.ports import Stamped
from gateway.uplink.envelope import batch, head

BATCH_RECORDS = 100


class Unsaved:
    """What of the unsaved records was not sent yet."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._sent = -1  # the serial of the last decision that was sent

    def restart(self) -> None:
        """Send everything again: a connection or the platform is new."""
        self._sent = -1

    def batches(self, records: Sequence[Stamped]) -> Iterator[bytes]:
        """The batches to send now, calls first."""
        fresh = list(_numbered(record for record in records if record.now.serial > self._sent))
        fresh.sort(key=lambda each: not each[1].record.urgent)
        for start in range(0, len(fresh), BATCH_RECORDS):
            part = fresh[start : start + BATCH_RECORDS]
            yield batch(self._event(ordinal, stamped) for ordinal, stamped in part)
        self._sent = max((stamped.now.serial for _, stamped in fresh), default=self._sent)

    def _event(self, ordinal: int, stamped: Stamped) -> bytes:
        now, record = stamped.now, stamped.record
        envelope = head(self._gateway, _id(now, ordinal), record.fact, now.wall_ms)
        data = {"durable": False, "record": _record(stamped), "personal": record.personal or None}
        whole = {**envelope, "data": data}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def _id(now: Now, ordinal: int) -> str:
    return f"{now.boot}:{now.serial}:{ordinal}"


def _record(stamped: Stamped) -> dict[str, object]:
    """As it will be in the journal."""
    now = stamped.now
    return {
        "type": stamped.record.fact.value,
        "at_ms": now.wall_ms,
        "mono_ms": now.mono_ms,
        "boot": now.boot,
        "trust": now.trust.value,
        "timeline": now.timeline,
        "data": dict(stamped.record.data),
    }


def _numbered(records: Iterable[Stamped]) -> Iterator[tuple[int, Stamped]]:
    """Each record with its place among those of its decision."""
    serial, ordinal = -1, 0
    for record in records:
        ordinal = ordinal + 1 if record.now.serial == serial else 0
        serial = record.now.serial
        yield ordinal, record
