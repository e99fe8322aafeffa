"""Sessions with a real broker: TLS, passwords, both protocols, loss and return."""

import asyncio
import datetime
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fixtures.broker import Broker
from fixtures.waiting import until
from mqtt_rig import KEYPAD, SOS, Rig, Wire, device

from drivers.mqtt.binding import default_client_id, parse
from gateway.domain.errors import ConfigError
from gateway.domain.faults import Health
from gateway.domain.points import PointRef
from gateway.domain.site import Link
from simulators.broker import free_port

PLUG = device("plug", "z2m_plug", "zigbee2mqtt/plug")
MakeBroker = Callable[..., Broker]


@pytest.mark.parametrize("protocol", [311, 5])
async def test_both_protocols_carry_calls_and_credentials(broker: Broker, protocol: int) -> None:
    wire = Wire(broker)
    async with Rig(broker, [SOS, KEYPAD], protocol=protocol).running():
        pass
    wire.say("zigbee2mqtt/hall sos", {"action": "single"})
    async with Rig(broker, [SOS, KEYPAD], protocol=protocol).running() as rig:
        wire.say("keypads/hall/presented", {"pin": "1234"})
        await until(lambda: rig.sink.edges and rig.sink.credentials)
    assert [edge.ref for edge in rig.sink.edges] == [PointRef("sos", "pressed")]
    assert [e.presented for e in rig.sink.credentials] == [rig.credentials.pin("1234")]
    wire.close()


async def test_a_password_comes_from_a_file_or_the_environment(
    make_broker: MakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make_broker(users={"gateway": "seven words"})
    file = tmp_path / "password"
    file.write_text("seven words\n")
    async with Rig(broker, [PLUG], username="gateway", password_file=str(file)).running() as rig:
        assert rig.sink.up
    monkeypatch.setenv("BROKER_PASSWORD", "seven words")
    by_env = Rig(broker, [PLUG], username="gateway", password_env="BROKER_PASSWORD")
    async with by_env.running():
        assert by_env.sink.up


@pytest.mark.parametrize("protocol", [311, 5])
async def test_a_wrong_password_is_said_without_showing_it(
    make_broker: MakeBroker, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    broker = make_broker(users={"gateway": "seven words"})
    monkeypatch.setenv("BROKER_PASSWORD", "eight words")
    rig = Rig(broker, [PLUG], username="gateway", password_env="BROKER_PASSWORD", protocol=protocol)
    async with rig.running(wait_up=False):
        await until(lambda: rig.sink.links)
    assert "not authorized" in rig.sink.links[0][1].lower()
    assert "eight words" not in str(rig.sink.links)


async def test_tls_checks_the_brokers_chain(make_broker: MakeBroker, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "ours")
    other = make_certificates(tmp_path / "theirs")
    broker = make_broker(certificates=certificates)
    tls = {"ca": str(certificates / "ca.pem")}
    async with Rig(broker, [PLUG, SOS], tls=tls).running() as rig:
        wire = Wire(broker, tls=str(certificates / "ca.pem"))
        for number in range(200):  # more than one record at a time
            wire.say("zigbee2mqtt/plug", {"voltage": 200 + number}, qos=0)
        await until(lambda: rig.sink.value("plug/voltage") == 399)
        wire.close()
    fooled = Rig(broker, [PLUG], tls={"ca": str(other / "ca.pem")})
    async with fooled.running(wait_up=False):
        await until(lambda: fooled.sink.links)
    assert "certificate verify failed" in fooled.sink.links[0][1]


async def test_a_broker_that_is_not_there_is_said_once_and_tried_for_ever() -> None:
    class Nowhere:
        host, port = "127.0.0.1", free_port()

    rig = Rig(Nowhere(), [SOS])  # type: ignore[arg-type]  # an address is all it needs
    async with rig.running(wait_up=False):
        await until(lambda: rig.sink.links)
        await asyncio.sleep(0.25)
        assert len(rig.sink.links) == 1
        assert "Connection refused" in rig.sink.links[0][1]


async def test_a_frozen_broker_is_found_out_by_its_silence(broker: Broker) -> None:
    async with Rig(broker, [SOS], keepalive_s=2).running() as rig:
        broker.freeze()
        await until(lambda: not rig.sink.up)
        broker.thaw()
        await until(lambda: rig.sink.up)
    came, went, *_, back = (health for health, _ in rig.sink.links)
    assert came is back is Health.ONLINE
    assert went is not Health.ONLINE


@pytest.mark.parametrize("protocol", [311, 5])
async def test_a_giant_is_dropped_unread_and_holds_nobody_up(
    broker: Broker, protocol: int, tmp_path: Path
) -> None:
    giant = tmp_path / "giant"
    giant.write_bytes(b"x" * 60_000_000)
    wire = Wire(broker)
    async with Rig(broker, [SOS, PLUG], protocol=protocol).running() as rig:
        before = peak_memory(reset=True)
        for topic in ("zigbee2mqtt/hall sos", "zigbee2mqtt/plug"):
            where = ["-h", broker.host, "-p", str(broker.port), "-q", "1", "-t", topic]
            said = await asyncio.create_subprocess_exec("mosquitto_pub", *where, "-f", str(giant))
            assert await said.wait() == 0
        wire.say("zigbee2mqtt/plug", {"voltage": 231})
        wire.say("zigbee2mqtt/hall sos", {"action": "single"})
        await until(lambda: rig.sink.edges and rig.sink.value("plug/voltage") == 231)
        assert peak_memory() - before < 25_000_000
    wire.close()


def test_a_client_id_is_the_same_after_every_start_and_differs_by_link() -> None:
    assert default_client_id("radio") == default_client_id("radio")
    assert default_client_id("radio") != default_client_id("other")
    link = Link("radio", "mqtt", {"host": "broker"})
    assert parse(link).client_id == default_client_id("radio")


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ({}, "links.radio.host"),
        ({"host": "b", "prot": 5}, "unknown key"),
        ({"host": "b", "protocol": 4}, "found 4, expected 5 or 311"),
        ({"host": "b", "port": 70_000}, "found 70000, expected 1 to 65535"),
        ({"host": "b", "password": "x"}, "expected password_file or password_env"),
        ({"host": "b", "tls": {"cert": "x"}}, "cert and key go together"),
        ({"host": "b", "tls": {"cafile": "x"}}, "links.radio.tls.cafile"),
        ({"host": "b", "keepalive_s": 1}, "found 1, expected 2 to 300"),
    ],
)
def test_a_wrong_link_is_refused_with_the_key(binding: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(Link("radio", "mqtt", binding))


def peak_memory(*, reset: bool = False) -> int:
    """The most memory this process has held, in bytes, since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def make_certificates(folder: Path) -> Path:
    """A certificate authority and a server of its own for 127.0.0.1."""
    folder.mkdir()
    ca_key, ca = _certificate("test ca", None)
    key, server = _certificate("127.0.0.1", (ca_key, ca))
    private = serialization.PrivateFormat.PKCS8
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    (folder / "server.key").write_bytes(key.private_bytes(pem, private, plain))
    return folder


def _certificate(
    name: str, issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))])
        builder = builder.add_extension(names, critical=False)
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())
