"""Zigbee2MQTT's dialect, as real devices speak it (FACTS §5), through a real broker."""

from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.broker import Broker
from fixtures.waiting import until
from mqtt_rig import SOS, Rig, Wire, device, golden, profiles

from gateway.domain.points import PointRef, Quality
from gateway.domain.profile import Edge, PointSpec, PollClass, Profile, ValueKind

LOCK = device("lock", "z2m_lock", "zigbee2mqtt/study lock")
CONTACT = device("contact", "z2m_contact", "zigbee2mqtt/study door")
OCCUPANCY = device("occupancy", "z2m_occupancy", "zigbee2mqtt/study radar")
PLUG = device("plug", "z2m_plug", "zigbee2mqtt/kettle")
ALL = [LOCK, CONTACT, OCCUPANCY, PLUG, SOS]
CLASSES = {
    "z2m_lock": "lock",
    "z2m_contact": "contact",
    "z2m_occupancy": "occupancy",
    "z2m_plug": "metering_plug",
    "z2m_sos_button": "sos",
}


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    made = Wire(broker)
    yield made
    made.close()


def exposed(class_: str) -> dict[str, list[dict[str, Any]]]:
    """property → every way in which devices of a class expose it."""
    found: dict[str, list[dict[str, Any]]] = {}

    def collect(exposes: list[dict[str, Any]]) -> None:
        for one in exposes:
            if "property" in one:
                found.setdefault(one["property"], []).append(one)
            if one["type"] != "composite":
                collect(one.get("features", []))

    for definition in golden():
        if class_ in definition["classes"]:
            collect(definition["exposes"])
    return found


def values(class_: str, name: str) -> set[Any]:
    """Every value a property has on real devices."""
    found: set[Any] = set()
    for one in exposed(class_)[name]:
        if one["type"] == "enum":
            found |= set(one["values"])
        elif one["type"] == "binary":
            found |= {one["value_on"], one["value_off"]}
    return found


@pytest.mark.parametrize(("profile", "class_"), CLASSES.items())
def test_what_a_profile_reads_is_what_real_devices_expose(profile: str, class_: str) -> None:
    real = exposed(class_)
    for spec in profiles()[profile].points.values():
        if "path" not in spec.binding:
            continue
        name = spec.binding["path"]
        assert name in real, f"{profile}.{spec.name}"
        for said in spec.binding.get("detail", {}).values():
            assert said in real


async def test_every_state_of_real_locks_is_understood(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [LOCK]).running() as rig:
        for state in sorted(values("lock", "lock_state")):
            wire.say("zigbee2mqtt/study lock", {"lock_state": state, "battery": 77})
            await until(lambda state=state: rig.sink.value("lock/lock_state") == state)
        for state in sorted(values("lock", "door_state")):
            wire.say("zigbee2mqtt/study lock", {"door_state": state})
        wire.say("zigbee2mqtt/study lock", {"door_state": "closed"})
        await until(lambda: rig.sink.value("lock/door_open") is False)
        for action in sorted(values("lock", "action")):
            wire.say("zigbee2mqtt/study lock", {"action": action})
        actions = values("lock", "action")
        await until(lambda: {e.value for e in rig.sink.edges if e.ref.point == "action"} == actions)
    assert not rig.sink.counts["garbage"]


async def test_a_locks_own_user_is_told_with_the_slot(broker: Broker, wire: Wire) -> None:
    acted = {
        "action": "keypad_unlock",
        "action_source_name": "keypad",
        "action_user": 3,
        "lock_state": "unlocked",
    }
    async with Rig(broker, [LOCK]).running() as rig:
        wire.say("zigbee2mqtt/study lock", acted)
        wire.say("zigbee2mqtt/study lock", {**acted, "action_user": 65535, "action": "auto_lock"})
        wire.say("zigbee2mqtt/study lock", {**acted, "action": ""})
        wire.say("zigbee2mqtt/study lock", acted)
        await until(lambda: len(rig.sink.edges) == 3)
    first, second, third = rig.sink.edges
    assert (first.ref, first.value) == (PointRef("lock", "action"), "keypad_unlock")
    assert first.detail == {"action_source_name": "keypad", "action_user": 3}
    assert second.detail == {"action_source_name": "keypad", "action_user": 65535}
    assert third == first  # the same again is another happening


async def test_a_contact_that_is_made_is_a_closed_door(broker: Broker, wire: Wire) -> None:
    said = [{one["value_on"], one["value_off"]} for one in exposed("contact")["contact"]]
    assert said.count({True, False}) >= 57
    async with Rig(broker, [CONTACT]).running() as rig:
        wire.say("zigbee2mqtt/study door", {"contact": True, "battery": 100})
        await until(lambda: len(rig.sink.edges) == 1)
        wire.say("zigbee2mqtt/study door", {"contact": False, "battery": 100})
        await until(lambda: len(rig.sink.edges) == 2)
        assert rig.sink.value("contact/open") is True
        wire.say("zigbee2mqtt/study door", {"contact": True})  # it bounces within 100 ms
        wire.say("zigbee2mqtt/study door", {"contact": False})
        wire.say("zigbee2mqtt/study door", {"contact": True})
        await until(lambda: len(rig.sink.edges) == 4)
    assert [(e.value, e.first_sight, e.brief) for e in rig.sink.edges] == [
        (False, True, False),
        (True, False, False),
        (False, False, True),
        (False, False, False),
    ]


