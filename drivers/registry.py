"""Driver kinds by the name that links (`modbus_tcp`) and profiles (`modbus`) give.

Ours are here; a third party's is found by its entry point in the group `commons.drivers`, and is
imported only when the site names it.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from gateway.ports import DriverKind

GROUP = "commons.drivers"

OURS = {
    "modbus": "drivers.modbus.kind:ModbusKind",
    "modbus_tcp": "drivers.modbus.kind:ModbusKind",
    "modbus_rtu": "drivers.modbus.kind:ModbusKind",
    "mqtt": "drivers.mqtt.kind:MqttKind",
}


def kinds(named: Iterable[str] = ()) -> dict[str, DriverKind]:
    """The kinds the site names, or all of ours when it names none; unknown names are left out.

    Names that share a class share the one object.
    """
    wanted = set(named) or set(OURS)
    ours = {name: OURS[name] for name in sorted(wanted & OURS.keys())}
    made = {target: _made(target) for target in set(ours.values())}
    found = {name: made[target] for name, target in ours.items()}
    if missing := wanted - found.keys():
        found |= {
            entry.name: cast(DriverKind, entry.load()())
            for entry in entry_points(group=GROUP)
            if entry.name in missing
        }
    return found


def _made(target: str) -> DriverKind:
    module, _, name = target.partition(":")
    return cast(DriverKind, getattr(import_module(module), name)())
