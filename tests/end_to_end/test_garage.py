"""Charging on every make and by every way to be authorised, by the gateway as a process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.charging import (
    charges,
    drawn,
    end_of,
    ended,
    facts_at,
    garage,
    plug_in,
    present,
    start_session,
)
from end_to_end.court import Court
from fixtures.broker import Broker

from gateway.domain.subjects import Role
from simulators.models.connectors import Charger

BAYS = {
    "bay_keba": 1,
    "bay_abb": 1,
    "bay_alfen": 1,
    "bay_heidelberg": 1,
    "bay_charx_1": 1,
    "bay_charx_2": 1,
    "bay_evse": 10,
}
SWITCHED = {"rack_1": 1, "scooter": 10}
CARD = "04A1B2C3"


@pytest.fixture
async def here(tmp_path: Path, broker: Broker) -> AsyncIterator[Court]:
    async with garage(tmp_path, broker) as served:
        yield served


async def session(here: Court, outlet: str, resolution_wh: int, vehicle: str) -> None:
    """From plug to stop; what it is told to have taken is what its own meter counted."""
    before_wh = drawn(here, outlet)
    await start_session(here, outlet, vehicle)
    await here.until(lambda: drawn(here, outlet) >= before_wh + resolution_wh + 1, 60)
    if vehicle == "car":
        path = f"/outlets/{outlet}"
        await here.sees(path, lambda one: one["session"]["energy_wh"] >= 3, 40)
    await present(here, outlet)  # the same person again: stop
    told = await end_of(here, outlet)
    took_wh = drawn(here, outlet) - before_wh
    assert abs(told["energy_wh"] - took_wh) <= resolution_wh, (outlet, told, took_wh)
    assert told["stop_reason"] == "Local"


async def test_sessions_on_every_make(here: Court) -> None:
    """C3: cars, an e-bike's outlet, and a metering plug, all at once."""
    await asyncio.gather(
        *(session(here, bay, wh, "car") for bay, wh in BAYS.items()),
        *(session(here, outlet, wh, "ebike") for outlet, wh in SWITCHED.items()),
    )
    assert here.facts("meter.") == []


# --- who may, and for how long --------------------------------------------------------------------


async def test_authorised_by_card_page_and_platform_before_and_after_the_plug(here: Court) -> None:
    """C1: each starts one session, and each stops it as it may."""
    await here.platform.subject("ben", card=CARD)
    await here.platform.right("ben-charges", "ben", ["*"])
    await asyncio.gather(_by_card(here), _by_page(here), _by_platform(here))
    refused = await here.platform.command("start_charging", "bay_heidelberg", subject="nobody")
    assert not refused.accepted
    assert here.facts().count("session.ended") == 3


async def _by_card(here: Court) -> None:
    """First the card, then the plug."""
    card = {"kind": "card", "card": CARD}
    answer = await present(here, "bay_keba", **card)
    assert answer["reason"]["code"] == "charging_authorised", answer
    await here.sees("/outlets/bay_keba", lambda one: one["session"]["state"] == "authorised")
    assert here.town.town.connector("bay_keba").offered_a() == 0
    plug_in(here, "bay_keba", "car", 500)
    await charges(here, "bay_keba")
    await present(here, "bay_keba", **card)
    told = await end_of(here, "bay_keba")
    assert (told["basis"], told["stop_reason"]) == ("ben-charges", "Local")


async def _by_page(here: Court) -> None:
    """A resident with their own token, at a car that is plugged in already."""
    plug_in(here, "bay_alfen", "car", 500)
    await here.sees("/outlets/bay_alfen", lambda one: one["status"] == "Preparing")
    async with here.api(Role.RESIDENT, "Ada", "ada") as api:
        body = {"credential": {"kind": "remote"}}
        answer = await api.post("/outlets/bay_alfen/present", json=body)
        assert answer.json()["reason"]["code"] == "charging_started", answer.text
        shown = await charges(here, "bay_alfen")
        stopped = await api.post(f"/sessions/{shown['id']}/stop", json={})
        assert stopped.is_success, stopped.text
    await end_of(here, "bay_alfen")


