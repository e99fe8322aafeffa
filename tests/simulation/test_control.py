"""Commands from another terminal: typed lines that reach the world, and errors that help."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fixtures.broker import Broker
from simulation.sites import small_site

from gateway.domain.errors import GatewayError
from simulators.control import Control, ask, world_commands, world_names
from simulators.devices import SimulatedSite


@pytest.fixture
async def world(broker: Broker) -> AsyncIterator[SimulatedSite]:
    async with SimulatedSite(small_site(), brokers={"mqtt": (broker.host, broker.port)}) as served:
        yield served


@pytest.fixture
async def socket(world: SimulatedSite, tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "control"
    extra = {"cut_uplink": lambda: "cut"}
    async with Control(path, world_commands(world) | extra, world_names(world)):
        yield path
    assert not path.exists()


async def test_a_command_reaches_the_world_and_its_result_comes_back(
    world: SimulatedSite, socket: Path
) -> None:
    assert await ask(socket, "press", "help", held_ms="9000") is True
    assert world.town.buttons["help"].active(world.now_ms() + 8_000)
    assert await ask(socket, "person_enters", "study_room_door", "ada", 20) is False
    assert await ask(socket, "cut_uplink") == "cut"
    await ask(socket, "fire", "fire")
    assert world.town.panels["fire"].alarm
    await ask(socket, "fire", "fire", "alarm=false")
    assert not world.town.panels["fire"].alarm
    await ask(socket, "silence", "board")
    assert world.faults["board"].silent


@pytest.mark.parametrize(
    ("do", "args", "said"),
    [
        ("pres", ("help",), "no command 'pres'; did you mean press?"),
        ("press", ("helb",), "no call_point 'helb'; did you mean help?"),
        ("silence", ("xyz",), "no device 'xyz'; known: board, keypad"),
        ("press", (), "missing a required argument: 'call_point'"),
        ("delay", ("board", "soon"), "invalid literal for int() with base 10: 'soon'"),
    ],
)
async def test_a_wrong_command_is_answered_with_what_was_expected(
    socket: Path, do: str, args: tuple[str, ...], said: str
) -> None:
    with pytest.raises(GatewayError) as found:
        await ask(socket, do, *args)
    assert said in str(found.value)


async def test_lines_that_make_no_sense_do_not_end_the_connection(socket: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    for line in (b"\xff\n", b"[]\n", b'{"do": 3}\n'):
        writer.write(line)
        assert b'"ok": false' in await reader.readline()
    writer.write(b'{"do": "help"}\n')
    assert b"Somebody calls for help" in await reader.readline()
    writer.close()


async def test_only_its_owner_may_use_the_socket(socket: Path) -> None:
    found = await asyncio.to_thread(socket.stat)
    assert stat.S_IMODE(found.st_mode) == 0o600


async def test_where_no_simulation_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="no simulation runs"):
        await ask(tmp_path / "none", "help")
