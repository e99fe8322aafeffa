"""What must add up in a world: the journal as it arrives, buckets, and energy to the watt-hour.

Rules: as the auditor's. Sums are made of what the gateway told, and held against what flowed.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.domain.charging import ChargingSession, MeterKind, MeterStatus
from gateway.domain.now import HOUR_MS, MINUTE_MS, Now
from gateway.domain.records import Fact, Record
from gateway.domain.state import State
from gateway.store.rows import JournalRow
from simulators.models.connectors import Connector
from simulators.witness import Witness

if TYPE_CHECKING:
    from simulators.world import World

BUCKET_MS = 15 * MINUTE_MS
UNSEEN_WH = 3_000
STORM = 100  # facts of one kind about one thing in an hour
_ABOUT = ("fault", "booking", "session", "call", "visit", "grant", "facility", "door", "command")


class Books(Witness):
    """Every record, every quarter of an hour, every watt-hour."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._hour = 0
        self._told: Counter[tuple[Fact, str]] = Counter()  # in this hour
        self._taken = 0
        self._chain = hashlib.sha256(world.disk.epoch.encode()).digest()
        self._buckets: set[tuple[str, int]] = set()
        self._energy: Counter[str] = Counter()  # by outlet, as told
        self._begun: Counter[str] = Counter()  # sessions: a register of each loses its last part
        self._counted: Counter[str] = Counter()  # by outlet, before its register was reset
        self._resets: Counter[str] = Counter()
        self._before = {f: c.energy_wh for f, c in world.place.town.outlets.items()}
        self._unsaved: dict[str, tuple[float, float]] = {}  # energy and register when that began
        self._forgotten: Counter[str] = Counter()  # by outlet, with a process that could not save
        self._outlets = {id(c): f for f, c in world.place.town.outlets.items()}
        world.platform.took.append(self.took)

    def decided(self, records: Iterable[Record], now: Now) -> None:
        """Facts as they are decided, durable or not."""
        for record in records:
            self._count(record, now)
            check, note = _CHECKS.get(record.fact), _NOTES.get(record.fact)
            if check is not None:
                check(self, record.data, now)
            if note is not None:
                note(self, record.data)

    def _count(self, record: Record, now: Now) -> None:
        """No fact is told of one thing again and again."""
        data = record.data
        about = next((str(data[key]) for key in _ABOUT if key in data), "")
        hour, key = now.mono_ms // HOUR_MS, (record.fact, about)
        if hour != self._hour:
            self._hour = hour
            self._told.clear()
        self._told[key] += 1
        if self._told[key] > STORM:
            self._breach("DESIGN 5", f"{record.fact.value} of {about} over and over")

    def died(self) -> None:
        """The gateway's process is no more, and what no disk took of it (X1)."""
        for told in (self._buckets, self._energy, self._begun):
            told.clear()
        for stamped in self._world.disk.stamped:
            note = _NOTES.get(stamped.record.fact)
            if note is not None:
                note(self, stamped.record.data)
        for facility, (energy_wh, register_wh) in self._unsaved.items():
            flowed_wh = self._flowed_wh(facility) - energy_wh
            self._forgotten[facility] += round(flowed_wh + register_wh)
        self._unsaved.clear()

    def meter_reset(self, connector: Connector) -> None:
        """A register is about to begin anew."""
        facility = self._outlets.get(id(connector))
        if facility is not None:
            self._counted[facility] += int(connector.energy_wh)
            self._resets[facility] += 1

    def _store_lost(self, data: Any, _now: Now) -> None:
        """From now on facts are only in memory (X1)."""
        if data["about"] == "store":
            outlets = self._world.place.town.outlets
            self._unsaved = {f: (self._flowed_wh(f), c.session_wh) for f, c in outlets.items()}

    def _store_restored(self, _data: Any, _now: Now) -> None:
        self._unsaved.clear()

    def _session_ended(self, data: Any, _now: Now) -> None:
        if data["energy_wh"] < 0:
            self._breach("C3", f"a session of {data['facility']} took {data['energy_wh']} Wh")

    def _ended(self, data: Any) -> None:
        self._begun[data["facility"]] += 1
        if not data.get("provisional"):
            self._energy_told(data)

    def _energy_told(self, data: Any) -> None:
        self._energy[data["facility"]] += data["energy_wh"]

    def _closed(self, data: Any) -> None:
        self._buckets.add((data["facility"], data["start_ms"]))

    # --- what the platform gets ---------------------------------------------------------------

    def took(self, rows: Sequence[JournalRow], first: int) -> None:
        """Records as they arrive: each once, in order, chained (U1); buckets that add up (U2)."""
        for seq, row in enumerate(rows, first + 1):
            if seq <= self._taken:
                continue  # again, for an acknowledgement was lost
            if row.number != seq or seq != self._taken + 1:
                self._breach("U1", f"record {row.number} came as {seq} after {self._taken}")
            proof = hashlib.sha256(row.payload or b"").digest()
            personal = row.personal_digest or bytes(32)
            link = self._chain + seq.to_bytes(8, "big") + proof + personal
            self._chain = hashlib.sha256(link).digest()
            if self._chain != row.chain:
                self._breach("U1", f"the chain breaks at record {seq}")
            self._taken = seq

    def _bucket(self, data: Any, now: Now) -> None:
        """U2: every second in one state, each quarter of an hour once, and over when it is told."""
        spent = sum(data["spent_ms"].values())
        if spent != BUCKET_MS:
            self._breach("U2", f"a bucket of {data['facility']} has {spent} ms")
        if data["start_ms"] % BUCKET_MS or min(data["spent_ms"].values()) < 0:
            self._breach("U2", f"a bucket of {data['facility']} makes no sense")
        key = (data["facility"], data["start_ms"])
        if key in self._buckets and not self._world.clock_erred:
            self._breach("U2", f"the bucket {key} was closed twice")
        if now.wall_ms < data["start_ms"] + BUCKET_MS:
            self._breach("U2", f"the bucket {key} was closed before its end")
        if not now.trusted:
            self._breach("U2", f"the bucket {key} was closed on a clock that nobody trusts")

    # --- the end ------------------------------------------------------------------------------

    def check_energy(self, state: State) -> None:
        """C5: sessions and what is unattributed are the meter's difference."""
        for facility in self._world.place.town.outlets:
            told = self._energy[facility]
            told += sum(s.energy_wh for s in state.where(ChargingSession, "facility", facility))
            status = state.get(MeterStatus, facility)
            told += status.unattributed_wh if status is not None else 0
            true = self._flowed_wh(facility)
            if told > true + 2:
                self._breach("C5", f"{facility}: {told} Wh told of {true:.0f} that flowed")
            unseen_wh = self._unseen_wh(facility)
            if told < true - 5 - self._begun[facility] - unseen_wh:
                self._breach("C5", f"{facility}: {told} Wh told of {true:.0f} that flowed")

    def _flowed_wh(self, facility: str) -> float:
        """What truly did, since the world began."""
        connector = self._world.place.town.outlets[facility]
        connector.step(self._now_ms)
        return self._counted[facility] + connector.energy_wh - self._before[facility]

    def _unseen_wh(self, facility: str) -> int:
        """What nobody can tell: a register began anew, and what it had counted was not read.

        One of a session also does after each; what came before is gone with who could not save it.
        """
        outlet = self._world.site.facilities[facility].outlet
        assert outlet is not None
        assert outlet.meter is not None
        if outlet.meter.kind is MeterKind.LIFETIME:
            return UNSEEN_WH * self._resets[facility]
        near = set(self._world.place.links.near(facility))
        gaps = sum(not near.isdisjoint(one.devices) for one in self._world.troubles.came)
        return UNSEEN_WH * (self._resets[facility] + gaps) + self._forgotten[facility]


_CHECKS: dict[Fact, Any] = {
    Fact.SESSION_ENDED: Books._session_ended,
    Fact.BUCKET_CLOSED: Books._bucket,
    Fact.FAULT_OPENED: Books._store_lost,
    Fact.STORAGE_RESTORED: Books._store_restored,
}
# What is told is noted, to be held against what was; what no disk kept is told again.
_NOTES: dict[Fact, Any] = {
    Fact.SESSION_ENDED: Books._ended,
    Fact.SESSION_COMPLETED: Books._energy_told,
    Fact.ENERGY_UNATTRIBUTED: Books._energy_told,
    Fact.BUCKET_CLOSED: Books._closed,
}
