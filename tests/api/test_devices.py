"""Devices, links and faults: health, age, counters, points (RULES E5)."""

from api.api_rig import Rig
from fixtures.waiting import until

from gateway.domain.faults import Fault, Health

API = "/api/v1"


async def test_a_device_shows_health_age_counters_and_points(rig: Rig) -> None:
    cell = rig.engine.readings.freshness("board", ["input_1"], 500)
    cell.heard_ms = rig.clock.mono_ms() - 250
    rig.sinks["bus"].device_health("board", Health.ONLINE)
    for _ in range(7):
        rig.sinks["bus"].count("polls", "board")
    rig.read("board/input_1", True)
    board = (await rig.get(f"{API}/devices/board", "technician")).json()
    assert (board["health"], board["counters"]) == ("online", {"polls": 7})
    assert 250 <= board["heard_age_ms"] < 5_000
    points = {one["point"]: one for one in board["points"]}
    assert points["board/input_1"]["read"]["value"] is True
    assert points["board/input_1"]["uses"] == [{"use": "contact", "owner": "study_room_door"}]
    assert points["board/input_8"]["read"] == {
        "value": None,
        "quality": "unknown",
        "at_ms": None,
        "age_ms": None,
    }


async def test_a_link_adds_up_its_devices_and_never_shows_how_it_is_reached(rig: Rig) -> None:
    for what, device in (("polls", "board"), ("polls", "board"), ("polls", ""), ("reconnects", "")):
        rig.sinks["bus"].count(what, device)
    rig.sinks["bus"].link_health(Health.ONLINE)
    shown = await rig.get(f"{API}/links/bus")
    link = shown.json()
    assert link["counters"] == {"polls": 3, "reconnects": 1}
    assert (link["health"], link["devices"]) == ("online", ["board"])
    assert "127.0.0.1" not in shown.text
    every = {one["id"]: one["health"] for one in (await rig.get(f"{API}/links")).json()}
    assert every == {"bus": "online", "mqtt": "unknown"}


async def test_faults_are_listed_the_urgent_first_with_their_deadline(rig: Rig) -> None:
    rig.sinks["mqtt"].device_health("keypad", Health.SILENT)
    rig.sinks["bus"].link_health(Health.FAILED, "a bug")
    await until(lambda: rig.engine.state.count(Fault) == 3)
    faults = (await rig.get(f"{API}/faults", "technician")).json()
    codes = [one["reason"]["code"] for one in faults]
    assert codes[0] == "driver_failed"
    assert set(codes[1:]) == {"device_silent", "fire_interface_lost"}
    assert all(one["repair_by_ms"] > one["opened_ms"] for one in faults)
    assert all(one["reason"]["zh"] for one in faults)
    keypad = (await rig.get(f"{API}/devices/keypad")).json()
    assert [one["about"] for one in keypad["faults"]] == ["keypad"]


async def test_what_is_not_there_is_named_with_the_nearest(rig: Rig) -> None:
    for path, nearest in (("devices/bord", "board"), ("links/buss", "bus")):
        missing = await rig.get(f"{API}/{path}")
        assert (missing.status_code, missing.json()["nearest"]) == (404, nearest)
