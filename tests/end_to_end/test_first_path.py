"""One strike, one booking, one PIN, one record at the platform; and it survives the plug."""

from end_to_end.court import Court


async def test_a_booking_from_the_platform_opens_the_door_to_its_pin(here: Court) -> None:
    await here.start()
    assert (await here.platform.subject("ada", pin="482913")).accepted
    assert (await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))).accepted

    await here.town.present_pin("study_door", "000000")
    await here.has("access.refused")
    assert not here.town.door("study_door").pulses

    await here.opens("study_door", "482913")
    assert await here.town.person_enters("study_door", "ada", patience_ms=3000)
    granted = await here.has("access.granted")
    entered = await here.has("access.entered")
    assert entered.data["grant"] == granted.data["grant"]
    assert entered.data["basis"] == "b1"
    await here.has("visit.opened")
    assert not here.platform.problems


async def test_pulling_the_plug_moves_no_strike_and_loses_no_record(here: Court) -> None:
    await here.start()
    await here.platform.subject("ada", pin="482913")
    await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))
    await here.opens("study_door", "482913")
    await here.has("access.granted")
    await here.kill()

    pulses = len(here.town.door("study_door").pulses)
    await here.start()
    await here.until(lambda: here.facts().count("gateway.started") == 2, 15, "not started again")
    assert len(here.town.door("study_door").pulses) == pulses
    assert await here.town.person_enters("study_door", "ada", patience_ms=3000)
    await here.has("access.entered")
    assert not here.platform.problems
    assert await here.stop() == 0
