"""What a broker knows, as devices of a site."""

from collections import Counter
from typing import Any

import pytest
from fixtures.broker import Broker
from mqtt_rig import Wire, golden, profiles

from drivers.mqtt.discovery import discover, fitting, slug, understood
from gateway.domain.errors import DeviceError
from gateway.domain.site import Link

OURS = {
    "lock": "z2m_lock",
    "contact": "z2m_contact",
    "occupancy": "z2m_occupancy",
    "metering_plug": "z2m_plug",
    "sos": "z2m_sos_button",
}


def link(broker: Broker) -> Link:
    return Link("radio", "mqtt", {"host": broker.host, "port": broker.port})


def test_real_devices_get_the_profile_of_what_they_are() -> None:
    found: Counter[str] = Counter()
    of: Counter[str] = Counter()
    known = profiles()
    for definition in golden():
        fit = fitting(definition["exposes"], known)
        for class_ in set(definition["classes"]) & OURS.keys():
            of[class_] += 1
            found[class_] += OURS[class_] in fit
    assert found["lock"] == of["lock"]
    assert found["sos"] == of["sos"]
    assert found["occupancy"] == of["occupancy"]
    assert of["contact"] - found["contact"] == 2  # two counters that say ON and OFF
    assert found["metering_plug"] >= 0.85 * of["metering_plug"]  # the rest have several sockets


def test_no_lamp_or_leak_sensor_is_taken_for_a_lock_or_button() -> None:
    known = profiles()
    for definition in golden():
        if definition["classes"] == ["safety_alarm"]:
            assert not set(fitting(definition["exposes"], known)) & {"z2m_lock", "z2m_sos_button"}


async def test_a_bridges_devices_are_proposed_with_topic_and_profile(broker: Broker) -> None:
    lock = next(d for d in golden() if "lock" in d["classes"])
    listed = [
        {"type": "Coordinator", "friendly_name": "Coordinator"},
        {
            "type": "EndDevice",
            "ieee_address": "0x00158d00018255df",
            "friendly_name": "Study Door",
            "interview_completed": True,
            "definition": lock,
        },
        {
            "type": "EndDevice",
            "ieee_address": "0x00158d0001825500",
            "friendly_name": "自习室",
            "interview_completed": False,
            "definition": None,
        },
        "garbage",
    ]
    wire = Wire(broker)
    wire.say("zigbee2mqtt/bridge/devices", listed, retain=True)
    wire.say("homeassistant/x/config", b"\xff", retain=True)
    study, other = await discover(link(broker), profiles(), within_s=1)
    wire.close()
    assert study.id == "study_door"
    assert study.binding == {"topic": "zigbee2mqtt/Study Door"}
    assert study.profiles[0] == "z2m_lock"
    assert study.model == f"{lock['vendor']} {lock['model']}"
    assert (other.id, other.profiles, other.note) == ("zigbee_825500", (), "not interviewed yet")


async def test_home_assistants_devices_are_proposed_as_rows(broker: Broker) -> None:
    device = {"ids": ["esp-7"], "name": "Gate", "mf": "Espressif", "mdl": "ESP32"}
    wire = Wire(broker)
    wire.say(
        "homeassistant/lock/esp7/strike/config",
        {"~": "gate", "stat_t": "~/lock/state", "cmd_t": "~/lock/set", "dev": device},
        retain=True,
    )
    wire.say(
        "homeassistant/device/esp-7/config",
        {
            "dev": device,
            "o": {"name": "esphome"},
            "cmps": {
                "closed": {
                    "p": "binary_sensor",
                    "stat_t": "gate/contact",
                    "val_tpl": "{{ value_json.closed }}",
                },
                "signal": {"p": "sensor", "stat_t": "gate/rssi", "unit_of_meas": "dBm"},
                "odd": {"p": "sensor", "stat_t": "gate/odd", "val_tpl": "{{ value | int + 1 }}"},
            },
        },
        retain=True,
    )
    (gate,) = await discover(link(broker), profiles(), within_s=1)
    wire.close()
    assert (gate.id, gate.name, gate.model) == ("gate", "Gate", "Espressif ESP32")
    assert gate.binding == {"topic": "gate"}
    assert gate.rows == {
        "strike": {
            "value": "bool",
            "topic": "{topic}/lock/state",
            "enum": {"LOCKED": True, "UNLOCKED": False},
        },
        "closed": {
            "value": "bool",
            "topic": "{topic}/contact",
            "path": "closed",
            "enum": {"ON": True, "OFF": False},
        },
        "signal": {"value": "float", "topic": "{topic}/rssi", "unit": "dBm"},
    }


async def test_a_broker_that_is_away_is_said() -> None:
    nowhere = Link("radio", "mqtt", {"host": "127.0.0.1", "port": 1})
    with pytest.raises(DeviceError, match="Connection refused"):
        await discover(nowhere, profiles(), within_s=0.3)


@pytest.mark.parametrize(
    ("name", "id_"), [("Study Door", "study_door"), ("0x00-A", "0x00_a"), ("自习室", "")]
)
def test_ids_are_plain(name: str, id_: str) -> None:
    assert slug(name) == id_


@pytest.mark.parametrize(
    "body",
    [
        *({"friendly_name": "x", "definition": told} for told in ("x", 1, [1], {"exposes": 7})),
        {"friendly_name": "x", "definition": {"exposes": [{"features": 5, "property": "state"}]}},
        {"friendly_name": "x", "definition": {"exposes": [{"property": "state", "values": 5}]}},
    ],
)
def test_what_a_broker_retains_of_a_device_may_be_anything(body: dict[str, Any]) -> None:
    """X2: a technician still sees the others."""
    good = {"friendly_name": "y"}
    found = understood({"zigbee2mqtt/bridge/devices": [body, good]}, profiles())
    assert [one.id for one in found] == ["x", "y"]


def test_a_word_of_an_entity_that_is_none_makes_no_row() -> None:
    device = {"ids": ["a"]}
    entity = {"stat_t": "a/b", "dev": device, "pl_on": [], "pl_off": {}}
    assert understood({"homeassistant/switch/a/config": entity}, profiles()) == []
