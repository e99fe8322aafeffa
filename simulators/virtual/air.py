"""What devices on MQTT say, on its way: at once, or late and some of it twice (QoS 1).

Rules:
- A device's messages arrive in the order in which it said them. One whose acknowledgement was lost
  is said again, and with it all that the device has said since: it cannot know what got through.
- A press stays at the broker until somebody took it: kept while nobody is there, told again to the
  next process if the last one died before it acknowledged it, and to none twice. It is
  acknowledged once it is durable, or after 2 s.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from drivers.mqtt.held import SETTLE_S
from gateway.domain.events import PointEdge
from simulators.virtual.gateway import VirtualGateway
from simulators.virtual.schedule import Schedule

LATE_MS, LATE_MOST_MS = 1_500, 8_000  # on the average, at most
TWICE = 0.25
AGAIN_MS = (20, 2_000)  # a device misses its acknowledgement
SETTLE_MS = round(SETTLE_S * 1_000)

Deed = Callable[[], None]


@dataclass(slots=True)
class _Path:
    """The way of one device to the gateway."""

    slow: int = 0  # by so many troubles
    free_ms: int = 0  # when the last message on it arrives
    open: int = 0  # what will yet arrive, for the first time or again
    arrived: deque[tuple[int, Deed]] = field(default_factory=deque)  # of late, with the time


class Air:
    """The ways of all devices."""

    def __init__(self, schedule: Schedule, random: Random) -> None:
        self._schedule = schedule
        self._random = random
        self._paths: dict[str, _Path] = {}  # those on which anything is late

    def late(self, device: str) -> bool:
        """What it says takes its time, or something that it said still does."""
        return device in self._paths

    def slow(self, devices: Iterable[str]) -> Deed:
        """From now on what these say is late; how that ends."""
        ids = tuple(devices)
        for id_ in ids:
            self._paths.setdefault(id_, _Path()).slow += 1

        def end() -> None:
            for id_ in ids:
                self._paths[id_].slow -= 1
                self._clear(id_)

        return end

    def say(self, device: str, arrives: Deed) -> None:
        """A message leaves its device; it may arrive more than once."""
        path = self._paths.get(device)
        if path is None:
            arrives()
            return
        late_ms = int(self._random.expovariate(1 / LATE_MS)) if path.slow else 0
        at_ms = self._schedule.now_ms + min(late_ms, LATE_MOST_MS)
        path.free_ms = max(path.free_ms, at_ms)
        path.open += 1
        self._schedule.at(path.free_ms, partial(self._arrive, device, path, arrives))

    def _arrive(self, device: str, path: _Path, arrives: Deed) -> None:
        now_ms = self._schedule.now_ms
        while path.arrived and path.arrived[0][0] < now_ms - AGAIN_MS[1]:
            path.arrived.popleft()
        said = (now_ms, arrives)
        path.arrived.append(said)
        arrives()
        path.open -= 1
        if path.slow and self._random.random() < TWICE:
            path.open += 1
            again = partial(self._again, device, path, said)
            self._schedule.after(self._random.randint(*AGAIN_MS), again)
        self._clear(device)

    def _again(self, device: str, path: _Path, said: tuple[int, Deed]) -> None:
        messages = list(path.arrived)
        first = next(n for n, one in enumerate(messages) if one is said)
        for _, arrives in messages[first:]:
            arrives()
        path.open -= 1
        self._clear(device)

    def _clear(self, device: str) -> None:
        path = self._paths[device]
        if not path.slow and not path.open:
            del self._paths[device]


@dataclass(slots=True, eq=False)
class _Press:
    edge: PointEdge
    told: VirtualGateway | None = None


class Presses:
    """The presses that a broker keeps. `hand_over` tells one, and calls back once it is durable."""

    def __init__(
        self,
        schedule: Schedule,
        reached: Callable[[PointEdge], VirtualGateway | None],
        hand_over: Callable[[PointEdge, Deed], None],
    ) -> None:
        """`reached` is the process that would hear it now."""
        self._schedule = schedule
        self._reached = reached
        self._hand_over = hand_over
        self._kept: list[_Press] = []

    def take(self, edge: PointEdge) -> None:
        """A press has arrived."""
        self._kept.append(_Press(edge))
        self.deliver()

    def deliver(self) -> None:
        """Whoever can hear what is kept and has not heard it hears it."""
        for press in list(self._kept):
            gateway = self._reached(press.edge)
            if gateway is not None and press.told is not gateway:
                press.told = gateway
                self._schedule.after(SETTLE_MS, partial(self._settle, press, gateway))
                self._hand_over(press.edge, partial(self._settle, press, gateway))

    def _settle(self, press: _Press, by: VirtualGateway) -> None:
        if press in self._kept and by.alive and self._reached(press.edge) is by:
            self._kept.remove(press)
