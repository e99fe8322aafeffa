"""Health, cover and the clock (RULES E5, E9, A3, X1, X2; DESIGN §6)."""

from dataclasses import replace

import pytest
from core.harness import World
from core.sites import call_point, court

from gateway.domain.events import SiteChanged, StorageChanged
from gateway.domain.faults import Fault, Health
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS
from gateway.domain.points import Quality
from gateway.domain.records import Fact
from gateway.domain.subjects import Role


@pytest.fixture
def world() -> World:
    found = World()
    found.wait(seconds=10)
    found.forget()
    return found


# --- devices and links --------------------------------------------------------------------------


def test_a_silent_device_is_a_fault_with_a_place_and_a_repair_deadline(world: World) -> None:
    """E5"""
    world.silence("keypad")
    fault = world.get(Fault, "device_silent:keypad")
    assert fault.places == ("compound",)
    assert fault.repair_by_ms - fault.opened_ms == 2 * DAY_MS
    assert world.names() == ["fault.opened"]
    world.wait(minutes=3)
    world.heal("keypad")
    assert world.faults() == set()
    assert world.last(Fact.FAULT_CLOSED).data["open_ms"] == 3 * MINUTE_MS


def test_a_fault_is_opened_and_closed_once(world: World) -> None:
    for _ in range(3):
        world.tell_health("keypad", Health.SILENT)
    for _ in range(3):
        world.tell_health("keypad", Health.ONLINE)
    assert world.names() == ["fault.opened", "fault.closed"]


@pytest.mark.parametrize("code", ["garbage", "flooding"])
def test_what_a_device_does_while_it_answers_is_a_fault_while_it_lasts(
    world: World, code: str
) -> None:
    """X2"""
    world.tell_health("keypad", Health.DEGRADED, code)
    assert world.faults() == {f"{code}:keypad"}
    world.tell_health("keypad", Health.ONLINE)
    assert world.faults() == set()


def test_a_device_that_falters_is_no_fault_yet(world: World) -> None:
    world.tell_health("keypad", Health.DEGRADED)
    assert world.faults() == set()


def test_a_link_that_is_down_is_one_fault_with_all_its_places(world: World) -> None:
    """E5: and inhibits the alarms of its devices."""
    world.silence("keypad")
    world.link("air", Health.SILENT)
    assert "link_down:air" in world.faults()
    assert world.get(Fault, "link_down:air").places == ("compound",)
    assert not any(fault.startswith("device_silent") for fault in world.faults())
    world.silence("lock")
    assert not any(fault.startswith("device_silent") for fault in world.faults())


def test_a_device_still_silent_when_its_link_is_back_is_a_fault_again(world: World) -> None:
    """E5: its driver tells it only once."""
    world.link("air", Health.SILENT)
    world.silence("lock")
    world.link("air", Health.ONLINE)
    assert world.faults() == {"device_silent:lock"}


def test_a_driver_that_failed_is_urgent(world: World) -> None:
    world.link("air", Health.FAILED)
    assert world.get(Fault, "driver_failed:air").urgent
    world.link("air", Health.ONLINE)
    world.wait(seconds=10)
    assert world.faults() == set()


def test_health_of_what_the_site_does_not_have_is_nothing(world: World) -> None:
    world.tell_health("ghost", Health.SILENT)
    assert world.names() == []


def test_what_was_silent_before_a_restart_is_not_known_to_be(world: World) -> None:
    world.silence("keypad")
    world.restart()
    assert "device_silent:keypad" in world.faults()  # until it is heard
    world.heal("keypad")
    assert "device_silent:keypad" not in world.faults()


# --- cover (E5) ---------------------------------------------------------------------------------


def test_a_place_without_a_call_point_that_is_heard_has_no_cover(world: World) -> None:
    """E5: silence is not health."""
    world.mute.add("panel")
    world.wait(seconds=179)
    assert "no_cover:study_room" not in world.faults()
    world.wait(seconds=5)
    fault = world.get(Fault, "no_cover:study_room")
    assert (fault.urgent, fault.places) == (True, ("study_room",))
    world.mute.discard("panel")
    world.wait(seconds=5)
    assert "no_cover:study_room" not in world.faults()


def test_one_of_two_lost_is_reduced_cover(world: World) -> None:
    """E5"""
    world.silence("panel")
    world.wait(seconds=5)
    assert "cover_reduced:bathroom_room" in world.faults()
    assert "no_cover:bathroom_room" not in world.faults()
    world.silence("sos")
    world.wait(seconds=5)
    assert "no_cover:bathroom_room" in world.faults()
    assert "cover_reduced:bathroom_room" not in world.faults()


def test_a_path_that_is_down_covers_nothing_and_inhibits_no_cover(world: World) -> None:
    """E5, E9: one link fault, but every place without cover."""
    world.link("bus", Health.SILENT)
    world.wait(seconds=5)
    faults = world.faults()
    assert "link_down:bus" in faults
    assert {"no_cover:study_room", "no_cover:building"} <= faults
    assert "cover_reduced:bathroom_room" in faults


