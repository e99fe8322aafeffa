"""Finding who is on a bus."""

import asyncio

import pytest
from modbus_rig import RtuServer, TcpServer, Unit, bank, rtu_link, tcp_link

from drivers.modbus.frames import LinkLost
from drivers.modbus.scan import FoundUnit, scan
from gateway.domain.site import Link

# from a capture of somebody else's traffic (cisagov/icsnpp-modbus)
IDENTITY = bytes.fromhex(
    "2b0e018300000300105a65656b204d6f646275732054657374011850726f746f636f6c2050617273696e67"
    "2069732066756e210207312e322e332e36"
)


def identified(unit: int, pdu: bytes) -> bytes | None:
    if unit != 9:
        return None
    return IDENTITY if pdu[0] == 0x2B else bytes((pdu[0] | 0x80, 1))


async def found(link: Link, *units: int) -> list[FoundUnit]:
    return [one async for one in scan(link, units, timeout_ms=60)]


async def test_a_scan_of_a_serial_line_finds_who_answers_and_their_tables() -> None:
    board, meter = Unit(), Unit()
    board.holding = {}
    meter.holding, meter.input = {}, {0: 1, 1: 2}
    meter.coils = meter.discrete = []
    line = RtuServer(bank({1: board, 4: meter}))
    line.start()
    try:
        seen = await found(rtu_link(line.path), 1, 2, 3, 4)
    finally:
        line.stop()
    assert seen == [FoundUnit(1, ("coil", "discrete")), FoundUnit(4, ("input",))]
    assert not board.log


async def test_a_unit_that_refuses_every_read_is_found_and_says_who_made_it() -> None:
    server = TcpServer(identified)
    await server.start()
    try:
        [only] = await found(tcp_link(server.port), 8, 9)
    finally:
        await server.stop()
    assert only.unit == 9
    assert only.identity == (
        ("vendor", "Zeek Modbus Test"),
        ("product", "Protocol Parsing is fun!"),
        ("revision", "1.2.3.6"),
    )


async def test_a_unit_behind_a_gateway_that_is_silent_is_not_found() -> None:
    server = TcpServer(lambda unit, pdu: bytes((pdu[0] | 0x80, 11)))
    await server.start()
    try:
        assert await found(tcp_link(server.port), 1, 2) == []
    finally:
        await server.stop()


async def test_a_scan_of_a_link_that_is_not_there_says_so() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(LinkLost, match="/dev/ttyNobody"):
            await found(rtu_link("/dev/ttyNobody"), 1)
