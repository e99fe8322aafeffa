"""`commons devices scan`, from the command line to a real broker."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from fixtures.broker import Broker
from modbus_rig import TcpServer, Unit, bank
from mqtt_rig import Wire


def scan(folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "gateway.cli", "devices", "scan", *more, "--site", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def made_site(folder: Path, link: str) -> Path:
    """A site with nothing in it yet but a link."""
    folder.mkdir()
    (folder / "site.yaml").write_text(f"id: fresh\nzone: Asia/Shanghai\nlinks: {{radio: {link}}}\n")
    (folder / "places.yaml").write_text("hall:\n  name: {zh: 厅, en: Hall}\n")
    return folder


def site(folder: Path, broker: Broker) -> Path:
    return made_site(folder, f"{{driver: mqtt, host: {broker.host}, port: {broker.port}}}")


def test_a_technician_sees_what_a_broker_knows(broker: Broker, tmp_path: Path) -> None:
    action = {"type": "enum", "property": "action", "values": ["emergency"]}
    button = {
        "type": "EndDevice",
        "ieee_address": "0x1",
        "friendly_name": "hall sos",
        "definition": {"vendor": "Tuya", "model": "TS0215A_sos", "exposes": [action]},
    }
    wire = Wire(broker)
    wire.say("zigbee2mqtt/bridge/devices", [button], retain=True)
    wire.close()
    folder = site(tmp_path / "site", broker)
    done = scan(folder, "radio", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["device"] == "hall_sos"
    assert row["profiles"] == ["z2m_sos_button"]
    assert row["binding"] == {"topic": "zigbee2mqtt/hall sos"}
    assert "Tuya TS0215A_sos" in scan(folder, "radio").stdout


def test_a_broker_or_link_that_is_not_there_is_said(broker: Broker, tmp_path: Path) -> None:
    folder = site(tmp_path / "site", broker)
    unknown = scan(folder, "radoi")
    assert (unknown.returncode, unknown.stderr.strip()) == (2, "no link 'radoi'; there is radio")
    broker.stop()
    away = scan(folder, "radio", "--within", "0.3")
    assert away.returncode == 3
    assert "Connection refused" in away.stderr


async def test_a_technician_sees_who_answers_on_a_modbus_link(tmp_path: Path) -> None:
    server = TcpServer(bank({3: Unit()}))
    await server.start()
    folder = made_site(
        tmp_path / "site", f"{{driver: modbus_tcp, host: 127.0.0.1, port: {server.port}}}"
    )
    try:
        done = await asyncio.to_thread(scan, folder, "radio", "--to", "3", "--json")
    finally:
        await server.stop()
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["device"], row["binding"]) == ("unit_3", {"unit": 3})
