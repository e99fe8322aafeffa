"""Every make of charger, simulated, driven by the real drivers over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.broker import Broker
from simulation.driven import Driven, driven

from drivers.modbus.plan import readable
from gateway.domain.faults import Health
from gateway.domain.points import PointRef, SetpointKind, WriteResult
from gateway.domain.site import Site
from simulators.control import Control, world_commands, world_names
from simulators.models.connectors import Charger, SwitchedOutlet

GARAGE = Path(__file__).parent / "garage"
MAKES = ("keba", "abb", "alfen", "heidelberg", "charx_1", "charx_2", "evse")
PHASE_W = 230


@pytest.fixture
async def here(broker: Broker) -> AsyncIterator[Driven]:
    async with driven(broker, GARAGE) as served:
        yield served


def point(make: str, name: str) -> str:
    """A point of a charger, or of one of its connectors."""
    device, _, number = make.partition("_")
    return f"{device}/{name}_{number}" if number else f"{device}/{name}"


def meter(make: str, name: str) -> str:
    """Where its power and energy are read: an EVSE has a meter beside it."""
    evse = {"power": "evse_meter/power", "energy": "evse_meter/energy_import"}
    return evse[name] if make == "evse" else point(make, name)


def charger(here: Driven, make: str) -> Charger:
    found = here.world.town.connectors[make]
    assert isinstance(found, Charger)
    return found


async def set_limit(here: Driven, make: str, limit_ma: int, lasts_ms: int = 60_000) -> None:
    ref = point(make, "limit")
    spec = here.world.town.site.equipment.spec_of(PointRef.parse(ref)).setpoint
    assert spec is not None
    if spec.kind is SetpointKind.LEASE:
        outcome = await here.lease(ref, limit_ma, lasts_ms)
    else:
        outcome = await here.level(ref, limit_ma)
    assert outcome.result is WriteResult.SENT, outcome


async def test_every_charger_is_online_and_all_that_can_be_read_is_good(here: Driven) -> None:
    equipment = here.world.town.site.equipment
    wired = [device for device in equipment.devices.values() if device.link != "radio"]
    readables = {
        PointRef(device.id, spec.name)
        for device in wired
        for spec in equipment.profiles[device.profile].points.values()
        if readable(spec)
    }
    await here.reads("evse/limit", 0)  # once its scale was seen
    missing = readables - set(here.kept.latest)
    assert await here.world.until(lambda: readables <= set(here.kept.latest)), missing
    assert [one for one in here.kept.latest.values() if not one.good] == []
    assert all(here.kept.health[device.id] is Health.ONLINE for device in wired)
    assert here.kept.counts["garbage"] == here.kept.counts["refused"] == 0


@pytest.mark.parametrize("make", MAKES)
async def test_a_session_from_plug_to_unplug(here: Driven, make: str) -> None:
    state, power, energy = point(make, "state"), meter(make, "power"), meter(make, "energy")
    await here.reads(state, "available")
    here.world.plug_in(make)
    await here.reads(state, "connected")
    charger(here, make).energy_wh += 5_000  # what it counted before
    await set_limit(here, make, 10_000)
    await here.reads(point(make, "limit"), 10_000)
    await here.reads(state, "charging")
    assert await here.world.until(lambda: close(here.value(power), 30 * PHASE_W)), here.value(power)
    began = here.value(energy)
    assert isinstance(began, int)
    assert await here.world.until(lambda: here.value(energy) >= began + 2)  # type: ignore[operator]
    await set_limit(here, make, 0)
    await here.reads(point(make, "limit"), 0)
    await here.reads(state, "connected")
    await here.reads(power, 0.0)
    here.world.unplug(make)
    await here.reads(state, "available")


def close(value: object, to: float) -> bool:
    return isinstance(value, float) and abs(value - to) < 15


@pytest.mark.parametrize("make", ["keba", "alfen", "heidelberg", "abb"])
async def test_after_silence_the_charger_s_own_failsafe_acts(here: Driven, make: str) -> None:
    """C6"""
    here.world.plug_in(make)
    await set_limit(here, make, 16_000)
    await here.reads(point(make, "limit"), 16_000)
    here.world.silence(make)
    one = charger(here, make)
    one.silence_ms = 500
    assert await here.world.until(lambda: one.in_failsafe)
    assert one.offered_a() == (0.0 if make == "abb" else 6.0)


@pytest.mark.parametrize("make", ["keba", "heidelberg"])
async def test_a_failsafe_of_nothing_is_written_and_read_back(here: Driven, make: str) -> None:
    """C6: left at 6 A it starts again by itself."""
    await here.reads(point(make, "failsafe_current"), 6_000)
    await here.level(point(make, "failsafe_current"), 0)
    await here.reads(point(make, "failsafe_current"), 0)
    await here.level(point(make, "failsafe_timeout"), 20)
    await here.reads(point(make, "failsafe_timeout"), 20)
    here.world.plug_in(make)
    here.world.silence(make)
    one = charger(here, make)
    one.silence_ms = 300
    assert await here.world.until(lambda: one.in_failsafe)
    assert one.state(here.world.now_ms()) == "connected"


@pytest.mark.parametrize("make", ["keba", "alfen"])
async def test_a_limit_is_kept_alive_as_long_as_it_is_renewed(broker: Broker, make: str) -> None:
    """C6: a hung core lets the charger's own failsafe act, though its polls go on."""
    async with driven(broker, GARAGE, lambda site: forgets(site, make, 1_000)) as here:
        one = charger(here, make)
        here.world.plug_in(make)
        await set_limit(here, make, 10_000, 3_000)
        one.silence_ms = 1_000
        ends_ms = here.world.now_ms() + 2_500
        while here.world.now_ms() < ends_ms:
            assert not one.in_failsafe
            await asyncio.sleep(0.05)
        assert await here.world.until(lambda: one.in_failsafe)
        assert here.kept.health[make] is Health.ONLINE


