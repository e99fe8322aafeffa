"""Zigbee2MQTT's dialect on a real broker: state, commands, availability, habits good and bad."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiomqtt
import pytest
from fixtures.broker import Broker
from simulation.sites import name, profile, ref, small_site, spec

from gateway.domain.points import SetpointKind
from gateway.domain.profile import PollClass, ValueKind
from gateway.domain.site import (
    CallOutputs,
    CallPoint,
    Device,
    DoorPoints,
    PresenceSensor,
    SensorKind,
    Site,
    Wiring,
)
from simulators.devices import SimulatedSite

EVENT = {"poll": PollClass.EVENT}
BRIDGED = {"bridge": "{base}/bridge/state", "availability": "{topic}/availability"}
LOCK = profile(
    "lock",
    "mqtt",
    spec("release", setpoint=SetpointKind.PULSE, **EVENT),
    spec("state", ValueKind.TEXT, binding={"path": "lock_state"}, **EVENT),
    binding=BRIDGED,
)
SENSOR = profile(
    "occupancy",
    "mqtt",
    spec("occupancy", binding={"path": "occupancy"}, **EVENT),
    binding=BRIDGED,
)
CONTACT = profile(
    "contact", "mqtt", spec("open", binding={"path": "contact"}, **EVENT), binding=BRIDGED
)
BUTTON = profile(
    "button",
    "mqtt",
    spec("call", binding={"path": "action", "enum": {"emergency": True}}, **EVENT),
    binding=BRIDGED,
)
PLUG = profile(
    "plug",
    "mqtt",
    spec("switch", setpoint=SetpointKind.LEVEL, **EVENT),
    spec("power", ValueKind.FLOAT, unit="W", **EVENT),
    binding=BRIDGED,
)
PROFILES = {one.id: one for one in (LOCK, SENSOR, CONTACT, BUTTON, PLUG)}


def radio_site() -> Site:
    """The small site with a lock, contact, occupancy, button and plug on a radio bridge."""
    site = small_site()
    devices = {
        id_: Device(
            id_, id_, "mqtt", "study_room", name(id_), {"topic": f"zigbee2mqtt/study_{id_}"}
        )
        for id_ in PROFILES
    }
    door = replace(
        site.doors["study_room_door"],
        points=DoorPoints(ref("lock/release"), ref("contact/open"), ref("lock/state")),
    )
    facility = replace(
        site.facilities["study"],
        sensors=(PresenceSensor(ref("occupancy/occupancy"), SensorKind.MOTION),),
    )
    call_point = CallPoint(
        "help",
        "study_room",
        name("help"),
        ref("button/call"),
        "desk",
        Wiring.MESSAGE,
        CallOutputs(),
    )
    equipment = replace(
        site.equipment,
        links={"mqtt": site.equipment.links["mqtt"]},
        devices=devices,
        profiles=PROFILES,
    )
    safety = replace(site.safety, call_points={"help": call_point}, fire_zones={})
    return replace(
        site,
        doors={door.id: door},
        facilities={"study": facility},
        equipment=equipment,
        safety=safety,
    )


class Listener:
    """Everything said under a topic, as it came."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.said: list[tuple[str, Any, bool]] = []

    async def run(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            try:
                body = json.loads(message.payload)
            except ValueError:
                body = message.payload
            self.said.append((str(message.topic), body, message.retain))

    def of(self, topic: str) -> list[Any]:
        return [body for told, body, _ in self.said if told == f"zigbee2mqtt/{topic}"]

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(300):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.said)

    async def send(self, topic: str, message: Any) -> None:
        await self.client.publish(f"zigbee2mqtt/{topic}", json.dumps(message))


@pytest.fixture
async def world(broker: Broker) -> AsyncIterator[SimulatedSite]:
    brokers = {"mqtt": (broker.host, broker.port)}
    async with SimulatedSite(radio_site(), brokers=brokers, retains=False) as served:
        yield served


@pytest.fixture
async def heard(world: SimulatedSite, broker: Broker) -> AsyncIterator[Listener]:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe("zigbee2mqtt/#")
        listener = Listener(client)
        listening = asyncio.create_task(listener.run())
        await listener.until(lambda: listener.of("bridge/devices"))
        yield listener
        listening.cancel()


async def test_the_bridge_lists_its_devices_with_what_they_expose(heard: Listener) -> None:
    listed = {one["friendly_name"]: one["definition"] for one in heard.of("bridge/devices")[0]}
    assert set(listed) == {f"study_{id_}" for id_ in PROFILES}
    lock = next(one for one in listed["study_lock"]["exposes"] if one["type"] == "lock")
    assert [feature["name"] for feature in lock["features"]] == ["state", "lock_state"]
    assert heard.of("bridge/state") == [{"state": "online"}]
    assert heard.of("study_lock/availability") == [{"state": "online"}]


