"""Call points under test, and fire (RULES E7, A3)."""

from api.api_rig import Rig

API = "/api/v1"


async def test_a_press_in_test_mode_is_a_test(rig: Rig) -> None:
    """RULES E7."""
    opened = await rig.post(f"{API}/call-points/help/test", {"person": "Wu"}, "technician")
    assert opened.status_code == 200
    (point,) = (await rig.get(f"{API}/call-points")).json()
    assert point["test_by"] == "Wu (technician one)"
    assert 0 < point["test_left_ms"] <= 600_000
    (seen,) = (await rig.get(f"{API}/call-points", "technician")).json()
    assert seen["test_by"] is None
    await rig.press("board/input_3")
    (call,) = (await rig.get(f"{API}/calls")).json()
    assert (call["test"], call["call_point"]) == (True, "help")
    (point,) = (await rig.get(f"{API}/call-points")).json()
    assert point["test_left_ms"] is None
    assert point["tested_ms"] is not None


async def test_a_fire_is_reset_on_site_once_the_input_is_inactive(rig: Rig) -> None:
    """RULES A3."""
    rig.read("board/input_4", True)
    await rig.press("board/input_4")
    (zone,) = (await rig.get(f"{API}/fire-zones")).json()
    assert (zone["latched"], zone["input_active"]) == (True, True)
    where = f"{API}/fire-zones/fire/reset"
    early = await rig.post(where, {})
    assert (early.status_code, early.json()["reason"]["code"]) == (409, "fire_active")
    rig.read("board/input_4", False)
    await rig.press("board/input_4", False)
    done = await rig.post(where, {"person": "Wu"})
    assert done.status_code == 200
    (zone,) = (await rig.get(f"{API}/fire-zones")).json()
    assert zone["latched"] is False


async def test_what_is_not_there_is_named_with_the_nearest(rig: Rig) -> None:
    for path, nearest in (("call-points/halp/test", "help"), ("fire-zones/fir/reset", "fire")):
        missing = await rig.post(f"{API}/{path}", {})
        assert (missing.status_code, missing.json()["nearest"]) == (404, nearest)
