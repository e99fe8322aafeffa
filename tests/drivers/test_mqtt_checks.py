"""What is wrong with MQTT profiles and links is said before anything runs."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from mqtt_rig import KEYPAD, SOS, device, profiles

from drivers.mqtt.kind import MqttKind
from gateway.domain.errors import Problem
from gateway.domain.points import SetpointKind
from gateway.domain.profile import Edge, PointSpec, PollClass, Profile, SetpointSpec, ValueKind
from gateway.domain.site import Link

KIND = MqttKind()
PROFILES = profiles()
MOSQUITTO = Link("radio", "mqtt", {"host": "broker"})


def said(problems: list[Problem]) -> list[str]:
    return [f"{p.key}: {p.message}" + (f" ({p.rule})" if p.rule else "") for p in problems]


def one_row(
    row: Mapping[str, Any],
    kind: ValueKind = ValueKind.BOOL,
    setpoint: SetpointSpec | None = None,
    edge: Edge = Edge.NONE,
) -> Profile:
    spec = PointSpec("p", kind, "", PollClass.EVENT, edge, setpoint, row)
    return Profile("own", "own", "mqtt", {"p": spec}, {}, {})


def reader(feedback: object, **more: Any) -> Profile:
    """A reader that is answered so."""
    row = {"topic": "{topic}/a", "pin": "pin", "feedback_topic": "{topic}/b", "feedback": feedback}
    return one_row({**row, **more}, ValueKind.TEXT, edge=Edge.CREDENTIAL)


@pytest.mark.parametrize("profile", [p for p in PROFILES.values() if p.driver == "mqtt"], ids=str)
def test_every_shipped_profile_is_sound(profile: Profile) -> None:
    assert KIND.check_profile(profile) == []


LEVEL = SetpointSpec(SetpointKind.LEVEL)
PULSE = SetpointSpec(SetpointKind.PULSE, length_ms=5_000)
LEASE = SetpointSpec(SetpointKind.LEASE, length_ms=5_000)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (one_row({"topic": "{topic}", "pth": "a"}), "points.p.pth: found an unknown key, expected"),
        (one_row({}), "points.p: found no topic, expected topic, set_topic or both"),
        (one_row({"topic": "a/#"}), "points.p.topic: found 'a/#', expected a topic of one device"),
        (one_row({"topic": "{device}/x"}), "points.p.topic: found '{device}/x'"),
        (one_row({"topic": 7}), "points.p.topic: found 7, expected a topic"),
        (one_row({"topic": "a", "path": 3}), "points.p.path: found 3, expected keys joined"),
        (one_row({"topic": "a", "enum": {"ON": 1}}), "points.p.enum.ON: found 1, expected a value"),
        (one_row({"topic": "a", "enum": None}), "points.p.enum: found None, expected what is rep"),
        (one_row({"topic": "a", "enum": []}), "points.p.enum: found []"),
        (one_row({"topic": "a", "momentary": True}), "points.p.enum: found none, expected what"),
        (one_row({"topic": "a", "scale": "x"}), "points.p.scale: found 'x', expected a number of"),
        (one_row({"topic": "a", "scale": inf}), "points.p.scale: found inf, expected a number of"),
        (one_row({"topic": "a", "limits": [1, inf]}), "points.p.limits: found [1, inf], expected"),
        (one_row({"topic": "a", "momentary": 1}), "points.p.momentary: found 1, expected true or"),
        (one_row({"topic": ["a"]}), "points.p.topic: found ['a'], expected a topic"),
        (one_row({"topic": "a", "detail": {"x": 1}}), "points.p.detail.x: found 1, expected keys"),
        (one_row({"topic": "a", "limits": [5, 1]}), "points.p.limits: found [5, 1]"),
        (one_row({"topic": "a"}, edge=Edge.CREDENTIAL), "points.p: found edge: credential"),
        (reader({"en": 1}), "points.p.feedback.en: found 1, expected keys joined by dots"),
        (reader({"en": "a..b"}), "points.p.feedback.en: found 'a..b', expected keys joined by"),
        (reader({"pin": "a"}), "points.p.feedback.pin: found an unknown key, expected"),
        (reader("en"), "points.p.feedback: found 'en', expected names and their paths"),
        (
            reader({"en": "a", "zh": "a.b"}),
            "points.p.feedback.zh: found 'a.b', expected a path beside that of en, not within it",
        ),
        (
            reader({"en": "pin"}, feedback_topic="{topic}/a"),
            "points.p.feedback_topic: found a topic that is listened to, expected one for answers",
        ),
        (reader({"en": "a"}, feedback_topic="a/#"), "points.p.feedback_topic: found 'a/#', expec"),
        (
            one_row({"topic": "a", "pin": "a", "feedback": {"en": "a"}}, edge=Edge.CREDENTIAL),
            "points.p.feedback: found one alone, expected feedback and feedback_topic together",
        ),
        (
            one_row({"topic": "a", "feedback": {"en": "a"}, "feedback_topic": "b"}),
            "points.p.feedback: found on a point that is no reader, expected edge: credential",
        ),
        (one_row({"topic": "a"}, setpoint=LEVEL), "points.p: setpoint and set_topic go together"),
        (one_row({"set_topic": "a"}), "points.p: setpoint and set_topic go together"),
        (
            one_row({"set_topic": "a", "set_payload": {True: "1"}}, setpoint=LEVEL),
            "points.p.set_payload: found no payload for False, expected one as text",
        ),
        (
            one_row({"set_topic": "a", "set_payload": {True: "1"}}, setpoint=PULSE),
            "points.p.set_payload: found {True: '1'}, expected the one payload of a pulse",
        ),
        (
            one_row(
                {"set_topic": "a", "set_payload": "1"}, setpoint=replace(PULSE, length_ms=None)
            ),
            "points.p.length_ms: found a pulse without length_ms, expected how soon the device "
            "ends it (A4)",
        ),
        (
            one_row({"set_topic": "a", "set_payload": {"on": "1"}}, ValueKind.TEXT, LEASE),
            "points.p.set_payload: found no payload for off, expected one as text",
        ),
    ],
)
def test_a_wrong_profile_is_told_by_point_and_column(profile: Profile, message: str) -> None:
    problems = said(KIND.check_profile(profile))
    assert len(problems) == 1, problems
    assert problems[0].startswith(message)


def test_the_nearest_column_is_named() -> None:
    (problem,) = KIND.check_profile(one_row({"topic": "{topic}", "pathh": "a"}))
    assert problem.message == "found an unknown key, expected path"


def test_points_that_share_a_topic_are_all_in_its_json() -> None:
    bare = PointSpec("a", ValueKind.TEXT, "", PollClass.EVENT, Edge.NONE, None, {"topic": "x"})
    row = replace(bare, name="b", binding={"topic": "x", "path": "b"})
    profile = Profile("own", "own", "mqtt", {"a": bare, "b": row}, {}, {})
    assert said(KIND.check_profile(profile)) == [
        "points.a.path: found none, expected one, for b shares its topic"
    ]


def test_a_sound_link_has_no_problem() -> None:
    assert KIND.check_link(MOSQUITTO, [SOS, KEYPAD], PROFILES) == []


@pytest.mark.parametrize(
    ("binding", "devices", "message"),
    [
        (
            {},
            [SOS, replace(SOS, id="b")],
            "devices.b.topic: found 'zigbee2mqtt/hall sos', expected",
        ),
        ({}, [device("a", "z2m_plug", "x/+")], "devices.a.topic: found 'x/+', expected the topic"),
        ({}, [device("a", "z2m_plug", "x", unit=1)], "devices.a.unit: found an unknown key"),
        ({}, [device("a", "z2m_plug", "x", invert=["power"])], "devices.a.invert: found 'power'"),
        (
            {"broker": "amqtt"},
            [SOS],
            "links.radio.broker: found amqtt, expected mosquitto: sos has a call point, and amqtt "
            "does not deliver again (E1)",
        ),
        ({"broker": "amqtt", "protocol": 5}, [], "links.radio.protocol: found 5, expected 311"),
        ({"trial": True}, [], "links.radio.trial: found a trial"),
        ({"brokr": "x"}, [], "links.radio.brokr: unknown key"),
    ],
)
def test_a_wrong_link_is_told_by_device_and_key(
    binding: dict[str, Any], devices: list[Any], message: str
) -> None:
    link = Link("radio", "mqtt", {"host": "broker", **binding})
    problems = said(KIND.check_link(link, devices, PROFILES))
    assert len(problems) == 1, problems
    assert problems[0].startswith(message)


def test_a_demo_may_take_calls_over_amqtt() -> None:
    link = Link("radio", "mqtt", {"host": "broker", "broker": "amqtt", "demo": True})
    assert KIND.check_link(link, [SOS], PROFILES) == []


def test_a_release_that_a_broker_might_keep_is_warned_of() -> None:
    strike = one_row({"set_topic": "{topic}/set", "set_payload": "1"}, setpoint=PULSE)
    own = {**PROFILES, "own": strike}
    (problem,) = KIND.check_link(MOSQUITTO, [device("a", "own", "strikes/a")], own)
    assert (problem.key, problem.rule, problem.warning) == ("devices.a.profile", "A4", True)
    newer = Link("radio", "mqtt", {"host": "broker", "protocol": 5})
    assert KIND.check_link(newer, [device("a", "own", "strikes/a")], own) == []
