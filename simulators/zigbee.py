"""Zigbee devices as Zigbee2MQTT shows them: facets of one device, each with its own properties.

Property names, values and exposes are those of Zigbee2MQTT 2 and its converters. Happenings
(`action…`) are never part of the cached state, as there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.domain.points import PointRef
from gateway.domain.profile import Profile, ValueKind
from gateway.domain.uses import uses
from simulators.models.button import Button
from simulators.models.lock import Lock
from simulators.models.power import Plug
from simulators.models.relay import Sounder
from simulators.models.sensors import MotionSensor
from simulators.town import Town

READ, READ_WRITE = 1, 7


class Facet(Protocol):
    """One side of a Zigbee device."""

    exposes: list[dict[str, Any]]

    def state(self, now_ms: int) -> dict[str, Any]:
        """Its properties as they are now."""
        ...

    def echo(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What the bridge says of a command at once, whatever the device will do."""
        ...

    def set(self, message: Mapping[str, Any], now_ms: int) -> None:
        """A command reached the device."""
        ...


def binary(name: str, on: object = True, off: object = False, access: int = READ) -> dict[str, Any]:
    """An exposed property of two values."""
    exposed = {"type": "binary", "name": name, "property": name, "access": access}
    return exposed | {"label": name.capitalize(), "value_on": on, "value_off": off}


def numeric(name: str, unit: str) -> dict[str, Any]:
    """An exposed number."""
    exposed = {"type": "numeric", "name": name, "property": name, "access": READ}
    return exposed | {"label": name.capitalize(), "unit": unit}


def enumeration(name: str, *values: str) -> dict[str, Any]:
    """An exposed property of several values."""
    exposed = {"type": "enum", "name": name, "property": name, "access": READ}
    return exposed | {"label": name.capitalize(), "values": list(values)}


