"""What is wrong in the Modbus columns of profiles, links and devices, said exactly. Pure.

Keys of problems are relative: to the profile (`points.relay_1.table`), to the site
(`links.bus.port`), or to the device (`devices.board.unit`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from drivers.codec import (
    A_SCALE,
    BY,
    TYPES,
    Row,
    Table,
    is_number,
    is_scale,
    is_value,
    row_of,
    variants,
)
from drivers.modbus.plan import Limits
from gateway.domain.errors import Problem
from gateway.domain.points import SetpointKind
from gateway.domain.profile import PointSpec, Profile, SetpointSpec, ValueKind
from gateway.domain.site import Device, Link

ADDRESS_MAX = 0xFFFF
READ_MAX = 125  # registers a read, by the protocol
ORDERS = ("big", "little")
ACCESS = ("read", "write", "read_write")
SERIAL = {"baudrate": 9_600, "bytesize": 8, "parity": "N", "stopbits": 1}
PARITIES = ("N", "E", "O")
BAUDRATES = (1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400)

Says = str | None
Judge = Callable[[Any], Says]


# --- one key at a time --------------------------------------------------------------------------


def _whole(low: int, high: int) -> Judge:
    def judge(found: Any) -> Says:
        if isinstance(found, int) and not isinstance(found, bool) and low <= found <= high:
            return None
        return f"a whole number from {low} to {high}"

    return judge


def _one_of(*known: Any) -> Judge:
    def judge(found: Any) -> Says:
        if found in known and not isinstance(found, bool):
            return None
        names = [str(one) for one in known]
        return f"one of {', '.join(names)}{_nearest(found, names)}"

    return judge


def _instance(kind: Any, what: str) -> Judge:
    return lambda found: None if isinstance(found, kind) else what


def _scale(found: Any) -> Says:
    return None if is_scale(found) else f"a number {A_SCALE}"


def _numbers(found: Any) -> Says:
    good = isinstance(found, list | tuple) and all(isinstance(one, int) for one in found)
    return None if good else "a list of whole numbers, as they are in the registers"


def _limits(found: Any) -> Says:
    two = isinstance(found, list | tuple) and len(found) == 2
    good = two and all(map(is_number, found)) and found[0] <= found[1]
    return None if good else "two numbers, the lowest and the highest plausible value"


def _enum(found: Any) -> Says:
    good = isinstance(found, Mapping) and found
    return None if good else "a mapping from what is in the register to values"


def _is_whole(raw: Any) -> bool:
    return str(raw).lstrip("-").isdigit()


ROW: Mapping[str, Judge] = {
    "table": _one_of(*(table.value for table in Table)),
    "address": _whole(0, ADDRESS_MAX),
    "type": _one_of(*TYPES),
    "words": _whole(1, READ_MAX),
    "word_order": _one_of(*ORDERS),
    "byte_order": _one_of(*ORDERS),
    "scale": _scale,
    "bit": _whole(0, 63),
    "bits": _whole(1, 64),
    "enum": _enum,
    "undefined": _numbers,
    "limits": _limits,
    "access": _one_of(*ACCESS),
    "by": _instance(str, "the name of another point"),
    "write_address": _whole(0, ADDRESS_MAX),
    "write_type": _one_of(*TYPES),
    "enable_address": _whole(0, ADDRESS_MAX),
    "keep": _instance(bool | int, "true, false or a whole number"),
    "tick_ms": _whole(1, 60_000),
    "writes": _whole(0, ADDRESS_MAX),
    "off_address": _whole(0, ADDRESS_MAX),
    "multiple": _instance(bool, "true or false"),
    "nonvolatile": _instance(bool, "true or false"),
}
MODEL: Mapping[str, Judge] = {
    "max_read": _whole(1, READ_MAX),
    "max_hole": _whole(0, READ_MAX),
    "gap_ms": _whole(0, 5_000),
    "timeout_ms": _whole(10, 10_000),
    "unit": _whole(0, 255),
    "word_order": _one_of(*ORDERS),
    "byte_order": _one_of(*ORDERS),
    "undefined": _numbers,
}
LINE: Mapping[str, Judge] = {
    "baudrate": _one_of(*BAUDRATES),
    "bytesize": _one_of(7, 8),
    "parity": _one_of(*PARITIES),
    "stopbits": _one_of(1, 2),
}
COMMON: Mapping[str, Judge] = {"retry_max_ms": _whole(1_000, 3_600_000)}
LINKS: Mapping[str, Mapping[str, Judge]] = {
    "modbus_tcp": {
        "host": _instance(str, "a host name or address"),
        "port": _whole(1, 65_535),
        "framing": _one_of("tcp", "rtu"),
        **COMMON,
    },
    "modbus_rtu": {
        "port": _instance(str, "a serial port, such as /dev/ttyUSB0"),
        "local_echo": _instance(bool, "true or false"),
        **LINE,
        **COMMON,
    },
}
NEEDED = {"modbus_tcp": "host", "modbus_rtu": "port"}
DEVICE: Mapping[str, Judge] = {
    **MODEL,
    **LINE,
    "invert": _instance(list | tuple, "a list of points"),
}


@dataclass(frozen=True, slots=True)
class _Where:
    """Where problems are found: the file, if it is known, and the key all others stand under."""

    file: str
    key: str
    thing: str = "key"

    def problem(self, key: str, message: str, rule: str = "", *, warning: bool = False) -> Problem:
        joined = ".".join(part for part in (self.key, key) if part)
        return Problem(self.file, joined, message, rule=rule, warning=warning)

    def judge(self, found: Mapping[str, Any], judges: Mapping[str, Judge]) -> Iterator[Problem]:
        """Each key by itself: known, and with a value that makes sense."""
        for key, value in found.items():
            if key not in judges:
                message = f"found {key!r}, expected a {self.thing} of Modbus{_nearest(key, judges)}"
                yield self.problem(key, message)
            elif expected := judges[key](value):
                yield self.problem(key, f"found {value!r}, expected {expected}")


def _nearest(found: Any, known: Iterable[str]) -> str:
    near = get_close_matches(str(found), list(known), 1)
    return f"; the nearest is {near[0]!r}" if near else ""


# --- profiles -----------------------------------------------------------------------------------


def profile_problems(profile: Profile) -> Iterator[Problem]:
    """Everything that is wrong in a profile's Modbus columns."""
    device = _Where("", "device")
    wrong = list(device.judge(profile.binding, {**MODEL, **LINE}))
    yield from wrong
    for name, spec in profile.points.items():
        where = _Where("", f"points.{name}", "column")
        found = list(_judged(where, spec, profile))
        found += [
            where.problem(key, f"found nothing, expected {ROW[key](None)}")
            for key in ("table", "address")
            if key not in spec.binding
        ]
        if not found and not wrong:
            found = list(_row_problems(where, spec, profile))
        yield from found


