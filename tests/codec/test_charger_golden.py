"""The shipped charger profiles against frames and maps that were not made from them.

Frames: traces that owners of such chargers published (with evcc, and an ESPHome component), and
the examples in the makers' documents. Maps: two other projects' tables of meters.
"""

import json
import re

import pytest
from fixtures.modbus_bench import TCP, Bench, data, on_wire, row
from fixtures.modbus_profiles import FOLDER, profile

from drivers.codec import Table
from drivers.modbus.frames import read
from gateway.domain.charging import ChargerState
from gateway.domain.errors import MalformedError
from gateway.domain.profile import PointSpec, SetpointKind, ValueKind

CHARGERS = sorted(
    path.stem for path in FOLDER.glob("*.yaml") if "failsafe" in profile(path.stem).traits
)


# --- KEBA KeContact P30 -------------------------------------------------------------------------


def test_keba_is_asked_one_value_a_read_as_its_owners_do() -> None:
    keba = Bench("keba_p30")
    traced = ("03 03 e8 00 02", "03 03 ec 00 02", "03 03 f6 00 02")  # state, cable, serial
    assert set(traced) <= keba.asks()
    assert all(pdu.startswith("03 ") and pdu.endswith(" 00 02") for pdu in keba.asks())
    framed = TCP.encode(bytes.fromhex(traced[0]), keba.device.columns["unit"], 5)
    assert framed.hex(" ") == "00 05 00 00 00 06 ff 03 03 e8 00 02"


def test_keba_as_two_owners_saw_it() -> None:
    keba = Bench("keba_p30")
    keba.hears(1004, "00 00 00 05")  # cable 5: in the station and the vehicle
    keba.hears(1000, "00 00 00 03")
    keba.hears(1014, "01 66 dd e4")
    assert [keba.shows(one) for one in ("plugged", "state", "serial")] == [
        *(True, "charging", 23_518_692)
    ]
    other = Bench("keba_p30")
    other.hears(1004, "00 00 00 00")
    other.hears(1000, "00 00 00 01")
    assert other.shows("state") == "available"
    other.hears(1004, "00 00 00 05")
    other.hears(1000, "00 00 00 01")  # locked, or not released: there is a vehicle all the same
    assert other.shows("state") == "connected"


def test_keba_examples_of_its_guide() -> None:
    keba = Bench("keba_p30")
    keba.hears(1008, (645).to_bytes(4, "big").hex())  # 645 mA
    keba.hears(1020, (98_661).to_bytes(4, "big").hex())  # 98.661 W
    keba.hears(1036, (1_351_000).to_bytes(4, "big").hex())  # steps of 0.1 Wh
    assert keba.shows("current_l1") == 645
    assert keba.shows("power") == 98.661
    assert keba.shows("energy") == 135_100
    assert keba.sends("limit", 8_000) == ["06 13 8c 1f 40", "06 13 96 00 01"]  # 5004, 5014
    assert keba.sends("limit", 0) == ["06 13 96 00 00"]
    assert keba.sends("failsafe_current", 0) == ["06 13 98 00 00"]  # 5016
    assert keba.sends("failsafe_timeout", 30) == ["06 13 9a 00 1e"]  # 5018


# --- ABB Terra AC -------------------------------------------------------------------------------


def test_abb_registers_lie_where_its_owners_read_them() -> None:
    assert on_wire(1, read(Table.HOLDING, 0x401C, 2)) == "01 03 40 1C 00 02 10 0D"
    assert on_wire(1, read(Table.HOLDING, 0x400C, 2)) == "01 03 40 0C 00 02 11 C8"
    found = {point: row("abb_terra_ac", point) for point in ("power", "state", "current_l1")}
    assert {point: one.address for point, one in found.items()} == {
        "power": 0x401C,
        "state": 0x400C,
        "current_l1": 0x4010,
    }


# byte A1 of 400Ch: bit 7 is "at its rated current", the others the state; A0: 1 is unavailable
@pytest.mark.parametrize(
    ("register", "state"),
    [
        ("00 00 00 00", "available"),
        ("00 00 01 00", "connected"),  # pending authorisation
        ("00 00 02 00", "connected"),  # ready, PWM
        ("00 00 03 00", "connected"),  # S2 closed, no PWM
        ("00 00 04 00", "charging"),
        ("00 00 84 00", "charging"),
        ("00 00 05 00", "connected"),  # session stopped
        ("00 00 00 01", "unavailable"),
        ("00 00 09 00", None),
    ],
)
def test_abb_state_is_in_one_byte(register: str, state: str | None) -> None:
    abb = Bench("abb_terra_ac")
    abb.hears(0x400C, register + 36 * " 00")
    assert abb.shows("state") == state


