"""Readings know what was heard, and what is still to be."""

from gateway.runtime.readings import Readings


def test_a_start_waits_for_what_is_polled_and_for_no_button_that_speaks_when_pressed() -> None:
    readings = Readings()
    button = readings.freshness("sos", ["pressed"], expected_ms=14_400_000)
    board = readings.freshness("board", ["input_1"], expected_ms=500)
    assert readings.unheard(60_000)
    board.heard_ms = 1
    assert not readings.unheard(60_000)
    assert button.heard_ms is None