async def test_a_lock_echoes_at_once_reports_and_relocks_by_itself(
    world: SimulatedSite, heard: Listener
) -> None:
    world.town.locks["lock"].relock_ms = 300
    await heard.send("study_lock/set", {"state": "UNLOCK"})
    await heard.until(lambda: len(heard.of("study_lock")) >= 2)
    assert heard.of("study_lock")[0]["lock_state"] == "locked"
    assert await world.person_enters("study_room_door", "ada", patience_ms=100)
    await heard.until(lambda: heard.of("study_lock")[-1]["lock_state"] == "locked")
    states = [body["lock_state"] for body in heard.of("study_lock")]
    assert "unlocked" in states
    assert any(body.get("action") == "unlock" for body in heard.of("study_lock"))
    await heard.until(lambda: [b["contact"] for b in heard.of("study_contact")] == [False])


async def test_a_jammed_lock_echoes_all_the_same_and_only_a_get_shows_the_truth(
    world: SimulatedSite, heard: Listener
) -> None:
    """The echo of a command is optimistic and proves nothing."""
    world.jam("study_room_door")
    await heard.send("study_lock/set", {"state": "UNLOCK"})
    await heard.until(lambda: any(b["state"] == "UNLOCK" for b in heard.of("study_lock")))
    assert all(body["lock_state"] == "locked" for body in heard.of("study_lock"))
    await heard.send("study_lock/get", {"state": ""})
    await heard.until(lambda: heard.of("study_lock")[-1]["state"] == "LOCK")


async def test_the_locks_own_users_are_reported_with_their_slot(
    world: SimulatedSite, heard: Listener
) -> None:
    """RULES A9."""
    await heard.send("study_lock/set", {"pin_code": {"user": 4, "pin_code": "2468"}})
    assert await world.until(lambda: bool(world.town.locks["lock"].users))
    assert await world.type_at_lock("study_room_door", "2468")
    await heard.until(lambda: heard.of("study_lock"))
    action = next(body for body in heard.of("study_lock") if "action" in body)
    assert (action["action"], action["action_user"]) == ("keypad_unlock", 4)


async def test_a_press_is_one_message_and_a_button_out_of_range_says_nothing(
    world: SimulatedSite, heard: Listener
) -> None:
    assert await world.press("help")
    await heard.until(lambda: heard.of("study_button"))
    assert heard.of("study_button")[0]["action"] == "emergency"
    world.town.buttons["help"].in_range = False
    assert not await world.press("help")


async def test_occupancy_is_reported_at_each_hit_and_the_plug_switches(
    world: SimulatedSite, heard: Listener
) -> None:
    world.town.rooms["study_room"].enter("ada", world.now_ms())
    await heard.until(lambda: heard.of("study_occupancy"))
    assert heard.of("study_occupancy")[0]["occupancy"] is True
    await heard.send("study_plug/set", {"state": "OFF"})
    await heard.until(lambda: heard.of("study_plug") and heard.of("study_plug")[-1]["power"] == 0)


async def test_a_restarted_bridge_repeats_states_but_no_press(
    world: SimulatedSite, heard: Listener
) -> None:
    """Cached states look like news: RULES E5."""
    await world.press("help")
    await heard.until(lambda: heard.of("study_button"))
    world.silence("button")
    heard.said.clear()
    await world.restart_bridge("mqtt")
    await heard.until(lambda: heard.of("study_button"))
    assert heard.of("bridge/state") == [{"state": "offline"}, {"state": "online"}]
    assert all("action" not in body for body in heard.of("study_button"))
    assert not next(kept for topic, _, kept in heard.said if topic.endswith("study_button"))


async def test_last_seen_tells_a_repeated_state_from_a_fresh_one(
    world: SimulatedSite, heard: Listener
) -> None:
    world.lines.bridges["mqtt"].shows_last_seen = True
    await world.restart_bridge("mqtt")
    await world.restart_bridge("mqtt")
    await heard.until(lambda: len(heard.of("study_button")) >= 2)
    first, second = (body["last_seen"] for body in heard.of("study_button")[:2])
    assert first[:21] == second[:21]  # to 0.1 s


async def test_a_device_stays_online_until_the_bridge_notices_and_garbage_is_garbage(
    world: SimulatedSite, heard: Listener
) -> None:
    world.silence("occupancy")
    world.town.rooms["study_room"].enter("ada", world.now_ms())
    world.lose("occupancy")
    await heard.until(lambda: len(heard.of("study_occupancy/availability")) == 2)
    assert heard.of("study_occupancy/availability")[-1] == {"state": "offline"}
    assert heard.of("study_occupancy") == []
    world.garble("lock")
    await heard.send("study_lock/get", {"state": ""})
    await heard.until(lambda: heard.of("study_lock"))
    assert isinstance(heard.of("study_lock")[0], bytes)
