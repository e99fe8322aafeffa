"""Takes each step of an escalation to its channels, side by side (RULES E4, E9).

- It hears a step when it is decided, not when it is stored: a lost disk silences no call (X1).
- Outputs are the reconciler's; every other channel gets a task of its own, which starts once the
  outputs are on their way. None waits for another, none is grouped, none is dropped.
- A channel that fails is tried again, at growing intervals, while nobody has answered the call and
  until a later step tells the same channel. The first failure and the success are facts.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from gateway.domain.calls import Call
from gateway.domain.errors import GatewayError
from gateway.domain.events import CallNotified
from gateway.domain.now import Now
from gateway.domain.records import Fact, Record
from gateway.domain.site import Channel, ChannelKind
from gateway.domain.state import Decision
from gateway.notify.body import body
from gateway.ports import Engine, Notification, Notifier, Views

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Times:
    """How soon, and how often again."""

    after_outputs_s: float = 0.01
    again_s: float = 2.0
    again_max_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of a call, and when it was taken."""

    call: str
    number: int
    decided: Now


class Dispatcher:
    """Notifies. `decided` is called with every decision; `stop` ends what is under way."""

    def __init__(
        self,
        engine: Engine,
        views: Views,
        notifiers: Mapping[ChannelKind, Notifier],
        times: Times | None = None,
    ) -> None:
        self._engine = engine
        self._views = views
        self._notifiers = dict(notifiers)
        self._times = times or Times()
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}  # by call and channel
        self._tasks: set[asyncio.Task[None]] = set()

    def decided(self, decision: Decision) -> None:
        """Act on the steps among what was decided. Never blocks, never raises."""
        for record in decision.records:
            if record.fact is Fact.CALL_STEP:
                self._step(record)

    @property
    def under_way(self) -> int:
        """How many channels are being told, or will be again."""
        return len(self._tasks)

    async def stop(self) -> None:
        """End what is under way: a call that is still open is raised again by the next start."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.2)

    def _step(self, record: Record) -> None:
        call, step = str(record.data["call"]), int(record.data["step"])
        now = self._views.now()
        for name in record.data["channels"]:
            channel = self._views.site.safety.channels.get(name)
            if channel is None or channel.kind is ChannelKind.OUTPUT:
                continue
            task = asyncio.create_task(
                self._tell(_Step(call, step, now), channel), name=f"{name} {call}"
            )
            self._latest[call, name] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, step: _Step, channel: Channel) -> None:
        await asyncio.sleep(self._times.after_outputs_s)
        key, wait_s, failed = (step.call, channel.id), self._times.again_s, False
        while True:
            delivered, detail = await self._try(step, channel)
            if delivered or not failed:
                told = CallNotified(step.call, step.number, channel.id, delivered, detail)
                self._engine.tell(told)
            failed = True
            if delivered:
                break
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._times.again_max_s)
            call = self._views.state.get(Call, step.call)
            superseded = self._latest.get(key) is not asyncio.current_task()
            if superseded or call is None or not call.unanswered:
                break
        if self._latest.get(key) is asyncio.current_task():
            del self._latest[key]

    async def _try(self, step: _Step, channel: Channel) -> tuple[bool, str]:
        """Deliver once: whether it was, and the detail."""
        notifier = self._notifiers.get(channel.kind)
        if notifier is None:
            return False, f"nothing here serves channels of the kind {channel.kind.value}"
        call = self._views.state.get(Call, step.call)
        if call is None:
            return False, "the call is over"
        said = body(self._views.site, call, step.number, self._views.now().wall_ms)
        notification = Notification(call.id, step.number, channel, said, step.decided)
        try:
            return True, await notifier.deliver(notification)
        except GatewayError as error:
            return False, str(error)
        except Exception as error:
            # A bug in one channel must leave the others, and the next try, alone.
            log.exception("notifier_failed", channel=channel.id)
            return False, f"{type(error).__name__}: {error}"
