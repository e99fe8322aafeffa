"""The main job on real wires: a visit, a call, offline, and the plug pulled in the middle."""

from end_to_end.court import Court

from gateway.domain.points import PointRef

MOTION = PointRef("pir", "motion")
VISIT = [
    "access.granted",
    "access.entered",
    "visit.opened",
    "booking.checked_in",
    "access.exit",
    "visit.closed",
]
CALL = [
    "call.raised",
    "call.step",
    "call.acknowledged",
    "call.raised_again",
    "call.step",
    "call.attended",
    "call.cleared",
]


async def booked(here: Court) -> None:
    """Ada has the study room now, and a PIN; its motion sensor soon forgets what it saw."""
    here.town.town.sensors[MOTION].clears_ms = 300
    await here.start()
    await here.ready()
    await here.platform.subject("ada", pin="482913")
    await here.platform.book("b1", "study", ["ada"], here.window(-5, 60))


async def visit(here: Court) -> None:
    """Ada comes in, works, and leaves."""
    await here.opens("study_door", "482913")
    assert await here.town.person_enters("study_door", "ada")
    await here.sees("/doors/study_door", lambda door: door["state"] == "open")
    here.town.shut("study_door")
    await here.sees("/doors/study_door", lambda door: door["state"] == "closed")
    assert await here.town.person_exits("study_door", "ada")


async def answer(here: Court, call_point: str) -> None:
    """Somebody presses; the desk acknowledges, nobody comes, somebody comes, it is cleared."""
    siren = here.town.siren(call_point)
    assert await here.town.press(call_point)
    assert await here.town.until(lambda: siren.sounding, 5), here.log.read_text()[-3000:]
    call = (await here.sees("/calls", lambda calls: calls))[0]
    async with here.api() as api:
        await api.post(f"/calls/{call['id']}/acknowledge", json={})
        assert await here.town.until(lambda: not siren.sounding, 5)
        await here.sees("/calls", lambda calls: calls[0]["raises"] == 2)  # nobody attended
        assert await here.town.until(lambda: siren.sounding, 5)
        await api.post(f"/calls/{call['id']}/acknowledge", json={})
        await api.post(f"/calls/{call['id']}/attend", json={"responder": "Rolf"})
        cleared = await api.post(f"/calls/{call['id']}/clear", json={"outcome": "false"})
        assert cleared.json()["state"] == "cleared", cleared.text
    assert await here.town.until(lambda: not siren.sounding, 5)


def those(here: Court, wanted: list[str]) -> list[str]:
    """The facts of these kinds, in order."""
    return [fact for fact in here.facts() if fact in wanted]


async def test_a_visit_goes_up_from_booking_to_exit(here: Court) -> None:
    await booked(here)
    await visit(here)
    closed = await here.has("visit.closed", 15)
    assert closed.data["booking"] == "b1"
    assert those(here, VISIT) == VISIT
    assert len(here.town.door("study_door").pulses) == 1
    assert not here.platform.problems


async def test_a_wired_call_climbs_until_somebody_answers(here: Court) -> None:
    await here.start()
    await here.ready()
    await answer(here, "study_help")
    await here.has("call.cleared")
    assert those(here, CALL) == [*CALL[:5], "call.acknowledged", *CALL[5:]]


async def test_a_radio_button_calls_as_a_wired_one_does(here: Court) -> None:
    await here.start()
    await here.ready()
    await answer(here, "garden_sos")
    await here.has("call.cleared")
    assert those(here, CALL) == [*CALL[:5], "call.acknowledged", *CALL[5:]]


async def test_without_the_platform_the_facts_are_the_same_and_go_up_once(here: Court) -> None:
    await booked(here)
    await here.has("booking.applied")
    await here.platform.offline()
    await visit(here)
    await answer(here, "study_help")
    await here.sees("/visits?after=0", lambda visits: visits["closed"])  # and nobody hears of it
    await here.platform.online()
    await here.has("call.cleared", 20)
    await here.has("visit.closed", 20)
    assert those(here, VISIT) == VISIT
    assert those(here, CALL) == [*CALL[:5], "call.acknowledged", *CALL[5:]]
    numbers = [entry.seq for entry in here.platform.records]
    assert numbers == list(range(1, len(numbers) + 1))
    assert not here.platform.problems  # the chain holds, nothing came twice


async def test_the_plug_pulled_with_a_visit_and_a_call_open(here: Court) -> None:
    await booked(here)
    await here.opens("study_door", "482913")
    assert await here.town.person_enters("study_door", "ada")
    await here.has("visit.opened")
    assert await here.town.press("study_help")
    siren = here.town.siren("study_help")
    assert await here.town.until(lambda: siren.sounding, 5)
    await here.has("call.raised")
    here.town.shut("study_door")
    await here.sees("/doors/study_door", lambda door: door["state"] == "closed")
    await here.opens("study_door", "482913")
    pulses = len(here.town.door("study_door").pulses)
    await here.kill()
    assert await here.town.until(lambda: not siren.sounding, 10)  # its timed pulse ran out

    await here.start()
    assert await here.town.until(lambda: siren.sounding, 10), "E3: it is raised again"
    await here.has("call.raised_again")
    await here.ready()
    await here.sees("/doors/study_door", lambda door: door["state"] == "closed")
    assert len(here.town.door("study_door").pulses) == pulses, "A4: a restart spends the pulse"
    assert await here.town.person_exits("study_door", "ada")
    closed = await here.has("visit.closed", 20)
    assert closed.data["booking"] == "b1"
    assert here.facts().count("visit.opened") == 1
    assert not here.platform.problems
    assert await here.stop() == 0
