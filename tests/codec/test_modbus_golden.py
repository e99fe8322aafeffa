"""The shipped Modbus profiles against frames and maps that were not made from them.

Frames: Waveshare's wiki, Senseair's Modbus document and Eastron's protocol document. Maps: two
other projects' register tables. Capture: a protocol analyser's test traffic.
"""

import json
import struct
from collections.abc import Iterator

import pytest
from fixtures.modbus_bench import data, on_wire, row, spans
from fixtures.modbus_profiles import made, profile

from drivers.codec import Table, row_of
from drivers.modbus import frames
from drivers.modbus.bus import BusDevice
from drivers.modbus.writes import off_request, pulse_request, value_requests
from gateway.domain.points import PointRef, Value
from gateway.domain.site import Device, Name


@pytest.fixture
def board() -> BusDevice:
    name = "waveshare_relay_8_di"
    device = Device("x", name, "bus", "hall", Name("x", "x"), {"unit": 1})
    return BusDevice(device, profile(name), 60_000)


def ref(point: str) -> PointRef:
    return PointRef("x", point)


# --- frames from manuals ------------------------------------------------------------------------


def test_waveshare_relay_on_and_off(board: BusDevice) -> None:
    assert on_wire(1, value_requests(board, ref("relay_1"), True)[0]) == "01 05 00 00 FF 00 8C 3A"
    assert on_wire(1, value_requests(board, ref("relay_1"), False)[0]) == "01 05 00 00 00 00 CD CA"
    assert on_wire(1, off_request(board, ref("signal_1"))) == "01 05 00 00 00 00 CD CA"


def test_waveshare_flash_on_relay_1_for_700_ms(board: BusDevice) -> None:
    assert on_wire(1, pulse_request(board, ref("pulse_1"), 700)) == "01 05 02 00 00 07 8D B0"
    assert pulse_request(board, ref("pulse_8"), 700).pdu.hex() == "0502070007"


def test_waveshare_signal_is_played_with_pulses_of_at_most_its_length(board: BusDevice) -> None:
    assert on_wire(1, pulse_request(board, ref("signal_1"), 700)) == "01 05 02 00 00 07 8D B0"
    assert pulse_request(board, ref("signal_1"), 90_000).pdu.hex() == "0502000032"  # 5 s


def test_waveshare_reads_its_eight_relays_and_inputs_in_one_frame_each() -> None:
    found = spans("waveshare_relay_8_di")
    asked = {on_wire(1, frames.read(s.table, s.address, s.count)) for s in found}
    assert "01 01 00 00 00 08 3D CC" in asked
    assert "01 02 00 00 00 08 79 CC" in asked
    assert len(asked) == 3  # and its software version


def test_waveshare_answer_shows_relays_1_and_2_on() -> None:
    answer = bytes.fromhex("01 01 03")
    shown = [row("waveshare_relay_8_di", f"relay_{n}").decoder(0)(answer[2:]) for n in range(1, 9)]
    assert shown == [True, True] + 6 * [False]


def test_senseair_s8_reads_co2_from_any_address() -> None:
    co2 = row("senseair_s8", "co2")
    request = frames.read(co2.table, co2.address, co2.count)
    assert on_wire(0xFE, request) == "FE 04 00 03 00 01 D5 C5"
    answer = bytes.fromhex("04 02 01 90")  # 400 ppm
    assert answer.startswith(request.begins)
    assert co2.decoder(co2.address)(answer[2:]) == 400


def test_eastron_total_power_of_a_three_phase_meter() -> None:
    assert on_wire(1, frames.read(Table.INPUT, 0x34, 2)) == "01 04 00 34 00 02 30 05"


def test_eastron_volts_as_in_its_protocol_document() -> None:
    voltage = row("eastron_sdm120", "voltage")
    assert voltage.decoder(0)(bytes.fromhex("43 66 33 34")) == pytest.approx(230.2, abs=1e-4)


def test_icpdas_motion_is_discrete_input_10001() -> None:
    motion = row("icpdas_pir_130", "motion")
    assert frames.read(motion.table, motion.address, 1).pdu.hex() == "0200000001"


def test_isma_panel_shows_registers_30301_to_30303_of_its_manual_in_one_read() -> None:
    [only] = spans("isma_panel")
    assert frames.read(only.table, only.address, only.count).pdu.hex() == "04012c0003"
    answer = bytes.fromhex("00d7 01c2 0258")  # 21.5 °C, 45.0 %, 600 ppm
    shown = {one.name: one.decoder(only.address)(answer) for one in only.rows}
    assert shown == {"temperature": 21.5, "humidity": 45.0, "co2": 600}


