"""MQTT messages a second through the whole path, beside a bare paho client in the same run.

A real mosquitto, 3.1.1, QoS 1, twenty metering plugs whose power moves with every message, of 120
bytes. The bare client drains its socket as we do and looks at nothing. Limit: at least half of it,
by CPU time: so the figure says what we cost, and not what broker and publisher leave us.
"""

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixtures.broker import Broker
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from simulation.sites import small_site

from benchmarks.figures import Figure, emit
from config.profiles import load_profiles
from drivers.mqtt.driver import MqttDriver
from drivers.registry import kinds
from gateway.domain.site import POLL_MS, Device, Link, Name
from gateway.ports import LinkSetup
from gateway.runtime.clock import SystemClock
from gateway.runtime.engine import Engine
from gateway.runtime.readings import Readings
from gateway.runtime.reconcile import Reconciler
from gateway.runtime.sink import LinkSink
from gateway.runtime.step import Step
from gateway.security.credentials import KeyedCredentials
from gateway.store.store import SqliteStore

PLUGS = 20
MESSAGES = 12_000
AT_ONCE = 250
ACKNOWLEDGED = 4  # bytes of a PUBACK
TURN = 64
TURNS = 4


def publisher(port: int) -> None:
    """Say everything as fast as the broker takes it. Runs in a process of its own."""
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench")
        wire.recv(4)
        for start in range(0, MESSAGES, AT_ONCE):
            wire.sendall(b"".join(_publish(number) for number in range(start, start + AT_ONCE)))
            wire.recv(ACKNOWLEDGED * AT_ONCE, socket.MSG_WAITALL)
        wire.sendall(b"\xe0\x00")
        wire.recv(1)


def _publish(number: int) -> bytes:
    topic = b"zigbee2mqtt/plug_%02d" % (number % PLUGS)
    payload = (
        b'{"current":4.31,"energy":12.34,"linkquality":%d,"power":%d.5,"state":"ON","voltage":231,'
        b'"update":{"state":"idle"}}' % (100 + number % 40, 900 + number // PLUGS % 100 * 7)
    )
    body = len(topic).to_bytes(2) + topic + (1 + number % 0xFFFF).to_bytes(2) + payload.ljust(120)
    size = len(body)
    return b"2" + bytes((size & 127 | 128, size >> 7) if size > 127 else (size,)) + body


async def bare(port: int, go: Callable[[], Any]) -> tuple[int, float, float]:
    """A paho client that counts."""
    count = 0

    def on_message(*_: object) -> None:
        nonlocal count
        count += 1

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=paho.MQTTv311)
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    wire: Any = client.socket()

    def drain() -> None:
        for _ in range(TURN):
            before = count
            client.loop_read()
            if count == before:
                break
        client.loop_write()

    asyncio.get_running_loop().add_reader(wire.fileno(), drain)
    await asyncio.sleep(0.2)
    client.subscribe("zigbee2mqtt/+", 1)
    await asyncio.sleep(0.2)
    result = await _timed(lambda: count, go)
    asyncio.get_running_loop().remove_reader(wire.fileno())
    client.disconnect()
    return result


async def whole(port: int, folder: Path, go: Callable[[], Any]) -> tuple[int, float, float]:
    """Driver, sink, readings and engine, over a real store."""
    site, clock = small_site(), SystemClock("bench")
    store = SqliteStore(folder / "gateway.db")
    loaded = store.open()
    readings = Readings()
    reconciler = Reconciler(lambda _: None, clock.mono_ms())
    engine = Engine(Step(site, loaded, readings), reconciler, readings, store, clock)
    engine.start(loaded.head, {})
    sink = LinkSink("radio", engine, lambda _: lambda: None)
    devices = [
        Device(
            id_, "z2m_plug", "radio", "study_room", Name(id_, id_), {"topic": f"zigbee2mqtt/{id_}"}
        )
        for id_ in (f"plug_{number:02}" for number in range(PLUGS))
    ]
    link = Link("radio", "mqtt", {"host": "127.0.0.1", "port": port, "client_id": "whole"})
    credentials = KeyedCredentials(bytes(32))
    setup = LinkSetup(link, devices, load_profiles(kinds()), {}, POLL_MS, sink, credentials, clock)
    driver = MqttDriver(setup)
    tasks = [asyncio.create_task(engine.run()), asyncio.create_task(driver.run())]
    while sink.health.get("link:radio") != "online":  # noqa: ASYNC110  # nobody tells us
        await asyncio.sleep(0.01)

    def count() -> int:
        return sum(n for (_, what), n in sink.counters.items() if what == "messages")

    result = await _timed(count, go)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return result


async def _timed(count: Callable[[], int], go: Callable[[], Any]) -> tuple[int, float, float]:
    """Messages, seconds, and CPU seconds of this process, from the first message to the last."""
    saying = go()
    while not count():  # noqa: ASYNC110  # nobody tells us
        await asyncio.sleep(0.005)
    seen, began, cpu = 0, time.monotonic(), time.process_time()
    ended, last_cpu = began, cpu
    while time.monotonic() - ended < 1.0 and seen < MESSAGES:
        await asyncio.sleep(0.02)
        if count() != seen:
            seen, ended, last_cpu = count(), time.monotonic(), time.process_time()
    await asyncio.to_thread(saying.wait)
    return seen, ended - began, last_cpu - cpu


def main() -> None:
    """Measure the bare client and the whole path in turns; the least CPU time of each counts."""
    raws: list[tuple[int, float, float]] = []
    all_ours: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker", settings="max_queued_messages 0")
        broker.start()

        def go() -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "benchmarks.messages", "say", str(broker.port)]
            return subprocess.Popen(command)

        try:
            for turn in range(TURNS):
                own = Path(folder) / str(turn)
                own.mkdir()
                raws.append(asyncio.run(bare(broker.port, go)))
                all_ours.append(asyncio.run(whole(broker.port, own, go)))
        finally:
            broker.kill()
    raw, ours = (min(found, key=lambda one: one[2]) for found in (raws, all_ours))
    if min(count for count, *_ in (*raws, *all_ours)) < MESSAGES:
        raise RuntimeError(f"{raw[0]} and {ours[0]} of {MESSAGES} messages came")
    emit(
        Figure(
            "MQTT messages of 120 bytes, QoS 1, a CPU second",
            ours[0] / ours[2],
            "msg/s",
            raw=raw[0] / raw[2],
            judged="ratio",
            at_least=0.5,
            note=f"by the clock {ours[0] / ours[1]:,.0f}/s, bare {raw[0] / raw[1]:,.0f}/s",
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["say"]:
        publisher(int(sys.argv[2]))
    else:
        main()
