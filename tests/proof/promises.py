"""What a gateway said outside, in the order in which it wrote: so much may never be lost.

A promise is made by an HTTP answer that says `durable`, by a journal record or an answer that goes
to the platform, by acknowledging a call button's message to its broker, by the pulse that releases
a door. The log of a card (`fixtures.card`) has them between the writes and syncs they rest on.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from fixtures.card import Entry
from proof import wire
from proof.load import BUTTON, Fact

_FLASH_ON = range(0x0200, 0x0206)  # relays of doors: pulses that the board times; 7 and 8 sound
_FACTS = {"acknowledged": "call.acknowledged", "attended": "call.attended"}
_JOURNAL = "SELECT number, payload, salt, personal, chain FROM journal ORDER BY number"


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing said. What it says: `kind`, and the value that must at least be held."""

    kind: str
    value: Any


@dataclass(slots=True)
class Promised:
    """All that was said so far."""

    record: tuple[str, int, str] | None = None  # epoch, seq, chain of the furthest one sent up
    facts: set[Fact] = field(default_factory=set)
    revisions: dict[str, tuple[str, int]] = field(default_factory=dict)
    presses: int = 0  # of the radio button, acknowledged to its broker
    releases: int = 0  # pulses at a door

    def add(self, promise: Promise) -> None:
        """One more thing was said."""
        kind, value = promise.kind, promise.value
        if kind == "record" and (self.record is None or value[1] > self.record[1]):
            self.record = value
        elif kind == "fact":
            self.facts.add(value)
        elif kind == "revision":
            stream, epoch, revision = value
            self.revisions[stream] = (epoch, revision)
        elif kind == "press":
            self.presses += 1
        elif kind == "release":
            self.releases += 1

    def broken(self, held: "Held") -> list[str]:
        """What was said and is not held."""
        wrong = [f"{fact} of {of}" for fact, of in sorted(self.facts - held.facts)]
        if self.record is not None:
            epoch, seq, chain = self.record
            if held.chains.get((epoch, seq)) != chain:
                wrong.append(f"record {epoch}:{seq}, which the platform has")
        for stream, told in self.revisions.items():
            if held.revisions.get(stream, ("", 0)) < told:
                wrong.append(f"revision {told} of {stream}, found {held.revisions.get(stream)}")
        if held.raised < self.presses:
            wrong.append(f"{self.presses} presses, found {held.raised} calls")
        if held.granted < self.releases:
            wrong.append(f"{self.releases} releases, found {held.granted} grants")
        return wrong


@dataclass(slots=True)
class Held:
    """What a store holds, of that which can have been promised, read without the gateway's code."""

    chains: dict[tuple[str, int], str] = field(default_factory=dict)
    facts: set[Fact] = field(default_factory=set)
    revisions: dict[str, tuple[str, int]] = field(default_factory=dict)
    raised: int = 0
    granted: int = 0
    damages: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> "Held":
        """Read it all, and whether it is whole. Raises sqlite3.Error when it cannot be read."""
        held = cls()
        with closing(sqlite3.connect(path)) as database:
            found = [row[0] for row in database.execute("PRAGMA integrity_check(3)")]
            held.damages += found if found != ["ok"] else []
            (epoch,) = database.execute("SELECT epoch FROM epoch").fetchone()
            held._read_journal(epoch, database.execute(_JOURNAL))
            for (body,) in database.execute("SELECT body FROM entity WHERE kind = 'authority'"):
                said = json.loads(body)
                held.revisions[said["id"]] = (said["epoch"], said["revision"])
        return held

    def _read_journal(self, epoch: str, rows: Iterable[tuple[Any, ...]]) -> None:
        chain = sha256(epoch.encode()).digest()
        for expected, (seq, payload, salt, personal, kept) in enumerate(rows, 1):
            one = _read(chain, seq, payload, salt, personal)
            chain = one.chain
            if (seq, chain) != (expected, kept):
                self.damages.append(f"record {expected}: found {seq}, or another chain")
                return
            self.chains[epoch, seq] = one.chain_hex
            self.facts |= one.facts
            self.raised += one.raises
            self.granted += one.grants


