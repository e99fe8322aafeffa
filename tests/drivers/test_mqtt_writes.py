"""Setpoints as messages on a real broker (RULES A4, DESIGN §2.1)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fixtures.broker import Broker
from fixtures.waiting import until
from mqtt_rig import Rig, Wire, device
from paho.mqtt import client as paho

from gateway.domain.faults import Health
from gateway.domain.points import Lease, Level, PointRef, Pulse, WriteResult
from gateway.domain.reasons import reason

LOCK = device("lock", "z2m_lock", "zigbee2mqtt/lock")
PLUG = device("plug", "z2m_plug", "zigbee2mqtt/plug")
SIREN = device("siren", "z2m_siren", "zigbee2mqtt/siren")
WHY = reason("granted")


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    made = Wire(broker)
    made.listen("zigbee2mqtt/+/set", "zigbee2mqtt/+/get")
    yield made
    made.close()


def pulse(rig: Rig, token: str = "t1", in_ms: int = 5_000) -> Pulse:
    until_ms = rig.clock.mono_ms() + in_ms
    return Pulse(PointRef("lock", "unlock"), token, 5_000, until_ms, "boot", False, WHY)


async def heard(wire: Wire, topic_ends: str, count: int) -> list[tuple[str, Any]]:
    await until(lambda: len(wire.messages(topic_ends)) >= count)
    return wire.messages(topic_ends)


async def test_a_release_asks_the_lock_first_and_is_sent_when_the_broker_has_it(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [LOCK]).running() as rig:
        await heard(wire, "/get", 1)  # it is asked for its state when we come
        outcome = await rig.driver.write(pulse(rig))
        assert outcome.result is WriteResult.SENT
        await heard(wire, "/set", 1)
    assert wire.messages()[1:] == [
        ("zigbee2mqtt/lock/get", {"state": ""}),
        ("zigbee2mqtt/lock/set", {"state": "UNLOCK"}),
    ]
    assert not any(message.retain for message in wire.heard)


async def test_a_token_is_spent_once_and_never_after_its_time(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [LOCK]).running() as rig:
        assert (await rig.driver.write(pulse(rig))).result is WriteResult.SENT
        assert (await rig.driver.write(pulse(rig))).result is WriteResult.UNKNOWN
        late = await rig.driver.write(pulse(rig, "t2", in_ms=-1))
        assert (late.result, late.detail) == (WriteResult.REFUSED, "too late")
        assert (await rig.driver.write(pulse(rig, "t3"))).result is WriteResult.SENT
        assert len(await heard(wire, "/set", 2)) == 2


async def test_a_release_while_the_broker_is_away_is_refused_and_never_sent(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [LOCK]).running() as rig:
        broker.stop()
        await until(lambda: not rig.sink.up)
        outcome = await rig.driver.write(pulse(rig))
        assert (outcome.result, outcome.detail) == (WriteResult.REFUSED, "not connected")
        broker.start()
        await until(lambda: rig.sink.up)
        after = Wire(broker)
        after.listen("zigbee2mqtt/+/set")
        again = await rig.driver.write(pulse(rig, "t2"))  # what follows comes after all else
        assert again.result is WriteResult.SENT
        assert len(await heard(after, "/set", 1)) == 1
        after.close()


async def test_a_release_the_broker_does_not_acknowledge_is_unknown_and_not_repeated(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [LOCK]).running() as rig:
        broker.freeze()
        outcome = await rig.driver.write(pulse(rig, in_ms=300))
        assert outcome.result is WriteResult.UNKNOWN
        await until(lambda: not rig.sink.up)
        broker.thaw()
        await until(lambda: rig.sink.up)
        assert (await rig.driver.write(pulse(rig, "t2"))).result is WriteResult.SENT
        await heard(wire, "/set", 1)
    assert len(wire.messages("/set")) <= 2  # the first one at most once


async def test_no_release_is_left_with_a_broker_for_a_lock_that_is_away(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [LOCK]).running() as rig:
        for topic in ("zigbee2mqtt/lock/availability", "zigbee2mqtt/bridge/state"):
            wire.say(topic, {"state": "offline"}, retain=True)
            await until(lambda: rig.sink.is_now("lock", Health.SILENT))
            outcome = await rig.driver.write(pulse(rig))
            assert (outcome.result, outcome.detail) == (
                WriteResult.REFUSED,
                "the device is offline",
            )
            wire.say(topic, {"state": "online"}, retain=True)
            await until(lambda: not rig.sink.is_now("lock", Health.SILENT))
    assert not wire.messages("/set")


async def test_a_release_expires_at_a_broker_that_knows_how(broker: Broker) -> None:
    sleeping = Wire(broker, protocol=paho.MQTTv5, client_id="lock", clean_start=True)
    sleeping.listen("zigbee2mqtt/+/set")
    async with Rig(broker, [LOCK], protocol=5).running() as rig:
        assert (await rig.driver.write(pulse(rig, in_ms=4_900))).result is WriteResult.SENT
        await heard(sleeping, "/set", 1)
        properties: Any = sleeping.heard[0].properties
        assert properties.MessageExpiryInterval <= 4
        nobody = await rig.driver.write(replace(pulse(rig, "t2"), ref=PointRef("lock", "none")))
        assert nobody.result is WriteResult.REFUSED
    sleeping.close()


async def test_an_echo_proves_nothing_until_the_plug_was_asked(broker: Broker, wire: Wire) -> None:
    topic = "zigbee2mqtt/plug"
    async with Rig(broker, [PLUG]).running() as rig:
        wire.say(topic, {"state": "OFF", "power": 0})
        await until(lambda: rig.sink.value("plug/state") is False)
        asked = len(wire.messages("/get"))
        level = Level(PointRef("plug", "state"), True, secures=False, reason=WHY)
        assert (await rig.driver.write(level)).result is WriteResult.SENT
        assert (await heard(wire, "/set", 1))[0][1] == {"state": "ON"}
        wire.say(topic, {"state": "ON", "power": 0})  # the bridge's echo
        await heard(wire, "/get", asked + 1)
        assert rig.sink.value("plug/state") is False
        wire.say(topic, {"state": "ON", "power": 0})  # the plug's answer, word for word the same
        await until(lambda: rig.sink.value("plug/state") is True)


async def test_a_stuck_plug_is_seen_through_its_echo(broker: Broker, wire: Wire) -> None:
    topic = "zigbee2mqtt/plug"
    async with Rig(broker, [PLUG]).running() as rig:
        wire.say(topic, {"state": "ON", "power": 60})
        await until(lambda: rig.sink.value("plug/state") is True)
        asked = len(wire.messages("/get"))
        await rig.driver.write(Level(PointRef("plug", "state"), False, secures=True, reason=WHY))
        wire.say(topic, {"state": "OFF", "power": 60})
        await heard(wire, "/get", asked + 1)
        wire.say(topic, {"state": "ON", "power": 61})
        await until(lambda: rig.sink.value("plug/power") == 61)
    assert [r.value for r in rig.sink.readings if r.ref.point == "state"] == [True]


async def test_a_siren_sounds_by_itself_for_a_while_and_is_told_again_at_half_time(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [SIREN]).running() as rig:

        async def play(value: str) -> WriteResult:
            until_ms = rig.clock.mono_ms() + 6_000
            lease = Lease(PointRef("siren", "signal"), value, True, WHY, until_ms)
            return (await rig.driver.write(lease)).result

        for _ in range(3):  # renewed every 2 s by the reconciler
            assert await play("on") is WriteResult.SENT
            rig.clock.ahead_ms += 2_000
        assert await play("on") is WriteResult.SENT  # 6 s after the first
        await heard(wire, "/set", 2)
        for value in ("test", "off", "off"):
            assert await play(value) is WriteResult.SENT
        said = await heard(wire, "/set", 4)
    warnings = [(body["warning"]["mode"], body["warning"]["duration"]) for _, body in said]
    assert warnings == [("emergency", 10), ("emergency", 10), ("emergency", 3), ("stop", 1)]


async def test_what_cannot_be_written_is_refused(broker: Broker) -> None:
    async with Rig(broker, [LOCK]).running() as rig:
        level = Level(PointRef("lock", "lock_state"), "locked", secures=True, reason=WHY)
        assert (await rig.driver.write(level)).result is WriteResult.REFUSED
