"""One door on real wires: a strike's timed pulse, a contact, a call button, a keypad."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator

import aiomqtt
import pytest
from fixtures.broker import Broker
from pymodbus.client import AsyncModbusTcpClient
from simulation.sites import small_site

from simulators.devices import SimulatedSite


@pytest.fixture
async def world(broker: Broker) -> AsyncIterator[SimulatedSite]:
    async with SimulatedSite(small_site(), brokers={"mqtt": (broker.host, broker.port)}) as served:
        yield served


@pytest.fixture
async def client(world: SimulatedSite) -> AsyncIterator[AsyncModbusTcpClient]:
    where = world.overrides["bus"]
    connected = AsyncModbusTcpClient(where["host"], port=where["port"], timeout=0.5, retries=0)
    await connected.connect()
    yield connected
    connected.close()


async def inputs(client: AsyncModbusTcpClient) -> list[bool]:
    return (await client.read_discrete_inputs(0, count=8)).bits


async def pulse(world: SimulatedSite, address: int, tenths: int) -> bytes:
    """The board's own timed pulse as raw bytes: FC05 with a value no client library offers."""
    where = world.overrides["bus"]
    reader, writer = await asyncio.open_connection(where["host"], where["port"])
    frame = struct.pack(">HHHBBHH", 7, 0, 6, 1, 5, address, tenths)
    writer.write(frame)
    echoed = await reader.readexactly(12)
    writer.close()
    assert echoed == frame
    return echoed


async def test_a_timed_pulse_releases_the_bolt_and_the_contact_shows_the_person(
    world: SimulatedSite, client: AsyncModbusTcpClient
) -> None:
    door = world.door("study_room_door")
    assert not await world.person_enters("study_room_door", patience_ms=30)
    assert (await inputs(client))[0] is False

    await pulse(world, 0x0200, 5)
    assert door.released
    assert [flash.length_ms for flash in door.pulses] == [500]
    assert await world.person_enters("study_room_door", "ada")
    assert door.opened
    assert (await inputs(client))[0] is True
    assert world.town.rooms["study_room"].people == ("ada",)
    assert await world.until(lambda: not door.released, 2)


async def test_a_press_is_active_while_held_and_its_siren_sounds_for_the_signal(
    world: SimulatedSite, client: AsyncModbusTcpClient
) -> None:
    await world.press("help", held_ms=150)
    assert (await inputs(client))[2] is True
    await pulse(world, 0x0201, 2)
    assert world.siren("help").sounding
    assert await world.until(lambda: not world.siren("help").sounding, 2)
    assert (await inputs(client))[2] is False
    on, off = world.siren("help").sounded
    assert off[0] - on[0] == 200


async def test_an_inverted_input_is_wired_normally_closed(
    world: SimulatedSite, client: AsyncModbusTcpClient
) -> None:
    assert (await inputs(client))[3] is True
    world.town.panels["fire"].alarm = True
    assert (await inputs(client))[3] is False


async def test_the_exit_button_lets_a_person_out_without_any_gateway(world: SimulatedSite) -> None:
    """RULES A2: hard-wired egress."""
    assert await world.person_exits("study_room_door", "ada")
    assert world.door("study_room_door").opened
    assert world.door("study_room_door").pulses == ()


async def test_a_silent_board_answers_nothing_until_it_is_healed(
    world: SimulatedSite, client: AsyncModbusTcpClient
) -> None:
    world.silence("board")
    with pytest.raises(Exception, match="No response"):
        await client.read_coils(0, count=8)
    world.heal("board")
    await client.connect()
    assert not (await client.read_coils(0, count=8)).isError()


async def test_a_cut_wire_refuses_connections_until_it_is_mended(
    world: SimulatedSite, client: AsyncModbusTcpClient
) -> None:
    where = dict(world.overrides["bus"])
    await world.cut_link("bus")
    other = AsyncModbusTcpClient(where["host"], port=where["port"], timeout=0.2)
    assert not await other.connect()
    await world.mend_link("bus")
    assert world.overrides["bus"] == where
    assert await other.connect()
    other.close()


async def test_the_keypad_speaks_json_on_the_broker(world: SimulatedSite) -> None:
    where = world.overrides["mqtt"]
    async with aiomqtt.Client(where["host"], where["port"]) as client:
        await client.subscribe("commons/+/presented")
        await world.present_pin("study_room_door", "1234", "0802")
        message = await anext(aiter(client.messages))
    assert str(message.topic) == "commons/keypad/presented"
    assert not message.retain
    assert json.loads(message.payload) == {"pin": "1234"}
