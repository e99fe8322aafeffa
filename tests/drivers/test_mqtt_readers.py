"""Credentials over MQTT: live ones alone, and never a word of them kept (DESIGN §8, RULES U5)."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fixtures.broker import Broker
from fixtures.waiting import until
from mqtt_rig import KEYPAD, Rig, Wire, device, profiles
from paho.mqtt.client import MQTTv5

from drivers.mqtt.happenings import BURST
from gateway.domain.faults import Health
from gateway.domain.feedback import Answer, Feedback
from gateway.domain.now import Trust
from gateway.domain.profile import Edge, PointSpec, PollClass, Profile, ValueKind
from gateway.domain.reasons import reason
from gateway.domain.state import Result
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


async def test_which_outlet_is_meant_comes_with_the_credential(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        wire.say(TOPIC, {"pin": "482913", "outlet": 3})
        wire.say(TOPIC, {"card": "04A29F1B", "outlet": "bike_3"})
        wire.say(TOPIC, {"pin": "482913", "outlet": ["3"]})
        await until(lambda: rig.sink.counts["garbage"])
    assert [event.facility for event in rig.sink.credentials] == ["3", "bike_3"]


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
    assert rig.sink.up, "the link is not"


# --- what the reader is told ----------------------------------------------------------------

FEEDBACK = "keypads/hall/feedback"
SLOW = Feedback(Result.REJECTED, reason("slow_down", seconds=8), "hall_door", 8)


async def asked(rig: Rig, wire: Wire, **more: object) -> Answer:
    """Who waits for the answer to a PIN presented now."""
    known = len(rig.sink.answers)
    wire.say(TOPIC, {"pin": "482913", **more})
    await until(lambda: len(rig.sink.answers) > known)
    return rig.sink.answers[-1]


async def test_the_answer_goes_to_the_reader_that_asked_and_to_no_other(
    broker: Broker, wire: Wire
) -> None:
    wire.listen("keypads/#")
    at = wall_ms()
    async with Rig(
        broker, [KEYPAD, device("gate", "json_keypad", "keypads/gate")]
    ).running() as rig:
        answer = await asked(rig, wire, identifier="flat-12", at=at)
        answer(SLOW)
        await until(lambda: wire.messages("/feedback"))
    assert wire.messages("/feedback") == [
        (
            FEEDBACK,
            {
                "result": "Rejected",
                "code": "slow_down",
                "zh": "请稍候8秒再试。",
                "en": "Slow down: try again in 8 s.",
                "retry_after_s": 8,
                "door": "hall_door",
                "at": at,
            },
        )
    ]
    assert rig.sink.counts["feedback"] == 1
    told = [one for one in wire.heard if one.topic == FEEDBACK]
    assert b"482913" not in told[0].payload
    assert b"flat-12" not in told[0].payload
    late = Wire(broker)
    late.listen("keypads/#")
    wire.say("keypads/hall/mark", "now")  # whatever was retained comes before it
    await until(lambda: late.messages("/mark"))
    assert not late.messages("/feedback")
    late.close()


async def test_over_mqtt_5_the_answer_expires(broker: Broker) -> None:
    wire = Wire(broker, protocol=MQTTv5)
    wire.listen(FEEDBACK)
    async with Rig(broker, [KEYPAD], protocol=5).running() as rig:
        (await asked(rig, wire))(SLOW)
        await until(lambda: wire.heard)
    told = wire.heard[0]
    assert 1 <= told.properties.MessageExpiryInterval <= 5
    assert (told.qos, told.retain) == (0, False)
    assert "at" not in json.loads(told.payload), "the reader did not say when"
    wire.close()


async def test_a_late_answer_is_dropped_and_counted(broker: Broker, wire: Wire) -> None:
    wire.listen(FEEDBACK)
    async with Rig(broker, [KEYPAD]).running() as rig:
        late = await asked(rig, wire)
        rig.clock.ahead_ms += 5_000
        late(SLOW)
        assert rig.sink.counts["feedback_late"] == 1
        (await asked(rig, wire))(SLOW)
        await until(lambda: wire.heard)
    assert len(wire.heard) == 1


async def test_nothing_is_kept_for_a_reader_that_is_away(broker: Broker) -> None:
    keypad = Wire(broker, client_id="hall", will=("keypads/hall/availability", "offline"))
    async with Rig(broker, [KEYPAD]).running() as rig:
        keypad.say("keypads/hall/availability", "online", retain=True)
        answer = await asked(rig, keypad)
        await until(lambda: rig.sink.is_now("keypad", Health.ONLINE))
        keypad.cut()
        await until(lambda: rig.sink.is_now("keypad", Health.SILENT))
        answer(SLOW)
    assert rig.sink.counts["feedback_dropped"] == 1
    assert not rig.sink.counts["feedback"]


async def test_an_answer_over_a_link_that_is_gone_is_dropped(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        answer = await asked(rig, wire)
    answer(SLOW)
    assert rig.sink.counts["feedback_dropped"] == 1


async def test_answers_do_not_pile_up_before_a_broker_that_takes_nothing(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        answer = await asked(rig, wire)
        broker.freeze()

        def dropped() -> bool:
            for _ in range(500):
                answer(SLOW)
            return bool(rig.sink.counts["feedback_dropped"])

        await until(dropped)
        broker.thaw()


async def test_a_reader_whose_clock_is_wrong_learns_that_it_came_too_late(
    broker: Broker, wire: Wire
) -> None:
    wire.listen(FEEDBACK)
    async with Rig(broker, [KEYPAD]).running() as rig:
        wire.say(TOPIC, {"pin": "482913", "at": wall_ms() - 60_000})
        await until(lambda: wire.heard)
    assert json.loads(wire.heard[0].payload)["code"] == "credential_stale"
    assert not rig.sink.credentials


async def test_a_flood_of_tries_is_bounded_and_a_fault(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [KEYPAD]).running() as rig:
        for n in range(300):
            wire.say(TOPIC, {"pin": f"{n:06}"}, qos=0)
        await until(lambda: rig.sink.counts["messages"] == 300)
        assert BURST <= len(rig.sink.credentials) < 300
        assert len(rig.sink.credentials) + rig.sink.counts["flooded"] == 300
        assert rig.sink.health["keypad"][:2] == (Health.DEGRADED, "flooding")


async def test_a_profile_without_feedback_answers_nothing(broker: Broker, wire: Wire) -> None:
    shipped = profiles()["json_keypad"]
    row = shipped.points["credential"]
    plain = {k: v for k, v in row.binding.items() if not k.startswith("feedback")}
    mute = replace(shipped, points={"credential": replace(row, binding=plain)})
    async with Rig(broker, [KEYPAD], own={"json_keypad": mute}).running() as rig:
        wire.say(TOPIC, {"pin": "482913"})
        await until(lambda: rig.sink.credentials)
    assert not rig.sink.answers


async def test_a_profile_says_what_is_told_and_where_in_the_json(
    broker: Broker, wire: Wire
) -> None:
    shipped = profiles()["json_keypad"]
    row = shipped.points["credential"]
    told = {"result": "show.light", "en": "show.text", "retry_after_s": "wait"}
    own = {**row.binding, "feedback_topic": "{base}/out/hall", "feedback": told}
    other = replace(shipped, points={"credential": replace(row, binding=own)})
    wire.listen("keypads/out/hall")
    async with Rig(broker, [KEYPAD], own={"json_keypad": other}).running() as rig:
        (await asked(rig, wire))(SLOW)
        await until(lambda: wire.heard)
    shown = {"light": "Rejected", "text": "Slow down: try again in 8 s."}
    assert json.loads(wire.heard[0].payload) == {"show": shown, "wait": 8}
