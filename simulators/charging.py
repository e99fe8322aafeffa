"""Wires chargers, stations and feeders of a site: what each of their points shows, and takes.

A connector is known by its device (`keba`), or with its number where the device has several
(`station_3`), and by the facility that it is the outlet of.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import partial

from gateway.domain.charging import Outlet
from gateway.domain.points import PointRef, SetpointKind, Value
from gateway.domain.power import PerPhase, upwards
from gateway.domain.profile import Profile, ValueKind
from gateway.domain.site import Device
from simulators.models.circuits import Building, CircuitMeter, Contactor
from simulators.models.connectors import Charger, Connector, SwitchedOutlet
from simulators.models.vehicles import VOLTS, Amps
from simulators.town import Sink, Source, Town, channel_of

NAME = re.compile(r"(.+?)(_\d+)?")
DRIVES = ("limit", "switch")
AS_DELIVERED_MA = 6_000  # what a failsafe current is before anybody sets it
MOST_A = 32.0
OF_A_METER = {"V", "A", "mA", "W", "Wh", "kWh", "Hz"}


def wire_charging(town: Town, now_ms: int) -> None:
    """Every connector, and every meter over some of them."""
    equipment = town.site.equipment
    for device in equipment.devices.values():
        _wire_device(town, device, equipment.profiles[device.profile], now_ms)
    for facility in town.site.facilities.values():
        if facility.outlet is not None:
            _wire_outlet(town, facility.id, facility.outlet, now_ms)
    for number, circuit in enumerate(town.site.circuits.values()):
        building = Building(_amps(circuit.other_ma), number, now_ms)
        town.buildings[circuit.id] = building
        under = tuple(_under(town, circuit.id))
        if circuit.meter:
            _wire_meter(town, circuit.meter[0].device, CircuitMeter(under, building))
        if circuit.breaker is not None and channel_of(circuit.breaker) is not None:
            over = [connector for connector, _ in under]
            relay = town.relay(circuit.breaker)
            town.contactors[circuit.id] = Contactor(relay, over, now_ms)


# --- connectors ---------------------------------------------------------------------------------


def _wire_device(town: Town, device: Device, profile: Profile, now_ms: int) -> None:
    if profile.driver != "modbus":
        return
    named = [(name, *_parts(name)) for name in profile.points]
    connectors = {
        suffix: _connector(profile, name, now_ms) for name, base, suffix in named if base in DRIVES
    }
    if not connectors:
        return
    town.on_device[device.id] = list(connectors.values())
    town.connectors |= {device.id + suffix: one for suffix, one in connectors.items()}
    shown = {suffix: _shows(one, profile) for suffix, one in connectors.items()}
    taken = {suffix: _takes(one) for suffix, one in connectors.items()}
    shown = {"": _all_show(list(connectors.values()))} | shown
    taken = {"": _all_take(list(connectors.values()))} | taken
    for name, base, suffix in named:
        ref = PointRef(device.id, name)
        if source := shown[suffix].get(base):
            town.sources[ref] = source
        if sink := taken[suffix].get(base):
            town.sinks[ref] = sink
        if "enable_address" in profile.points[name].binding:
            charger = connectors[suffix]
            assert isinstance(charger, Charger)
            town.switches[ref] = charger.enable


def _parts(name: str) -> tuple[str, str]:
    found = NAME.fullmatch(name)
    assert found is not None
    return found[1], found[2] or ""


def _connector(profile: Profile, drive: str, now_ms: int) -> Connector:
    setpoint, traits = profile.points[drive].setpoint, profile.traits
    silence_ms = 1_000 * int(traits.get("failsafe_timeout_s", 0))
    if profile.points[drive].kind is ValueKind.BOOL:
        outlet = SwitchedOutlet(now_ms)
        outlet.silence_ms = silence_ms
        return outlet
    most_a = (setpoint.maximum if setpoint else None) or MOST_A * 1_000
    charger = Charger(now_ms, min(MOST_A, most_a / 1_000))
    charger.silence_ms = silence_ms
    charger.fed_by_limits = setpoint is not None and setpoint.kind is SetpointKind.LEASE
    charger.failsafe_ma = 0 if traits.get("failsafe") == "stops" else AS_DELIVERED_MA
    after = {"full": round(charger.most_a * 1_000), "failsafe": charger.failsafe_ma}
    charger.after_restart_ma = after.get(str(traits.get("after_power_cut")), 0)
    return charger


def _shows(connector: Connector, profile: Profile) -> dict[str, Source]:
    """What points by these names show of a connector."""
    by_session = profile.traits.get("energy") == "session"
    over_wh = float(profile.traits.get("energy_rolls_over_wh", math.inf))
    energy = _stepped(connector, "session_wh" if by_session else "energy_wh")
    shows: dict[str, Source] = {
        "power": connector.watts,
        "energy": lambda now_ms: float(energy(now_ms)) % over_wh,
        "session_energy": _stepped(connector, "session_wh"),
        "temperature": _stepped(connector, "temperature_c"),
        "plugged": lambda _now_ms: connector.vehicle is not None,
        "tripped": lambda _now_ms: connector.broken,
        "failsafe_timeout": lambda _now_ms: connector.silence_ms // 1_000,
        **{f"current_l{n + 1}": partial(_milliamps, connector, n) for n in range(3)},
    }
    if isinstance(connector, SwitchedOutlet):
        return shows | {"switch": _stepped(connector, "on")}
    assert isinstance(connector, Charger)
    offered = profile.traits.get("limit_shown") == "offered"
    return shows | {
        "state": connector.state,
        "limit": connector.shown_ma if offered else _stepped(connector, "limit_ma"),
        "applied_current": connector.shown_ma,
        "operative": lambda _now_ms: True,
        "unlocked": lambda _now_ms: True,
        "standby": lambda _now_ms: True,
        "limit_left": connector.silent_in_s,
        "failsafe_current": _stepped(connector, "failsafe_ma"),
        "boot_current": _stepped(connector, "after_restart_ma"),
    }


def _takes(connector: Connector) -> dict[str, Sink]:
    """What is written to points by these names."""
    takes = _all_take([connector])
    if isinstance(connector, SwitchedOutlet):
        return takes | {"switch": lambda value, now_ms: connector.switch(bool(value), now_ms)}
    assert isinstance(connector, Charger)
    charger = connector

    def failsafe(value: Value, _now_ms: int) -> None:
        charger.failsafe_ma = int(value)

    def limit(value: Value, now_ms: int) -> None:
        charger.set_limit(int(value), now_ms)

    return takes | {"failsafe_current": failsafe, "limit": limit}


def _all_show(connectors: Sequence[Connector]) -> dict[str, Source]:
    """What a station shows of all its outlets."""
    energies = [_stepped(connector, "energy_wh") for connector in connectors]
    return {
        "power": lambda now_ms: sum(connector.watts(now_ms) for connector in connectors),
        "energy": lambda now_ms: sum(float(energy(now_ms)) for energy in energies),
        "voltage": lambda _now_ms: VOLTS,
        "temperature": lambda _now_ms: connectors[0].temperature_c,
        "failsafe_timeout": lambda _now_ms: connectors[0].silence_ms // 1_000,
    }


def _all_take(connectors: Sequence[Connector]) -> dict[str, Sink]:
    """What is written to a device as a whole."""

    def silence(value: Value, _now_ms: int) -> None:
        for connector in connectors:
            connector.silence_ms = 1_000 * int(value)

    return {"failsafe_timeout": silence}


def _stepped(connector: Connector, attribute: str) -> Source:
    def shows(now_ms: int) -> Value:
        connector.step(now_ms)
        value: Value = getattr(connector, attribute)
        return value

    return shows


def _milliamps(connector: Connector, phase: int, now_ms: int) -> Value:
    return connector.amps(now_ms)[phase] * 1_000


# --- outlets and circuits -----------------------------------------------------------------------


def _wire_outlet(town: Town, facility: str, outlet: Outlet, now_ms: int) -> None:
    drive = outlet.points.drive
    key = drive.device + _parts(drive.point)[1]
    connector = town.connectors.setdefault(key, SwitchedOutlet(now_ms))  # a plug, a relay
    town.outlets[facility] = connector
    if outlet.meter is not None and outlet.meter.energy.device != drive.device:
        own = tuple(range(1, 4))
        _wire_meter(town, outlet.meter.energy.device, CircuitMeter([(connector, own)]))


def _under(town: Town, circuit: str) -> Iterator[tuple[Connector, Sequence[int]]]:
    """The connectors on a circuit and on those that it feeds, with their phases."""
    for facility in town.site.facilities.values():
        if facility.outlet is None:
            continue
        load = facility.outlet.load
        if circuit in (one.id for one in upwards(town.site.circuits, load.circuit)):
            yield town.outlets[facility.id], load.phases


def _wire_meter(town: Town, device: str, meter: CircuitMeter) -> None:
    """A meter of any make over connectors: its points by their names and units."""
    equipment = town.site.equipment
    profile = equipment.profiles[equipment.devices[device].profile]
    town.feeders[device] = meter
    for name, spec in profile.points.items():
        if spec.unit in OF_A_METER or name == "power_factor":
            town.sources[PointRef(device, name)] = partial(meter.quantity, name)


def _amps(milliamps: PerPhase) -> Amps:
    return (milliamps[0] / 1_000, milliamps[1] / 1_000, milliamps[2] / 1_000)
