"""One link to a broker: two sessions, a route for each topic, writes as messages.

Rules (DESIGN §8):
- The *calls* session is lasting and acknowledges after the commit; every topic of a device that
  has a call point goes through it. The *rest* is a clean session, acknowledged on arrival.
- What is published leaves at once or not at all; a pulse is sent once (RULES A4), never retained.
- The link is up while every session that it needs is.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from drivers.edges import watcher
from drivers.mqtt.binding import parse
from drivers.mqtt.health import Bridge, DeviceState
from drivers.mqtt.routes import AvailabilityRoute, CredentialRoute, Point, Route, StateRoute
from drivers.mqtt.rows import compile_row, fill
from drivers.mqtt.session import Outgoing, Session, Settle
from gateway.domain.faults import Health
from gateway.domain.points import (
    Lease,
    PointRef,
    Pulse,
    Setpoint,
    WriteOutcome,
    WriteResult,
)
from gateway.domain.profile import Edge, PollClass
from gateway.domain.site import POLL_MS, Device
from gateway.ports import LinkSetup

RECONNECT_MAX_S = 30.0
RECONNECT_CALLS_MAX_S = 2.0  # calls may hang on it (RULES E5)
PUBLISH_S = 2.0


class MqttDriver:
    """The `Driver` of one broker."""

    def __init__(self, setup: LinkSetup) -> None:
        self._setup = setup
        self._clock = setup.clock
        self._bridges: dict[str, Bridge] = {}
        self._routes: dict[str, list[Route]] = {}
        self._calls_topics: set[str] = set()
        for device in setup.devices:
            self._add(device)
        binding = parse(setup.link)
        self._rest = Session(binding, "rest", self._receive, self._session_changed)
        self._rest.topics = sorted(self._routes.keys() - self._calls_topics)
        self._calls = Session(binding, "calls", self._receive, self._session_changed, lasting=True)
        self._calls.topics = sorted(self._calls_topics)
        self._up: bool | None = None

    async def run(self) -> None:
        """Keep the sessions up until cancelled."""
        wait_max_s = RECONNECT_CALLS_MAX_S if self._calls_topics else RECONNECT_MAX_S
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rest.run(wait_max_s))
            if self._calls_topics:
                group.create_task(self._calls.run(wait_max_s))

    async def write(self, setpoint: Setpoint, *, urgent: bool = False) -> WriteOutcome:
        """Publish one setpoint."""
        del urgent  # a broker has one queue
        if isinstance(setpoint, Pulse) and self._clock.mono_ms() >= setpoint.until_mono_ms:
            return WriteOutcome(WriteResult.REFUSED, "too late")
        message = self._message(setpoint)
        if message is None:
            return WriteOutcome(WriteResult.REFUSED, f"{setpoint.ref}: no payload for it")
        return await self._rest.publish(message, PUBLISH_S)

    def _message(self, setpoint: Setpoint) -> Outgoing | None:
        device = next(d for d in self._setup.devices if d.id == setpoint.ref.device)
        row = self._setup.profiles[device.profile].points[setpoint.ref.point].binding
        payload = row.get("set_payload")
        value = True if isinstance(setpoint, Pulse) else setpoint.value
        if isinstance(payload, Mapping):
            payload = payload.get(value)
        if payload is None:
            return None
        expiry_s = None
        if isinstance(setpoint, Pulse | Lease):
            left_ms = setpoint.until_mono_ms - self._clock.mono_ms()
            expiry_s = max(1, left_ms // 1000)
        topic = fill(row["set_topic"], str(device.binding["topic"]))
        return Outgoing(topic, str(payload), expiry_s)

    # --- topics -------------------------------------------------------------------------------

    def _add(self, device: Device) -> None:
        setup = self._setup
        profile = setup.profiles[device.profile]
        topic = str(device.binding["topic"])
        freshness = setup.sink.freshness(device.id, profile.points, _expected_ms(profile.points))
        state = DeviceState(device.id, setup.sink, setup.clock, freshness)
        invert = frozenset(device.binding.get("invert", ()))
        by_topic: dict[str, list[Point]] = {}
        routes: dict[str, Route] = {}
        for name, spec in profile.points.items():
            if "topic" not in spec.binding:
                continue
            ref = PointRef(device.id, name)
            watch = setup.watches.get(ref)
            edge = watch.edge if watch else spec.edge
            row = compile_row(spec, name in invert)
            point = Point(ref, row, edge, watcher(edge))
            point.deadband = spec.deadband
            where = fill(spec.binding["topic"], topic)
            if edge is Edge.CREDENTIAL or spec.edge is Edge.CREDENTIAL:
                routes[where] = CredentialRoute(state, point, spec.binding, setup.credentials)
            else:
                by_topic.setdefault(where, []).append(point)
        last_seen = str(profile.binding.get("last_seen", ""))
        for where, points in by_topic.items():
            route = StateRoute(state, points, last_seen)
            state.on_return = route.forget
            routes[where] = route
        self._health_routes(device, profile.binding, state, routes)
        for where, found in routes.items():
            self._routes.setdefault(where, []).append(found)
        if self._covers(device):
            self._calls_topics |= routes.keys()

    def _health_routes(
        self,
        device: Device,
        binding: Mapping[str, Any],
        state: DeviceState,
        routes: dict[str, Route],
    ) -> None:
        topic = str(device.binding["topic"])
        if "availability" in binding:
            where = fill(binding["availability"], topic)
            routes[where] = AvailabilityRoute(state.reported_available)
        if "bridge" in binding:
            where = fill(binding["bridge"], topic)
            bridge = self._bridges.get(where)
            if bridge is None:
                bridge = self._bridges[where] = Bridge(where)
                self._routes.setdefault(where, []).append(self._bridge_route(bridge))
            bridge.devices.append(state)
            state.bridge = bridge

    def _bridge_route(self, bridge: Bridge) -> Route:
        def reported(online: bool, retained: bool) -> None:
            bridge.reported(online, self._clock.mono_ms(), retained)

        return AvailabilityRoute(reported)

    def _covers(self, device: Device) -> bool:
        return any(
            ref.device == device.id and watch.edge is Edge.PRESS and watch.poll is PollClass.SAFETY
            for ref, watch in self._setup.watches.items()
        )

    # --- sessions -----------------------------------------------------------------------------

    def _receive(self, message: Any, settle: Settle | None) -> bool:
        settling = False
        for route in self._routes.get(message.topic, ()):
            settling |= route.take(message, settle)
        return settling

    def _session_changed(self, up: bool, detail: str) -> None:
        all_up = self._rest.connected and (not self._calls_topics or self._calls.connected)
        if up and not all_up:
            return
        if all_up != self._up:
            self._up = all_up
            health = Health.ONLINE if all_up else Health.SILENT
            self._setup.sink.link_health(health, detail)
        if not up:
            self._setup.sink.count("reconnects")


def _expected_ms(points: Mapping[str, Any]) -> int:
    return min((POLL_MS[spec.poll] for spec in points.values() if POLL_MS[spec.poll]), default=0)