def _judged(where: _Where, spec: PointSpec, profile: Profile) -> Iterator[Problem]:
    """Each column by itself; where a row hangs on another one, for each value of that."""
    by = spec.binding.get("by")
    if by is None:
        yield from where.judge(spec.binding, ROW)
        return
    if not isinstance(by, str) or by not in profile.points or by == spec.name:
        expected = f"another point of {profile.id}{_nearest(by, profile.points)}"
        yield where.problem("by", f"found {by!r}, expected {expected}")
        return
    each = variants(spec.binding)
    if not each:
        yield where.problem("by", f"found beside no {' or '.join(BY)} that is given by its values")
    for columns in each.values():
        yield from where.judge(columns, ROW)


def _row_problems(where: _Where, spec: PointSpec, profile: Profile) -> Iterator[Problem]:
    """What is wrong between the columns of a row that are right by themselves."""
    columns = spec.binding
    table = Table(columns["table"])
    if table.bits:
        for key in ("type", "words", "scale", "bit", "bits", "word_order", "byte_order"):
            if key in columns:
                yield where.problem(
                    key, f"found beside the table {table}, expected on registers only"
                )
    elif columns.get("type") == "text" and "words" not in columns:
        yield where.problem("words", "found nothing, expected the number of registers of the text")
    elif columns.get("type") != "text" and (
        odd := [raw for enum in _enums(columns) for raw in enum if not _is_whole(raw)]
    ):
        yield where.problem("enum", f"found {odd[0]!r}, expected whole numbers as they are there")
    else:
        yield from _register_problems(where, spec, row_of(spec, profile.binding), profile)
    for enum in _enums(columns):
        for raw, value in enum.items():
            if not is_value(spec.kind, value):
                yield where.problem(f"enum.{raw}", f"found {value!r}, expected a {spec.kind}")
    if spec.setpoint is not None:
        yield from _write_problems(where, spec, spec.setpoint, table)
    if "keep" in columns and (not spec.setpoint or spec.setpoint.kind is not SetpointKind.LEVEL):
        yield where.problem("keep", "found on what is not a level, expected setpoint: level")


def _enums(columns: Mapping[str, Any]) -> Iterator[Mapping[Any, Any]]:
    """The enums of a row: what is in its registers, and what that means."""
    for one in variants(columns).values() if "by" in columns else (columns,):
        yield one.get("enum", {})


def _register_problems(
    where: _Where, spec: PointSpec, row: Row, profile: Profile
) -> Iterator[Problem]:
    layout = row.layout
    if row.address + row.count - 1 > ADDRESS_MAX:
        message = f"found {row.address}, from where {row.count} registers pass {ADDRESS_MAX}"
        yield where.problem("address", message)
    most = Limits.of(profile.binding).max_read
    if row.count > most:
        found = f"found {layout.type}, which takes {row.count} registers"
        yield where.problem("type", f"{found}, expected at most max_read, {most}")
    last_bit = (layout.bit or 0) + layout.bits
    if layout.bit is not None and (layout.type[0] not in "ui" or last_bit > 16 * layout.words):
        message = f"found bit {last_bit - 1}, expected one that a {layout.type} has"
        yield where.problem("bit", message)
    named = "enum" in spec.binding
    if spec.kind is ValueKind.TEXT and layout.type != "text" and not named:
        found = f"found {layout.type} for a text"
        yield where.problem("type", f"{found}, expected type text with its words, or an enum")
    if spec.kind is not ValueKind.TEXT and layout.type == "text":
        yield where.problem("type", f"found text for a {spec.kind}, expected a number")
    if layout.type == "bool":
        yield where.problem("type", "found bool on a register, expected u16, with a bit or not")
    if spec.kind is ValueKind.BOOL and layout.bits > 1:
        yield where.problem("bits", f"found {layout.bits} for a bool, expected 1")


