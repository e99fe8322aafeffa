"""The latest reading of every point, as its driver reported it.

Rules: a point not seen since the start is unknown; a device that fell silent makes its good
readings stale; freshness belongs to the group that was read, and is set by the driver itself.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from gateway.domain.points import Freshness, PointRef, Quality, Reading


@lru_cache(maxsize=4096)
def unseen(ref: PointRef) -> Reading:
    """The reading of a point that was not seen since the start."""
    return Reading(ref, None, Quality.UNKNOWN, 0, 0)


class _Latest(dict[PointRef, Reading]):
    """The latest reading of each point; one of quality unknown where none was seen."""

    def __missing__(self, ref: PointRef) -> Reading:
        return unseen(ref)


class Readings:
    """Latest values and freshness cells. Written in the event loop only."""

    def __init__(self) -> None:
        self._latest = _Latest()
        self.latest = self._latest.__getitem__  # of a point; asked at every turn
        self._cells: dict[str, list[Freshness]] = {}
        self._cell_of: dict[PointRef, Freshness] = {}

    def heard_ms(self, device: str) -> int | None:
        """When any group of the device was last heard live (monotonic)."""
        heard = [c.heard_ms for c in self._cells.get(device, ()) if c.heard_ms is not None]
        return max(heard, default=None)

    def unheard(self, within_ms: int) -> bool:
        """Some group that is due so soon again was never heard."""
        cells = (cell for cells in self._cells.values() for cell in cells)
        return any(cell.heard_ms is None and cell.expected_ms <= within_ms for cell in cells)

    def seen_ms(self, ref: PointRef) -> int | None:
        """When the point's group was last heard live (monotonic)."""
        cell = self._cell_of.get(ref)
        return None if cell is None else cell.heard_ms

    def all(self) -> Iterable[Reading]:
        """Every reading there is."""
        return self._latest.values()

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> Freshness:
        """A new cell for a group of points."""
        cell = Freshness(expected_ms)
        self._cells.setdefault(device, []).append(cell)
        for point in points:
            self._cell_of[PointRef(device, point)] = cell
        return cell

    def put(self, reading: Reading) -> None:
        """A point is now so."""
        self._latest[reading.ref] = reading

    def device_silent(self, device: str) -> list[Reading]:
        """Good readings of the device become stale; the ones that did."""
        stale = [
            replace(reading, quality=Quality.STALE)
            for ref, reading in self._latest.items()
            if ref.device == device and reading.quality is Quality.GOOD
        ]
        for reading in stale:
            self._latest[reading.ref] = reading
        return stale

    def forget_device(self, device: str) -> None:
        """The device was removed, or its link is opened anew."""
        self._cells.pop(device, None)
        for ref in [ref for ref in self._latest if ref.device == device]:
            del self._latest[ref]
        for ref in [ref for ref in self._cell_of if ref.device == device]:
            del self._cell_of[ref]
