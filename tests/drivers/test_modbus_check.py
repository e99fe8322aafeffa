"""What is wrong in Modbus profiles and links, said exactly; and how kinds are found by name."""

import subprocess
import sys
from math import inf
from typing import Any

import pytest
from fixtures.modbus_profiles import FOLDER, made, profile
from modbus_rig import device, rtu_link, tcp_link

from drivers.modbus.kind import ModbusKind
from drivers.registry import kinds
from gateway.domain.site import Device, Link

KIND = ModbusKind()
GOOD = {"value": "int", "table": "holding", "address": 0}


def said(row: dict[str, Any], model: dict[str, Any] | None = None) -> list[str]:
    checked = made({"id": "m", "device": model or {}, "points": {"x": {**GOOD, **row}}})
    return [f"{one.key}: {one.message}{one.rule}" for one in KIND.check_profile(checked)]


SHIPPED = [path.stem for path in FOLDER.glob("*.yaml") if "driver: modbus" in path.read_text()]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_modbus_profiles_have_no_problems(name: str) -> None:
    assert KIND.check_profile(profile(name)) == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"table": "holdings"},
            "points.x.table: found 'holdings', expected one of coil, discrete, holding, input; "
            "the nearest is 'holding'",
        ),
        (
            {"type": "f23"},
            "points.x.type: found 'f23', expected one of bool, u16, i16, u32, i32, u64, i64, f32, "
            "f64, text; the nearest is 'f32'",
        ),
        (
            {"adress": 3},
            "points.x.adress: found 'adress', expected a column of Modbus; "
            "the nearest is 'address'",
        ),
        (
            {"address": 65_536},
            "points.x.address: found 65536, expected a whole number from 0 to 65535",
        ),
        (
            {"address": 65_535, "type": "u32"},
            "points.x.address: found 65535, from where 2 registers pass 65535",
        ),
        (
            {"scale": 0},
            "points.x.scale: found 0, expected a number of 1e-12 to 1e12, with a sign or not",
        ),
        (
            {"scale": inf},
            "points.x.scale: found inf, expected a number of 1e-12 to 1e12, with a sign or not",
        ),
        ({"by": []}, "points.x.by: found [], expected another point of m"),
        ({"enum": {1: "on"}}, "points.x.enum.1: found 'on', expected a int"),
        (
            {"value": "bool", "bit": 16},
            "points.x.bit: found bit 16, expected one that a u16 has",
        ),
        (
            {"value": "text"},
            "points.x.type: found u16 for a text, expected type text with its words, or an enum",
        ),
        (
            {"value": "text", "type": "text"},
            "points.x.words: found nothing, expected the number of registers of the text",
        ),
        (
            {"table": "coil", "value": "bool", "scale": 10},
            "points.x.scale: found beside the table coil, expected on registers only",
        ),
        (
            {"table": "input", "setpoint": "level"},
            "points.x.table: found input, which is read-only, expected coil or holding "
            "for a setpoint",
        ),
        (
            {"table": "coil", "value": "bool", "setpoint": "pulse", "tick_ms": 100},
            "points.x.length_ms: found nothing, expected how long the device makes the pulse "
            "at mostA4",
        ),
        (
            {"table": "coil", "value": "bool", "setpoint": "pulse", "length_ms": 5_000},
            "points.x.tick_ms: found nothing, expected tick_ms (the device times what is written) "
            "or writes (a constant): a pulse must end by itselfA4",
        ),
        (
            {"table": "coil", "value": "text", "setpoint": "lease"},
            "points.x.tick_ms: found nothing, expected the device's own timer: a coil without one "
            "stays on when the gateway stopsE4",
        ),
        (
            {"setpoint": "lease"},
            "points.x.length_ms: found nothing, expected how soon it is forgottenC6",
        ),
        (
            {"value": "text", "enum": {"A": "available"}},
            "points.x.enum: found 'A', expected whole numbers as they are there",
        ),
        (
            {"scale": {0: 1, 1: 10}, "by": "y"},
            "points.x.by: found 'y', expected another point of m",
        ),
        (
            {"setpoint": "lease", "length_ms": 9_000, "nonvolatile": True},
            "points.x.nonvolatile: found true beside a lease, which would wear the register out",
        ),
    ],
)
def test_a_wrong_row_is_told_exactly(row: dict[str, Any], expected: str) -> None:
    assert said(row) == [expected]


