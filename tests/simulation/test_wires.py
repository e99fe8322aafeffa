"""Frames from the specifications and manuals, and faults on demand on a serial bus."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException
from simulation.sites import BOARD, name, profile, small_site, spec

from gateway.domain.points import PointRef
from gateway.domain.profile import ValueKind
from gateway.domain.site import (
    BookingPolicy,
    Device,
    Facility,
    Link,
    PresenceSensor,
    SensorKind,
    Site,
)
from simulators.devices import SimulatedSite
from simulators.modbus_wire import RtuFramer, TcpFramer, crc

METER = profile(
    "meter",
    "modbus",
    spec("voltage", ValueKind.FLOAT, unit="V", binding={"address": 0x0000}),
    spec("power", ValueKind.FLOAT, unit="W", binding={"address": 0x000C}),
    spec("energy", ValueKind.FLOAT, unit="kWh", binding={"address": 0x0156}),
    binding={"table": "input", "type": "f32", "max_read": 40},
)
AIR = profile(
    "air",
    "modbus",
    spec("co2", ValueKind.INT, unit="ppm", binding={"table": "input", "address": 3}),
    spec("motion", binding={"table": "discrete", "address": 0}),
)


def bus_site() -> Site:
    """The small site with board, meter and air sensor on one serial bus."""
    site = small_site()
    equipment = site.equipment
    devices = {"board": equipment.devices["board"]}
    for unit, id_ in ((2, "meter"), (3, "air")):
        devices[id_] = Device(id_, id_, "bus", "study_room", name(id_), {"unit": unit})
    facility = Facility(
        "study",
        "study_room",
        name("study"),
        BookingPolicy.REQUIRED,
        sensors=(
            PresenceSensor(PointRef("air", "co2"), SensorKind.CO2, threshold=600),
            PresenceSensor(PointRef("air", "motion"), SensorKind.MOTION),
        ),
    )
    bus = Link("bus", "modbus_rtu", {"port": "/dev/ttyUSB0", "baudrate": 115_200})
    door = site.doors["study_room_door"]
    return replace(
        site,
        doors={door.id: replace(door, points=replace(door.points, readers=()))},
        facilities={facility.id: facility},
        equipment=replace(
            equipment,
            links={"bus": bus},
            devices=devices,
            profiles={"board": BOARD, "meter": METER, "air": AIR},
        ),
    )


@pytest.fixture
async def world() -> AsyncIterator[SimulatedSite]:
    async with SimulatedSite(bus_site()) as served:
        yield served


@pytest.fixture
async def client(world: SimulatedSite) -> AsyncIterator[AsyncModbusSerialClient]:
    port = world.overrides["bus"]["port"]
    connected = AsyncModbusSerialClient(port, baudrate=115_200, timeout=0.2, retries=0)
    await connected.connect()
    yield connected
    connected.close()


@pytest.mark.parametrize(
    "frame",
    [
        "01 05 00 00 FF 00 8C 3A",
        "01 05 00 00 00 00 CD CA",
        "01 05 02 00 00 07 8D B0",
        "01 01 00 00 00 08 3D CC",
        "01 04 00 34 00 02 30 05",
        "FE 04 00 03 00 01 D5 C5",
    ],
)
def test_frames_printed_in_manuals_are_understood(frame: str) -> None:
    """Waveshare, Eastron and Senseair print these with their CRC."""
    raw = bytes.fromhex(frame)
    assert crc(raw[:-2]) == raw[-2:]
    found = RtuFramer().feed(raw)
    assert [(request.unit, request.pdu) for request in found] == [(raw[0], raw[1:-2])]


def test_requests_are_found_between_noise_and_in_pieces() -> None:
    raw = bytes.fromhex("01 05 02 00 00 07 8D B0")
    framer = RtuFramer()
    stream = b"\x01\x05\xff" + raw + b"\x00\x02" + raw
    found = [request for byte in stream for request in framer.feed(bytes((byte,)))]
    assert len(found) == 2
    tcp = TcpFramer()
    whole = bytes.fromhex("00 07 00 00 00 06 01 05 02 00 00 07")
    found = tcp.feed(whole[:5]) + tcp.feed(whole[5:] + whole)
    assert [request.transaction for request in found] == [7, 7]


async def test_three_units_share_a_bus(
    world: SimulatedSite, client: AsyncModbusSerialClient
) -> None:
    assert (await client.read_coils(0, count=8, device_id=1)).bits == [False] * 8
    volts = await client.read_input_registers(0, count=2, device_id=2)
    assert client.convert_from_registers(volts.registers, client.DATATYPE.FLOAT32) == 230.0
    assert (await client.read_input_registers(3, count=1, device_id=3)).registers == [420]


async def test_a_meter_shows_the_load_of_who_is_in_the_room(
    world: SimulatedSite, client: AsyncModbusSerialClient
) -> None:
    async def watts() -> float:
        reply = await client.read_input_registers(0x0C, count=2, device_id=2)
        found = client.convert_from_registers(reply.registers, client.DATATYPE.FLOAT32)
        assert isinstance(found, float)
        return found

    before = await watts()
    world.town.doors["study_room_door"].press_exit(world.now_ms())
    assert await world.person_enters("study_room_door", "ada")
    assert await watts() > before + 50


async def test_motion_by_wire_shows_a_person_and_what_is_stuck_shows_nothing_else(
    world: SimulatedSite, client: AsyncModbusSerialClient
) -> None:
    async def motion() -> bool:
        return (await client.read_discrete_inputs(0, count=1, device_id=3)).bits[0]

    assert not await motion()
    world.town.rooms["study_room"].enter("ada", world.now_ms())
    world.town.step(world.now_ms())
    assert await motion()
    world.stick(PointRef("air", "motion"), False)
    assert not await motion()
    world.unstick(PointRef("air", "motion"))
    assert await motion()


async def test_reads_outside_the_rows_are_refused_with_the_right_code(
    world: SimulatedSite, client: AsyncModbusSerialClient
) -> None:
    assert (await client.read_input_registers(0x200, count=2, device_id=2)).exception_code == 2
    assert (await client.read_input_registers(0, count=41, device_id=2)).exception_code == 3
    assert (await client.read_holding_registers(0, count=2, device_id=2)).exception_code == 1
    world.faults["meter"].refuses = True
    assert (await client.read_input_registers(0, count=2, device_id=2)).exception_code == 4


async def test_a_silent_garbled_or_unknown_unit_gives_no_answer_and_the_others_do(
    world: SimulatedSite, client: AsyncModbusSerialClient
) -> None:
    world.silence("meter")
    world.garble("air")
    for unit in (2, 3, 9):
        with pytest.raises(ModbusException):
            await client.read_input_registers(3, count=1, device_id=unit)
        assert len((await client.read_coils(0, count=8, device_id=1)).bits) == 8
    world.heal("meter")
    assert not (await client.read_input_registers(0, count=2, device_id=2)).isError()


async def raw_reply(world: SimulatedSite, request: bytes, wait_s: float = 0.15) -> bytes:
    """What comes back on the bus for a request, as bytes."""
    bus = os.open(world.overrides["bus"]["port"], os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(bus, request + crc(request))
        await asyncio.sleep(wait_s)
        try:
            return os.read(bus, 256)
        except BlockingIOError:
            return b""
    finally:
        os.close(bus)


READ_COILS = bytes.fromhex("01 01 00 00 00 08")


async def test_a_late_answer_comes_when_nobody_waits_for_it(world: SimulatedSite) -> None:
    world.delay("board", 150)
    assert await raw_reply(world, READ_COILS, 0.05) == b""
    world.heal("board")
    assert await world.until(lambda: world.lines.buses["bus"].requests == 1)
    late = await raw_reply(world, READ_COILS, 0.25)
    assert len(late) == 12  # its own answer and the late one


async def test_wrong_units_and_short_answers_are_sent_with_a_good_crc(world: SimulatedSite) -> None:
    world.faults["board"].wrong_unit = True
    frame = await raw_reply(world, READ_COILS)
    assert frame[0] == 2
    assert crc(frame[:-2]) == frame[-2:]
    world.heal("board")
    world.faults["board"].short = True
    frame = await raw_reply(world, READ_COILS)
    assert len(frame) == 5
    assert crc(frame[:-2]) == frame[-2:]


async def test_bytes_take_their_time_on_the_line() -> None:
    site = bus_site()
    slow = Link("bus", "modbus_rtu", {"port": "/dev/ttyUSB0", "baudrate": 1_200})
    site = replace(site, equipment=replace(site.equipment, links={"bus": slow}))
    async with SimulatedSite(site) as world:
        port = world.overrides["bus"]["port"]
        client = AsyncModbusSerialClient(port, baudrate=1_200, timeout=1, retries=0)
        await client.connect()
        began = time.monotonic()
        await client.read_coils(0, count=8, device_id=1)
        client.close()
        assert 0.12 < time.monotonic() - began < 0.8  # 14 bytes of 11 bits at 1,200 baud


async def test_an_adapter_pulled_out_comes_back_under_its_name(
    world: SimulatedSite, client: AsyncModbusSerialClient
) -> None:
    port = world.overrides["bus"]["port"]
    await world.cut_link("bus")
    gone = AsyncModbusSerialClient(port, timeout=0.1)
    assert not await gone.connect()
    await world.mend_link("bus")
    again = AsyncModbusSerialClient(port, baudrate=115_200, timeout=0.5, retries=0)
    assert await again.connect()
    assert not (await again.read_coils(0, count=8, device_id=1)).isError()
    again.close()


async def test_a_board_that_restarts_drops_its_relays(
    world: SimulatedSite, client: AsyncModbusSerialClient
) -> None:
    await client.write_coil(3, True, device_id=1)
    assert (await client.read_coils(3, count=1, device_id=1)).bits[0]
    away = asyncio.create_task(world.reboot("board", 0.1))
    await asyncio.sleep(0)
    with pytest.raises(ModbusException):
        await client.read_coils(3, count=1, device_id=1)
    await away
    assert not (await client.read_coils(3, count=1, device_id=1)).bits[0]