class Quiet:
    """A facet that takes no commands."""

    def echo(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Nothing to echo."""
        del message
        return {}

    def set(self, message: Mapping[str, Any], now_ms: int) -> None:
        """Nothing to command."""
        del message, now_ms


class LockFacet:
    """A lock. The echo of a command is optimistic; `lock_state` is what its sensor says."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self.exposes = [
            {
                "type": "lock",
                "features": [
                    binary("state", "LOCK", "UNLOCK", READ_WRITE),
                    enumeration("lock_state", "not_fully_locked", "locked", "unlocked"),
                ],
            },
            numeric("battery", "%"),
            numeric("auto_relock_time", "s"),
            enumeration("action", "lock", "unlock", "keypad_unlock", "manual_unlock"),
            enumeration("action_source_name", "keypad", "rf", "manual"),
            numeric("action_user", ""),
        ]

    def state(self, now_ms: int) -> dict[str, Any]:
        """Lock state and battery."""
        found = self._lock.state(now_ms)
        state = "LOCK" if found == "locked" else "UNLOCK"
        return {
            "state": state,
            "lock_state": found,
            "battery": self._lock.battery,
            "auto_relock_time": round(self._lock.relock_ms / 1_000),
        }

    def echo(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The wanted state, as if it were so."""
        return _echoed(message, "LOCK", "UNLOCK")

    def set(self, message: Mapping[str, Any], now_ms: int) -> None:
        """`state` locks and unlocks; `pin_code` sets or clears a user of the lock's own."""
        if "pin_code" in message:
            self._set_user(message["pin_code"])
        wanted = message.get("state")
        if wanted == "UNLOCK":
            self._lock.unlock(now_ms)
        elif wanted == "LOCK":
            self._lock.lock(now_ms)

    def _set_user(self, entry: Any) -> None:
        if isinstance(entry, dict) and isinstance(entry.get("user"), int):
            if entry.get("pin_code") is None:
                self._lock.users.pop(entry["user"], None)
            else:
                self._lock.users[entry["user"]] = str(entry["pin_code"])


# What Zigbee2MQTT sends for true and false; a contact is true when the door is shut.
DIAGNOSTIC = ("tamper", "battery_low")
SAID = {"contact": (False, True), "door_state": ("open", "closed")}


class BinaryFacet(Quiet):
    """A sensor of two values."""

    def __init__(self, town: Town, ref: PointRef, name: str) -> None:
        self._town = town
        self._ref = ref
        self._name = name
        self.exposes = [binary(name, _said(name, True), _said(name, False))]

    def state(self, now_ms: int) -> dict[str, Any]:
        """Its value."""
        return {self._name: _said(self._name, bool(self._town.value(self._ref, now_ms)))}


class NumberFacet(Quiet):
    """A sensor of a number: battery, temperature, carbon dioxide."""

    def __init__(self, town: Town, ref: PointRef, name: str) -> None:
        self._town = town
        self._ref = ref
        self._name = name
        self.exposes = [numeric(name, town.site.equipment.spec_of(ref).unit)]

    def state(self, now_ms: int) -> dict[str, Any]:
        """Its value."""
        return {self._name: self._town.value(self._ref, now_ms)}


class SounderFacet(Quiet):
    """A siren with a strobe, driven by `warning`; it shows no state of it."""

    def __init__(self, sounder: Sounder) -> None:
        self._sounder = sounder
        self.exposes = [{"type": "composite", "name": "warning", "property": "warning"}]

    def state(self, now_ms: int) -> dict[str, Any]:
        """Nothing: it does not say that it sounds."""
        del now_ms
        return {}

    def set(self, message: Mapping[str, Any], now_ms: int) -> None:
        """`warning` starts or stops it for `duration` seconds."""
        warning = message.get("warning")
        if isinstance(warning, dict):
            loud = warning.get("mode", "stop") != "stop"
            length_ms = round(float(warning.get("duration", 10)) * 1_000)
            self._sounder.warn(
                length_ms, now_ms, loud=loud, light=bool(warning.get("strobe", False))
            )


class ButtonFacet(Quiet):
    """A call button: it says an action a press, and in between that it lives."""

    def __init__(self, button: Button) -> None:
        self._button = button
        self.exposes = [
            enumeration("action", "emergency"),
            binary("battery_low"),
            binary("tamper"),
            numeric("battery", "%"),
        ]

    def state(self, now_ms: int) -> dict[str, Any]:
        """Battery and tamper: a press is no state."""
        del now_ms
        battery = self._button.battery
        return {"battery": battery, "battery_low": battery < 15, "tamper": self._button.tampered}


class PlugFacet:
    """A metering plug."""

    def __init__(self, plug: Plug) -> None:
        self._plug = plug
        self.exposes = [
            {"type": "switch", "features": [binary("state", "ON", "OFF", READ_WRITE)]},
            *(numeric(*pair) for pair in (("power", "W"), ("energy", "kWh"))),
            *(numeric(*pair) for pair in (("current", "A"), ("voltage", "V"))),
        ]

    def state(self, now_ms: int) -> dict[str, Any]:
        """Switch and meter."""
        meter = self._plug.meter
        return {
            "state": "ON" if self._plug.on else "OFF",
            "power": round(meter.quantity("W", now_ms), 1),
            "energy": round(meter.quantity("kWh", now_ms), 2),
            "current": round(meter.quantity("A", now_ms), 2),
            "voltage": round(meter.voltage_v),
        }

    def echo(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The wanted state, as if it were so."""
        return _echoed(message, "ON", "OFF")

    def set(self, message: Mapping[str, Any], now_ms: int) -> None:
        """`state` switches it; a welded contact stays as it is."""
        if message.get("state") in ("ON", "OFF"):
            self._plug.switch(message["state"] == "ON", now_ms)


def _echoed(message: Mapping[str, Any], *known: str) -> dict[str, Any]:
    wanted = message.get("state")
    return {"state": wanted} if wanted in known else {}


@dataclass(frozen=True, slots=True)
class ZigbeeDevice:
    """A device on the bridge: its friendly name, facets, and the motion hits to report again."""

    id: str
    friendly_name: str
    facets: tuple[Facet, ...]
    hits: Callable[[], int]
    stuck: Callable[[], dict[str, Any]]

    def state(self, now_ms: int) -> dict[str, Any]:
        """All its properties, with what is stuck as it is stuck."""
        found: dict[str, Any] = {"linkquality": 120}
        for facet in self.facets:
            found |= facet.state(now_ms)
        return found | self.stuck()

    def echo(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What is echoed of a command."""
        echoed: dict[str, Any] = {}
        for facet in self.facets:
            echoed |= facet.echo(message)
        return echoed

    def set(self, message: Mapping[str, Any], now_ms: int) -> None:
        """A command reached it."""
        for facet in self.facets:
            facet.set(message, now_ms)

    def listed(self, number: int) -> dict[str, Any]:
        """Its entry in the bridge's list of devices."""
        exposes = [exposed for facet in self.facets for exposed in facet.exposes]
        return {
            "ieee_address": f"0x00158d{number:010x}",
            "friendly_name": self.friendly_name,
            "type": "EndDevice",
            "supported": True,
            "disabled": False,
            "interview_completed": True,
            "definition": {
                "model": "SIMULATED",
                "vendor": "Commons",
                "description": self.id,
                "exposes": [*exposes, numeric("linkquality", "lqi")],
            },
        }


def zigbee_device(town: Town, id_: str, friendly_name: str) -> ZigbeeDevice:
    """A device with the facets that its uses in the site and its profile ask for."""
    site = town.site
    buttons = {one.point: town.buttons[one.id] for one in site.safety.call_points.values()}
    facets: list[Facet] = []
    if id_ in town.locks:
        facets.append(LockFacet(town.locks[id_]))
    if id_ in town.plugs:
        facets.append(PlugFacet(town.plugs[id_]))
    if id_ in town.sounders:
        facets.append(SounderFacet(town.sounders[id_]))
    profile = site.equipment.profiles[site.equipment.devices[id_].profile]
    for ref in (PointRef(id_, point) for point in profile.points):
        if ref in buttons:
            facets.append(ButtonFacet(buttons[ref]))
    shown = {name for facet in facets for name in facet.state(0)} | {"action"}
    for spec in profile.points.values():
        name, ref = str(spec.binding.get("path", "")), PointRef(id_, spec.name)
        if not name or name in shown:
            continue
        if spec.kind is ValueKind.BOOL and (ref in uses(site) or name in DIAGNOSTIC):
            facets.append(BinaryFacet(town, ref, name))
        elif spec.kind in (ValueKind.INT, ValueKind.FLOAT):
            facets.append(NumberFacet(town, ref, name))
    hits = [
        sensor
        for ref, sensor in town.sensors.items()
        if ref.device == id_ and isinstance(sensor, MotionSensor)
    ]
    return ZigbeeDevice(
        id_,
        friendly_name,
        tuple(facets),
        lambda: sum(sensor.hits for sensor in hits),
        lambda: _stuck(town, id_, profile),
    )


def _stuck(town: Town, id_: str, profile: Profile) -> dict[str, Any]:
    """The properties of a device that are stuck, as the bridge would say them."""
    stuck = {}
    for spec in profile.points.values():
        ref, name = PointRef(id_, spec.name), str(spec.binding.get("path", ""))
        if name and ref in town.stuck:
            stuck[name] = _said(name, town.stuck[ref])
    return stuck


def _said(name: str, value: Any) -> Any:
    """How the bridge says a value of a property."""
    return SAID[name][0 if value else 1] if name in SAID else value
