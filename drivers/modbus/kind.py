"""The Modbus driver kind: what a profile and a link may say, and how a driver is made."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from drivers.codec import TYPES, Table
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.link import SERIAL, is_serial
from gateway.domain.errors import Problem
from gateway.domain.points import SetpointKind
from gateway.domain.profile import PointSpec, Profile
from gateway.domain.site import Device, Link
from gateway.ports import Driver, LinkSetup


class ModbusKind:
    """Modbus TCP and RTU."""

    name = "modbus"

    def check_profile(self, profile: Profile) -> list[Problem]:
        """Rows in no table or of no type, out of range, or timed by nobody."""
        return [
            Problem("", f"points.{spec.name}.{key}", message, rule=rule)
            for spec in profile.points.values()
            for key, message, rule in _row_problems(spec)
        ]

    def check_link(
        self, link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
    ) -> list[Problem]:
        """Two devices at one unit, unit ids out of range, a line whose settings make no sense."""
        del profiles
        found = list(_link_problems(link))
        units: dict[int, str] = {}
        for device in devices:
            unit = device.binding.get("unit", 1)
            where = f"devices/{device.id}.yaml"
            if not isinstance(unit, int) or not 0 <= unit <= 255:
                found.append(Problem(where, "unit", f"found {unit!r}, expected 0 to 255"))
            elif unit in units:
                message = f"unit {unit} on link {link.id!r} is {units[unit]!r} already"
                found.append(Problem(where, "unit", message))
            else:
                units[unit] = device.id
        return found

    def open(self, setup: LinkSetup) -> Driver:
        """A driver for the link."""
        return ModbusDriver(setup, Random())  # noqa: S311 (jitter, no secret)


def _row_problems(spec: PointSpec) -> Iterator[tuple[str, str, str]]:
    row = spec.binding
    tables = ", ".join(Table)
    if row.get("table") not in set(Table):
        yield "table", f"found {row.get('table')!r}, expected one of {tables}", ""
        return
    address = row.get("address")
    if not isinstance(address, int) or not 0 <= address <= 65_535:
        yield "address", f"found {address!r}, expected 0 to 65535", ""
    if not Table(row["table"]).bits and row.get("type", "u16") not in TYPES:
        yield "type", f"found {row['type']!r}, expected one of {', '.join(TYPES)}", ""
    timed = spec.setpoint is not None and spec.setpoint.kind is not SetpointKind.LEVEL
    if timed and not isinstance(row.get("tick_ms"), int):
        yield "tick_ms", "expected the unit of the device's own timer: a pulse ends by itself", "A4"


def _link_problems(link: Link) -> Iterator[Problem]:
    key = f"links.{link.id}"
    if is_serial(link):
        if not isinstance(link.binding.get("port"), str):
            yield Problem("site.yaml", f"{key}.port", "expected a serial port, as /dev/ttyUSB0")
        for name, usual in SERIAL.items():
            found = link.binding.get(name, usual)
            if type(found) is not type(usual):
                yield Problem("site.yaml", f"{key}.{name}", f"found {found!r}, as {usual!r}")
    elif not isinstance(link.binding.get("host"), str):
        yield Problem("site.yaml", f"{key}.host", "expected a host name or address")
