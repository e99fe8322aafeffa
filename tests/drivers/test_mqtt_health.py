"""Silence is not health, and garbage is no value (RULES E5, X2)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.broker import Broker
from fixtures.waiting import until
from mqtt_rig import KEYPAD, SOS, Rig, Wire, device

from gateway.domain.faults import Health
from gateway.domain.points import Quality

CONTACT = device("contact", "z2m_contact", "zigbee2mqtt/door")
TOPIC = "zigbee2mqtt/door"
BRIDGE = "zigbee2mqtt/bridge/state"
ONLINE, OFFLINE = {"state": "online"}, {"state": "offline"}


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    made = Wire(broker)
    yield made
    made.close()


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


async def test_a_bridge_that_starts_proves_no_life_for_a_minute(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [CONTACT]).running() as rig:
        cell = rig.sink.cells["contact"]
        wire.say(BRIDGE, ONLINE, retain=True)
        wire.say(TOPIC, {"contact": True})  # what it remembered
        await until(lambda: rig.sink.value("contact/open") is False)
        assert cell.heard_ms is None
        rig.clock.ahead_ms += 60_000
        wire.say(TOPIC, {"contact": True, "linkquality": 90})
        await until(lambda: cell.heard_ms is not None)
        assert rig.sink.health["contact"][0] is Health.ONLINE


async def test_last_seen_tells_a_dead_button_from_a_living_one(broker: Broker, wire: Wire) -> None:
    topic = "zigbee2mqtt/hall sos"
    async with Rig(broker, [SOS]).running() as rig:
        cell = rig.sink.cells["sos"]
        wire.say(BRIDGE, ONLINE, retain=True)
        dead = {"battery": 60, "last_seen": ago(hours=30)}
        for linkquality in (1, 2):
            wire.say(topic, {**dead, "linkquality": linkquality})
        wire.say(topic, {**dead, "battery": 59})
        await until(lambda: rig.sink.value("sos/battery") == 59)
        assert cell.heard_ms is None
        wire.say(topic, {"battery": 58, "last_seen": ago(seconds=1)})  # within the bridge's minute
        await until(lambda: cell.heard_ms is not None)


async def test_a_retained_state_is_a_value_and_no_sign_of_life(broker: Broker, wire: Wire) -> None:
    wire.say(TOPIC, {"contact": False}, retain=True)
    async with Rig(broker, [CONTACT]).running() as rig:
        await until(lambda: rig.sink.value("contact/open") is True)
        assert rig.sink.cells["contact"].heard_ms is None
        assert not rig.sink.edges
        wire.say(TOPIC, {"contact": False})
        await until(lambda: rig.sink.edges)
        assert rig.sink.edges[0].first_sight


async def test_a_bridge_that_dies_takes_its_devices_along(broker: Broker, wire: Wire) -> None:
    bridge = Wire(broker, will=(BRIDGE, '{"state": "offline"}'))
    bridge.say(BRIDGE, ONLINE, retain=True)
    async with Rig(broker, [CONTACT, KEYPAD]).running() as rig:
        wire.say("zigbee2mqtt/door/availability", ONLINE, retain=True)
        await until(lambda: rig.sink.is_now("contact", Health.ONLINE))
        bridge.cut()
        await until(lambda: rig.sink.is_now("contact", Health.SILENT))
        assert "bridge/state is offline" in rig.sink.health["contact"][2]
        assert "keypad" not in rig.sink.health
        wire.say(BRIDGE, ONLINE, retain=True)
        await until(lambda: rig.sink.is_now("contact", Health.ONLINE))


async def test_after_a_silence_every_value_is_told_anew(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [CONTACT]).running() as rig:
        wire.say(TOPIC, {"contact": True})
        await until(lambda: rig.sink.value("contact/open") is False)
        wire.say("zigbee2mqtt/door/availability", OFFLINE, retain=True)
        await until(lambda: rig.sink.is_now("contact", Health.SILENT))
        told = len(rig.sink.readings)
        wire.say("zigbee2mqtt/door/availability", ONLINE, retain=True)
        wire.say(TOPIC, {"contact": True})
        (again, *_) = await until(lambda: rig.sink.readings[told:])
    assert (str(again.ref), again.value, again.quality) == ("contact/open", False, Quality.GOOD)


async def test_a_lost_link_silences_its_devices_and_a_found_one_asks_again(
    broker: Broker, wire: Wire
) -> None:
    wire.say("zigbee2mqtt/door/availability", ONLINE, retain=True)
    async with Rig(broker, [CONTACT]).running() as rig:
        await until(lambda: rig.sink.is_now("contact", Health.ONLINE))
        broker.stop()
        await until(lambda: rig.sink.is_now("contact", Health.SILENT))
        assert rig.sink.links[-1][0] is Health.SILENT
        assert "connection lost" in rig.sink.links[-1][1]
        broker.start()
        await until(lambda: rig.sink.is_now("contact", Health.ONLINE))  # by its retained word
        assert [health for health, _ in rig.sink.links] == ["online", "silent", "online"]


GARBAGE = [
    b"",
    b"\xff\x00{",
    b"{",
    b'{"contact": x}',
    b'{"contact": true} {}',
    b"[1, 2]",
    b"null",
    b'"on"',
    b'{"contact": NaN}',
    b'{"contact": ' + b"9" * 5000 + b"}",
    b'{"contact": "maybe"}',
    b'{"contact": {"a": 1}}',
    b'{"contact": [true]}',
    b'{"battery": 1e999}',
    b'{"battery": "full"}',
    b'{"battery": true}',
    b"[" * 20_000,
    b'{"contact": true, "x": "' + b"x" * 70_000 + b'"}',
]


async def test_garbage_is_counted_and_dropped_and_never_a_value(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [CONTACT]).running() as rig:
        for number, payload in enumerate(GARBAGE, start=1):
            wire.say(TOPIC, payload)
            wire.say(TOPIC, {"battery_low": bool(number % 2)})
            wanted = bool(number % 2)
            await until(lambda wanted=wanted: rig.sink.value("contact/battery_low") is wanted)
            assert rig.sink.counts["garbage"] == number, payload[:40]
    others = [r for r in rig.sink.readings if r.ref.point != "battery_low"]
    assert others
    assert all(r.quality is Quality.BAD and r.value is None for r in others)
    assert not rig.sink.edges


async def test_garbage_that_lasts_is_a_fault_until_it_ends(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [CONTACT]).running() as rig:
        for _ in range(5):
            wire.say(TOPIC, b"\x00")
        await until(lambda: rig.sink.health.get("contact", ("", ""))[1] == "garbage")
        for number in range(12):
            wire.say(TOPIC, {"contact": True, "linkquality": number})
        await until(lambda: rig.sink.is_now("contact", Health.ONLINE))
    assert rig.sink.counts["garbage"] == 5
    assert rig.sink.value("contact/open") is False


async def test_null_and_missing_are_no_garbage(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [CONTACT]).running() as rig:
        wire.say(TOPIC, {"contact": None, "battery": None, "voltage": 3000})
        wire.say(TOPIC, {"battery_low": False})
        await until(lambda: rig.sink.value("contact/battery_low") is False)
    assert not rig.sink.counts["garbage"]
    assert len(rig.sink.readings) == 1