async def _by_platform(here: Court) -> None:
    """A remote command for a subject, and another that stops it."""
    plug_in(here, "bay_abb", "car", 500)
    await here.sees("/outlets/bay_abb", lambda one: one["status"] == "Preparing")
    assert (await here.platform.command("start_charging", "bay_abb", subject="ada")).accepted
    shown = await charges(here, "bay_abb")
    stop = here.platform.command("stop_charging", shown["id"], by="Petra")
    assert (await stop).accepted
    told = await end_of(here, "bay_abb")
    assert told["stop_reason"] == "Remote"


async def test_a_booking_s_end_with_a_next_booker_and_without(here: Court) -> None:
    """C7: it goes on while nobody else is booked, and stops where somebody is."""
    await here.platform.subject("cem", pin="735120")
    start_ms, end_ms = here.window(-1, 0.3)
    await asyncio.gather(
        here.platform.book("b1", "bay_keba", ["cem"], (start_ms, end_ms)),
        here.platform.book("b2", "bay_keba", ["ada"], (end_ms, end_ms + 600_000)),
        here.platform.book("b3", "bay_alfen", ["cem"], (start_ms, end_ms)),
    )
    for bay in ("bay_keba", "bay_alfen"):
        plug_in(here, bay, "car", 500)
        await here.sees(f"/outlets/{bay}", lambda one: one["status"] == "Preparing")
        await present(here, bay, kind="pin", pin="735120")
        assert (await charges(here, bay))["basis"] == ("b1" if bay == "bay_keba" else "b3")
    told = await end_of(here, "bay_keba")
    assert told["stop_reason"] == "TimeLimitReached"
    await here.until(lambda: facts_at(here, "session.continued", "bay_alfen"))
    assert ended(here, "bay_alfen") == []
    async with here.api() as api:
        answer = await api.post("/outlets/bay_keba/present", json=_pin("735120"))
        assert answer.json()["reason"]["code"] == "too_late", answer.text
    await present(here, "bay_alfen", kind="pin", pin="735120")
    told = await end_of(here, "bay_alfen")
    assert (told["stop_reason"], told["continued"]) == ("Local", True)


def _pin(pin: str) -> dict[str, Any]:
    return {"credential": {"kind": "pin", "pin": pin, "identifier": "cem"}}


# --- power without a session ----------------------------------------------------------------------


async def test_a_charger_that_started_by_itself_is_stopped_and_its_energy_told(here: Court) -> None:
    """C5, C6: its line is cut for longer than it waits, and its failsafe current 6 A again."""
    keba = here.town.town.connectors["keba"]
    assert isinstance(keba, Charger)
    await here.until(lambda: not keba.failsafe_ma, what="its failsafe current was not written")
    here.town.plug_in("bay_keba")
    await here.sees("/outlets/bay_keba", lambda one: one["status"] == "Preparing")
    await here.town.cut_link("keba_host")
    keba.silence_ms, keba.failsafe_ma = 500, 6_000
    await here.until(lambda: keba.watts(here.town.now_ms()) > 0, what="it did not start")
    await here.until(lambda: keba.energy_wh > 3)
    keba.silence_ms = 30_000
    await here.town.mend_link("keba_host")
    await here.until(lambda: keba.offered_a() == 0, what="it was not stopped")
    took_wh = keba.energy_wh
    await here.sees("/outlets/bay_keba", lambda one: one["status"] == "Preparing")
    await start_session(here, "bay_keba", "car")
    told = await here.has("meter.unattributed")
    assert abs(told.data["energy_wh"] - took_wh) <= 1
    await here.until(lambda: not keba.failsafe_ma, what="its failsafe current was not mended")


async def test_a_charger_that_will_not_stop_is_told_of(here: Court) -> None:
    """C6"""
    here.town.misbehave("bay_abb", "leaks")
    here.town.plug_in("bay_abb")
    shown = await here.sees("/outlets/bay_abb", lambda one: one["faults"])
    assert [fault["reason"]["code"] for fault in shown["faults"]] == ["unauthorised_energy"]
    here.town.misbehave("bay_abb", "none")
    await here.sees("/outlets/bay_abb", lambda one: not one["faults"])