async def test_a_door_is_told_after_100_ms_though_it_says_so_once(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [CONTACT]).running() as rig:
        wire.say("zigbee2mqtt/study door", {"contact": False})
        await until(lambda: rig.sink.value("contact/open") is True)
        assert not rig.sink.edges
        await until(lambda: rig.sink.edges)


async def test_an_opening_whose_messages_come_all_at_once_is_told_as_brief(
    broker: Broker, wire: Wire
) -> None:
    """A6: who is granted meanwhile has entered."""
    async with Rig(broker, [CONTACT]).running() as rig:
        wire.say("zigbee2mqtt/study door", {"contact": True})
        await until(lambda: len(rig.sink.edges) == 1)
        wire.say("zigbee2mqtt/study door", {"contact": False})
        wire.say("zigbee2mqtt/study door", {"contact": True})
        await until(lambda: len(rig.sink.edges) == 2)
    assert [(e.value, e.brief) for e in rig.sink.edges] == [(False, False), (True, True)]


async def test_every_press_of_real_sos_buttons_is_a_press(broker: Broker, wire: Wire) -> None:
    quiet = {"off", "disarm", "exit_delay", "entry_delay"}
    actions = {a for a in values("sos", "action") if a not in quiet and not a.startswith("arm_")}
    assert {"emergency", "panic", "sos", "single"} <= actions
    async with Rig(broker, [SOS]).running() as rig:
        for action in sorted(values("sos", "action")):
            wire.say("zigbee2mqtt/hall sos", {"action": action, "tamper": False})
        wire.say("zigbee2mqtt/hall sos", {"battery_low": True})
        await until(lambda: rig.sink.value("sos/battery_low") is True)
        presses = [edge for edge in rig.sink.edges if edge.ref.point == "pressed"]
        assert len(presses) == len(actions)
        assert rig.sink.value("sos/tamper") is False
    assert not rig.sink.counts["garbage"]


async def test_presence_and_a_plugs_meter(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [OCCUPANCY, PLUG]).running() as rig:
        wire.say(
            "zigbee2mqtt/study radar", {"occupancy": True, "illuminance": 240, "battery": None}
        )
        wire.say(
            "zigbee2mqtt/kettle",
            {"state": "ON", "power": 1985.2, "energy": 12.34, "current": 8.61, "voltage": 231},
        )
        await until(lambda: rig.sink.value("plug/voltage") == 231 and rig.sink.value("plug/power"))
        await until(lambda: rig.sink.value("occupancy/occupancy"))
    assert rig.sink.value("plug/state") is True
    assert rig.sink.value("plug/energy") == 12_340
    assert isinstance(rig.sink.value("plug/energy"), int)
    assert "occupancy/battery" not in rig.sink.latest


async def test_an_impossible_figure_is_bad_and_the_next_good_one_good(
    broker: Broker, wire: Wire
) -> None:
    async with Rig(broker, [PLUG]).running() as rig:
        wire.say("zigbee2mqtt/kettle", {"power": 100})
        await until(lambda: rig.sink.value("plug/power") == 100)
        wire.say("zigbee2mqtt/kettle", {"power": 4_000_000})
        await until(lambda: rig.sink.latest["plug/power"].quality is Quality.BAD)
        wire.say("zigbee2mqtt/kettle", {"power": 100})
        await until(lambda: rig.sink.value("plug/power") == 100)
    assert rig.sink.counts["garbage"] == 1


async def test_a_value_is_told_again_only_when_it_moved(broker: Broker, wire: Wire) -> None:
    async with Rig(broker, [PLUG]).running() as rig:
        for power in (100, 100.4, 100.8, 101.5, 101.5):
            wire.say("zigbee2mqtt/kettle", {"power": power, "linkquality": int(power * 10) % 7})
        wire.say("zigbee2mqtt/kettle", {"voltage": 230})
        await until(lambda: rig.sink.value("plug/voltage"))
    told = [r.value for r in rig.sink.readings if r.ref.point == "power"]
    assert told == [100, 101.5]


async def test_a_supervised_input_changes_once_a_second_report_agrees(
    broker: Broker, wire: Wire
) -> None:
    row = {"topic": "{topic}", "path": "fire", "get_topic": "{topic}/get", "get_payload": "{}"}
    fire = PointSpec("fire", ValueKind.BOOL, "", PollClass.SAFETY, Edge.SUPERVISED, None, row)
    panel = Profile("panel", "panel", "mqtt", {"fire": fire}, {}, {})
    wire.listen("panels/a/get")
    async with Rig(
        broker, [device("a", "panel", "panels/a")], own={"panel": panel}
    ).running() as rig:
        await until(lambda: len(wire.messages("/get")) == 1)  # asked when we came
        wire.say("panels/a", {"fire": True})
        await until(lambda: len(wire.messages("/get")) == 2)  # asked for a second opinion
        assert not rig.sink.edges
        wire.say("panels/a", {"fire": True})
        await until(lambda: rig.sink.edges)
    assert rig.sink.edges[0].value is True


async def test_wiring_that_is_normally_closed_is_inverted_by_the_site(
    broker: Broker, wire: Wire
) -> None:
    inverted = device("contact", "z2m_contact", "zigbee2mqtt/gate", invert=["open"])
    async with Rig(broker, [inverted]).running() as rig:
        wire.say("zigbee2mqtt/gate", {"contact": True})
        wire.say("zigbee2mqtt/gate", {"contact": False})
        await until(lambda: len(rig.sink.readings) == 2)
    assert [reading.value for reading in rig.sink.readings] == [True, False]
