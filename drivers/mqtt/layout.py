"""Which topic leads where, for one link: compiled once from its devices and their profiles."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from drivers.mqtt.feedback import Teller
from drivers.mqtt.happenings import Happenings
from drivers.mqtt.health import Bridge, DeviceState
from drivers.mqtt.readers import CredentialRoute
from drivers.mqtt.routes import Point, Route, StateRoute, StatusRoute, bridge_said
from drivers.mqtt.rows import compile_row, fill, split
from drivers.mqtt.session import Outgoing, Session
from drivers.mqtt.writes import Target
from gateway.domain.points import PointRef
from gateway.domain.profile import Edge, PointSpec, Profile
from gateway.domain.site import Device
from gateway.ports import LinkSetup

EXPECTED_S = 3_600

Routes = dict[str, list[Route]]


@dataclass(slots=True)
class Layout:
    """Routes of the two sessions by topic, and what the driver needs of each device."""

    calls: Routes = field(default_factory=dict)
    rest: Routes = field(default_factory=dict)
    states: dict[str, DeviceState] = field(default_factory=dict)
    calling: list[DeviceState] = field(default_factory=list)
    bridges: dict[str, Bridge] = field(default_factory=dict)
    targets: dict[PointRef, Target] = field(default_factory=dict)
    asks: list[Outgoing] = field(default_factory=list)


def lay_out(setup: LinkSetup, stalled: Callable[[], bool], out: Session) -> Layout:
    """The layout of a link. `out` publishes, `stalled` is as `CredentialRoute` wants it."""
    layout = Layout()
    for device in setup.devices:
        _Laying(setup, layout, device, out).lay(stalled)
    return layout


class _Laying:
    """One device being laid out."""

    def __init__(self, setup: LinkSetup, layout: Layout, device: Device, out: Session) -> None:
        self.setup = setup
        self.layout = layout
        self.device = device
        self.out = out
        self.profile: Profile = setup.profiles[device.profile]
        self.topic: str = device.binding["topic"]
        self.specs = self.profile.points.values()
        expected_ms = int(1000 * self.profile.binding.get("expected_s", EXPECTED_S))
        freshness = setup.sink.freshness(device.id, [spec.name for spec in self.specs], expected_ms)
        self.state = DeviceState(device.id, setup.sink, setup.clock, freshness)

    def lay(self, stalled: Callable[[], bool]) -> None:
        """Add the device's routes, state and targets."""
        self.layout.states[self.device.id] = self.state
        points = {spec.name: self._point(spec) for spec in self.specs if self._reported(spec)}
        calls = any(point.edge is Edge.PRESS for point in points.values())
        if calls:
            self.layout.calling.append(self.state)
        self._lay_states(points, self.layout.calls if calls else self.layout.rest)
        for spec in self.specs:
            if spec.edge is Edge.CREDENTIAL:
                teller = self._teller(spec)
                reader = CredentialRoute(self.state, spec, self.setup.credentials, stalled, teller)
                self._add(self.layout.rest, spec.binding["topic"], reader)
            if spec.setpoint is not None:
                self._lay_target(spec, points.get(spec.name))
        self._lay_status()
        self._lay_asks()

    def _point(self, spec: PointSpec) -> Point:
        ref = PointRef(self.device.id, spec.name)
        watch = self.setup.watches.get(ref)
        invert = spec.name in self.device.binding.get("invert", ())
        row = compile_row(spec, invert)
        point = Point(ref, row, watch.edge if watch else spec.edge, spec.deadband)
        ask = self._ask_of(spec)
        if ask is not None:
            point.ask = lambda: self.out.send(ask)
        return point

    def _teller(self, spec: PointSpec) -> Teller | None:
        if "feedback" not in spec.binding:
            return None
        topic = fill(spec.binding["feedback_topic"], self.topic)
        return Teller(self.state, topic, spec.binding["feedback"], self.out.say)

    def _reported(self, spec: PointSpec) -> bool:
        return "topic" in spec.binding and spec.edge is not Edge.CREDENTIAL

    def _lay_states(self, points: Mapping[str, Point], routes: Routes) -> None:
        by_topic: dict[str, list[Point]] = {}
        for name, point in points.items():
            by_topic.setdefault(self.profile.points[name].binding["topic"], []).append(point)
        happenings = Happenings(self.state)
        laid: list[StateRoute] = []
        for template, found in by_topic.items():
            in_json = any(point.row.path for point in found)
            last_seen = self.profile.binding.get("last_seen", "") if in_json else ""
            laid.append(StateRoute(self.state, happenings, found, last_seen))
            self._add(routes, template, laid[-1])

        def forget() -> None:
            for route in laid:
                route.forget()

        self.state.on_silent = forget

    def _lay_target(self, spec: PointSpec, point: Point | None) -> None:
        assert spec.setpoint is not None
        raw = spec.binding
        self.layout.targets[PointRef(self.device.id, spec.name)] = Target(
            state=self.state,
            topic=fill(raw["set_topic"], self.topic),
            payload=raw["set_payload"],
            length_ms=spec.setpoint.length_ms or 0,
            ask=self._ask_of(spec),
            point=point,
            asks=tuple(dict.fromkeys(self._all_asks())),
        )

    def _lay_status(self) -> None:
        raw = self.profile.binding
        path = split(raw.get("status_path", ""))
        words = (raw.get("online", "online"), raw.get("offline", "offline"))
        if "availability" in raw:
            said = StatusRoute(path, words, self.state.reported_available)
            self._add(self.layout.rest, raw["availability"], said)
        if "bridge" in raw:
            topic = fill(raw["bridge"], self.topic)
            bridge = self.layout.bridges.get(topic)
            if bridge is None:
                bridge = self.layout.bridges[topic] = Bridge(topic)
                told = bridge_said(bridge, self.setup.clock.mono_ms)
                self._add(self.layout.rest, topic, StatusRoute(path, words, told))
            bridge.devices.append(self.state)
            self.state.bridge = bridge

    def _lay_asks(self) -> None:
        for ask in self._all_asks():
            if ask not in self.layout.asks:
                self.layout.asks.append(ask)

    def _all_asks(self) -> Iterator[Outgoing]:
        for spec in self.specs:
            ask = self._ask_of(spec)
            if ask is not None:
                yield ask

    def _ask_of(self, spec: PointSpec) -> Outgoing | None:
        if "get_topic" not in spec.binding:
            return None
        topic = fill(spec.binding["get_topic"], self.topic)
        return Outgoing(topic, spec.binding.get("get_payload", ""), expiry_s=10)

    def _add(self, routes: Routes, template: str, route: Route) -> None:
        routes.setdefault(fill(template, self.topic), []).append(route)
