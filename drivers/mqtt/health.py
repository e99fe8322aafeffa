"""How a device on a broker is, from what its bridge, its will and its messages say.

Rules:
- *Heard* (RULES E5): the device's own last-seen moved on, or a live message came, neither retained
  nor within 60 s of a bridge's start: bridges republish what they remember.
- Silent: its availability or its bridge says offline. Nothing else makes it silent here: a battery
  device may well say nothing for hours, and how long is too long is the core's to judge.
- Garbage that lasts (RULES X2) and flooding degrade it, until it has behaved for a while.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from drivers.mqtt.rows import MISSING
from gateway.domain.faults import Health
from gateway.domain.points import Freshness
from gateway.ports import Clock, Sink

BRIDGE_START_MS = 60_000
FRESH_MS = 60_000
ANSWERS_MS = 2_000  # a device that was asked answers within so long
GARBAGE_DEGRADES, GARBAGE_COSTS, GARBAGE_MOST = 10, 2, 20


class Bridge:
    """What stands between a broker and its devices (Zigbee2MQTT)."""

    __slots__ = ("devices", "name", "online", "started_ms")

    def __init__(self, name: str) -> None:
        self.name = name
        self.online: bool | None = None
        self.started_ms: int | None = None
        self.devices: list[DeviceState] = []

    def reported(self, online: bool, mono_ms: int, retained: bool) -> None:
        """The bridge, or its will, said how it is. A start, seen or possible, opens the window."""
        if online and not (retained and self.online):
            self.started_ms = mono_ms
        self.online = online
        for device in self.devices:
            device.judge()

    def republishes(self, mono_ms: int) -> bool:
        """It may still be repeating what it remembers."""
        return self.started_ms is not None and mono_ms - self.started_ms < BRIDGE_START_MS


class DeviceState:
    """One device: whether it is heard, and its health as last told."""

    def __init__(self, device: str, sink: Sink, clock: Clock, freshness: Freshness) -> None:
        self.device = device
        self.sink = sink
        self.clock = clock
        self.freshness = freshness
        self.bridge: Bridge | None = None
        self.available: bool | None = None
        self.silent_with_link = False
        self.stored_until_ms = 0  # until then, messages may be ones that the broker kept for us
        self.on_silent: Callable[[], None] = lambda: None
        self._garbage = 0
        self._degraded = False
        self._last_seen: Any = MISSING
        self._told: tuple[Health, str, str] = (Health.UNKNOWN, "device_silent", "")
        self._floods: set[object] = set()
        self._heard = False  # since the link came up
        self._asked_ms: int | None = None

    @property
    def reachable(self) -> bool:
        """Nothing says that it is offline."""
        bridged = self.bridge is None or self.bridge.online is not False
        return bridged and self.available is not False

    def heard(self, mono_ms: int, retained: bool, last_seen: Any = MISSING) -> None:
        """A good message came. `last_seen` is the device's own, where it has one."""
        if self._garbage:
            self._better()
        if last_seen is not MISSING and last_seen is not None:
            live = self._moved_on(last_seen)
            self._last_seen = last_seen
        else:
            cached = self.bridge is not None and self.bridge.republishes(mono_ms)
            live = not retained and (not cached or self._answers(mono_ms))
        live = live and mono_ms >= self.stored_until_ms
        if live:
            self.freshness.heard_ms = mono_ms
            if not self._heard:
                self._heard = True
                self.judge()

    def asked(self) -> None:
        """It was asked for what it is: what comes at once is its answer, and from no cache."""
        self._asked_ms = self.clock.mono_ms()

    def _answers(self, mono_ms: int) -> bool:
        return self._asked_ms is not None and mono_ms - self._asked_ms < ANSWERS_MS

    def garbage(self) -> None:
        """A message made no sense: counted, and a fault if it lasts."""
        self.sink.count("garbage", self.device)
        self._garbage = min(GARBAGE_MOST, self._garbage + GARBAGE_COSTS)
        if self._garbage >= GARBAGE_DEGRADES and not self._degraded:
            self._degraded = True
            self.judge()

    def flooding(self, source: object, flooding: bool) -> None:
        """One source in it sends more than can be handled, or no longer does."""
        if flooding is not (source in self._floods):
            (self._floods.add if flooding else self._floods.remove)(source)
            self.judge()

    def lost(self) -> None:
        """Its link went down."""
        self.silent_with_link = True
        self._heard = False
        self.judge()

    def regained(self) -> None:
        """Its link is up again."""
        self.silent_with_link = False
        self.judge()

    def reported_available(self, available: bool, retained: bool) -> None:
        """Its availability topic, or its will, said how it is."""
        if available and not retained and self.bridge is None:
            self.freshness.heard_ms = self.clock.mono_ms()
            self._heard = True
        self.available = available
        self.judge()

    def judge(self) -> None:
        """Tell the health if it changed."""
        found = self._health()
        if found == self._told:
            return
        before, self._told = self._told, found
        if before[0] is Health.SILENT and found[0] is Health.DEGRADED:
            self.sink.device_health(self.device, Health.ONLINE, "ok")
        self.sink.device_health(self.device, *found)
        if found[0] is Health.SILENT:
            self.on_silent()

    def _health(self) -> tuple[Health, str, str]:
        bridge = self.bridge
        silences = (
            (self.silent_with_link, "its link is down"),
            (bridge is not None and bridge.online is False, f"{bridge and bridge.name} is offline"),
            (self.available is False, "offline, as its availability says"),
        )
        for holds, detail in silences:
            if holds:
                return (Health.SILENT, "device_silent", detail)
        if self._floods:
            return (Health.DEGRADED, "flooding", "")
        if self._degraded:
            return (Health.DEGRADED, "garbage", "")
        if self.available or self._heard:
            return (Health.ONLINE, "ok", "")
        return (Health.UNKNOWN, "device_silent", "")

    def _better(self) -> None:
        self._garbage -= 1
        if self._degraded and self._garbage == 0:
            self._degraded = False
            self.judge()

    def _moved_on(self, last_seen: Any) -> bool:
        """It was seen since we last looked; at first sight, it was seen just now."""
        if self._last_seen is not MISSING:
            return bool(last_seen != self._last_seen)
        now = self.clock.now()
        seen_ms = _wall_ms(last_seen)
        return now.trusted and seen_ms is not None and now.wall_ms - seen_ms < FRESH_MS


def _wall_ms(last_seen: Any) -> int | None:
    """Zigbee2MQTT's `last_seen`: ISO 8601 or epoch milliseconds."""
    if isinstance(last_seen, int) and not isinstance(last_seen, bool):
        return last_seen
    if isinstance(last_seen, str):
        try:
            moment = datetime.fromisoformat(last_seen)
        except ValueError:
            return None
        return int(moment.timestamp() * 1000) if moment.tzinfo else None
    return None
