"""One broker and the devices behind it, over two sessions (DESIGN §8).

*Calls* is kept by the broker over our absence and acknowledged once durable: every topic of a
device that has a call point. *Rest* is not: a card tap must never hold back a call, nor a queued
PIN open a door to an empty corridor. Everything we say goes out over *rest*.
"""

import asyncio

from drivers.mqtt import binding
from drivers.mqtt.layout import Routes, lay_out
from drivers.mqtt.readers import CREDENTIAL_AGE_MS
from drivers.mqtt.routes import Message, Settle
from drivers.mqtt.session import Receive, Session
from drivers.mqtt.writes import Writer
from gateway.domain.faults import Health
from gateway.domain.points import Setpoint, WriteOutcome
from gateway.ports import LinkSetup

RETRY_MAX_S = 30.0
RETRY_MAX_CALLS_S = 2.0
STORED_MS = 5_000
BEAT_S = 1.0


class MqttDriver:
    """The driver of one link."""

    def __init__(self, setup: LinkSetup) -> None:
        self._setup = setup
        self._beat_ms = setup.clock.mono_ms()
        self._problems: dict[str, str] = {}
        bound = binding.parse(setup.link)
        self._rest = Session(bound, "rest", self._never, self._rest_changed)
        self._layout = lay_out(setup, self._stalled, self._rest)
        self._rest.receive = self._receiver(self._layout.rest)
        self._rest.topics = tuple(self._layout.rest)
        self._sessions = [self._rest]
        if self._layout.calls:
            receive = self._receiver(self._layout.calls)
            calls = Session(bound, "calls", receive, self._calls_changed, lasting=not bound.trial)
            calls.topics = tuple(self._layout.calls)
            calls.resumed = self._calls_resumed
            self._sessions.append(calls)
        self._writer = Writer(self._rest, self._layout.targets, setup.clock)
        self._problems = {session.name: "not connected yet" for session in self._sessions}
        self._told: Health = Health.UNKNOWN

    async def run(self) -> None:
        """Serve the link until cancelled."""
        wait_max_s = RETRY_MAX_CALLS_S if self._layout.calls else RETRY_MAX_S
        tasks = [asyncio.create_task(session.run(wait_max_s)) for session in self._sessions]
        tasks.append(asyncio.create_task(self._beat()))
        try:
            await asyncio.gather(*tasks)
        finally:
            self._writer.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def write(self, setpoint: Setpoint, *, urgent: bool = False) -> WriteOutcome:
        """Write one setpoint. All are urgent here: nothing is queued before them."""
        del urgent
        return await self._writer.write(setpoint)

    def _receiver(self, routes: Routes) -> Receive:
        """What takes each message of a session to its routes."""
        by_topic = {topic: tuple(found) for topic, found in routes.items()}
        sink = self._setup.sink

        def receive(topic: str, message: Message, settle: Settle | None) -> bool:
            found = by_topic.get(topic)
            if found is None:
                sink.count("unknown_topics")
                return False
            settling = False
            for route in found:
                settling |= route.take(message, settle)
            return settling

        return receive

    def _never(self, _topic: str, _message: Message, _settle: Settle | None) -> bool:
        raise AssertionError("replaced before the session runs")

    # --- health ---------------------------------------------------------------------------------

    def _rest_changed(self, up: bool, detail: str) -> None:
        if up:
            for ask in self._layout.asks:
                self._rest.send(ask)
        else:
            self._forget_status()
        self._changed("rest", up, detail)

    def _calls_changed(self, up: bool, detail: str) -> None:
        self._changed("calls", up, detail)

    def _calls_resumed(self) -> None:
        """What comes now may be hours old: calls all the same, but no sign of life (E5)."""
        until_ms = self._setup.clock.mono_ms() + STORED_MS
        for state in self._layout.calling:
            state.stored_until_ms = until_ms

    def _changed(self, name: str, up: bool, detail: str) -> None:
        """The link is up while all its sessions are."""
        if up:
            self._problems.pop(name, None)
            self._setup.sink.count("reconnects")
        else:
            self._problems[name] = detail
        health = Health.SILENT if self._problems else Health.ONLINE
        if health is Health.SILENT and up:
            return  # one of two: the other is on its way, or its trouble was told
        if health is self._told:
            return
        self._told = health
        self._setup.sink.link_health(health, "; ".join(self._problems.values()))
        if health is Health.ONLINE:
            self._regained()
        else:
            self._lost()

    def _lost(self) -> None:
        self._writer.lost()
        for state in self._layout.states.values():
            state.lost()

    def _forget_status(self) -> None:
        """Availability is retained: it comes again with the next subscription."""
        for bridge in self._layout.bridges.values():
            bridge.online = None
        for state in self._layout.states.values():
            state.available = None

    def _regained(self) -> None:
        for state in self._layout.states.values():
            state.regained()

    # --- was the loop held? ---------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            self._beat_ms = self._setup.clock.mono_ms()
            await asyncio.sleep(BEAT_S)

    def _stalled(self) -> bool:
        """We were asleep: what is read now may have waited in the socket all the while."""
        return self._setup.clock.mono_ms() - self._beat_ms > CREDENTIAL_AGE_MS