def test_a_wrong_key_of_the_model_is_told_exactly() -> None:
    assert said({}, {"max_reads": 20}) == [
        "device.max_reads: found 'max_reads', expected a key of Modbus; the nearest is 'max_read'"
    ]
    assert said({"type": "f64"}, {"max_read": 2}) == [
        "points.x.type: found f64, which takes 4 registers, expected at most max_read, 2"
    ]


def test_a_row_without_a_place_is_told() -> None:
    nowhere = made({"points": {"x": {"value": "bool"}}})
    assert [one.key for one in KIND.check_profile(nowhere)] == [
        "points.x.table",
        "points.x.address",
    ]


# --- links --------------------------------------------------------------------------------------

PROFILES = {name: profile(name) for name in ("waveshare_relay_8_di", "senseair_s8")}


def of_link(link: Link, *devices: Device) -> list[str]:
    return [
        f"{one.file}: {one.key}: {one.message}" for one in KIND.check_link(link, devices, PROFILES)
    ]


def board(name: str, **binding: object) -> Device:
    return device(name, "waveshare_relay_8_di", **binding)


def test_links_as_they_should_be() -> None:
    assert of_link(tcp_link(502), board("a", unit=1), board("b", unit=2)) == []
    assert of_link(rtu_link("/dev/ttyUSB0", baudrate=19_200), board("a", baudrate=19_200)) == []


def test_two_devices_at_one_address() -> None:
    assert of_link(tcp_link(502), board("a", unit=3), board("b", unit=3)) == [
        "devices/b.yaml: unit: found 3 on link link, expected another: a has it"
    ]
    [same] = of_link(rtu_link("/dev/ttyUSB0"), board("a"), board("b"))
    assert same.endswith("found 1 on link link, expected another: a has it")


def test_a_device_set_to_another_speed_than_its_line() -> None:
    line = rtu_link("/dev/ttyUSB0")
    assert of_link(line, board("a", unit=1), board("b", unit=2, baudrate=19_200)) == [
        "devices/b.yaml: baudrate: found 19200, expected 9600 as link link has it: all devices on "
        "one line have the same"
    ]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (
            Link("bus", "modbus_rtu", {}),
            "links.bus.port: found nothing, expected a serial port, such as /dev/ttyUSB0",
        ),
        (
            rtu_link("/dev/ttyS0", parity="even"),
            "links.link.parity: found 'even', expected one of N, E, O",
        ),
        (
            Link("net", "modbus_tcp", {"hots": "10.0.0.9", "host": "10.0.0.9"}),
            "links.net.hots: found 'hots', expected a key of Modbus; the nearest is 'host'",
        ),
        (
            tcp_link(70_000),
            "links.link.port: found 70000, expected a whole number from 1 to 65535",
        ),
        (
            Link("bus", "modbus_rt", {}),
            "links.bus.driver: found 'modbus_rt', expected one of modbus_tcp, modbus_rtu; "
            "the nearest is 'modbus_rtu'",
        ),
    ],
)
def test_a_wrong_link_is_told_exactly(link: Link, expected: str) -> None:
    assert of_link(link) == [f"site.yaml: {expected}"]


def test_what_is_inverted_must_be_a_bool_of_the_device() -> None:
    assert of_link(tcp_link(502), board("a", invert=["imput_1", "software_version"])) == [
        "devices/a.yaml: invert: found 'imput_1', expected a point of waveshare_relay_8_di; "
        "the nearest is 'input_1'",
        "devices/a.yaml: invert: found 'software_version', expected a bool",
    ]


def test_unit_0_is_nobody_on_a_line() -> None:
    [only] = of_link(rtu_link("/dev/ttyS0"), board("a", unit=0))
    assert only == "devices/a.yaml: unit: found 0, to which all listen, expected 1 to 247"


# --- the registry -------------------------------------------------------------------------------


def test_links_and_profiles_of_modbus_share_one_kind() -> None:
    found = kinds()
    assert found["modbus"] is found["modbus_tcp"] is found["modbus_rtu"]
    assert "mqtt" in found
    assert kinds(["modbus_tcp", "nobody_knows"]).keys() == {"modbus_tcp"}


def test_checking_imports_no_protocol_library() -> None:
    code = (
        "import sys; from drivers.registry import kinds; kinds(['modbus']);"
        "sys.exit('pymodbus' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
