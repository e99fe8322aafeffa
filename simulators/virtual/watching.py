"""What a driver follows of a device, where no wire is in between."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from drivers.edges import Settled, Watcher, watcher
from gateway.domain.events import PointEdge
from gateway.domain.points import Freshness, PointRef, Quality, Reading, Value
from gateway.domain.profile import Edge, PointSpec, PollClass, ValueKind
from gateway.domain.site import Site
from gateway.domain.uses import uses, watches
from simulators.virtual.gateway import VirtualGateway

RADIO_MS = (40, 600)
_READ_ALSO = ("battery", "battery_low")


@dataclass(slots=True)
class Watched:
    """A point as its driver follows it."""

    ref: PointRef
    spec: PointSpec
    step: float  # the register shows whole steps of it
    watcher: Watcher | None
    telemetry: bool  # the core hears of its readings
    told: Value | None = None


@dataclass(slots=True)
class Reached:
    """A device as the gateway reaches it, or does not."""

    id: str
    link: str
    points: list[Watched]
    poll_ms: tuple[int, int]  # how soon a change is seen
    drifts: bool  # its registers move while power flows
    cell: Freshness = field(default_factory=lambda: Freshness(0))
    answers: bool = True
    lost_ms: int | None = None  # since when it cannot be reached
    found: bool = True  # the driver has not found it silent
    written_ms: int = 0  # when the last write to it arrives
    said: tuple[Value, ...] | None = None  # the last of what is late, as it left the device
    heard: tuple[Value, ...] | None = None  # and as it arrived


def reached(site: Site, id_: str) -> Reached:
    """A device of a site, with the points that the gateway hears of."""
    device = site.equipment.devices[id_]
    profile = site.equipment.profiles[device.profile]
    used, watched = uses(site), watches(site)
    steps = {
        f.outlet.meter.energy: float(f.outlet.meter.resolution_wh)
        for f in site.facilities.values()
        if f.outlet is not None and f.outlet.meter is not None
    }
    points: list[Watched] = []
    polls: list[int] = []
    for name, spec in profile.points.items():
        ref = PointRef(id_, name)
        telemetry = ref in used
        momentary = spec.edge is Edge.CREDENTIAL or spec.binding.get("momentary")
        if momentary or not (telemetry or name in _READ_ALSO):
            continue
        watch = watched.get(ref)
        edge, poll = (watch.edge, watch.poll) if watch else (spec.edge, spec.poll)
        points.append(Watched(ref, spec, steps.get(ref, 0.0), watcher(edge), telemetry))
        polls.append(site.settings.poll_ms.get(poll, 0) if poll is not PollClass.BATTERY else 0)
    by_radio = profile.driver != "modbus"
    soonest = min((poll for poll in polls if poll), default=1_000)
    drifts = any(spec.unit in ("Wh", "kWh", "W") for spec in profile.points.values())
    return Reached(id_, device.link, points, RADIO_MS if by_radio else (20, soonest), drifts)


def facility_devices(site: Site) -> dict[str, tuple[str, ...]]:
    """The devices that an outlet's readings come from, and its circuits' meters."""
    found: dict[str, tuple[str, ...]] = {}
    for facility in site.facilities.values():
        outlet = facility.outlet
        if outlet is None:
            continue
        refs = [outlet.points.drive, outlet.points.state, outlet.points.power]
        refs += [*outlet.points.currents, outlet.meter.energy if outlet.meter else None]
        at: str | None = outlet.load.circuit
        while at is not None:
            refs += site.circuits[at].meter
            at = site.circuits[at].parent
        found[facility.id] = tuple(dict.fromkeys(ref.device for ref in refs if ref is not None))
    return found


@dataclass(slots=True)
class Found:
    """What is to be told of a look at devices."""

    readings: list[Reading] = field(default_factory=list)
    edges: list[PointEdge] = field(default_factory=list)


def take(gateway: VirtualGateway, device: Reached, values: Iterable[Value], found: Found) -> bool:
    """What a device shows, point by point; True if it must be looked at again to be settled."""
    at_ms, mono_ms = gateway.now().wall_ms, gateway.mono_ms
    open_still = False
    for point, shows in zip(device.points, values, strict=True):
        value, watch = shows, point.watcher
        happened = None
        if watch is not None:
            happened = watch.take(value, mono_ms)
            open_still = open_still or watch.unsettled_ms is not None
            if isinstance(watch, Settled):
                if watch.value is None:
                    continue
                value = watch.value
        if _moved(point, value):
            point.told = value
            if point.spec.setpoint is not None:
                gateway.confirm()
            reading = Reading(point.ref, value, Quality.GOOD, at_ms, mono_ms)
            gateway.readings.put(reading)
            if point.telemetry:
                found.readings.append(reading)
        if happened is not None:
            found.edges.append(happened.at(point.ref))
    return open_still


def shown(point: Watched, value: Value) -> Value:
    """A true value as the device's register has it."""
    if isinstance(value, bool | str):
        return value
    if point.spec.kind is ValueKind.INT:
        return int(value // point.step * point.step) if point.step else round(value)
    return float(value)


def _moved(point: Watched, value: Value) -> bool:
    """The value passed its deadband."""
    told = point.told
    if told is None or isinstance(value, bool | str) or isinstance(told, bool | str):
        return told != value
    return abs(value - told) >= point.spec.deadband if point.spec.deadband else told != value
