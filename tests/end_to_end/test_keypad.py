"""What a resident reads at the keypad, on real wires (RULES A1, A5, X1)."""

import sqlite3

import aiomqtt
from end_to_end.court import Court

from gateway.domain.records import Fact

DOOR, PIN = "study_door", "482913"


async def ada_comes(here: Court, start_min: float = -5) -> None:
    await here.start()
    await here.ready()
    assert (await here.platform.subject("ada", pin=PIN, card="04A1B2C3D4")).accepted
    window = here.window(start_min, start_min + 60)
    assert (await here.platform.book("b1", "study", ["ada"], window)).accepted


async def test_a5_wrong_then_too_many_then_right_and_each_time_the_keypad_says_so(
    here: Court,
) -> None:
    await ada_comes(here)
    refused = await here.town.present_pin(DOOR, "000000")
    assert refused is not None
    assert (refused["result"], refused["code"]) == ("Invalid", "not_recognised")
    assert (refused["zh"], refused["en"]) == (
        "未识别该凭证。请重试或联系值班室。",
        "Not recognised here. Try again, or call the duty desk.",
    )
    assert not here.town.keypad(DOOR).shown[-1].green

    slowed = await here.town.present_pin(DOOR, "111111")
    assert slowed is not None
    assert (slowed["code"], slowed["retry_after_s"], slowed["door"]) == ("slow_down", 1, DOOR)
    assert slowed["en"] == "Slow down: try again in 1 s."

    async def accepted() -> bool:
        shown = await here.town.present_pin(DOOR, PIN)
        return bool(shown and shown["result"] == "Accepted")

    while not await accepted():
        assert here.town.keypad(DOOR).shown[-1].fields["code"] == "slow_down"
    assert here.town.keypad(DOOR).shown[-1].green
    await here.until(lambda: here.town.door(DOOR).pulses, what="no pulse")
    assert len(here.town.door(DOOR).pulses) == 1
    assert not here.platform.problems


async def test_who_comes_early_reads_when_their_booking_starts(here: Court) -> None:
    """A5: a card, or a PIN beside who one is; a bare PIN is compared with those valid now alone."""
    await ada_comes(here, start_min=120)
    for early in (
        await here.town.present_card(DOOR, "04:a1:b2:c3:d4"),
        await here.town.present_pin(DOOR, PIN, "Ada"),
    ):
        assert early is not None
        assert (early["result"], early["code"]) == ("NotAtThisTime", "too_early")
        assert early["en"].startswith("Your booking starts at ")
        assert early["zh"].startswith("您的预订从")
    bare = await here.town.present_pin(DOOR, PIN)
    assert bare is not None
    assert bare["code"] == "not_recognised"
    assert not here.town.door(DOOR).pulses


async def test_the_answer_comes_after_the_record_is_durable(here: Court) -> None:
    await ada_comes(here)
    database = here.data / "gateway.db"
    keypad, door = here.town.keypad(DOOR), here.town.door(DOOR)

    def durable() -> int:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reading:
            asked = "SELECT count(*) FROM journal WHERE fact = ?"
            return int(reading.execute(asked, (Fact.GRANTED.value,)).fetchone()[0])

    port = here.platform.address.port
    async with aiomqtt.Client("127.0.0.1", port) as beside:
        with sqlite3.connect(database, isolation_level=None) as busy:
            busy.execute("BEGIN IMMEDIATE")  # the disk takes its time
            await here.town.present_pin(DOOR, PIN, patience_ms=0)
            await here.sees(f"/doors/{DOOR}", lambda found: found["grant"], 5)
            # Whatever had left by now would be shown before this.
            await beside.publish("keypads/study/feedback", '{"code": "mark"}', qos=1)
            await here.until(lambda: keypad.shown, 5, "the mark")
            assert [one.fields["code"] for one in keypad.shown] == ["mark"]
            assert not door.pulses
            assert not durable()
            busy.execute("ROLLBACK")
        await here.until(lambda: len(keypad.shown) == 2, 5, "no answer")
        assert durable() == 1
    assert keypad.shown[-1].fields["code"] == "granted"
    await here.until(lambda: door.pulses, 5, "no pulse")
