"""Every shipped profile, simulated and read back by the real drivers over real wires."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from fixtures.broker import Broker
from simulation.driven import Driven, driven

from gateway.domain.faults import Health
from gateway.domain.feedback import Feedback
from gateway.domain.points import PointRef, SetpointKind, WriteResult
from gateway.domain.reasons import reason
from gateway.domain.state import Result
from gateway.domain.subjects import CredentialKind
from simulators.residents import Deed, Resident, Stay


@pytest.fixture
async def here(broker: Broker) -> AsyncIterator[Driven]:
    async with driven(broker) as served:
        yield served


async def test_every_device_is_online_and_every_readable_point_has_a_value(here: Driven) -> None:
    site = here.world.town.site
    devices = site.equipment.devices
    all_online = dict.fromkeys(devices, Health.ONLINE)
    assert await here.world.until(lambda: here.kept.health == all_online), here.kept.health
    modbus = {
        PointRef(device.id, spec.name)
        for device in devices.values()
        for spec in site.equipment.profiles[device.profile].points.values()
        if device.link != "radio"
        and (spec.setpoint is None or spec.setpoint.kind is SetpointKind.LEVEL)
    }
    missing = modbus - set(here.kept.latest)
    assert await here.world.until(lambda: modbus <= set(here.kept.latest)), missing
    assert all(reading.good for reading in here.kept.latest.values())
    assert here.kept.counts["garbage"] == 0


async def test_what_the_meter_the_air_and_the_plug_show_is_what_is_there(here: Driven) -> None:
    await here.reads("meter/voltage", 230.0)
    await here.reads("meter/power", 12.0)
    await here.reads("meter/power_factor", 1.0)
    await here.reads("meter/energy_export", 0)
    await here.reads("air/co2", 420)
    await here.reads("plug/power", 12.0)
    here.world.town.meters["meter"].energy_wh = 123_456.7
    await here.reads("meter/energy_import", 123_457, timeout_s=8)
    here.world.town.rooms["study_room"].enter("ada", here.world.now_ms())
    await here.reads("meter/power", 77.0)
    await here.reads("pir/motion", True)


async def test_a_strike_is_pulsed_once_and_its_contact_tells_who_passed(here: Driven) -> None:
    door = here.world.door("study_door")
    await here.reads("board/input_1", False)
    outcome = await here.pulse("board/pulse_1", 5_000)
    assert outcome.result is WriteResult.SENT, outcome
    assert [flash.length_ms for flash in door.pulses] == [5_000]
    assert await here.world.person_enters("study_door", "ada")
    await here.reads("board/input_1", True)
    assert any(edge.ref == ("board", "input_1") and edge.value for edge in here.kept.edges)


async def test_a_lock_on_the_radio_is_released_reports_and_relocks(here: Driven) -> None:
    here.world.town.locks["lock"].relock_ms = 800
    await here.reads("lock/lock_state", "locked")
    await here.reads("contact/open", False)
    outcome = await here.pulse("lock/unlock", 5_000)
    assert outcome.result is WriteResult.SENT, outcome
    await here.reads("lock/lock_state", "unlocked")
    assert len(here.world.door("music_door").pulses) == 1
    assert await here.world.person_enters("music_door", "ben")
    await here.reads("contact/open", True)
    await here.reads("lock/lock_state", "locked")
    await here.reads("occupancy/occupancy", True)
    acted = [edge for edge in here.kept.edges if edge.ref == ("lock", "action")]
    assert [edge.value for edge in acted] == ["unlock"]


async def test_the_locks_own_user_is_told_with_the_slot(here: Driven) -> None:
    """RULES A9."""
    await here.reads("lock/lock_state", "locked")
    here.world.town.locks["lock"].users[7] = "1357"
    assert await here.world.type_at_lock("music_door", "1357")
    assert await here.world.until(lambda: any(e.detail for e in here.kept.edges))
    edge = next(edge for edge in here.kept.edges if edge.detail)
    assert edge.value == "keypad_unlock"
    assert edge.detail == {"action_source_name": "keypad", "action_user": 7}


async def test_presses_by_wire_and_by_radio_reach_the_gateway(here: Driven) -> None:
    """RULES E1."""
    await here.reads("board/input_3", False)
    assert await here.world.until(lambda: here.kept.health.get("sos") is Health.ONLINE)
    await here.world.press("study_help")
    await here.world.press("music_help")
    wanted = {("board", "input_3"), ("sos", "pressed")}
    assert await here.world.until(
        lambda: wanted <= {tuple(edge.ref) for edge in here.kept.edges if edge.value}
    )


async def test_a_siren_sounds_and_a_lamp_flashes_while_their_leases_last(here: Driven) -> None:
    """RULES E4: as timed pulses that are renewed, dark when nobody renews them."""
    await here.reads("board/relay_7", False)
    await here.lease("board/signal_7", "on", 700)
    await here.lease("board/signal_6", "flash", 1_800)
    call_point = here.world.call_point("study_help")
    assert call_point.sounding
    assert await here.world.until(lambda: call_point.flashing)
    assert await here.world.until(lambda: not call_point.sounding)
    on, off = call_point.sounded[:2]
    assert 400 <= off[0] - on[0] <= 800
    (lamp,) = here.world.town.lamps("study_help")
    assert await here.world.until(lambda: len(lamp.edges(here.world.now_ms())) == 4)
    lit = [two[0] - one[0] for one, two in pairwise(lamp.edges(here.world.now_ms()))]
    assert lit[0] == lit[2] == 500


async def test_a_siren_on_the_radio_sounds_until_it_is_stopped(here: Driven) -> None:
    await here.reads("siren/battery", 87.0)
    await here.lease("siren/signal", "on")
    siren = here.world.siren("music_help")
    assert await here.world.until(lambda: siren.sounding)
    await here.lease("siren/signal", "off")
    assert await here.world.until(lambda: not siren.sounding)


async def test_a_plug_switches_and_says_so_itself(here: Driven) -> None:
    await here.reads("plug/state", True)
    await here.level("plug/state", False)
    await here.reads("plug/state", False)
    await here.reads("plug/power", 0.0)
    here.world.town.plugs["plug"].welded = True
    await here.level("plug/state", True)
    assert not here.world.town.plugs["plug"].on
    assert here.value("plug/state") is False


async def test_what_is_presented_at_the_keypad_is_a_digest_by_kind(here: Driven) -> None:
    assert await here.world.until(lambda: here.kept.health.get("keypad") is Health.ONLINE)
    await here.world.present_pin("study_door", "482913", "0802", patience_ms=0)
    await here.world.present_card("study_door", "04A1B2C3", patience_ms=0)
    assert await here.world.until(lambda: len(here.kept.presented_) == 2)
    pin, card = (event.presented for event in here.kept.presented_)
    assert (pin.type, pin.identifier) == (CredentialKind.PIN, "0802")
    assert card.type is CredentialKind.CARD


GRANTED = Feedback(Result.ACCEPTED, reason("granted"), "study_door")
SLOW = Feedback(Result.REJECTED, reason("slow_down", seconds=1), "study_door", 1)


async def test_the_keypad_shows_each_person_the_answer_to_their_own_try(here: Driven) -> None:
    assert await here.world.until(lambda: here.kept.health.get("keypad") is Health.ONLINE)
    assert here.world.shows("study_door") is None
    here.kept.verdicts.extend((SLOW, GRANTED))
    slowed = await here.world.present_pin("study_door", "000000")
    assert slowed is not None
    assert (slowed["en"], slowed["retry_after_s"]) == ("Slow down: try again in 1 s.", 1)
    assert not here.world.shows("study_door").green
    granted = await here.world.present_card("study_door", "04A1B2C3")
    assert granted is not None
    assert granted["zh"] == "请进。"
    assert here.world.shows("study_door").green
    assert await here.world.present_pin("study_door", "482913", patience_ms=50) is None


async def test_a_resident_waits_as_the_keypad_asks(here: Driven) -> None:
    assert await here.world.until(lambda: here.kept.health.get("keypad") is Health.ONLINE)
    here.kept.verdicts.extend((SLOW, GRANTED))
    stay = Stay("ada", "482913", "study_room", ("study_door",), 0, 3_600_000, "")
    coming = asyncio.create_task(Resident(here.world, stay, lambda: 0).do(Deed.COME_IN))
    keypad = here.world.keypad("study_door")
    assert await here.world.until(lambda: len(keypad.shown) == 2)
    first, second = (one.since_ms for one in keypad.shown)
    assert second - first >= 1_000
    await here.pulse("board/pulse_1", 5_000)
    await coming
    assert here.world.town.whereabouts["ada"] == "study_room"


async def test_faults_show_as_what_they_are_and_heal(here: Driven) -> None:
    assert await here.world.until(lambda: len(here.kept.health) == 11)
    here.world.silence("meter")
    here.world.garble("air")
    assert await here.world.until(lambda: here.kept.health["meter"] is Health.SILENT)
    assert await here.world.until(lambda: here.kept.health["air"] is not Health.ONLINE)
    assert here.kept.health["pir"] is Health.ONLINE
    here.world.lose("sos")
    assert await here.world.until(lambda: here.kept.health["sos"] is Health.SILENT)
    here.world.lose("sos", gone=False)
    here.world.heal("meter")
    here.world.heal("air")
    assert await here.world.until(lambda: here.kept.health["meter"] is Health.ONLINE, 10)
    assert await here.world.until(lambda: here.kept.health["sos"] is Health.ONLINE)
    here.world.stick(PointRef("lock", "lock_state"), "not_fully_locked")
    await here.reads("lock/lock_state", "not_fully_locked")
    here.world.stick(PointRef("contact", "open"), True)
    await here.reads("contact/open", True)
    here.world.stick(PointRef("air", "co2"), 900)
    await here.reads("air/co2", 900)


async def test_a_keypad_without_power_is_offline_by_its_will_and_comes_back(here: Driven) -> None:
    assert await here.world.until(lambda: here.kept.health.get("keypad") is Health.ONLINE)
    await here.world.reboot("keypad", 0.5)
    assert await here.world.until(lambda: here.kept.health["keypad"] is Health.ONLINE)


async def test_a_cut_broker_link_comes_back_and_reads_on(here: Driven) -> None:
    await here.reads("plug/state", True)
    await here.world.cut_link("radio")
    assert await here.world.until(lambda: here.kept.health["plug"] is Health.SILENT)
    here.world.town.plugs["plug"].switch(False, here.world.now_ms())
    await here.world.mend_link("radio")
    await here.reads("plug/state", False, timeout_s=15)
