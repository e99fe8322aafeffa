"""Who listens to a driver that is fuzzed: whatever is told must be a value of its kind, or none."""

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from fixtures.clock import MachineClock

from gateway.domain.events import CredentialPresented, PointEdge
from gateway.domain.faults import Health
from gateway.domain.feedback import Answer
from gateway.domain.points import Freshness, PointRef, Quality, Reading
from gateway.domain.profile import Edge, PollClass, Profile, ValueKind
from gateway.domain.site import POLL_MS, Device, Link, Name
from gateway.domain.uses import Watch
from gateway.ports import LinkSetup
from gateway.security.credentials import KeyedCredentials

KINDS: Mapping[ValueKind, type] = {
    ValueKind.BOOL: bool,
    ValueKind.INT: int,
    ValueKind.FLOAT: float,
    ValueKind.TEXT: str,
}
CREDENTIALS = KeyedCredentials(bytes(range(32)))


class Judge:
    """A `Sink` that takes nothing on trust (RULES X2)."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        """`profiles` by the name of a device."""
        self._profiles = profiles
        self.edges = 0

    def freshness(self, device: str, points: Iterable[str], expected_ms: int) -> Freshness:
        return Freshness(expected_ms)

    def reading(self, reading: Reading) -> None:
        spec = self._profiles[reading.ref.device].points[reading.ref.point]
        if reading.quality is not Quality.GOOD:
            assert reading.value is None, reading
            return
        assert type(reading.value) is KINDS[spec.kind], reading
        assert not isinstance(reading.value, float) or isfinite(reading.value), reading

    def edge(self, edge: PointEdge, durable: Callable[[], None] | None = None) -> None:
        assert edge.count > 0, edge
        self.edges += edge.count
        if durable is not None:
            durable()

    def presented(self, event: CredentialPresented, answer: Answer | None = None) -> None:
        self.edges += 1

    def device_health(
        self, device: str, health: Health, reason_code: str = "device_silent", detail: str = ""
    ) -> None:
        assert device in self._profiles

    def link_health(self, health: Health, detail: str = "") -> None:
        raise AssertionError("nothing here has a link")

    def count(self, what: str, device: str = "") -> None:
        pass


def setup_of(link: Link, profile: Profile, binding: Mapping[str, Any] | None = None) -> LinkSetup:
    """One device, `x`, on a link; what it has two states of is watched as a button."""
    watched = (spec for spec in profile.points.values() if spec.kind is ValueKind.BOOL)
    return LinkSetup(
        link=link,
        devices=[Device("x", profile.id, link.id, "hall", Name("x", "x"), binding or {})],
        profiles={profile.id: profile},
        watches={
            PointRef("x", spec.name): Watch(
                Edge.PRESS if spec.edge is Edge.NONE else spec.edge, PollClass.SAFETY
            )
            for spec in watched
        },
        poll_ms=POLL_MS,
        sink=Judge({"x": profile}),
        credentials=CREDENTIALS,
        clock=MachineClock(),
    )
