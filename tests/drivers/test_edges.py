"""Edges in samples: presses (RULES E1), doors, supervised inputs (A3), changes."""

from collections.abc import Iterable

import pytest

from drivers.edges import Found, Watcher, watcher
from gateway.domain.points import Value
from gateway.domain.profile import Edge


def watch(edge: Edge) -> Watcher:
    made = watcher(edge)
    assert made is not None
    return made


def feed(watched: Watcher, samples: Iterable[tuple[int, Value]]) -> list[tuple[int, Found]]:
    """(time, found) for each sample that showed something."""
    found = [(at_ms, watched.take(value, at_ms)) for at_ms, value in samples]
    return [(at_ms, one) for at_ms, one in found if one]


def test_press_counts_at_its_first_active_sample_and_once_while_held() -> None:
    samples = [(0, False), (200, True), (400, True), (5_000, True)]
    assert feed(watch(Edge.PRESS), [(-2_000, False), *samples]) == [(200, Found(True))]


def test_press_rearms_only_after_one_second_inactive() -> None:
    button = watch(Edge.PRESS)
    bouncing = [(-1_000, False), (0, True), (200, False), (400, True), (600, False), (1_599, True)]
    assert feed(button, bouncing) == [(0, Found(True))]
    assert feed(button, [(1_700, False), (2_600, False), (2_700, True)]) == [(2_700, Found(True))]


def test_press_too_soon_for_another_counts_once_it_lasts_longer_than_a_bounce() -> None:
    """E1: a latched button that is pressed right after its reset belongs to a call."""
    button = watch(Edge.PRESS)
    assert feed(button, [(0, True), (5_000, False)]) == [(0, Found(True, 1, True))]
    assert feed(button, [(5_300, True)]) == []
    assert button.unsettled_ms == 6_300
    assert feed(button, [(6_200, True), (6_300, True)]) == [(6_300, Found(True))]
    assert button.unsettled_ms is None
    assert feed(button, [(9_000, True)]) == []


def test_press_found_active_at_first_sight_is_a_press() -> None:
    assert feed(watch(Edge.PRESS), [(0, True), (200, True)]) == [(0, Found(True, 1, True))]


def test_press_found_active_after_a_reconnect_is_a_press_even_if_it_was_held_before() -> None:
    button = watch(Edge.PRESS)
    feed(button, [(0, False), (2_000, True)])
    button.lost()
    assert feed(button, [(3_000, True)]) == [(3_000, Found(True, 1, True))]


def test_press_right_after_an_inactive_first_sight_counts() -> None:
    button = watch(Edge.PRESS)
    assert feed(button, [(0, False), (200, True)]) == [(200, Found(True))]
    feed(button, [(400, False)])
    button.lost()
    assert feed(button, [(500, False), (600, True)]) == [(600, Found(True))]


def test_counter_tells_how_many_presses_and_survives_a_reset() -> None:
    counter = watch(Edge.PRESS)
    samples = [(0, 7), (200, 7), (400, 10), (600, 2), (800, 2)]
    assert feed(counter, samples) == [(400, Found(10, 3)), (600, Found(2, 2))]


def test_counter_tells_the_presses_made_while_the_device_was_lost() -> None:
    counter = watch(Edge.PRESS)
    feed(counter, [(0, 7)])
    counter.lost()
    assert feed(counter, [(9_000, 9)]) == [(9_000, Found(9, 2, True))]


def test_door_settles_for_100_ms_and_says_when_to_look_again() -> None:
    door = watch(Edge.DOOR)
    feed(door, [(0, False), (100, False)])
    assert door.value is False
    assert door.take(True, 500) is None
    assert door.unsettled_ms == 600
    assert door.take(True, 599) is None
    assert door.take(True, 600) == Found(True)
    assert door.unsettled_ms is None


def test_door_that_bounces_back_within_100_ms_was_brief_and_its_value_stands() -> None:
    door = watch(Edge.DOOR)
    feed(door, [(0, False), (100, False)])
    bouncing = [(500, True), (550, False), (700, False), (800, True), (850, False)]
    assert feed(door, bouncing) == [(550, Found(True, brief=True)), (850, Found(True, brief=True))]
    assert door.value is False


def test_door_at_first_sight_and_after_a_loss_is_told_as_found() -> None:
    door = watch(Edge.DOOR)
    assert feed(door, [(0, False), (100, False)]) == [(100, Found(False, 1, True))]
    door.lost()
    assert feed(door, [(900, True), (1_000, True)]) == [(1_000, Found(True, 1, True))]


def test_supervised_needs_two_equal_samples_in_a_row() -> None:
    fire = watch(Edge.SUPERVISED)
    assert feed(fire, [(0, False), (200, False)]) == [(200, Found(False, 1, True))]
    assert feed(fire, [(400, True), (600, False), (800, True), (1_000, True)]) == [
        (1_000, Found(True))
    ]


def test_supervised_sample_before_a_loss_does_not_pair_with_one_after_it() -> None:
    fire = watch(Edge.SUPERVISED)
    feed(fire, [(0, False), (200, False), (400, True)])
    fire.lost()
    assert feed(fire, [(600, True)]) == []
    assert feed(fire, [(800, True)]) == [(800, Found(True, 1, True))]


def test_change_tells_each_change() -> None:
    samples: list[tuple[int, Value]] = [(0, "A"), (1, "A"), (2, "B")]
    assert feed(watch(Edge.CHANGE), samples) == [(0, Found("A", 1, True)), (2, Found("B"))]


@pytest.mark.parametrize("edge", [Edge.NONE, Edge.CREDENTIAL])
def test_no_watcher_where_samples_show_nothing(edge: Edge) -> None:
    assert watcher(edge) is None