def forgets(site: Site, make: str, length_ms: int) -> Site:
    """The site, with a charger that forgets its limit sooner."""
    equipment = site.equipment
    model = equipment.devices[make].profile
    profile = equipment.profiles[model]
    limit = profile.points["limit"]
    assert limit.setpoint is not None
    limit = replace(limit, setpoint=replace(limit.setpoint, length_ms=length_ms))
    profile = replace(profile, points={**profile.points, "limit": limit})
    profiles = {**equipment.profiles, model: profile}
    return replace(site, equipment=replace(equipment, profiles=profiles))


async def test_a_charger_that_restarts_is_told_its_limit_again(here: Driven) -> None:
    here.world.plug_in("keba")
    await set_limit(here, "keba", 8_000)
    await here.reads("keba/limit", 8_000)
    await here.world.reboot("keba", 0.3)
    assert charger(here, "keba").limit_ma == 32_000  # as its guide says
    await here.reads("keba/limit", 8_000)


async def test_a_wallbox_is_kept_out_of_standby(here: Driven) -> None:
    await here.reads("heidelberg/standby", False)
    here.world.town.write(PointRef("heidelberg", "unlocked"), False, 0)
    await here.reads("heidelberg/unlocked", True)


async def test_a_limit_that_is_shown_and_not_kept(here: Driven) -> None:
    here.world.plug_in("bay_heidelberg")
    await set_limit(here, "heidelberg", 16_000)
    assert await here.world.until(lambda: close(here.value("heidelberg/power"), 48 * PHASE_W))
    here.world.misbehave("bay_heidelberg", "ignores")
    await set_limit(here, "heidelberg", 6_000)
    await here.reads("heidelberg/limit", 6_000)
    assert close(here.value("heidelberg/power"), 48 * PHASE_W)


async def test_energy_without_a_session(here: Driven) -> None:
    here.world.misbehave("abb", "leaks")
    here.world.plug_in("abb")
    await here.reads("abb/state", "charging")
    await here.reads("abb/limit", 0)
    here.world.misbehave("abb", "broken")
    await here.reads("abb/power", 0.0)


async def test_the_feeder_s_meter_adds_up_what_hangs_on_it(here: Driven) -> None:
    here.world.town.buildings["feeder"].most_a = (0.0, 0.0, 0.0)
    here.world.plug_in("bay_keba", "small_car")  # L1
    here.world.plug_in("bay_abb", "small_car")  # its own L1 is on the site's L2
    here.world.plug_in("rack_2", "ebike")  # L3
    await set_limit(here, "keba", 10_000)
    await set_limit(here, "abb", 16_000)
    await here.level("station/switch_2", True)
    await here.reads("feeder/current_l1", 10_000)
    await here.reads("feeder/current_l2", 16_000)
    assert await here.world.until(lambda: 600 < int(here.value("feeder/current_l3") or 0) < 800)
    here.world.overload("feeder", 20)
    await here.reads("feeder/current_l1", 30_000)


