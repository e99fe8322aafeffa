"""A lock on the air reports our own release as an action of its own."""

import pytest
from core.harness import World

from gateway.domain.records import Fact


@pytest.mark.parametrize(("source", "own"), [("rf", False), ("zigbee", False), ("keypad", True)])
def test_our_own_release_is_no_opening_by_the_locks_own_user(source: str, own: bool) -> None:
    """A9: `rf` is Zigbee2MQTT's name for a command over the air."""
    world = World()
    detail = {"action_source_name": source, "action_user": 7 if own else 65535}
    world.edge("lock/action", "unlock", detail=detail)
    assert bool(world.facts(Fact.LOCK_OWN_CREDENTIAL)) is own
