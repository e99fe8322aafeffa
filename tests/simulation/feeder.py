"""The garage's feeder in virtual time: the core's own objects amid simulated chargers and cars.

Each device is read at times of its own, and falls silent when it is not answered three times; a
write may be lost, with its answer or alone. What truly flows is looked at ten times a second.
"""

from dataclasses import replace
from pathlib import Path
from random import Random

from core.harness import HEARTBEAT_MS, SENT, UNKNOWN, World

from config.site import load_site
from drivers.registry import kinds
from gateway.core.outlets import outlet_of
from gateway.domain.charging import OutletStatus
from gateway.domain.events import SUPERVISION, CredentialPresented, DeadlineReached, ReadingsChanged
from gateway.domain.faults import Health
from gateway.domain.now import MINUTE_MS
from gateway.domain.points import (
    PointRef,
    Quality,
    Reading,
    Setpoint,
    Value,
    WriteOutcome,
)
from gateway.domain.power import Circuit
from gateway.domain.profile import ValueKind
from gateway.domain.secret import Secret
from gateway.domain.site import Site
from gateway.domain.subjects import CredentialKind, Presented
from gateway.domain.uses import uses
from gateway.runtime.step import Told
from simulators.models.connectors import Charger
from simulators.models.vehicles import KINDS, Ebike
from simulators.wiring import build_town

GARAGE = Path(__file__).parent / "garage"
TICK_MS = 100
PERIODS_MS = (300, 500, 700, 900)
SILENT_AFTER = 3
LIMIT_A, OTHER_A = 40, 10
METER_PERCENT = 0.5  # what a meter of its class may be off by
DEADBAND_A = 0.1
OUTLETS = ("bay_keba", "bay_abb", "bay_alfen", "bay_charx_1", "bay_charx_2", "rack_1", "rack_2")


def site_of_feeder() -> Site:
    """The garage with a feeder that its outlets together would overload twice."""
    site = load_site(GARAGE, kinds())
    most, other = (LIMIT_A * 1_000,) * 3, (OTHER_A * 1_000,) * 3
    feeder = replace(site.circuits["feeder"], limit_ma=most, other_ma=other)
    circuits: dict[str, Circuit] = {**site.circuits, "feeder": feeder}
    facilities = {id_: site.facilities[id_] for id_ in OUTLETS}
    return replace(site, circuits=circuits, facilities=facilities)


