"""Calls over MQTT: kept by the broker, acknowledged once durable (RULES E1, DESIGN §8)."""

import asyncio
from collections.abc import Iterator

import pytest
from fixtures.broker import Broker
from fixtures.waiting import until
from mqtt_rig import KEYPAD, SOS, Rig, Wire, device

from gateway.domain.points import PointRef

PRESS = {"action": "emergency", "battery": 88, "linkquality": 120}
TOPIC = "zigbee2mqtt/hall sos"


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    made = Wire(broker)
    yield made
    made.close()


async def test_a_press_and_a_pin_arrive_over_their_two_sessions(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [SOS, KEYPAD]).running() as rig:
        wire.say(TOPIC, PRESS)
        wire.say("keypads/hall/presented", {"pin": "482913", "identifier": "12-03"})
        await until(lambda: rig.sink.edges and rig.sink.credentials)
    (edge,) = rig.sink.edges
    assert (edge.ref, edge.value, edge.count) == (PointRef("sos", "pressed"), True, 1)
    (event,) = rig.sink.credentials
    assert event.reader == PointRef("keypad", "credential")
    assert event.presented == rig.credentials.pin("482913", "12-03")
    assert "482913" not in repr(event)
    log = broker.log()
    assert "as test-calls (p2, c0" in log
    assert "as test-rest (p2, c1" in log


async def test_a_press_while_we_were_away_is_not_lost(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [SOS]).running():
        pass
    wire.say(TOPIC, PRESS)
    async with Rig(broker, [SOS]).running() as rig:
        await until(lambda: rig.sink.edges)
    assert rig.sink.cells["sos"].heard_ms is None  # kept by the broker: no sign of life (E5)


async def test_a_press_is_acknowledged_only_once_durable(broker: Broker, wire: Wire) -> None:
    rig = Rig(broker, [SOS])
    rig.sink.disk_works = False
    async with rig.running():
        wire.say(TOPIC, PRESS)
        await until(lambda: rig.sink.held)
    again = Rig(broker, [SOS])
    async with again.running():
        await until(lambda: again.sink.edges)  # the gateway died before the commit: it comes again
    third = Rig(broker, [SOS, KEYPAD])
    async with third.running():
        wire.say("keypads/hall/presented", {"card": "04A29F1B"})
        await until(lambda: third.sink.credentials)
    assert not third.sink.edges


async def test_a_dead_disk_does_not_stop_the_broker_from_sending_calls(
    broker: Broker, wire: Wire
) -> None:
    rig = Rig(broker, [SOS])
    rig.sink.disk_works = False
    async with rig.running():
        for _ in range(25):  # a broker sends 20 unacknowledged messages, and then waits
            wire.say(TOPIC, PRESS)
        await until(lambda: len(rig.sink.edges) == 25, within_s=4)
        assert len(rig.sink.held) == 25, "none of them is acknowledged"


async def test_a_press_sent_again_over_a_new_connection_is_one_press(
    broker: Broker, wire: Wire
) -> None:
    rig = Rig(broker, [SOS])
    rig.sink.disk_works = False
    async with rig.running():
        wire.say(TOPIC, PRESS)
        await until(lambda: rig.sink.held)
        ups = len(rig.sink.links)
        broker.stop()
        await until(lambda: not rig.sink.up)
        broker.start()
        await until(lambda: rig.sink.up and len(rig.sink.links) > ups)
        rig.sink.held[0]()
        other = Wire(broker)
        other.say(TOPIC, {**PRESS, "battery": 87})
        await until(lambda: len(rig.sink.edges) >= 2)
        other.close()
    assert len(rig.sink.edges) == 2


@pytest.mark.parametrize("action", [None, "", "off", "disarm"])
async def test_what_is_no_press_raises_nothing(
    broker: Broker, wire: Wire, action: str | None
) -> None:
    async with Rig(broker, [SOS]).running() as rig:
        wire.say(TOPIC, {"action": action, "battery": 50})
        await until(lambda: rig.sink.value("sos/battery") == 50)
    assert not rig.sink.edges
    assert not rig.sink.counts["garbage"]


async def test_a_retained_press_is_no_press(broker: Broker, wire: Wire) -> None:
    wire.say(TOPIC, PRESS, retain=True)
    async with Rig(broker, [SOS]).running() as rig:
        await until(lambda: rig.sink.value("sos/battery") == 88)
    assert not rig.sink.edges
    assert rig.sink.cells["sos"].heard_ms is None


async def test_presses_are_counted_over_any_bound_and_never_dropped(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [SOS]).running() as rig:
        for _ in range(300):
            wire.say(TOPIC, PRESS, qos=0)
        wire.say(TOPIC, PRESS)
        await until(lambda: sum(edge.count for edge in rig.sink.edges) == 301)
        assert rig.sink.health["sos"][1] == "flooding"
        assert len(rig.sink.edges) < 301
        await asyncio.sleep(0)


async def test_what_a_former_site_subscribed_to_is_ended(broker: Broker, wire: Wire) -> None:
    former = device("old", "z2m_sos_button", "zigbee2mqtt/old")
    async with Rig(broker, [SOS, former]).running():
        pass
    async with Rig(broker, [SOS]).running() as rig:
        wire.say("zigbee2mqtt/old", PRESS)
        await until(lambda: rig.sink.counts["unknown_topics"] == 1)
        await until(lambda: "UNSUBSCRIBE from test-calls" in broker.log())
        wire.say("zigbee2mqtt/old", PRESS)
        wire.say(TOPIC, PRESS)
        await until(lambda: rig.sink.edges)
    assert rig.sink.counts["unknown_topics"] == 1
    assert [edge.ref.device for edge in rig.sink.edges] == ["sos"]


async def test_trying_a_device_by_hand_takes_no_call_from_the_gateway(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [SOS]).running() as gateway:
        async with Rig(broker, [SOS], trial=True).running() as trial:
            wire.say(TOPIC, PRESS)
            await until(lambda: gateway.sink.edges and trial.sink.edges)
        assert gateway.sink.links == [("online", "")]
    wire.say(TOPIC, PRESS)
    async with Rig(broker, [SOS]).running() as later:
        await until(lambda: later.sink.edges)


async def test_a_button_that_says_null_then_emergency_then_nothing_calls_once(
    broker: Broker, wire: Wire
) -> None:
    """E1: as real buttons do within a second, with their state beside it each time."""
    async with Rig(broker, [SOS]).running() as rig:
        for action in (None, "emergency", "", None):
            wire.say(TOPIC, {"action": action, "battery": 88, "linkquality": 90})
        wire.say(TOPIC, {"action": "", "battery": 40})
        await until(lambda: rig.sink.value("sos/battery") == 40)
    assert [edge.count for edge in rig.sink.edges] == [1]
    assert not rig.sink.counts["garbage"]
