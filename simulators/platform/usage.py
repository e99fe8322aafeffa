"""What a platform knows of how facilities were used: buckets that it pulled, or added up itself.

Under one epoch a higher revision of a bucket replaces a lower one; what comes under a new epoch
replaces what came under those before. So any page may come late, or twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from simulators.platform.ledger import Entry

CHANGES = "/api/v1/utilization/changes"
_CLOSED, _AMENDED = "utilization.bucket", "utilization.amended"
_COUNTED = ("energy_wh", "sessions", "visits", "no_shows")

Key = tuple[str, int]  # a facility, and when its quarter of an hour begins
Bucket = dict[str, Any]
Page = dict[str, Any]


class Kept(NamedTuple):
    """A bucket as it came last, and under which epoch."""

    epoch: str
    bucket: Bucket


@dataclass(slots=True)
class PullFaults:
    """What goes wrong with the answers to the next requests."""

    lost: int = 0  # so many never come, though they were given
    late: int = 0  # so many come after all that were asked for later


@dataclass(slots=True)
class Puller:
    """Keeps one gateway's buckets, by asking for what changed since its cursor."""

    limit: int = 1_000
    cursor: str = ""
    epoch: str = ""
    left: set[str] = field(default_factory=set)  # epochs that were followed by another
    kept: dict[Key, Kept] = field(default_factory=dict)
    faults: PullFaults = field(default_factory=PullFaults)
    repeats: int = 0
    _late: list[Page] = field(default_factory=list)

    async def pull(self, gateway: httpx.AsyncClient) -> None:
        """Ask until there is no more. Raises httpx.HTTPError; then the cursor is where it was."""
        more = True
        while more:
            page = await self._ask(gateway)
            self.take(page)
            more = page["more"]
        for page in self._late:
            self.take(page)
        self._late.clear()

    def take(self, page: Page) -> None:
        """Keep what a page holds, if it is not of an epoch that is over."""
        epoch = page["epoch"]
        if epoch in self.left:
            return
        if self.epoch and epoch != self.epoch:
            self.left.add(self.epoch)
        self.epoch = epoch
        for bucket in page["buckets"]:
            key = bucket["facility"], bucket["start_ms"]
            known = self.kept.get(key)
            if known and known.epoch == epoch and known.bucket["revision"] >= bucket["revision"]:
                self.repeats += 1
            else:
                self.kept[key] = Kept(epoch, bucket)
        self.cursor = page["next_after"]

    async def _ask(self, gateway: httpx.AsyncClient) -> Page:
        asked: dict[str, str | int] = {"after": self.cursor, "limit": self.limit}
        answer = (await gateway.get(CHANGES, params=asked)).raise_for_status()
        page: Page = answer.json()
        if self.faults.lost or self.faults.late:
            if self.faults.lost:
                self.faults.lost -= 1
            else:
                self.faults.late -= 1
                self._late.append(page)
            raise httpx.ReadTimeout("no answer came", request=answer.request)
        return page


def added_up(entries: Iterable[Entry]) -> dict[Key, Bucket]:
    """The buckets that journal records speak of: counts add up, the latest times count."""
    found: dict[Key, Bucket] = {}
    for entry in entries:
        if entry.fact in (_CLOSED, _AMENDED):
            said = entry.data
            key = said["facility"], said["start_ms"]
            _add(found.setdefault(key, _nothing(*key)), said)
    return found


def _nothing(facility: str, start_ms: int) -> Bucket:
    counts = {**dict.fromkeys(_COUNTED, 0), "refused": {}}
    key = {"facility": facility, "start_ms": start_ms}
    return {**key, "revision": 0, "spent_ms": {}, "counts": counts}


def _add(bucket: Bucket, said: dict[str, Any]) -> None:
    bucket["revision"] += 1
    bucket["spent_ms"] = said.get("spent_ms", bucket["spent_ms"])
    counts = bucket["counts"]
    for name in _COUNTED:
        counts[name] += said.get(name, 0)
    for code, times in said.get("refused", {}).items():
        counts["refused"][code] = counts["refused"].get(code, 0) + times
