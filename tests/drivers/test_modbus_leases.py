"""Leases: patterns played with the board's own timed pulses, dark when nobody renews them (E4)."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from fixtures.clock import MachineClock
from fixtures.modbus_profiles import made
from fixtures.waiting import until
from modbus_rig import Listener, TcpServer, Unit, bank, device, running, setup, tcp_link

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.player import Beat, Player, pattern
from gateway.domain.faults import Health
from gateway.domain.points import Lease, Level, PointRef, Value, WriteOutcome, WriteResult
from gateway.domain.profile import Edge, PollClass
from gateway.domain.reasons import reason
from gateway.domain.uses import Watch

BOARD = device("board", "waveshare_relay_8_di", unit=1, timeout_ms=100)
SIREN = PointRef("board", "signal_3")
FLASH_ON, OFF = "05 02 02 ", "05 00 02 00 00"
CALL = {"board/input_1": Watch(Edge.PRESS, PollClass.SAFETY)}


def lease(value: Value, for_ms: int, ref: PointRef = SIREN) -> Lease:
    return Lease(ref, value, True, reason("call_raised", place="hall"), now_ms() + for_ms)


def now_ms() -> int:
    return MachineClock().mono_ms()


async def play(driver: ModbusDriver, value: Value, for_ms: int) -> WriteOutcome:
    return await driver.write(lease(value, for_ms), urgent=True)


@pytest.fixture
def unit() -> Unit:
    return Unit()


@pytest.fixture
async def server(unit: Unit) -> AsyncIterator[TcpServer]:
    server = TcpServer(bank({1: unit}))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def listener() -> Listener:
    return Listener()


def written(unit: Unit) -> list[str]:
    return [pdu.hex(" ") for _, pdu in unit.log]


def lengths_ms(unit: Unit) -> list[int]:
    return [100 * int.from_bytes(pdu[3:5], "big") for _, pdu in unit.log]


async def test_on_is_one_pulse_that_never_reaches_past_its_lease(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        ends_ms = now_ms() + 1_500
        assert (await play(driver, "on", 1_500)).result is WriteResult.SENT
        assert written(unit)[0].startswith(FLASH_ON)
        assert now_ms() + lengths_ms(unit)[0] <= ends_ms + 200  # the time the write took itself


async def test_a_flash_is_half_a_second_in_every_second_until_the_lease_runs_out(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        await play(driver, "flash", 2_300)
        await until(lambda: len(unit.log) == 3, 4.0)
        ended = now_ms() + 1_200
        await until(lambda: now_ms() > ended)
    times = [at for at, _ in unit.log]
    assert len(times) == 3
    assert 0.9 < times[1] - times[0] < 1.3
    assert lengths_ms(unit)[:2] == [500, 500]
    assert lengths_ms(unit)[2] <= 500


async def test_a_renewal_costs_no_frame_and_keeps_the_pattern_going(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        await play(driver, "flash", 900)
        renewed = await play(driver, "flash", 5_000)
        assert (renewed, len(unit.log)) == (WriteOutcome(WriteResult.SENT, "renewed"), 1)
        await until(lambda: len(unit.log) == 2, 3.0)


async def test_off_stops_at_once(server: TcpServer, unit: Unit, listener: Listener) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        await play(driver, "flash", 60_000)
        assert (await play(driver, "off", 60_000)).result is WriteResult.SENT
        assert written(unit)[-1] == OFF
        ended = now_ms() + 1_300
        await until(lambda: now_ms() > ended)
        assert written(unit)[-1] == OFF


async def test_a_test_sounds_once_and_below_three_seconds_however_often_renewed(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    """RULES E7."""
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        for _ in range(3):
            await play(driver, "test", 6_000)
        assert lengths_ms(unit) == [2_500]


async def test_a_pattern_goes_on_when_its_device_is_back(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener, CALL)) as driver:
        await play(driver, "on", 60_000)
        unit.silent = True
        await until(lambda: listener.health_of("board") is Health.SILENT)
        unit.silent, before = False, len(unit.log)
        await until(lambda: len(unit.log) > before, 3.0)
        assert written(unit)[-1].startswith(FLASH_ON)


async def test_a_pattern_nobody_knows_is_refused(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    async with running(setup(tcp_link(server.port), [BOARD], listener)) as driver:
        outcome = await play(driver, "waltz", 1_000)
        assert (outcome.result, unit.log) == (WriteResult.REFUSED, [])
        assert outcome.detail == "board/signal_3: there is no pattern 'waltz'"


async def test_a_lease_on_a_register_is_written_again_until_it_runs_out(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    row = {"value": "int", "setpoint": "lease", "table": "holding", "address": 5, "length_ms": 200}
    model = made({"id": "charger", "points": {"alive": row}})
    one = device("charger", "charger", unit=1)
    link = setup(tcp_link(server.port), [one], listener, profiles={"charger": model})
    async with running(link) as driver:
        await driver.write(lease(1, 450, PointRef("charger", "alive")))
        ended = now_ms() + 900
        await until(lambda: now_ms() > ended)
    assert set(written(unit)) == {"06 00 05 00 01"}
    assert 3 <= len(unit.log) <= 5


# --- leases of values: a charger's current limit (C6) -------------------------------------------

LIMIT = {
    "value": "int",
    "unit": "mA",
    "setpoint": "lease",
    "length_ms": 400,
    "values": [0],
    "minimum": 6_000,
    "maximum": 16_000,
    "table": "holding",
    "address": 10,
    "type": "u32",
    "write_address": 20,
    "write_type": "u16",
    "enable_address": 21,
}
CHARGER = made({"id": "charger", "points": {"limit": LIMIT}})
CHARGING = PointRef("charger", "limit")
WRITES = "06 00 14 "


@pytest.fixture
async def charger(server: TcpServer, unit: Unit, listener: Listener) -> AsyncIterator[ModbusDriver]:
    unit.holding |= {10: 0, 11: 0}
    one = device("charger", "charger", unit=1)
    link = setup(
        tcp_link(server.port),
        [one],
        listener,
        poll_ms={PollClass.SENSOR: 50},
        profiles={"charger": CHARGER},
    )
    async with running(link) as driver:
        await until(lambda: listener.value("charger/limit") == 0)
        yield driver


async def test_a_limit_is_written_again_when_half_of_its_time_is_over(
    charger: ModbusDriver, unit: Unit
) -> None:
    unit.holding[11] = 10_000  # what the charger shows of it
    assert (await charger.write(lease(10_000, 60_000, CHARGING))).result is WriteResult.SENT
    assert written(unit) == ["06 00 14 27 10", "06 00 15 00 01"]
    await until(lambda: len(unit.log) >= 8, 2.0)
    times = [at for at, pdu in unit.log if pdu.hex(" ").startswith(WRITES)]
    assert all(0.15 < later - earlier < 0.35 for earlier, later in pairwise(times))


async def test_off_is_the_other_register_alone_and_kept_alive_too(
    charger: ModbusDriver, unit: Unit
) -> None:
    await charger.write(lease(0, 60_000, CHARGING))
    await until(lambda: len(unit.log) >= 3, 2.0)
    assert set(written(unit)) == {"06 00 15 00 00"}


async def test_a_limit_is_forgotten_with_its_lease_and_the_device_is_left_to_itself(
    charger: ModbusDriver, unit: Unit
) -> None:
    await charger.write(lease(10_000, 500, CHARGING))
    ended = now_ms() + 1_000
    await until(lambda: now_ms() > ended)
    assert all(at * 1_000 < ended - 450 for at, _ in unit.log)


async def test_a_renewal_costs_frames_only_where_the_device_shows_something_else(
    charger: ModbusDriver, unit: Unit, listener: Listener
) -> None:
    unit.holding[11] = 10_000
    await until(lambda: listener.value("charger/limit") == 10_000)
    await charger.write(lease(10_000, 60_000, CHARGING))
    await charger.write(lease(10_000, 60_000, CHARGING))
    assert len(unit.log) == 2
    unit.holding[11] = 6_000  # it restarted
    await until(lambda: listener.value("charger/limit") == 6_000)
    before = len(unit.log)
    await charger.write(lease(10_000, 60_000, CHARGING))
    assert written(unit)[before : before + 2] == ["06 00 14 27 10", "06 00 15 00 01"]


@pytest.mark.parametrize("ma", [1, 5_999, 16_001, -6_000])
async def test_a_limit_that_the_charger_cannot_have_is_refused_and_not_sent(
    charger: ModbusDriver, unit: Unit, ma: int
) -> None:
    """A limit between 0 and 6 A is none."""
    outcome = await charger.write(lease(ma, 60_000, CHARGING))
    assert (outcome.result, unit.log) == (WriteResult.REFUSED, [])
    assert outcome.detail == f"charger/limit: expected one of 0 or 6000 to 16000, found {ma}"


async def test_a_limit_between_the_steps_of_its_register_is_refused_not_rounded(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    """C4: rounding up would be more than was granted."""
    row = {"value": "int", "setpoint": "level", "table": "holding", "address": 5, "scale": 100}
    model = made({"id": "charger", "points": {"limit": row}})
    one = device("charger", "charger", unit=1)
    link = setup(tcp_link(server.port), [one], listener, profiles={"charger": model})
    async with running(link) as driver:
        outcome = await driver.write(Level(CHARGING, 10_060, False, reason("ok")))
        assert (outcome.result, unit.log) == (WriteResult.REFUSED, [])
        assert outcome.detail == "charger/limit: found 10060, which would read back as 10100"


async def test_a_scale_that_another_register_says_is_waited_for_and_followed(
    server: TcpServer, unit: Unit, listener: Listener
) -> None:
    points = {
        "fine": {"value": "bool", "table": "holding", "address": 8, "bit": 7},
        "limit": {
            "value": "int",
            "setpoint": "level",
            "table": "holding",
            "address": 5,
            "by": "fine",
            "scale": {False: 1_000, True: 10},
        },
    }
    model = made({"id": "charger", "points": points})
    one = device("charger", "charger", unit=1)
    unit.holding |= {5: 16}
    link = setup(
        tcp_link(server.port),
        [one],
        listener,
        poll_ms={PollClass.SENSOR: 50},
        profiles={"charger": model},
    )
    async with running(link) as driver:
        await until(lambda: listener.counters["charger", "polls"] > 2)
        early = await driver.write(Level(CHARGING, 16_000, False, reason("ok")))
        assert early.result is WriteResult.REFUSED
        assert listener.value("charger/limit") is None
        unit.holding |= {8: 0}
        await until(lambda: listener.value("charger/limit") == 16_000, 4.0)
        unit.holding |= {5: 1_600, 8: 1 << 7}
        await until(lambda: listener.value("charger/limit") == 16_000 and unit.asked)
        await until(lambda: listener.value("charger/fine") is True)
        await driver.write(Level(CHARGING, 6_010, False, reason("ok")))
        await until(lambda: listener.value("charger/limit") == 6_010)
    assert written(unit) == ["06 00 05 02 59"]


def test_on_is_given_again_when_half_of_it_is_over() -> None:
    assert pattern("on", 5_000) == Beat(5_000, 2_500)
    assert pattern("on", None) == Beat(5_000, 2_500)


def test_a_player_waits_for_a_parked_device_and_drops_what_ran_out() -> None:
    player = Player()
    player.start(Lease(SIREN, "flash", True, reason("ok"), 5_000), Beat(500, 1_000), 0)
    parked = frozenset({"board"})
    assert player.next(1_000, parked) is None
    assert player.due_ms(parked) == 5_000
    assert player.next(1_000, frozenset()) is not None
    assert player.next(1_000, frozenset()) is None
    assert player.next(5_000, frozenset()) is None
    assert not player