def test_abb_limit_is_read_at_one_place_and_written_at_another() -> None:
    abb = Bench("abb_terra_ac")
    abb.hears(0x400C, 4 * "00" + "00 00 3e 80" + 32 * "00")
    assert abb.shows("limit") == 16_000
    assert abb.sends("limit", 16_000) == ["10 41 00 00 02 04 00 00 3e 80"]
    assert abb.sends("failsafe_timeout", 60) == ["06 41 06 00 3c"]


# --- Heidelberg Energy Control ------------------------------------------------------------------


def test_heidelberg_as_an_owner_saw_two_of_them() -> None:
    assert on_wire(2, read(Table.INPUT, 17, 2)) == "02 04 00 11 00 02 21 FD"
    assert on_wire(2, read(Table.HOLDING, 261, 1)) == "02 03 01 05 00 01 95 C4"
    wallbox = Bench("heidelberg_energy_control")
    wallbox.hears(17, "00 00 c9 4a", "input")  # shown as 51.5 kWh
    wallbox.hears(5, "00 02 00 00 00 00 00 00 01 45", "input")  # shown as A, no current; 32.5 °C
    wallbox.hears(261, "00 00")
    wallbox.hears(257, "3a 98 00 04 00 01 00 00 00 00 00 00")
    shown = ("energy", "state", "current_l3", "temperature", "limit", "failsafe_timeout")
    assert [wallbox.shows(one) for one in shown] == [51_530, "available", 0, 32.5, 0, 15]
    assert wallbox.shows("standby") is False


def test_heidelberg_limits_are_tenths_of_an_ampere() -> None:
    wallbox = Bench("heidelberg_energy_control")
    assert wallbox.sends("limit", 6_000) == ["06 01 05 00 3c"]  # its document: 60 to 160, and 0
    assert wallbox.sends("limit", 16_000) == ["06 01 05 00 a0"]
    assert wallbox.sends("limit", 0) == ["06 01 05 00 00"]
    assert wallbox.sends("failsafe_timeout", 15) == ["06 01 01 3a 98"]
    assert wallbox.sends("standby", False) == ["06 01 02 00 04"]


# --- Alfen --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("42 31", "connected"),  # each was seen by an owner
        ("43 31", "connected"),
        ("46 00", "faulted"),
        ("43 32", "charging"),  # and these are in its document's list
        ("41 00", "available"),
    ],
)
def test_alfen_state_is_text(text: str, state: str) -> None:
    alfen = Bench("alfen_ng9xx")
    alfen.hears(1200, "00 01" + text + 8 * " 00" + 4 * "00" + 4 * "00" + 4 * "00" + 4 * "00")
    assert alfen.shows("state") == state


def test_alfen_as_owners_saw_it() -> None:
    alfen = Bench("alfen_ng9xx")
    alfen.hears(344, "45 5a f4 cd")  # shown as 3503 W
    alfen.hears(320, "41 0d 26 ea 41 0a b4 3a 41 08 6a 7f")  # 8.82, 8.67 and 8.53 A
    alfen.hears(374, "41 57 bd 3c 80 00 00 00")
    assert alfen.shows("power") == pytest.approx(3_503, abs=1)
    assert [alfen.shows(f"current_l{n}") for n in (1, 2, 3)] == [8_822, 8_669, 8_526]
    assert alfen.shows("energy") == 6_223_090
    assert alfen.sends("limit", 8_000) == ["10 04 ba 00 02 04 41 00 00 00"]
    assert alfen.sends("limit", 0) == ["10 04 ba 00 02 04 00 00 00 00"]


def test_alfen_on_one_phase_has_no_current_on_the_others() -> None:
    alfen = Bench("alfen_ng9xx")
    alfen.hears(320, "3d 23 d7 0a ff ff ff ff ff ff ff ff")
    assert [alfen.shows(f"current_l{n}") for n in (1, 2, 3)] == [40, None, None]


# --- EVSE DIN -----------------------------------------------------------------------------------


def test_evse_is_not_read_beyond_what_old_firmware_has() -> None:
    """An owner's answered `03 03 e8 00 08` with an illegal address; 1000 to 1006 it has."""
    evse = Bench("evse_din")
    for pdu in evse.asks():
        first, count = int(pdu[3:8].replace(" ", ""), 16), int(pdu[9:].replace(" ", ""), 16)
        assert first + count - 1 <= 1_006 or first >= 2_000


