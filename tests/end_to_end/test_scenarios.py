"""What people and platforms do to a gateway, on real wires."""

import asyncio

from end_to_end.court import Court


async def served(here: Court) -> None:
    await here.start()
    await here.ready()


async def test_a5_after_a_vandal_the_right_card_at_once_and_the_right_pin_after_the_wait(
    here: Court,
) -> None:
    await served(here)
    await here.platform.subject("ada", pin="482913", card="04A1B2C3D4")
    await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))
    door = here.town.door("study_door")
    for guess in ("000000", "111111", "222222", "333333"):
        await here.town.present_pin("study_door", guess)
    await here.has("access.refused")
    assert not door.pulses
    await here.town.present_card("study_door", "04:a1:b2:c3:d4")
    await here.until(lambda: door.pulses, what="a card is never slowed")
    await here.opens("study_door", "482913", 40)
    assert not here.platform.problems


async def test_b1_an_empty_snapshot_removes_nothing_until_it_is_confirmed(here: Court) -> None:
    await served(here)
    await here.platform.subject("ada", pin="482913")
    await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))
    await here.platform.book("b2", "study", ["ada"], here.window(60, 120))
    feed = here.platform.feeds["bookings"]
    feed.items.clear()
    held = await here.platform.snapshot("bookings", here.window(-60, 24 * 60))
    assert held.result == "Held"
    await here.opens("study_door", "482913")  # the booking still stands
    confirmed = await here.platform.snapshot("bookings", here.window(-60, 24 * 60), by="Petra")
    assert confirmed.accepted
    await here.has("booking.removed")


async def test_b2_bookings_swapped_and_out_of_order_end_the_same(here: Court) -> None:
    await served(here)
    for name, pin in (("ada", "482913"), ("bo", "739501")):
        await here.platform.subject(name, pin=pin)
    window = here.window(-5, 60)
    await here.platform.book("late", "study", ["bo"], window, created_ms=2)
    await here.platform.book("early", "study", ["ada"], window, created_ms=1)
    conflicted = await here.has("booking.conflicted")
    assert conflicted.data["booking"] == "late"
    await here.opens("study_door", "482913")
    await here.town.present_pin("study_door", "739501")
    await here.has("access.refused")
    assert len(here.town.door("study_door").pulses) == 1


async def test_e6_help_asked_for_from_a_page_sounds_and_opens_nothing(here: Court) -> None:
    await served(here)
    async with here.api() as api:
        asked = await api.post("/calls", json={"place": "study_room", "origin": "page"})
    assert asked.status_code in (200, 201), asked.text
    await here.has("call.raised")
    assert await here.town.until(lambda: here.town.siren("study_help").sounding, 5)
    await asyncio.sleep(0.2)
    assert not here.town.door("study_door").pulses


async def test_b8_a_remote_release_runs_once_and_never_late(here: Court) -> None:
    await served(here)
    door = here.town.door("study_door")
    late = await here.platform.command("release_door", "study_door", "Petra", within_s=-5, why="x")
    assert not late.accepted
    done = await here.platform.command(
        "release_door", "study_door", "Petra", id="once", why="locked out"
    )
    assert done.accepted
    await here.until(lambda: len(door.pulses) == 1, what="one pulse")
    again = await here.platform.command(
        "release_door", "study_door", "Petra", id="once", why="locked out"
    )
    assert again.accepted
    assert len(door.pulses) == 1


async def test_x2_nonsense_on_the_radio_is_counted_and_opens_nothing(here: Court) -> None:
    await served(here)
    import aiomqtt  # noqa: PLC0415

    async with aiomqtt.Client("127.0.0.1", here.platform.address.port) as client:
        for payload in (b"", b"\xff\xfe", b"[]", b"{", b'{"pin": 5}', b"x" * 100_000):
            await client.publish("keypads/study/presented", payload, qos=1)
        await client.publish("keypads/study/presented", b'{"pin": "482913"}', retain=True)
        await client.publish("keypads/study/presented", b"", retain=True)
    await here.platform.subject("ada", pin="482913")
    await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))
    assert not here.town.door("study_door").pulses
    await here.opens("study_door", "482913")
    await here.has("access.granted")
    assert here.facts().count("access.granted") == 1