def _write_problems(
    where: _Where, spec: PointSpec, setpoint: SetpointSpec, table: Table
) -> Iterator[Problem]:
    columns = spec.binding
    if table in (Table.DISCRETE, Table.INPUT):
        found = f"found {table}, which is read-only"
        yield where.problem("table", f"{found}, expected coil or holding for a setpoint")
    if "bit" in columns:
        yield where.problem("bit", "found beside setpoint: one bit cannot be written by itself")
    if setpoint.kind is SetpointKind.PULSE:
        if setpoint.length_ms is None:
            message = "found nothing, expected how long the device makes the pulse at most"
            yield where.problem("length_ms", message, "A4")
        if "tick_ms" not in columns and "writes" not in columns:
            ways = "tick_ms (the device times what is written) or writes (a constant)"
            message = f"found nothing, expected {ways}: a pulse must end by itself"
            yield where.problem("tick_ms", message, "A4")
    if setpoint.kind is SetpointKind.LEASE:
        yield from _lease_problems(where, columns, setpoint, table)


def _lease_problems(
    where: _Where, columns: Mapping[str, Any], setpoint: SetpointSpec, table: Table
) -> Iterator[Problem]:
    if table is Table.COIL and "tick_ms" not in columns:
        why = "a coil without one stays on when the gateway stops"
        message = f"found nothing, expected the device's own timer: {why}"
        yield where.problem("tick_ms", message, "E4")
    elif setpoint.length_ms is None:
        timed, rule = "tick_ms" in columns, "E4" if "tick_ms" in columns else "C6"
        expected = "how long one pulse of the lease may be" if timed else "how soon it is forgotten"
        yield where.problem("length_ms", f"found nothing, expected {expected}", rule)
    if columns.get("nonvolatile"):
        message = "found true beside a lease, which would wear the register out"
        yield where.problem("nonvolatile", message)


# --- links --------------------------------------------------------------------------------------


def link_problems(
    link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
) -> Iterator[Problem]:
    """Everything that is wrong in a link, in its devices, and between them."""
    where = _Where("site.yaml", f"links.{link.id}")
    judges = LINKS.get(link.driver)
    if judges is None:
        expected = _one_of(*LINKS)(link.driver)
        yield where.problem("driver", f"found {link.driver!r}, expected {expected}")
        return
    yield from where.judge(link.binding, judges)
    needed = NEEDED[link.driver]
    if needed not in link.binding:
        yield where.problem(needed, f"found nothing, expected {judges[needed](None)}")
    for device in devices:
        yield from _device_problems(link, device, profiles.get(device.profile))
    yield from _shared_problems(link, devices, profiles)


def _device_problems(link: Link, device: Device, profile: Profile | None) -> Iterator[Problem]:
    where = _Where(f"devices/{device.id}.yaml", "")
    yield from where.judge(device.binding, DEVICE)
    if link.driver == "modbus_rtu" and device.binding.get("unit", 1) == 0:
        yield where.problem("unit", "found 0, to which all listen, expected 1 to 247")
    for name in device.binding.get("invert", ()) if profile else ():
        assert profile is not None
        spec = profile.points.get(name) if isinstance(name, str) else None
        if spec is None:
            expected = f"a point of {profile.id}{_nearest(name, profile.points)}"
            yield where.problem("invert", f"found {name!r}, expected {expected}")
        elif spec.kind is not ValueKind.BOOL:
            yield where.problem("invert", f"found {name!r}, expected a bool")


def _shared_problems(
    link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
) -> Iterator[Problem]:
    """Two devices at one address, and a device set to another speed than its line."""
    units: dict[int, str] = {}
    for device in devices:
        where = _Where(f"devices/{device.id}.yaml", "")
        profile = profiles.get(device.profile)
        unit = {**(profile.binding if profile else {}), **device.binding}.get("unit", 1)
        if not isinstance(unit, int):
            continue  # said of the device itself
        if unit in units:
            message = f"found {unit} on link {link.id}, expected another: {units[unit]} has it"
            yield where.problem("unit", message)
        units.setdefault(unit, device.id)
        for key, usual in SERIAL.items():
            here, line = device.binding.get(key), link.binding.get(key, usual)
            if here is not None and link.driver == "modbus_rtu" and here != line:
                expected = f"{line!r} as link {link.id} has it"
                why = "all devices on one line have the same"
                yield where.problem(key, f"found {here!r}, expected {expected}: {why}")