async def test_vehicles_come_and_go_by_command(here: Driven) -> None:
    commands = Control(Path("unused"), world_commands(here.world), world_names(here.world))

    async def told(do: str, *args: object) -> object:
        answer = await commands.obey(json.dumps({"do": do, "args": args}).encode())
        return answer.get("error")

    assert await told("plug_in", "bay_alfen", "small_car", "50") is None
    await here.reads("alfen/state", "connected")
    assert await told("swap", "bay_alfen", "car", "20", "0.01") is None
    assert await told("unplug", "alfen") is None  # the same, by its device
    await here.reads("alfen/state", "available")
    assert await told("misbehave", "rack_1", "welded") is None
    assert await told("overload", "feeder", "12.5") is None
    assert await told("plug_in", "bay_alfn") == "no outlet 'bay_alfn'; did you mean bay_alfen?"
    assert await told("plug_in", "alfen", "lorry") == (
        "no vehicle 'lorry'; known: car, small_car, ebike"
    )


# --- the e-bike station -------------------------------------------------------------------------


async def test_twelve_outlets_are_switched_and_each_is_read_back(here: Driven) -> None:
    outlets = [f"station/switch_{n}" for n in range(1, 13)]
    for outlet in outlets:
        await here.level(outlet, True)
        await here.reads(outlet, True)
    for outlet in outlets:
        await here.level(outlet, False)
        await here.reads(outlet, False)


async def test_a_welded_relay_is_read_as_it_is(here: Driven) -> None:
    await here.level("station/switch_3", True)
    await here.reads("station/switch_3", True)
    here.world.misbehave("rack_3", "welded")
    assert (await here.level("station/switch_3", False)).result is WriteResult.SENT
    here.kept.latest.pop(PointRef("station", "switch_3"))
    await here.level("station/switch_4", True)
    await here.reads("station/switch_4", True)
    assert here.value("station/switch_3") in (None, True)
    assert here.world.town.connector("rack_3").on  # type: ignore[attr-defined]


async def test_a_swap_is_seen_in_power_alone(here: Driven) -> None:
    """C8"""
    await here.level("station/switch_1", True)
    here.world.plug_in("rack_1", "ebike")
    assert await here.world.until(lambda: close(here.value("station/power_1"), 160))
    await here.reads("station/current_l1_1", 696)
    swap = asyncio.create_task(here.world.swap("rack_1", percent=92.5, away_s=1.0))
    await here.reads("station/power_1", 0.0)
    await swap
    assert await here.world.until(lambda: close(here.value("station/power_1"), 80))


async def test_the_station_is_off_after_silence_and_after_a_restart(here: Driven) -> None:
    await here.level("station/switch_1", True)
    await here.reads("station/switch_1", True)
    one = here.world.town.connectors["station_1"]
    assert isinstance(one, SwitchedOutlet)
    here.world.silence("station")
    one.silence_ms = 300
    assert await here.world.until(lambda: not one.on)
    here.world.heal("station")
    one.silence_ms = 60_000
    await here.reads("station/switch_1", False)
    await here.level("station/switch_1", True)
    await here.reads("station/switch_1", True)
    await here.world.reboot("station", 0.2)
    await here.reads("station/switch_1", False)


async def test_smoke_and_heat_are_read(here: Driven) -> None:
    await here.reads("station/smoke", False)
    here.world.stick(PointRef("station", "smoke"), True)
    await here.reads("station/smoke", True)
    here.world.town.connectors["station_7"].temperature_c = 71.5
    await here.reads("station/temperature_7", 71.5)


async def test_a_metering_plug_is_a_switched_load(here: Driven) -> None:
    await here.reads("plug/state", True)
    here.world.plug_in("scooter", "ebike")
    assert await here.world.until(lambda: close(here.value("plug/power"), 160))
    await here.level("plug/state", False)
    await here.reads("plug/power", 0.0)
