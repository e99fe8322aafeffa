"""The links of the simulated world, as a gateway's drivers would use them."""

from gateway.domain.now import HOUR_MS
from gateway.domain.points import Lease, Setpoint
from gateway.domain.reasons import reason
from simulators.world import World


def test_writes_to_a_device_arrive_in_the_order_in_which_they_left() -> None:
    """Each takes its own time, and none overtakes another: an `off` is the last word."""
    world = World(2, 0.2)
    world.troubles.kinds = ()
    call_point = min(world.site.safety.call_points.values(), key=lambda one: one.id)
    (siren,) = call_point.outputs.sirens
    told: list[int] = []

    def outcome(setpoint: Setpoint) -> None:
        if isinstance(setpoint, Lease) and setpoint.ref == siren:
            told.append(setpoint.until_mono_ms)

    def write() -> None:
        for number in range(50):
            lease = Lease(siren, "off", True, reason("call_over"), number)
            world.place.links.write(lease, lambda _outcome: None)

    world.place.links.outcome = outcome
    world.schedule.after(HOUR_MS, write)
    assert world.run().breach is None
    assert told == list(range(50))
