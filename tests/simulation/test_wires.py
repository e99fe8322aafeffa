"""Frames from the specifications and manuals, and faults on demand on a serial bus."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.broker import Broker
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from simulation.sites import BOARD, name, profile, small_site, spec

from gateway.domain.errors import GatewayError
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
from simulators.broker import free_port
from simulators.devices import SimulatedSite
from simulators.modbus_wire import RtuFramer, TcpFramer, crc
from simulators.wire import Wire

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
    world.stick(PointRef("meter", "voltage"), "broken")
    assert (await client.read_input_registers(0, count=2, device_id=2)).exception_code == 4
    world.unstick(PointRef("meter", "voltage"))
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


def written_site(folder: Path, tcp_port: int, broker: Broker) -> Site:
    """The serial bus site with a board on TCP and a broker, at addresses of this machine."""
    site = bus_site()
    links = {
        "bus": Link("bus", "modbus_rtu", {"port": str(folder / "ttyBUS"), "baudrate": 115_200}),
        "host": Link("host", "modbus_tcp", {"host": "127.0.0.1", "port": tcp_port}),
        "mqtt": Link("mqtt", "mqtt", {"host": broker.host, "port": broker.port}),
    }
    devices = dict(site.equipment.devices)
    devices["board"] = replace(devices["board"], link="host")
    return replace(site, equipment=replace(site.equipment, links=links, devices=devices))


async def test_a_site_is_served_where_its_files_say(tmp_path: Path, broker: Broker) -> None:
    port = free_port()
    site = written_site(tmp_path, port, broker)
    async with SimulatedSite(site, as_written=True) as world:
        assert world.site.equipment.links == site.equipment.links
        serial = AsyncModbusSerialClient(
            str(tmp_path / "ttyBUS"), baudrate=115_200, timeout=0.5, retries=0
        )
        host = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.5, retries=0)
        assert await serial.connect()
        assert await host.connect()
        assert (await serial.read_input_registers(3, count=1, device_id=3)).registers == [420]
        assert len((await host.read_coils(0, count=8, device_id=1)).bits) == 8
        serial.close()
        host.close()
        with pytest.raises(GatewayError, match="cannot be cut"):
            await world.cut_link("mqtt")
        (tmp_path / "ttyBUS").unlink()
        with pytest.raises(GatewayError, match=f"port {port}: expected a free one"):
            await SimulatedSite(site, as_written=True).__aenter__()


async def test_a_device_file_of_another_is_left_alone_and_one_left_behind_is_taken_over(
    tmp_path: Path, broker: Broker
) -> None:
    site = written_site(tmp_path, free_port(), broker)
    path = tmp_path / "ttyBUS"
    path.symlink_to("/dev/null")
    with pytest.raises(GatewayError, match="File exists"):
        await SimulatedSite(site, as_written=True).__aenter__()
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    async with SimulatedSite(site, as_written=True):
        assert path.exists()


async def test_a_host_elsewhere_cannot_be_simulated(tmp_path: Path, broker: Broker) -> None:
    site = written_site(tmp_path, 502, broker)
    links = {"host": Link("host", "modbus_tcp", {"host": "192.0.2.7"})}
    site = replace(site, equipment=replace(site.equipment, links=links))
    with pytest.raises(GatewayError, match=r"192\.0\.2\.7.*only be on this machine"):
        await SimulatedSite(site, as_written=True).__aenter__()


async def test_the_last_word_before_a_goodbye_goes_through_a_wire() -> None:
    heard = bytearray()
    done = asyncio.Event()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(-1))
        writer.close()
        done.set()

    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    async with listening, Wire("127.0.0.1", listening.sockets[0].getsockname()[1]) as wire:
        _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(b"x" * 3_000_000 + b"bye")
        writer.close()
        await asyncio.wait_for(done.wait(), 5)
    assert len(heard) == 3_000_003
    assert heard.endswith(b"bye")
