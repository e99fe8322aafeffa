"""How the gateway reaches the platform's broker, and what is seen of it there (RULES E8)."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from amqtt.broker import Broker as Amqtt
from certificates import authority
from fixtures.broker import Broker, MakeBroker
from fixtures.waiting import until
from uplink_rig import Rig, gateway, platform, prefill

from gateway.domain.errors import ConfigError
from gateway.domain.events import PointEdge, Stopping
from gateway.domain.points import PointRef
from gateway.uplink import settings as uplink_settings
from simulators.broker import free_port
from simulators.platform import Address


async def test_tls_with_certificates_at_both_ends(tmp_path: Path, make_broker: MakeBroker) -> None:
    files = authority(tmp_path / "certificates")
    broker = make_broker(certificates=files, settings="require_certificate true")
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    context.load_cert_chain(files / "client.pem", files / "client.key")
    tls = {"ca": files / "ca.pem", "cert": files / "client.pem", "key": files / "client.key"}
    prefill(tmp_path, 30)
    async with (
        platform(broker.port, Address(broker.port, tls=context)) as desk,
        gateway(tmp_path, broker.port, tls=tls) as rig,
    ):
        await desk.until(lambda p: len(p.records) == 30)
        assert (await desk.subject("ann", pin="271828")).accepted
        assert no_delay(rig)


async def test_a_broker_with_a_foreign_certificate_is_not_spoken_to(
    tmp_path: Path, make_broker: MakeBroker
) -> None:
    broker = make_broker(certificates=authority(tmp_path / "theirs"))
    ours = authority(tmp_path / "ours", "another authority")
    async with gateway(tmp_path, broker.port, tls={"ca": ours / "ca.pem"}) as rig:
        await until(lambda: "CERTIFICATE_VERIFY_FAILED" in rig.uplink.health.error)
        assert rig.uplink.health.connections == 0


async def test_a_password_from_its_file_which_may_change(
    tmp_path: Path, make_broker: MakeBroker
) -> None:
    broker = make_broker(users={"small": "right horse", "platform": "desk"})
    file = tmp_path / "password"
    file.write_text("wrong horse\n")
    login = {"username": "small", "password_file": file}
    address = Address(broker.port, username="platform", password="desk")
    async with platform(broker.port, address) as desk:
        async with gateway(tmp_path, broker.port, **login) as rig:
            await until(lambda: "ot authori" in rig.uplink.health.error)
            file.write_text("right horse\n")
            await desk.until(lambda p: p.cover.heard)
        assert "horse" not in str(rig.settings)


async def test_five_where_the_broker_has_it(tmp_path: Path, broker: Broker) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: p.cover.heard)
        await until(lambda: rig.uplink.health.protocol == "5")
        assert no_delay(rig)


async def test_three_where_the_broker_has_no_five(tmp_path: Path) -> None:
    prefill(tmp_path, 100)
    async with amqtt() as port, platform(port) as desk, gateway(tmp_path, port) as rig:
        await desk.until(lambda p: len(p.records) == 100)
        assert rig.uplink.health.protocol == "3.1.1"
        assert rig.uplink.health.connections == 1


async def test_three_where_the_broker_hangs_up_at_five(tmp_path: Path, broker: Broker) -> None:
    async with (
        hanging_up_at_five(broker.port) as port,
        platform(broker.port) as desk,
        gateway(tmp_path, port, timeout_ms=300) as rig,
    ):
        await desk.until(lambda p: p.cover.heard)
        await until(lambda: rig.uplink.health.connected)
        assert rig.uplink.health.protocol == "3.1.1"


async def test_the_status_says_how_the_gateway_is(tmp_path: Path, broker: Broker) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port) as rig:
        await desk.until(lambda p: p.cover.heard)
        head = await rig.note(PointEdge(PointRef("board", "input_3"), True))
        await desk.until(lambda p: p.cover.status["calls"])
        status = desk.cover.status
    assert status["calls"] == [
        {
            "id": status["calls"][0]["id"],
            "place": "study_room",
            "state": status["calls"][0]["state"],
            "test": False,
        }
    ]
    assert status["calls"][0]["state"] in ("raised", "delivered")
    assert status["journal"]["head"] >= head
    assert status["clock"] == {"trust": "synchronised", "timeline": 0}
    assert status["storage"] == {"lost": False, "detail": ""}
    assert (status["version"], status["boot"]) == ("0.1.0", "boot")


async def test_the_status_comes_at_its_interval(tmp_path: Path, broker: Broker) -> None:
    async with platform(broker.port) as desk, gateway(tmp_path, broker.port, status_ms=300):
        await desk.until(lambda p: sum(name == "up/status" for name, _ in p.seen) >= 4)
    times = [json.loads(sent)["at_ms"] for name, sent in desk.seen if name == "up/status"]
    assert times[3] - times[1] >= 500


async def test_no_cover_is_raised_after_180_seconds_of_silence_and_not_before(
    tmp_path: Path, broker: Broker
) -> None:
    now = [1_000.0]
    async with platform(broker.port, mono=lambda: now[0]) as desk:
        async with gateway(tmp_path, broker.port):
            await desk.until(lambda p: p.cover.heard == 1_000.0)
        await desk.until(lambda p: p.cover.status["state"] == "offline")
        now[0] += 180
        assert desk.cover.check()
        now[0] += 1
        await desk.until(lambda p: p.cover.alarms == ["no cover"])
        async with gateway(tmp_path, broker.port):
            await desk.until(lambda p: p.cover.alarms == ["no cover", "cover"])


async def test_a_gateway_that_stops_says_so_and_one_that_dies_has_left_a_will(
    tmp_path: Path, broker: Broker
) -> None:
    async with platform(broker.port) as desk:
        async with gateway(tmp_path, broker.port) as rig:
            await desk.until(lambda p: p.cover.heard)
        await desk.until(lambda p: p.cover.status["state"] == "offline")
        assert desk.cover.status["why"] == "stopped"
        async with cut(broker.port) as link, gateway(tmp_path, link.port) as rig:
            await desk.until(lambda p: p.cover.status["state"] == "online")
            await until(lambda: rig.uplink.health.connected)  # it knows that it was heard
            link.cut()
            await desk.until(lambda p: p.cover.status["state"] == "offline")
            assert desk.cover.status["why"] == "lost"
            await desk.until(lambda p: p.cover.status["state"] == "online")
            await until(lambda: rig.uplink.health.connections == 2)


async def test_the_retained_status_greets_a_platform_that_comes_later(
    tmp_path: Path, broker: Broker
) -> None:
    async with gateway(tmp_path, broker.port) as rig:
        await until(lambda: rig.uplink.health.connected)
        async with platform(broker.port) as desk:
            await desk.until(lambda p: p.cover.status.get("state") == "online")
            assert desk.cover.heard is None or desk.cover.alarms == []


async def test_a_broker_that_no_longer_answers_is_left(
    tmp_path: Path, make_broker: MakeBroker
) -> None:
    broker = make_broker()
    async with gateway(tmp_path, broker.port, timeout_ms=400) as rig:
        await until(lambda: rig.uplink.health.connected)
        broker.freeze()
        await rig.note(Stopping("something to send"))
        await until(lambda: not rig.uplink.health.connected)
        broker.thaw()
        await until(lambda: rig.uplink.health.connections == 2)
        assert rig.uplink.health.connected


async def test_waits_between_tries_grow_and_differ(tmp_path: Path) -> None:
    async with gateway(tmp_path, free_port(), reconnect_ms=50, reconnect_max_ms=400) as rig:
        waits = [rig.uplink.wait_ms(attempt) for attempt in (0, 1, 2, 3, 4, 50)]
        again = [rig.uplink.wait_ms(3) for _ in range(5)]
    limits = (50, 100, 200, 400, 400, 400)
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, limits, strict=True))
    assert len(set(again)) == 5


async def test_while_somebody_calls_for_help_the_waits_are_short(
    tmp_path: Path, broker: Broker
) -> None:
    broker.stop()
    waits = {"reconnect_ms": 60_000, "reconnect_max_ms": 60_000, "reconnect_call_ms": 200}
    async with gateway(tmp_path, broker.port, **waits) as rig:
        await until(lambda: rig.uplink.health.error)
        broker.start()
        await rig.note(PointEdge(PointRef("board", "input_3"), True))
        await until(lambda: rig.uplink.health.connected, 5)
    assert rig.uplink.wait_ms(attempt=0) >= 30_000, "what it would have waited"


@pytest.mark.parametrize(
    ("uplink", "key", "problem"),
    [
        ({"port": 1883}, "uplink.host", "Field required"),
        ({"host": "h", "prot": 1}, "uplink.prot", "Extra inputs are not permitted"),
        ({"host": "h", "tls": {"cert": "c"}}, "uplink.tls", "cert and key go together"),
        ({"host": "h", "password_file": "p", "tls": {}}, "uplink", "needs a username"),
        ({"host": "10.0.0.7"}, "uplink.tls", "PINs would cross the network in clear"),
        ({"host": "platform.example"}, "uplink.tls", "PINs would cross the network in clear"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_key_and_expectation(
    uplink: dict[str, Any], key: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        uplink_settings.parse(uplink)
    (found,) = caught.value.problems
    assert found.key == key
    assert problem in found.message


def test_plain_text_over_a_network_is_a_warning_where_somebody_said_so() -> None:
    (problem,) = uplink_settings.check({"host": "10.0.0.7", "plain": True})
    assert (problem.warning, problem.rule) == (True, "B3")
    assert uplink_settings.check({"host": "localhost"}) == []
    assert uplink_settings.parse({"host": "platform.example", "tls": {}}).port_used == 8883


# --- wires --------------------------------------------------------------------------------------


def no_delay(rig: Rig) -> bool:
    """TCP_NODELAY is set on the one connection to the broker that is not the platform's."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as sock:
            if sock.getpeername()[1:2] == (rig.settings.port,):
                found.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    return sorted(map(bool, found)) == [False, True]


@asynccontextmanager
async def amqtt() -> AsyncIterator[int]:
    """A broker that speaks 3.1.1 alone; its port."""
    port = free_port()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Amqtt(config)
    await broker.start()
    yield port
    await broker.shutdown()


class Cut:
    """A wire to a broker that can be cut."""

    def __init__(self) -> None:
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()


@asynccontextmanager
async def cut(port: int, refuse_five: bool = False) -> AsyncIterator[Cut]:
    wire = Cut()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(65_536)
        if refuse_five and b"MQTT\x05" in first[:16]:
            writer.close()
            return
        from_broker, to_broker = await asyncio.open_connection("127.0.0.1", port)
        to_broker.write(first)
        wire.writers += [writer, to_broker]
        with suppress(asyncio.CancelledError):
            await asyncio.gather(pipe(reader, to_broker), pipe(from_broker, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    yield wire
    wire.cut()
    server.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionError:
        writer.close()


@asynccontextmanager
async def hanging_up_at_five(port: int) -> AsyncIterator[int]:
    async with cut(port, refuse_five=True) as wire:
        yield wire.port