class Feeder(World):
    """One feeder's life from one seed."""

    def __init__(self, site: Site, seed: int) -> None:
        self.random = Random(seed)  # a simulation, to be repeated
        self.town_ms = 1_000_000 + seed * 1_000 * MINUTE_MS
        self.town = build_town(site, self.town_ms)
        self.losing = 0.0  # how often a write is lost
        self.surprised_ms = self.town_ms  # when what nobody could know began to flow
        self._building: tuple[float, ...] = ()
        self._beyond = [0.0] * len(OUTLETS)
        self._polled_ms: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._points: dict[str, list[PointRef]] = {}
        for ref in uses(site):
            self._points.setdefault(ref.device, []).append(ref)
        self._error = 1 + self.random.uniform(-1, 1) * METER_PERCENT / 100
        super().__init__(site)
        self.person("ada", pin="1111")
        self.right("all", "ada", "*")
        self.live(20_000)

    # --- what happens -----------------------------------------------------------------------------

    def plug(self, outlet: str) -> None:
        kind = "ebike" if outlet.startswith("rack") else self.random.choice(["car", "small_car"])
        vehicle = KINDS[kind](self.random.uniform(0.1, 0.9))
        vehicle.wakes_ms = self.random.choice([0, 1_000, 3_000])
        if isinstance(vehicle, Ebike):
            vehicle.rated_w = 1_000.0
        self.town.connector(outlet).plug_in(vehicle, self.town_ms)

    def unplug(self, outlet: str) -> None:
        self.town.connector(outlet).unplug(self.town_ms)

    def authorise(self, outlet: str) -> None:
        """Ada's PIN: it starts a session, or stops her own."""
        presented = Presented(CredentialKind.PIN, Secret("pin:1111"))
        self.tell(CredentialPresented(None, presented, facility=outlet))

    def surprise(self) -> None:
        """From now on something flows that nobody could know of before it is read."""
        self.surprised_ms = self.town_ms

    def reboot(self, off_ms: int) -> None:
        """The gateway alone is killed and started again."""
        self._let_pass(off_ms)
        self.wall_ms -= off_ms  # `restart` counts it too
        self._polled_ms.clear()
        self._missed.clear()
        self.restart(off_ms)
        self.surprise()

    # --- what flows -------------------------------------------------------------------------------

    def flows(self) -> tuple[float, float, float]:
        """What truly flows on the feeder."""
        return self.town.feeders["feeder"].amps(self.town_ms)

    def over_a(self) -> float:
        """How far it is over its limit and what its meter may be off by."""
        tolerated = LIMIT_A * (1 + METER_PERCENT / 100) + DEADBAND_A
        return max(self.flows()) - tolerated

    def is_mute(self, outlet: str) -> bool:
        """What drives it answers nothing."""
        return outlet_of(self.site.facilities[outlet]).points.drive.device in self.mute

    def granted(self) -> dict[str, int]:
        """What each outlet is granted."""
        return {one.id: one.granted_ma for one in self.state.all(OutletStatus)}

    # --- time -------------------------------------------------------------------------------------

    def live(self, ms: int) -> None:
        """Time passes."""
        for _ in range(ms // TICK_MS):
            self._let_pass(TICK_MS)
            self.mono_ms += TICK_MS
            self._poll()
            self._pass()
            self.look()

    def look(self) -> None:
        """Called ten times a second."""

    def _let_pass(self, ms: int) -> None:
        self.town_ms += ms
        self.wall_ms += ms
        building = self.town.buildings["feeder"].amps(self.town_ms)
        if any(now > before for now, before in zip(building, self._building, strict=False)):
            self.surprise()
        self._building = building
        beyond = [self._beyond_a(id_) for id_ in OUTLETS]
        rises = [
            now > before + DEADBAND_A for now, before in zip(beyond, self._beyond, strict=True)
        ]
        unseen = "feeder" in self.mute and any(map(self._mute_draws_beyond, OUTLETS))
        if any(rises) or unseen:
            self.surprise()
        self._beyond = beyond

    def _beyond_a(self, outlet: str) -> float:
        """What it draws beyond what its charger was told, and says."""
        one = self.town.connector(outlet)
        most_a = max(one.amps(self.town_ms))
        return max(0.0, most_a - one.limit_ma / 1_000) if isinstance(one, Charger) else 0.0

    def _mute_draws_beyond(self, outlet: str) -> bool:
        return self.is_mute(outlet) and self._beyond_a(outlet) > DEADBAND_A

    def _pass(self) -> None:
        while (event := self.agenda.take(self.state, self.now())) is not None:
            self._after(self._take(Told(event)))
        if self.mono_ms >= self._checkpoint_ms:
            self._checkpoint_ms = self.mono_ms + MINUTE_MS
            self.step.checkpoint(self.now())
        if self.mono_ms >= self._heartbeat_ms:
            self._heartbeat_ms = self.mono_ms + HEARTBEAT_MS
            self._release(self.step.derive_all(self.now()))
            self._after(self._take(Told(DeadlineReached(SUPERVISION, ""))))
        self._settle()

    def settle(self) -> None:
        """Nothing is known before it was read."""

    def _poll(self) -> None:
        for number, device in enumerate(self._points):
            period = PERIODS_MS[number % len(PERIODS_MS)]
            if self.mono_ms - self._polled_ms.get(device, -period) < period:
                continue
            self._polled_ms[device] = self.mono_ms
            if device in self.mute:
                self._unanswered(device)
            else:
                self._answered(device)

    def _unanswered(self, device: str) -> None:
        self._missed[device] = self._missed.get(device, 0) + 1
        if self._missed[device] == SILENT_AFTER:
            stale = tuple(self.readings.device_silent(device))
            if stale:
                self.tell(ReadingsChanged(stale))
            self.tell_health(device, Health.SILENT)

    def _answered(self, device: str) -> None:
        self.town.hear(device, self.town_ms)
        self._cells[device].heard_ms = self.mono_ms
        if self._missed.pop(device, 0) >= SILENT_AFTER:
            self.tell_health(device, Health.ONLINE, "ok")
        changed = [found for ref in self._points[device] if (found := self._read(ref)) is not None]
        for reading in changed:
            self.readings.put(reading)
        if changed:
            self.tell(ReadingsChanged(tuple(changed)))

    def _read(self, ref: PointRef) -> Reading | None:
        spec, before = self.site.equipment.spec_of(ref), self.readings.latest(ref)
        value: Value = self.town.value(ref, self.town_ms)
        if ref.device == "feeder" and isinstance(value, int | float):
            value *= self._error
        if spec.kind is ValueKind.INT:
            value = int(value)
        if before.good and _same(before.value, value, spec.deadband):
            return None
        return Reading(ref, value, Quality.GOOD, self.wall_ms, self.mono_ms)

    def _write(self, setpoint: Setpoint) -> WriteOutcome | None:
        if setpoint.ref.device in self.mute or self.random.random() < self.losing:
            return UNKNOWN
        value = setpoint.value  # type: ignore[union-attr]  # no pulses in a garage
        self.town.write(setpoint.ref, value, self.town_ms)
        lost = self.random.random() < self.losing
        return UNKNOWN if lost else SENT


def _same(before: Value | None, now: Value, deadband: float) -> bool:
    if isinstance(now, bool | str) or not isinstance(before, int | float):
        return before == now
    return abs(before - now) <= deadband
