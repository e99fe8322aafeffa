"""Setpoints as messages.

Rules:
- A pulse is published once for its token, never after its `until`, never retained, and not to a
  device that is known to be away: a broker might hold it until the device is back (RULES A4).
- A level's own echo proves nothing: after writing, what the device is said to be is not believed
  until we have asked it. A little later it is asked once more for all that it can be asked for: a
  register that was read after the switch moved opens and closes a session (RULES C3).
- A lease is a timed command of the device, repeated at half its time while it is renewed; when we
  stop, it runs out by itself.
- What cannot leave now is refused, and nothing of it is kept.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.mqtt.health import DeviceState
from drivers.mqtt.routes import Point
from drivers.mqtt.session import Outgoing, Session
from gateway.domain.points import (
    Lease,
    Level,
    PointRef,
    Pulse,
    Setpoint,
    Value,
    WriteOutcome,
    WriteResult,
)
from gateway.ports import Clock

ACKNOWLEDGED_S = 3.0
ECHO_S = 1.0
AGAIN_S = 1.5  # past the second within which an answer may be to an older question
SPENT_KEPT = 256


@dataclass(frozen=True, slots=True)
class Target:
    """How one point of one device is written and asked for; `asks` are those of all its points."""

    state: DeviceState
    topic: str
    payload: str | Mapping[Any, str]
    length_ms: int
    ask: Outgoing | None
    point: Point | None
    asks: Sequence[Outgoing] = ()

    def message(self, value: Value, expiry_s: int | None = None) -> Outgoing:
        """The message that asks for a value. A pattern it does not know is played as `on`."""
        if isinstance(self.payload, str):
            text = self.payload.replace("{value}", json.dumps(value, ensure_ascii=False))
            return Outgoing(self.topic, text, expiry_s)
        payload = self.payload.get(value)
        return Outgoing(self.topic, self.payload["on"] if payload is None else payload, expiry_s)


@dataclass(slots=True)
class _Playing:
    value: Value
    said_ms: int

    def still(self, value: Value, now_ms: int, length_ms: int) -> bool:
        """It plays this already, and need not be told again yet."""
        told_lately = value == "off" or now_ms - self.said_ms < length_ms // 2
        return value == self.value and told_lately


class Writer:
    """Writes setpoints through one session."""

    def __init__(self, session: Session, targets: Mapping[PointRef, Target], clock: Clock) -> None:
        self._session = session
        self._targets = targets
        self._clock = clock
        self._spent: dict[str, None] = {}
        self._playing: dict[PointRef, _Playing] = {}
        self._proofs: dict[PointRef, asyncio.Task[None]] = {}

    async def write(self, setpoint: Setpoint) -> WriteOutcome:
        """Write one setpoint; how it ended."""
        target = self._targets.get(setpoint.ref)
        if target is None:
            return _refused(f"{setpoint.ref} cannot be written")
        match setpoint:
            case Pulse():
                return await self._pulse(target, setpoint)
            case Level():
                return await self._level(target, setpoint)
            case Lease():
                return await self._lease(target, setpoint)

    def lost(self) -> None:
        """The link went down: what devices play now is not known."""
        self._playing.clear()

    def stop(self) -> None:
        """End what is under way."""
        for task in self._proofs.values():
            task.cancel()

    async def _pulse(self, target: Target, pulse: Pulse) -> WriteOutcome:
        left_ms = pulse.until_mono_ms - self._clock.mono_ms()
        if left_ms <= 0:
            return _refused("too late")
        if not target.state.reachable:
            return _refused("the device is offline")
        if pulse.token in self._spent:
            return WriteOutcome(WriteResult.UNKNOWN, "sent before")
        if target.ask is not None:
            self._session.send(target.ask)
        self._spent[pulse.token] = None
        while len(self._spent) > SPENT_KEPT:
            del self._spent[next(iter(self._spent))]
        message = target.message(True, expiry_s=max(1, left_ms // 1000))
        outcome = await self._session.publish(message, min(ACKNOWLEDGED_S, left_ms / 1000))
        if outcome.result is WriteResult.REFUSED:
            self._spent.pop(pulse.token, None)  # nothing left, or the broker took nothing
        return outcome

    async def _level(self, target: Target, level: Level) -> WriteOutcome:
        if target.ask is not None and target.point is not None:
            self._prove(target, target.point)
        return await self._session.publish(target.message(level.value), ACKNOWLEDGED_S)

    async def _lease(self, target: Target, lease: Lease) -> WriteOutcome:
        now_ms = self._clock.mono_ms()
        if now_ms >= lease.until_mono_ms and lease.value != "off":
            return _refused("too late")
        playing = self._playing.get(lease.ref)
        if playing is not None and playing.still(lease.value, now_ms, target.length_ms):
            return WriteOutcome(WriteResult.SENT)
        expiry_s = max(1, target.length_ms // 1000)
        outcome = await self._session.publish(target.message(lease.value, expiry_s), ACKNOWLEDGED_S)
        if outcome.result is WriteResult.SENT:
            self._playing[lease.ref] = _Playing(lease.value, now_ms)
        else:
            self._playing.pop(lease.ref, None)
        return outcome

    def _prove(self, target: Target, point: Point) -> None:
        """Disbelieve the echo, then ask the device, and a little later what else it can say."""
        before = self._proofs.pop(point.ref, None)
        if before is not None:
            before.cancel()
        echoed = asyncio.Event()
        point.echo = echoed.set
        self._proofs[point.ref] = asyncio.create_task(self._ask(target, point, echoed))

    async def _ask(self, target: Target, point: Point, echoed: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):  # it does not echo: all the better
            async with asyncio.timeout(ECHO_S):
                await echoed.wait()
        point.echo = None
        assert target.ask is not None
        self._session.send(target.ask)
        await asyncio.sleep(AGAIN_S)
        target.state.asked()
        for ask in target.asks:
            self._session.send(ask)


def _refused(detail: str) -> WriteOutcome:
    return WriteOutcome(WriteResult.REFUSED, detail)
