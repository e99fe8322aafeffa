"""A card at the instant at which its power went.

What was synced is there. Of what was written since, nothing, all, a part, or torn sectors of it
may be there, of each file by itself; names change in the order in which they were changed, as far
as their folder was synced. This is what the file systems of such machines promise, and no more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fixtures.card import Entry

SECTOR = 512


@dataclass(slots=True)
class _File:
    """What is on the card for good, and what may be."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Entry] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _make(self.durable, change)
        self.pending.clear()


class Card:
    """The files of one folder, as a log changes them."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._synced: dict[str, int] = {}
        self._renamed: list[Entry] = []

    def apply(self, entry: Entry) -> None:
        """Something was done."""
        if entry.op in "CUR":
            if entry.op == "C":
                self._files[entry.file] = _File()
            _name(self._names, entry)
            self._renamed.append(entry)
        elif entry.op == "S" and entry.file not in self._files:
            self._synced = dict(self._names)
            self._renamed.clear()
        elif entry.op == "S":
            self._files[entry.file].sync()
        elif entry.file in self._files:
            self._files[entry.file].pending.append(entry)

    def cut(self, folder: Path, chance: Random) -> str:
        """Write what a power cut leaves into an empty folder; in which way it fell."""
        way = chance.choice(list(_WAYS))
        names = dict(self._synced)
        kept = len(self._renamed)
        kept = {"nothing": 0, "all": kept}.get(way, chance.randint(0, kept))
        for entry in self._renamed[:kept]:
            _name(names, entry)
        for name, file in names.items():
            image = self._files[file]
            with (folder / Path(name).name).open("wb", buffering=0) as written:
                written.write(image.durable)
                for change in _WAYS[way](image.pending, chance):
                    if change.op == "T":
                        written.truncate(change.offset)
                    else:
                        written.seek(change.offset)
                        written.write(change.data)
        return way


def _name(names: dict[str, int], entry: Entry) -> None:
    if entry.op == "C":
        names[entry.name] = entry.file
    elif (file := names.pop(entry.name, None)) is not None and entry.op == "R":
        names[entry.data.decode()] = file


def _make(image: bytearray, change: Entry) -> None:
    if change.op == "T":
        del image[change.offset :]
        image.extend(bytes(change.offset - len(image)))
        return
    if len(image) < change.offset:
        image.extend(bytes(change.offset - len(image)))
    image[change.offset : change.offset + len(change.data)] = change.data


def _torn(pending: list[Entry], chance: Random) -> list[Entry]:
    """Any of the changes, and of a write any of the sectors it touches."""
    found = []
    for change in pending:
        if chance.random() < 0.5:
            continue
        if change.op == "T" or chance.random() < 0.5:
            found.append(change)
            continue
        at, end = change.offset, change.offset + len(change.data)
        while at < end:
            upto = min(end, (at // SECTOR + 1) * SECTOR)
            if chance.random() < 0.5:
                part = change.data[at - change.offset : upto - change.offset]
                found.append(change._replace(offset=at, data=part))
            at = upto
    return found


_WAYS: Mapping[str, Callable[[list[Entry], Random], list[Entry]]] = {
    "nothing": lambda _pending, _chance: [],
    "all": lambda pending, _chance: pending,
    "the first": lambda pending, chance: pending[: chance.randint(0, len(pending))],
    "torn": _torn,
}
