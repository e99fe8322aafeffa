"""Credentials over MQTT: live ones alone, and never a word of them kept (DESIGN §8, RULES U5)."""

import time
from collections.abc import Iterator

import pytest
from fixtures.broker import Broker
from mqtt_rig import KEYPAD, Rig, Wire, device, until

from gateway.domain.faults import Health
from gateway.domain.now import Trust
from gateway.domain.profile import Edge, PointSpec, PollClass, Profile, ValueKind
from gateway.domain.subjects import CredentialKind

TOPIC = "keypads/hall/presented"


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    made = Wire(broker)
    yield made
    made.close()


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_pins_cards_and_passes_become_what_they_are(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        wire.say(TOPIC, {"pin": "482913"})
        wire.say(TOPIC, {"kind": "card", "card": "04:a2:9f:1b", "at": wall_ms()})
        wire.say(TOPIC, {"pass": "not.a.pass"})
        await until(lambda: len(rig.sink.credentials) == 3)
    pin, card, signed = (event.presented for event in rig.sink.credentials)
    assert pin == rig.credentials.pin("482913")
    assert card == rig.credentials.card("04A29F1B")
    assert (signed.type, signed.claims) == (CredentialKind.PASS, None)
    assert not rig.sink.readings  # a credential is no reading


async def test_a_pin_that_a_broker_kept_opens_nothing(broker: Broker, wire: Wire) -> None:
    wire.say(TOPIC, {"pin": "111111"}, retain=True)
    async with Rig(broker, [KEYPAD]).running():
        pass
    wire.say(TOPIC, {"pin": "222222"})
    async with Rig(broker, [KEYPAD]).running() as rig:
        await until(lambda: rig.sink.counts["credentials_stale"])
        wire.say(TOPIC, {"pin": "333333"})
        await until(lambda: rig.sink.credentials)
    assert [e.presented for e in rig.sink.credentials] == [rig.credentials.pin("333333")]


async def test_a_pin_older_than_ten_seconds_opens_nothing(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        wire.say(TOPIC, {"pin": "111111", "at": wall_ms() - 11_000})
        wire.say(TOPIC, {"pin": "222222", "at": wall_ms() - 5_000})
        await until(lambda: rig.sink.credentials)
        rig.clock.trust = Trust.UNTRUSTED  # then the reader's clock cannot be judged by ours
        wire.say(TOPIC, {"pin": "333333", "at": wall_ms() - 86_400_000})
        await until(lambda: len(rig.sink.credentials) == 2)
    assert rig.sink.counts["credentials_stale"] == 1


async def test_after_the_gateway_was_held_up_what_waited_opens_nothing(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        wire.say(TOPIC, {"pin": "111111"})
        rig.clock.ahead_ms += 11_000  # we slept while it lay in the socket
        await until(lambda: rig.sink.counts["credentials_stale"])
        assert not rig.sink.credentials


async def test_a_reader_beside_a_call_point_keeps_out_of_the_kept_session(
    broker: Broker, wire: Wire
) -> None:
    call = PointSpec(
        "help",
        ValueKind.BOOL,
        "",
        PollClass.EVENT,
        Edge.PRESS,
        None,
        {"topic": "{topic}/event", "path": "help", "momentary": True, "enum": {True: True}},
    )
    pin = PointSpec(
        "credential",
        ValueKind.TEXT,
        "",
        PollClass.EVENT,
        Edge.CREDENTIAL,
        None,
        {"topic": "{topic}/event", "pin": "pin"},
    )
    both = Profile("intercom", "intercom", "mqtt", {"help": call, "credential": pin}, {}, {})
    devices = [device("intercom", "intercom", "gate")]
    async with Rig(broker, devices, own={"intercom": both}).running():
        pass
    wire.say("gate/event", {"pin": "111111"})
    wire.say("gate/event", {"help": True})
    async with Rig(broker, devices, own={"intercom": both}).running() as rig:
        await until(lambda: rig.sink.edges)
        wire.say("gate/event", {"pin": "222222"})
        await until(lambda: rig.sink.credentials)
    assert [e.presented for e in rig.sink.credentials] == [rig.credentials.pin("222222")]
    assert len(rig.sink.edges) == 1


NONE = [
    "",
    "482913",
    "{",
    "[]",
    {},
    {"pin": ""},
    {"pin": ["1"]},
    {"pin": True},
    {"card": "x" * 5000},
]


async def test_what_is_no_credential_is_counted_and_dropped(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        for message in NONE:
            wire.say(TOPIC, message)
        wire.say(TOPIC, {"pin": "482913"})
        await until(lambda: rig.sink.credentials)
    assert rig.sink.counts["garbage"] == len(NONE)
    assert [e.presented for e in rig.sink.credentials] == [rig.credentials.pin("482913")]


async def test_a_keypads_will_says_that_it_is_gone(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        wire.say("keypads/hall/availability", "online", retain=True)
        await until(lambda: rig.sink.is_now("keypad", Health.ONLINE))
        wire.say("keypads/hall/availability", "offline", retain=True)
        await until(lambda: rig.sink.is_now("keypad", Health.SILENT))