def test_evse_of_whole_amperes_as_an_owner_saw_its_settings() -> None:
    settings = "0020 0001 0000 0006 0000 0000 002A 0020 0000 0003" + 8 * "0000"
    evse = Bench("evse_din")
    evse.hears(2000, settings)
    evse.hears(1000, "000c 000c 0002 0020 0000 000c 0002")
    shown = ("boot_current", "fine", "limit", "state", "firmware")
    assert [evse.shows(one) for one in shown] == [32_000, False, 12_000, "connected", 12]
    assert evse.sends("limit", 16_000) == ["06 03 e8 00 10"]
    with pytest.raises(MalformedError, match="10500, which would read back as 10000"):
        evse.sends("limit", 10_500)


def test_evse_of_hundredths_of_an_ampere() -> None:
    evse = Bench("evse_din")
    evse.hears(2005, "0080")
    evse.hears(1000, "0640 0640 0003 0020 0000 0012 0002")
    assert [evse.shows(one) for one in ("limit", "state")] == [16_000, "charging"]
    assert evse.sends("limit", 10_500) == ["06 03 e8 04 1a"]
    assert evse.sends("limit", 0) == ["06 03 e8 00 00"]


# --- Phoenix CHARX ------------------------------------------------------------------------------


def test_charx_has_a_thousand_registers_a_connector() -> None:
    charx = Bench("phoenix_charx")
    charx.hears(1299, "42 32")
    charx.hears(2299, "43 32")
    charx.hears(2238, "00 00 3e 80 00 00 3e 7f 00 00 00 00 00 36 ee 80")  # mA, and 3.6 kW in mW
    charx.hears(2250, "00 00 00 00 00 01 e2 40")
    charx.hears(2301, "00 10")
    shown = ("state_1", "state_2", "current_l1_2", "current_l2_2", "power_2", "energy_2", "limit_2")
    assert [charx.shows(one) for one in shown] == [
        *("connected", "charging", 16_000, 15_999, 3_600.0, 123_456, 16_000)
    ]
    assert charx.sends("limit_1", 10_000) == ["10 05 15 00 01 02 00 0a"]
    assert charx.sends("limit_2", 0) == ["10 08 fd 00 01 02 00 00"]


# --- our e-bike station: docs/ebike-station.md --------------------------------------------------


def test_twelve_outlets_are_one_read_of_coils_and_one_of_registers() -> None:
    station = Bench("ebike_station_12")
    assert {"01 00 00 00 0c", "02 00 00 00 02", "04 00 64 00 74"} <= station.asks()
    assert len(station.asks()) == 6  # and what belongs to all of them


def test_an_outlet_s_block_of_ten_registers() -> None:
    station = Bench("ebike_station_12")
    block = "06 40 02 b7 00 01 00 00 00 fa 00 01"  # 160 W, 695 mA, 65,536 Wh, 25.0 °C, tripped
    station.hears(100, 110 * "00 00" + block, "input")
    shown = ("power", "current_l1", "energy", "temperature", "tripped")
    assert [station.shows(f"{one}_12") for one in shown] == [160.0, 695, 65_536, 25.0, True]
    assert [station.shows(f"{one}_11") for one in shown] == [0.0, 0, 0, 0.0, False]


def test_an_outlet_without_a_sensor_has_no_temperature() -> None:
    station = Bench("ebike_station_12")
    station.hears(100, "00 00 00 00 00 00 00 00 80 00 00 00" + 110 * "00 00", "input")
    assert station.shows("temperature_1") is None


def test_outlets_are_switched_one_by_one_and_off_is_the_safe_side() -> None:
    station = Bench("ebike_station_12")
    assert station.sends("switch_1", True) == ["05 00 00 ff 00"]
    assert station.sends("switch_12", False) == ["05 00 0b 00 00"]
    assert station.sends("failsafe_timeout", 60) == ["06 00 00 00 3c"]
    setpoint = profile("ebike_station_12").points["switch_1"].setpoint
    assert setpoint is not None
    assert setpoint.secures == (False,)


# --- Eastron SDM630: other people's maps --------------------------------------------------------

OF_MBMD = {  # mbmd's measurement → our point
    **{f"Voltage{phase}": f"voltage_{phase.lower()}" for phase in ("L1", "L2", "L3")},
    **{f"Current{phase}": f"current_{phase.lower()}" for phase in ("L1", "L2", "L3")},
    **{f"Power{phase}": f"power_{phase.lower()}" for phase in ("L1", "L2", "L3")},
    "Power": "power",
    "Cosphi": "power_factor",
    "Frequency": "frequency",
    "Import": "energy_import",
    "Export": "energy_export",
    "Sum": "energy_total",
}


