"""The platform's own book of a gateway's journal: every record once, in order, chain verified.

- A record is taken into the book only as the next one, with a payload, personal part and chain that
  prove each other. What comes again must be the same to the byte.
- Urgent records that come ahead are kept apart until their turn, and must then be the same.
- `problems` are what may never happen; a gap is not one, for what is missing is sent again.
"""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from simulators.platform.canonical import canonical

_MEMBERS = ("epoch", "seq", "digest", "personal_digest", "salt", "chain", "record", "personal")
_NOTHING = bytes(32).hex()


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as it came."""

    epoch: str
    seq: int
    fact: str
    record: dict[str, Any] | None  # None once erased
    personal: dict[str, Any] | None
    chain: str
    proof: tuple[str, str]  # digests of the payload and of the personal part
    urgent: bool  # came ahead of the backlog first
    dropped_from: int | None = None  # the records from there up to this one are no more

    @property
    def data(self) -> dict[str, Any]:
        """What the fact says, with its personal fields."""
        said: dict[str, Any] = (self.record or {}).get("data", {})
        return {**said, **(self.personal or {})}


@dataclass(slots=True)
class Book:
    """The records of one epoch, from the first to the last without a gap."""

    epoch: str
    entries: list[Entry] = field(default_factory=list)
    ahead: dict[int, Entry] = field(default_factory=dict)
    chain: bytes = b""

    def __post_init__(self) -> None:
        self.chain = sha256(self.epoch.encode()).digest()

    @property
    def seq(self) -> int:
        """The last record."""
        return len(self.entries)


class Ledger:
    """All the books of one gateway, and what was wrong."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self.books: dict[str, Book] = {}
        self.current: Book | None = None
        self.problems: list[str] = []
        self.duplicates = 0
        self.gaps = 0
        self.dropped = 0
        self.unsaved: dict[str, dict[str, Any]] = {}  # by id: facts that no store of theirs holds
        self.calls_ahead: list[Entry] = []  # urgent records in the order in which they came

    @property
    def records(self) -> list[Entry]:
        """The records of the present epoch, in order."""
        return self.current.entries if self.current else []

    def used(self, quota: str, unit: str) -> int:
        """Where the odometer of a quota stands by the records that are booked, of any epoch."""
        said = (
            each
            for book in self.books.values()
            for entry in book.entries
            for each in entry.data.get("quotas", ())
        )
        return max(
            (each.get(f"used_{unit}", 0) for each in said if each["quota"] == quota), default=0
        )

    def take(self, payload: bytes, *, urgent: bool) -> dict[str, Any] | None:
        """Book a batch; the acknowledgement, None if nothing in it could be read."""
        found = (self._read(event, urgent) for event in self._events(payload))
        entries = [entry for entry in found if entry is not None]
        for entry in entries:
            self._book(entry)
        if not entries or self.current is None:
            return None
        book = self.books[entries[-1].epoch]
        also = sorted({entry.seq for entry in entries if entry.seq in book.ahead})
        return {"epoch": book.epoch, "seq": book.seq, "also": also}

    def take_unsaved(self, payload: bytes) -> None:
        """Facts that the gateway cannot keep yet: shown, and not booked."""
        for event in self._events(payload):
            self.unsaved[event["id"]] = event["data"]["record"]

    def position(self, epoch: str) -> int:
        """How far the book of an epoch goes; opens it where there is none."""
        if epoch not in self.books:
            self.books[epoch] = Book(epoch)
            self.current = self.books[epoch]
        return self.books[epoch].seq

    def _events(self, payload: bytes) -> list[Any]:
        try:
            events = json.loads(payload)
        except ValueError as error:
            self.problems.append(f"a batch is no JSON: {error}")
            return []
        if isinstance(events, list):
            return events
        self.problems.append("a batch is no list")
        return []

    def _read(self, event: Any, urgent: bool) -> Entry | None:
        try:
            return self._entry(event, urgent)
        except (KeyError, TypeError, ValueError) as error:
            self.problems.append(f"an event makes no sense: {type(error).__name__} {error}")
            return None

    def _entry(self, event: dict[str, Any], urgent: bool) -> Entry | None:
        data = event["data"]
        epoch, seq, digest, personal_digest, salt, chain, record, personal = (
            data[member] for member in _MEMBERS
        )
        where = f"{epoch}:{seq}"
        wrong = []
        if event["specversion"] != "1.0" or event["id"] != where or int(event["sequence"]) != seq:
            wrong.append("its envelope does not fit it")
        if event["source"] != f"/commons/{self.gateway}":
            wrong.append(f"it comes from {event['source']}")
        if record is not None and sha256(canonical(record)).hexdigest() != digest:
            wrong.append("its payload does not have its digest")
        if record is not None and event["type"] != f"commons.{record['type']}":
            wrong.append("its type is another in the envelope")
        if personal is not None:
            found = sha256(bytes.fromhex(salt) + canonical(personal)).hexdigest()
            if found != personal_digest:
                wrong.append("its personal part does not have its digest")
        if wrong:
            self.problems += [f"{where}: {each}" for each in wrong]
            return None
        fact = event["type"].removeprefix("commons.")
        proof = (digest, personal_digest)
        dropped = data["dropped_from"]
        return Entry(epoch, seq, fact, record, personal, chain, proof, urgent, dropped)

    def _book(self, entry: Entry) -> None:
        self.position(entry.epoch)
        book = self.books[entry.epoch]
        known = book.entries[entry.seq - 1] if entry.seq <= book.seq else book.ahead.get(entry.seq)
        if known is not None and (known.chain, known.proof) != (entry.chain, entry.proof):
            self.problems.append(f"{entry.epoch}:{entry.seq}: came again as another")
        elif known is not None and (entry.urgent or not known.urgent or entry.seq <= book.seq):
            self.duplicates += 1
        elif entry.urgent:
            book.ahead[entry.seq] = entry
            self.calls_ahead.append(entry)
        elif entry.seq == book.seq + 1:
            self._append(book, book.ahead.pop(entry.seq, entry))
        elif entry.dropped_from is not None and entry.dropped_from <= book.seq + 1:
            self._skip(book, entry)
        else:
            self.gaps += 1

    def _skip(self, book: Book, entry: Entry) -> None:
        """What was dropped at its time leaves its numbers; the chain goes on from this record's."""
        self.dropped += entry.seq - 1 - book.seq
        for seq in range(book.seq + 1, entry.seq):
            book.entries.append(Entry(book.epoch, seq, "dropped", None, None, "", ("", ""), False))
        book.chain = bytes.fromhex(entry.chain)
        book.entries.append(entry)

    def _append(self, book: Book, entry: Entry) -> None:
        digest, personal = (bytes.fromhex(each) for each in entry.proof)
        chain = sha256(book.chain + entry.seq.to_bytes(8, "big") + digest + personal).digest()
        if chain.hex() != entry.chain:
            self.problems.append(f"{book.epoch}:{entry.seq}: the chain breaks here")
            return
        book.chain = chain
        book.entries.append(entry)