def test_a_low_battery_is_a_fault_and_reduces_cover(world: World) -> None:
    """E5"""
    world.read("sos/battery", 11)
    world.wait(seconds=5)
    assert world.faults() == set()
    world.read("sos/battery", 10)
    world.wait(seconds=5)
    assert world.faults() == {"battery_low:sos", "cover_reduced:bathroom_room"}
    world.restart()
    world.wait(seconds=30)
    assert "battery_low:sos" in world.faults()  # what was never told changes nothing
    world.read("sos/battery", 100)
    world.wait(seconds=5)
    assert "battery_low:sos" not in world.faults()


def test_a_call_point_never_heard_since_the_start_covers_for_its_class(world: World) -> None:
    """E5"""
    button = call_point("sos", "terrace", "sos/action", supervision_ms=25 * HOUR_MS)
    world = World(court(call_points=[button]), quiet=True)
    world.mute.add("sos")
    world.restart()
    world.wait(hours=24)
    assert "no_cover:terrace" not in world.faults()
    world.wait(hours=2)
    assert "no_cover:terrace" in world.faults()


def test_a_press_is_a_call_though_its_link_was_thought_down(world: World) -> None:
    """E9: an emergency is never inhibited."""
    world.link("bus", Health.SILENT)
    assert world.press("cord")


# --- setpoints, store, site ---------------------------------------------------------------------


def test_the_store_lost_and_back(world: World) -> None:
    """X1"""
    world.tell(StorageChanged(True, "disk full"))
    assert world.get(Fault, "storage_lost:store").urgent
    world.tell(StorageChanged(False))
    assert world.faults() == set()
    assert world.last(Fact.STORAGE_RESTORED).urgent


def test_faults_of_what_the_site_no_longer_has_are_over(world: World) -> None:
    world.silence("keypad")
    world.silence("lock")
    world.open("study")
    world.site = court()
    devices = dict(world.site.equipment.devices)
    devices.pop("keypad")
    site = replace(world.site, equipment=replace(world.site.equipment, devices=devices))
    world.step.reload(site, world.now())
    world.tell(SiteChanged("digest", ("air",)))
    assert world.faults() == {"device_silent:lock", "door_forced:study"}


# --- the clock (DESIGN §6) ----------------------------------------------------------------------


def test_a_clock_nobody_trusts_is_a_fault_from_the_start_on(world: World) -> None:
    world.restart(trust=world.trust.UNTRUSTED)
    assert "clock_lost:clock" in world.faults()
    world.step_clock(HOUR_MS, world.trust.SYNCHRONISED)
    assert "clock_lost:clock" not in world.faults()


def test_records_made_without_trust_are_corrected_by_a_later_one(world: World) -> None:
    """DESIGN §6"""
    world.restart(off_ms=-30 * DAY_MS, trust=world.trust.UNTRUSTED)
    world.wait(seconds=5)
    world.forget()
    world.step_clock(30 * DAY_MS, world.trust.SYNCHRONISED)
    corrected = world.last(Fact.CLOCK_CORRECTED).data
    assert corrected == {"boot": "boot2", "before_mono_ms": world.mono_ms, "add_ms": 30 * DAY_MS}


def test_a_trusted_step_corrects_nothing(world: World) -> None:
    world.step_clock(-5_000)
    assert world.last(Fact.CLOCK_CHANGED).data["step_ms"] == -5_000
    assert world.facts(Fact.CLOCK_CORRECTED) == []


def test_trust_that_fades_is_told(world: World) -> None:
    world.step_clock(0, world.trust.HOLDOVER)
    assert world.faults() == set()
    assert world.last(Fact.CLOCK_CHANGED).data["trust"] == "holdover"
    world.step_clock(0, world.trust.UNTRUSTED)
    assert world.faults() == {"clock_lost:clock"}


# --- a start moves nothing ----------------------------------------------------------------------


def test_a_restart_writes_nothing_that_was_not_asked_for() -> None:
    """DESIGN §5: no contactor and no strike."""
    world = World(at="2026-03-01 09:00")  # a Sunday, the lounge is shut
    world.person("ann", pin="1111")
    world.person("wu", card="W1", role=Role.RESPONDER)
    world.book("b1", "study", "ann", "09:00", "11:00")
    world.enter("study", "1111")
    world.restart()
    world.forget()
    world.settle()
    world.wait(minutes=5)
    assert world.writes == []


def test_a_hold_never_read_is_locked_after_15_s_and_not_before(world: World) -> None:
    """DESIGN §5"""
    world.restart()
    world.forget()
    world.wait(seconds=14)
    assert world.writes == []
    world.wait(seconds=2)
    assert {str(write.ref) for _, write in world.writes} == {
        "board/hold_study",
        "gate/hold_gym",
        "gate/hold_lounge",
    }


def test_bad_readings_are_no_values(world: World) -> None:
    """X2"""
    world.read("lock/state", "unlocked", Quality.BAD)
    world.read("pir/study", True, Quality.BAD)
    world.wait(minutes=2)
    assert world.names() == []
