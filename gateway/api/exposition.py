"""Metrics as Prometheus reads them, made when asked for: no label whose values grow with use."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.api.circuits import load_ma, number
from gateway.api.parts import Gateway
from gateway.api.safety import latched_zones
from gateway.api.status import JournalShown
from gateway.domain.calls import Call, CallState
from gateway.domain.charging import MeterStatus, OutletStatus
from gateway.domain.faults import Fault, Health
from gateway.domain.lag import Beats
from gateway.domain.now import Basis, Trust
from gateway.domain.utilization import Usage, UtilizationState

OPEN = [state for state in CallState if state is not CallState.CLEARED]


def exposed(parts: Gateway, journal: JournalShown, tasks: int) -> bytes:
    """The text of all metrics at this moment; `tasks` are those in the event loop."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(parts, journal, tasks))
    return generate_latest(registry)


@dataclass(frozen=True, eq=False)
class _Everything(Collector):
    """All metrics at this moment."""

    parts: Gateway
    journal: JournalShown
    tasks: int

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry is made for one answer."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        views = self.parts.views
        yield _gauge("info", "The version that runs.", "version", {self.parts.version: 1})
        yield from self._counters()
        yield from self._health()
        calls = Counter(call.state for call in views.state.all(Call))
        yield _gauge("calls_open", "Open calls.", "state", {s.value: calls[s] for s in OPEN})
        latched = latched_zones(views.state)
        zones = {zone: int(zone in latched) for zone in views.site.safety.fire_zones}
        yield _gauge("fire_latched", "1 until a fire zone is reset.", "zone", zones)
        faults = Counter(fault.reason.code for fault in views.state.all(Fault))
        yield _gauge("faults_open", "Open faults.", "code", faults)
        yield from self._loop()
        yield _one("tasks", "Tasks in the event loop.", self.tasks)
        yield _one("storage_lost", "1 while the store is lost.", int(bool(views.storage_lost())))
        yield from self._clock()
        yield self._facilities()
        yield from self._outlets()
        yield from self._circuits()
        yield _one("desk_pages", "Desk pages that are open.", self.parts.desk.pages)
        yield from self._journal()

    def _clock(self) -> Iterator[Metric]:
        """How far the wall clock is trusted, why, since when, and how far it can be off."""
        clock = self.parts.views.clock()
        trusts = {one.value: int(one is clock.trust) for one in Trust}
        yield _gauge("clock_trust", "1 for how the clock is trusted.", "trust", trusts)
        bases = {one.value: int(one is clock.basis) for one in Basis}
        yield _gauge("clock_basis", "1 for what that rests on.", "basis", bases)
        what = "Since when both are so."
        yield _one("clock_since_timestamp_seconds", what, clock.since_ms / 1000)
        if clock.error_ms is not None and clock.synchronised_ms is not None:
            yield _one("clock_error_seconds", "How far it can be off.", clock.error_ms / 1000)
            what = "When a trusted source last set it."
            yield _one("clock_set_timestamp_seconds", what, clock.synchronised_ms / 1000)

    def _loop(self) -> Iterator[Metric]:
        """How late the event loop was, and what of it was the gateway's: then no call is taken."""
        lag = self.parts.views.loop_lag()
        what = "How late the event loop was for a beat."
        yield from _beats("loop_lag_seconds", what, lag.late)
        what = "The same without the wait for a processor: how long the gateway itself held it."
        yield from _beats("loop_held_seconds", what, lag.held)

    def _journal(self) -> Iterator[Metric]:
        if self.journal.head is not None and self.journal.distance is not None:
            yield _one("journal_head", "The last record committed.", self.journal.head)
            what = "Records the platform has not acknowledged."
            yield _one("platform_distance", what, self.journal.distance)

    def _counters(self) -> Iterator[Metric]:
        """The gateway's own counters by name; those of links and devices by link."""
        own: Counter[str] = Counter()
        links: Counter[tuple[str, str]] = Counter()
        for (link, _, what), count in self.parts.views.counters().items():
            if link:
                links[link, what] += count
            else:
                own[what] += count
        for what, count in sorted(own.items()):
            family = CounterMetricFamily(f"commons_{what}", f"{what} since the start.")
            family.add_metric([], count)
            yield family
        family = CounterMetricFamily(
            "commons_link", "What happened on a link since the start.", labels=["link", "what"]
        )
        for (link, what), count in sorted(links.items()):
            family.add_metric([link, what], count)
        yield family

    def _facilities(self) -> Metric:
        """In which utilization state each facility is (U2)."""
        family = GaugeMetricFamily(
            "commons_facility", "1 for the state a facility is in.", labels=["facility", "state"]
        )
        usages = {usage.id: usage.state for usage in self.parts.views.state.all(Usage)}
        for facility in self.parts.views.site.facilities:
            found = usages.get(facility, UtilizationState.UNKNOWN)
            for state in UtilizationState:
                family.add_metric([facility, state.value], int(state is found))
        return family

    def _outlets(self) -> Iterator[Metric]:
        """What each outlet draws and may draw, and what its register says; NaN: not known."""
        site, state = self.parts.views.site, self.parts.views.state
        found = {id_: one.outlet for id_, one in site.facilities.items() if one.outlet is not None}
        power = {id_: number(self.parts, one.points.power) for id_, one in found.items()}
        meters = {id_: state.get(MeterStatus, id_) for id_ in found}
        energy = {id_: one.latest_wh if one is not None else None for id_, one in meters.items()}
        statuses = {id_: state.get(OutletStatus, id_) for id_ in found}
        granted = {id_: one.granted_ma if one is not None else 0 for id_, one in statuses.items()}
        label = "facility"
        yield _gauge("outlet_power_w", "The power an outlet draws.", label, power)
        yield _gauge("outlet_energy_wh", "The energy register of an outlet.", label, energy)
        yield _gauge("outlet_granted_ma", "What an outlet may draw a phase.", label, granted)

    def _circuits(self) -> Iterator[Metric]:
        """What flows on each phase of each circuit, and what may (C4)."""
        labels = ["circuit", "phase"]
        load = GaugeMetricFamily("commons_circuit_load_ma", "What flows on a phase.", labels=labels)
        limit = GaugeMetricFamily("commons_circuit_limit_ma", "What may flow.", labels=labels)
        for circuit in self.parts.views.site.circuits.values():
            flows, _ = load_ma(self.parts, circuit)
            for phase, (flow, most) in enumerate(zip(flows, circuit.limit_ma, strict=True), 1):
                load.add_metric([circuit.id, f"L{phase}"], flow)
                limit.add_metric([circuit.id, f"L{phase}"], most)
        yield from (load, limit)

    def _health(self) -> Iterator[Metric]:
        equipment, health = self.parts.views.site.equipment, self.parts.views.health()
        up = {id_: int(health.get(f"link:{id_}") is Health.ONLINE) for id_ in equipment.links}
        yield _gauge("link_up", "1 while a link is online.", "link", up)
        family = GaugeMetricFamily(
            "commons_devices", "Devices of a link by health.", labels=["link", "health"]
        )
        found = Counter(
            (device.link, health.get(f"device:{device.id}", Health.UNKNOWN))
            for device in equipment.devices.values()
        )
        for link in equipment.links:
            for state in Health:
                family.add_metric([link, state.value], found[link, state])
        yield family


def _gauge(
    name: str, what: str, label: str, values: Mapping[str, float | None]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"commons_{name}", what, labels=[label])
    for value, found in sorted(values.items()):
        family.add_metric([value], math.nan if found is None else found)
    return family


def _beats(name: str, what: str, beats: Beats) -> Iterator[Metric]:
    bounds = [*(f"{bound / 1000:g}" for bound in beats.bounds_ms), "+Inf"]
    family = HistogramMetricFamily(f"commons_{name}", what)
    buckets = list(zip(bounds, accumulate(beats.counts), strict=True))
    family.add_metric([], buckets, beats.sum_ms / 1000)
    yield from (family, _one(f"{name}_max", "The longest since the start.", beats.worst_ms / 1000))


def _one(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"commons_{name}", what, value=value)
