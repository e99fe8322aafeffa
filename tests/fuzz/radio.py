"""MQTT: whatever a device says on its topics, and whatever a broker retains of others.

A conversation is `model`, then messages of `topic, manner, bytes…` that byte 0x1E ends. Of the
manner, bit 0 is retained, bit 1 sent again, and bit 2 says that it comes from the calls' session.
"""

import asyncio
import json
from dataclasses import dataclass
from functools import cache

from fuzz.judge import Judge, setup_of

from config.problems import Problems
from config.profiles import load_profiles, profiles_of
from drivers.mqtt.discovery import understood
from drivers.mqtt.driver import MqttDriver
from drivers.mqtt.routes import decode_json
from drivers.registry import kinds
from gateway.domain.profile import Profile
from gateway.domain.site import Link

ENDS = b"\x1e"
LINK = Link("radio", "mqtt", {"host": "nowhere", "client_id": "fuzz"})
# what no shipped profile has: fractions of numbers, bounds, an enum of numbers, a path of several
OWN = """\
id: own
title: Everything a row can say
driver: mqtt
source: none
points:
  part: {value: float, topic: "{topic}", path: part, scale: 0.1}
  whole: {value: int, topic: "{topic}", path: whole, scale: 0.001}
  bounded: {value: float, topic: "{topic}", path: a.b, limits: [-40, 85], deadband: 0.5}
  listed: {value: text, topic: "{topic}", path: listed, enum: {0: none, 1: some, x: null}}
  plain: {value: int, topic: "{topic}/plain"}
  pressed: {value: text, topic: "{topic}/pressed", poll: event, edge: press, momentary: true}
"""


@dataclass
class Said:
    """A message as a session hands it over."""

    payload: bytes
    retain: bool
    dup: bool


def take_messages(data: bytes) -> None:
    """Messages of one device become values of their kinds, or are garbage; kept ones no press."""
    if data:
        asyncio.run(_converse(data))


async def _converse(data: bytes) -> None:
    profiles = mqtt_profiles()
    setup = setup_of(LINK, profiles[data[0] % len(profiles)], {"topic": "base/x"})
    driver = MqttDriver(setup)
    topics = sorted({*driver._layout.calls, *driver._layout.rest})
    live = False
    for message in data[1:].split(ENDS):
        if len(message) < 2:
            continue
        topic, manner = topics[message[0] % len(topics)], message[1]
        said = Said(message[2:], bool(manner & 1), bool(manner & 2))
        live = live or not said.retain
        for routes in (driver._layout.calls, driver._layout.rest):
            for route in routes.get(topic, ()):
                route.take(said, (lambda: None) if routes is driver._layout.calls else None)
    assert isinstance(setup.sink, Judge)
    assert live or not setup.sink.edges


def take_discovery(data: bytes) -> None:
    """What a broker retains of its devices: proposals whose ids are ids, and no surprise."""
    topic, _, payload = data.partition(ENDS)
    try:
        body = decode_json(payload)
    except (ValueError, RecursionError):
        return
    known = {one.id: one for one in mqtt_profiles()}
    found = understood({topic.decode(errors="replace"): body}, known)
    for proposal in found:
        assert proposal.id.replace("_", "").isalnum() or not proposal.id, proposal
        json.dumps(proposal.rows)


@cache
def mqtt_profiles() -> tuple[Profile, ...]:
    """Every shipped MQTT profile, and one with whatever else a row can say."""
    problems = Problems()
    own = profiles_of({"profiles/own.yaml": OWN}, kinds(), problems)
    assert not problems.found, problems.found
    shipped = load_profiles(kinds()).values()
    return tuple(one for one in (*shipped, *own.values()) if one.driver == "mqtt")
