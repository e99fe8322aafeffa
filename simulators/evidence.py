"""What could be seen of each facility, and what is told of the rest (RULES U2).

Rules: looked at as each quarter of an hour ends. One in which no evidence could be read from before
its beginning to its end, or no gateway ran, is nobody's: not idle, not held, not closed. Who went
in by their grant is known by the door.
"""

from typing import TYPE_CHECKING, Any

from gateway.domain.now import MINUTE_MS, Now
from gateway.domain.site import Facility
from simulators.books import BUCKET_MS
from simulators.witness import Witness

if TYPE_CHECKING:
    from simulators.world import World

MARGIN_MS = MINUTE_MS  # a trusted clock is off by less, and a device found silent sooner
KNOWN_BY_DOOR = frozenset({"unknown", "in_use_booked", "in_use_walk_in"})


class Evidence(Witness):
    """What every facility is known by."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        facilities = world.site.facilities.values()
        self._needs = {one.id: _evidence(one) for one in facilities if _evidence(one)[0]}
        self._unseen: set[tuple[str, int]] = set()  # facility and its quarter
        self._misled_ms = 0  # when a clock that was trusted was last wrong
        self._died_ms = 0
        self._plan()

    def _plan(self) -> None:
        at_ms = (self._now_ms // BUCKET_MS + 1) * BUCKET_MS
        self._world.schedule.at(at_ms + MARGIN_MS, self._quarter_ends)

    def _quarter_ends(self) -> None:
        self._plan()
        start_ms = self._now_ms // BUCKET_MS * BUCKET_MS - BUCKET_MS
        lost_ms = self._world.place.links.lost_ms
        gone = self._world.place.gateway is None and self._died_ms <= start_ms - MARGIN_MS
        for facility, (devices, holds_ms, together) in self._needs.items():
            lost = [lost_ms(device) for device in devices]
            before_ms = start_ms - MARGIN_MS - holds_ms
            dark = [since is not None and since <= before_ms for since in lost]
            if gone or (all(dark) if together else any(dark)):
                self._unseen.add((facility, start_ms))

    def died(self) -> None:
        """The gateway's process is no more."""
        self._died_ms = self._now_ms

    def decided(self, now: Now) -> None:
        """With this time on its clock something was decided."""
        if now.trusted and abs(now.wall_ms - self._now_ms) >= MARGIN_MS:
            self._misled_ms = self._now_ms

    def bucket(self, data: Any) -> None:
        """U2: what nobody could see is unknown."""
        unseen = (data["facility"], data["start_ms"]) in self._unseen
        misled = self._misled_ms >= data["start_ms"] - MARGIN_MS
        if unseen and not misled and not data["spent_ms"].keys() <= KNOWN_BY_DOOR:
            self._breach(
                "U2", f"nobody saw {data['facility']} at {data['start_ms']}: {data['spent_ms']}"
            )


def _evidence(facility: Facility) -> tuple[frozenset[str], int, bool]:
    """The devices it is known by, for how long they are believed, and whether one is enough."""
    outlet = facility.outlet
    if outlet is None:
        holds_ms = max((sensor.hold_ms for sensor in facility.sensors), default=0)
        return frozenset(sensor.point.device for sensor in facility.sensors), holds_ms, True
    refs = [outlet.points.drive, outlet.points.state, outlet.meter.energy if outlet.meter else None]
    return frozenset(ref.device for ref in refs if ref is not None), 0, False
