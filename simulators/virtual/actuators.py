"""What a write does to the things behind a point, where no wire is in between.

A pattern that the gateway plays stands as a closed relay here: its beats are keep-alives, and what
nobody plays any more goes dark after `LEASE_MS` (DESIGN §2.1).
"""

from gateway.domain.points import Lease, Level, PointRef, Pulse, Setpoint
from gateway.runtime.reconcile import LEASE_MS
from simulators.models.relay import Relay
from simulators.town import Town, channel_of


def act(town: Town, setpoint: Setpoint, now_ms: int) -> None:
    """The device does what it was told."""
    ref = setpoint.ref
    match setpoint:
        case Pulse():
            _release(town, setpoint, now_ms)
        case Lease(plays=True):
            for relay in _signalled(town, ref):
                relay.write(setpoint.value != "off", now_ms)
        case Level() | Lease():
            _switch(town, setpoint, now_ms)


def fall_silent(town: Town, ref: PointRef, now_ms: int) -> None:
    """Nobody plays a pattern any more: it runs out by itself."""
    for relay in _signalled(town, ref):
        if relay.on(now_ms):
            relay.flash(True, LEASE_MS, now_ms)


def _release(town: Town, pulse: Pulse, now_ms: int) -> None:
    lock = town.locks.get(pulse.ref.device)
    if lock is not None:
        lock.unlock(now_ms)
    else:
        town.relay(pulse.ref).flash(True, pulse.length_ms, now_ms)


def _switch(town: Town, setpoint: Level | Lease, now_ms: int) -> None:
    ref, value = setpoint.ref, setpoint.value
    channel = channel_of(ref)
    if channel is not None:
        town.relays[ref.device, channel].write(bool(value), now_ms)
    elif ref.device in town.plugs and isinstance(value, bool):
        town.plugs[ref.device].switch(value, now_ms)
    else:
        town.write(ref, value, now_ms)
        if ref in town.switches:
            town.switches[ref](bool(value), now_ms)


def _signalled(town: Town, ref: PointRef) -> tuple[Relay, ...]:
    """The relays of a siren or lamp: of a board, or the horn and strobe of a sounder."""
    sounder = town.sounders.get(ref.device)
    if sounder is not None:
        return (sounder.horn, sounder.strobe)
    return (town.relay(ref),)