def test_eastron_sdm120_is_read_in_few_reads_that_its_manual_allows() -> None:
    found = spans("eastron_sdm120")
    assert [(s.address, s.count) for s in found] == [(0, 14), (0x1E, 2), (0x46, 6), (0x156, 2)]


# --- other people's register maps ---------------------------------------------------------------

OF_MBMD = {  # mbmd's measurement → our point; it gives kWh, we Wh
    "Voltage": "voltage",
    "Current": "current",
    "Power": "power",
    "Cosphi": "power_factor",
    "Frequency": "frequency",
    "Import": "energy_import",
    "Export": "energy_export",
    "Sum": "energy_total",
}


def test_eastron_sdm120_lies_where_another_project_reads_it() -> None:
    maps = json.loads(data("modbus_maps", "mbmd_meter_registers.json").read_text())
    [meter] = [one for one in maps["meters"] if one["file"].endswith("/sdm120.go")]
    assert meter["fc"] == "ReadInputReg"
    assert meter["transforms"] == ["RTUIeee754ToFloat64"]  # float32, big-endian
    theirs = {one["measurement"]: one["addr"] for one in meter["registers"]}
    for measurement, point in OF_MBMD.items():
        one = row("eastron_sdm120", point)
        found = (one.table, one.address, one.layout.type)
        assert found == (Table.INPUT, theirs[measurement], "f32"), measurement


def test_eastron_energy_lies_where_a_charging_project_reads_the_sdm230() -> None:
    """SDM120 and SDM230 share these registers; the map counts from 30001 and gives kWh."""
    text = data("modbus_maps", "everest_powermeters", "Eastron_SDM230.yaml").read_text()
    found = text.partition("energy_Wh_import:")[2].partition("start_register:")[2].split()[0]
    assert row("eastron_sdm120", "energy_import").address == int(found) - 30_001


# --- somebody else's traffic --------------------------------------------------------------------


def capture() -> Iterator[tuple[bytes, bytes]]:
    """(request, answer) of a capture, each a whole Modbus TCP frame."""
    raw = data("modbus_pcap", "modbus_example.pcap").read_bytes()
    position, waiting = 24, dict[bytes, bytes]()
    while position < len(raw):
        size = struct.unpack_from("<I", raw, position + 8)[0]
        packet = raw[position + 16 : position + 16 + size]
        position += 16 + size
        ip = packet[14:]
        tcp = ip[(ip[0] & 15) * 4 : struct.unpack(">H", ip[2:4])[0]]
        frame = tcp[(tcp[12] >> 4) * 4 :]
        if not frame:
            continue
        if tcp[2:4] == struct.pack(">H", 502):
            waiting[frame[:2]] = frame
        else:
            yield waiting.pop(frame[:2]), frame


def test_every_read_of_a_capture_is_asked_as_we_would_and_its_answer_taken() -> None:
    tables = {code: table for table, code in frames.READ_FUNCTION.items()}
    taken = []
    for asked, answered in capture():
        if asked[7] not in tables or answered[7] != asked[7]:
            continue
        function, address, count = struct.unpack(">BHH", asked[7:12])
        request = frames.read(tables[function], address, count)
        assert asked[7:] == request.pdu
        pdu = answered[7:]
        assert pdu.startswith(request.begins)
        assert len(pdu) == request.length
        taken.append((function, count, values(tables[function], address, count, pdu[2:])))
    assert (3, 1, [0x00AA]) in taken
    assert (4, 1, [0x8E2B]) in taken
    assert (1, 8, [True, False, False, True, False, True, True, True]) in taken  # E9
    assert len(taken) == 8


def values(table: Table, address: int, count: int, payload: bytes) -> list[Value | None]:
    """The values of a payload, with one row an address."""
    kind = "bool" if table.bits else "int"
    points = {
        f"p{n}": {"value": kind, "table": str(table), "address": address + n, "undefined": []}
        for n in range(count)
    }
    rows = [row_of(spec) for spec in made({"points": points}).points.values()]
    return [one.decoder(address)(payload) for one in rows]


def test_writes_of_a_capture_are_what_we_would_send_and_their_answers_as_we_expect() -> None:
    ours = {
        5: frames.write_coil(1, frames.COIL_ON),
        6: frames.write_registers(1, b"\xab\xcd"),
        16: frames.write_registers(1, bytes.fromhex("00aa00bb00cc00dd")),
    }
    seen = set()
    for asked, answered in capture():
        request = ours.get(asked[7])
        if request is not None:
            assert asked[7:] == request.pdu
            assert answered[7:] == request.begins
            seen.add(asked[7])
    assert seen == set(ours)