def test_sdm630_lies_where_two_other_projects_read_it() -> None:
    maps = json.loads(data("modbus_maps", "mbmd_meter_registers.json").read_text())
    [meter] = [one for one in maps["meters"] if one["file"].endswith("/sdm.go")]
    theirs = {one["measurement"]: one["addr"] for one in meter["registers"]}
    assert (meter["fc"], meter["transforms"]) == ("ReadInputReg", ["RTUIeee754ToFloat64"])
    for measurement, point in OF_MBMD.items():
        one = row("eastron_sdm630", point)
        found = (one.table, one.address, one.layout.type)
        assert found == (Table.INPUT, theirs[measurement], "f32"), measurement
    text = data("modbus_maps", "everest_powermeters", "Eastron_SDM630-V2.yaml").read_text()
    for theirs_, point in (("energy_Wh_import", "energy_import"), ("power_W", "power")):
        found_ = re.search(rf"^{theirs_}:\s+start_register: (\d+)", text, re.MULTILINE)
        assert found_ is not None
        assert row("eastron_sdm630", point).address == int(found_[1]) - 30_001


def test_sdm630_gives_currents_as_a_circuit_wants_them() -> None:
    meter = Bench("eastron_sdm630")
    assert "04 00 00 00 12" in meter.asks()  # 18 registers: volts, amperes and watts at once
    volts, amperes, watts = 3 * "43 66 33 34", "41 0d 26 ea 41 0a b4 3a 41 08 6a 7f", 12 * "00"
    meter.hears(0, volts + amperes + watts, "input")
    assert [meter.shows(f"current_l{n}") for n in (1, 2, 3)] == [8_822, 8_669, 8_526]
    assert meter.shows("voltage_l3") == pytest.approx(230.2, abs=1e-4)


# --- what the core takes for granted of every charger -------------------------------------------


def outlets(model: str) -> list[str]:
    """The suffixes of a profile's connectors; one without any has one."""
    drives = [name for name in profile(model).points if re.match(r"(limit|switch)(_\d+)?$", name)]
    return [drive.partition("_")[2] and f"_{drive.partition('_')[2]}" for drive in drives]


@pytest.mark.parametrize("model", CHARGERS)
def test_every_charger_says_what_the_core_needs_by_the_same_names(model: str) -> None:
    points, traits = profile(model).points, profile(model).traits
    assert traits["failsafe"] in ("registers", "installer", "stops", "off", "none")
    assert "after_power_cut" in traits
    assert "failsafe_timeout" not in points or traits["failsafe_timeout_s"] > 0
    for suffix in outlets(model):
        if f"state{suffix}" in points:
            assert states(points[f"state{suffix}"]) <= {str(state) for state in ChargerState}
        if f"limit{suffix}" in points:
            assert traits["step_ma"] > 0
            check_limit(points[f"limit{suffix}"])
        for name, unit in (("power", "W"), ("energy", "Wh"), ("temperature", "°C")):
            if f"{name}{suffix}" in points:
                assert points[f"{name}{suffix}"].unit == unit
        if f"energy{suffix}" in points:
            assert points[f"energy{suffix}"].kind is ValueKind.INT
            assert traits["energy"] in ("lifetime", "session")
            assert traits["energy_resolution_wh"] >= 1


def states(spec: PointSpec) -> set[str]:
    enum = spec.binding["enum"]
    nested = [one for one in enum.values() if isinstance(one, dict)]
    return {value for one in nested or [enum] for value in one.values()}


def check_limit(spec: PointSpec) -> None:
    assert spec.setpoint is not None
    assert spec.setpoint.kind in (SetpointKind.LEVEL, SetpointKind.LEASE)
    assert (spec.kind, spec.unit, spec.setpoint.secures) == (ValueKind.INT, "mA", (0,))
    assert spec.setpoint.values == (0,)
    assert spec.setpoint.minimum is not None
    assert spec.setpoint.minimum >= 6_000  # between 0 and 6 A there is no limit


@pytest.mark.parametrize("model", [one for one in CHARGERS if "limit" in profile(one).points])
def test_a_limit_in_the_register_s_steps_reads_back_as_it_was_written(model: str) -> None:
    bench, step = Bench(model), profile(model).traits["step_ma"]
    if model == "evse_din":
        bench.hears(2005, "0000")
    for limit_ma in (0, 6_000, 6_000 + step, 13_000, 16_000):
        assert bench.sends("limit", limit_ma)


def test_a_lease_is_as_long_as_the_charger_s_own_time_out_at_most() -> None:
    """Keep-alive at half the charger's own time-out."""
    for model in CHARGERS:
        limit = profile(model).points.get("limit")
        if limit and limit.setpoint and limit.setpoint.kind is SetpointKind.LEASE:
            assert limit.setpoint.length_ms
            assert limit.setpoint.length_ms <= 1_000 * profile(model).traits["failsafe_timeout_s"]