class _Read(NamedTuple):
    """What one record of a journal says, and the chain that ends with it."""

    chain: bytes
    chain_hex: str
    facts: frozenset[Fact]
    raises: bool
    grants: bool


@cache  # the same records are read after each cut
def _read(
    chain: bytes, seq: int, payload: bytes, salt: bytes | None, personal: bytes | None
) -> _Read:
    apart = sha256(salt + personal).digest() if salt and personal else bytes(32)
    digests = sha256(payload).digest() + apart
    chain = sha256(chain + seq.to_bytes(8, "big") + digests).digest()
    said = json.loads(payload)
    fact, data = said["type"], said["data"]
    facts = frozenset((fact, data[key]) for key in ("grant", "call") if key in data)
    raises = fact == "call.raised" and data.get("call_point") == BUTTON
    return _Read(chain, chain.hex(), facts, raises, fact == "access.granted")


@dataclass(slots=True)
class Listener:
    """Reads what passed by the sockets of a court's gateway, by the ports of who was there."""

    brokers: frozenset[int]
    boards: frozenset[int]
    _buffers: dict[Any, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    _versions: dict[Any, int] = field(default_factory=dict)
    _presses: dict[Any, set[int]] = field(default_factory=lambda: defaultdict(set))

    def hear(self, entry: Entry) -> Iterator[Promise]:
        """What this message completes."""
        connection = (entry.process, entry.file, *entry.ports)
        buffer = self._buffers[entry.op, *connection]
        buffer += entry.data
        if entry.ports[1] in self.brokers:
            for packet in wire.packets(buffer):
                yield from self._mqtt(entry.op, connection, packet)
        elif entry.op == ">" and entry.ports[1] in self.boards:
            for request in wire.requests(buffer):
                if request[1] == 5 and int.from_bytes(request[2:4]) in _FLASH_ON:
                    yield Promise("release", None)
        elif entry.op == ">":
            for status, said in wire.answers(buffer):
                if status < 300 and said.get("durable"):
                    yield from _of_answer(said)

    def _mqtt(self, op: str, connection: Any, packet: wire.Packet) -> Iterator[Promise]:
        presses = self._presses[connection]
        if packet.kind == wire.CONNECT and op == ">":
            self._versions[connection] = packet.body[6]
        elif packet.kind == wire.PUBLISH:
            said = wire.publish(packet, self._versions[connection])
            if op == "<" and b'"emergency"' in said.payload and said.fresh:
                presses.add(said.packet_id)
            elif op == ">":
                yield from _of_message(said)
        elif packet.kind == wire.PUBACK and op == ">":
            packet_id = int.from_bytes(packet.body[:2])
            if packet_id in presses:
                presses.remove(packet_id)
                yield Promise("press", None)


def _of_answer(said: dict[str, Any]) -> Iterator[Promise]:
    if "grant" in said:
        yield Promise("fact", ("access.granted", said["grant"]))
    elif said.get("state") == "cleared":
        yield Promise("fact", ("call.cleared", said["call"]))
    elif said.get("state") in _FACTS:
        yield Promise("fact", (_FACTS[said["state"]], said["call"]))


def _of_message(said: wire.Publish) -> Iterator[Promise]:
    """What goes up to the platform."""
    name = said.topic.rpartition("/up/")[2]
    if name in ("journal", "urgent"):
        for event in json.loads(said.payload):
            data = event["data"]
            yield Promise("record", (data["epoch"], data["seq"], data["chain"]))
    elif name == "answer":
        answer = json.loads(said.payload)
        about = answer["about"]
        if answer.get("durable") and answer["result"] == "Accepted" and "revision" in about:
            yield Promise("revision", (about["topic"], about["epoch"], about["revision"]))


def told(log: Iterable[Entry], listener: Listener) -> list[Entry | Promise]:
    """The changes of files and the promises of a log, in its order."""
    order: list[Entry | Promise] = []
    for entry in log:
        if entry.op in "<>":
            order += listener.hear(entry)
        elif not Path(entry.name).name.endswith(("-shm", "ballast")):
            order.append(entry)
    return order
