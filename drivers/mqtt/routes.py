"""From a message to readings and happenings: the hot path.

Each topic leads to its route. A message that says what the last one said costs one compare, and a
`Reading` is built only for a value that changed by its deadband. A retained message is a reading at
most: never a happening, nor a sign of life.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from drivers.edges import Found, Watcher, watcher
from drivers.mqtt.happenings import Happenings
from drivers.mqtt.health import Bridge, DeviceState
from drivers.mqtt.rows import MISSING, Row, dig
from gateway.domain.errors import MalformedError
from gateway.domain.points import PointRef, Quality, Reading, Value
from gateway.domain.profile import Edge

PAYLOAD_MAX = 65_536  # far above what any device here says; more is garbage

Settle = Callable[[], None]


class Message(Protocol):
    """What a route needs of a message."""

    payload: bytes
    retain: bool
    dup: bool


class Route(Protocol):
    """Where the messages of one topic go."""

    def take(self, message: Message, settle: Settle | None) -> bool:
        """Take a message. True if `settle` will be called once what it caused is durable."""
        ...


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


_decoder = json.JSONDecoder(parse_constant=_no_constant)


def decode_json(payload: bytes, bytes_max: int = PAYLOAD_MAX) -> Any:
    """The JSON in a payload. Raises ValueError or RecursionError."""
    if len(payload) > bytes_max:
        raise ValueError("too long")
    return _decoder.decode(payload.decode())


def decode_object(payload: bytes) -> dict[str, Any]:
    """The JSON object in a payload. Raises ValueError or RecursionError."""
    if len(payload) > PAYLOAD_MAX:
        raise ValueError("too long")
    text = payload.decode()
    if text[:1] == "{":  # no white space before it: half the time
        body, end = _decoder.raw_decode(text)
        if end != len(text) and not text[end:].isspace():
            raise ValueError("more than one value")
    else:
        body = _decoder.decode(text)
    if type(body) is not dict:
        raise ValueError("not an object")
    return body


class Point:
    """One point as messages change it: what was last reported, and last told."""

    __slots__ = (
        "ask",
        "calm",
        "deadband",
        "echo",
        "edge",
        "key",
        "last",
        "ref",
        "row",
        "told",
        "watched",
        "watcher",
    )

    def __init__(self, ref: PointRef, row: Row, edge: Edge, deadband: float) -> None:
        self.ref = ref
        self.row = row
        self.edge = edge
        self.key = row.path[0] if len(row.path) == 1 else None
        self.deadband = deadband
        self.watcher: Watcher | None = None if row.momentary else watcher(edge)
        self.ask: Callable[[], None] | None = None  # for another report
        self.echo: Callable[[], None] | None = None  # told of reports that prove nothing yet
        self.forget()

    def forget(self) -> None:
        """What comes next is told, whatever it is."""
        self.last: Any = MISSING
        self.told: Reading | None = None
        self.watched = False
        self.calm = self.watcher is None
        if self.watcher is not None:
            self.watcher.lost()

    def settle(self) -> None:
        """It is calm once the same report again could be no happening."""
        self.calm = self.watcher is None or (self.watched and self.watcher.unsettled_ms is None)


class StateRoute:
    """Points of one device that are reported on one topic."""

    def __init__(
        self,
        state: DeviceState,
        happenings: Happenings,
        points: Sequence[Point],
        last_seen: str = "",
    ) -> None:
        self.points = tuple(points)
        self._standing = tuple(point for point in points if not point.row.momentary)
        self._momentary = tuple(point for point in points if point.row.momentary)
        self._state = state
        self._happenings = happenings
        self._json = any(point.row.path for point in points)
        self._last_seen = last_seen
        self._seen: Any = MISSING
        self._payload: bytes | None = None

    def forget(self) -> None:
        """The device was lost: its next message is told whole."""
        self._payload = None
        for point in self.points:
            point.forget()

    def take(self, message: Message, settle: Settle | None) -> bool:
        """One message of the device."""
        state, payload = self._state, message.payload
        state.sink.count("messages", state.device)
        if payload == self._payload:
            state.heard(state.clock.mono_ms(), message.retain, self._seen)
            return False
        if not payload and message.retain:
            return False  # the topic's retained message was removed
        try:
            body: Any = decode_object(payload) if self._json else _text(payload)
        except (ValueError, RecursionError):
            state.garbage()
            return False
        return self._take(body, message, settle)

    def _take(self, body: Any, message: Message, settle: Settle | None) -> bool:
        state = self._state
        mono_ms = state.clock.mono_ms()
        live = not message.retain
        settling, calm, sound = False, not self._momentary, True
        for point in self._standing:
            key = point.key
            raw = body.get(key, MISSING) if key is not None else dig(body, point.row.path)
            last = point.last
            if raw is MISSING or (raw == last and type(raw) is type(last) and point.calm):
                continue
            try:
                settling |= self._reported(point, raw, mono_ms, settle, live)
            except MalformedError:
                sound = False
                point.last = MISSING
                self._tell_bad(point, mono_ms)
            calm = calm and point.calm
        for point in self._momentary:
            if live:
                settling |= self._happened(point, body, mono_ms, settle)
        if not sound:
            self._payload = None
            state.garbage()
            return settling
        self._payload = message.payload if calm else None
        if self._last_seen:
            self._seen = body.get(self._last_seen, MISSING)
        state.heard(mono_ms, message.retain, self._seen)
        return settling

    def _happened(self, point: Point, body: Any, mono_ms: int, settle: Settle | None) -> bool:
        """A message may itself be a happening: a press, a lock's action."""
        raw = dig(body, point.row.path)
        if raw is MISSING or raw is None or point.edge is Edge.NONE:
            return False
        try:
            value = point.row.value(raw)
        except MalformedError:
            self._state.garbage()
            return False
        if value is None:
            return False
        detail = {
            name: found for name, path in point.row.detail if _scalar(found := dig(body, path))
        }
        point.told = None
        self._tell(point, value, mono_ms)
        return self._happenings.tell(point.ref, point.edge, Found(value), settle, detail)

    def _reported(
        self, point: Point, raw: Any, mono_ms: int, settle: Settle | None, live: bool
    ) -> bool:
        """A value that stands until the next report, and perhaps a happening in its change."""
        if point.echo is not None:
            point.echo()
            point.calm = False
            return False
        value = point.row.value(raw)
        point.last = raw
        if value is None:
            if raw is not None:
                self._tell_bad(point, mono_ms)  # the device itself does not know
            return False
        self._tell(point, value, mono_ms)
        if point.watcher is None:
            point.calm = True
            return False
        settling = live and self._watch(point, value, mono_ms, settle)
        point.settle()
        return settling

    def _watch(self, point: Point, value: Value, mono_ms: int, settle: Settle | None) -> bool:
        assert point.watcher is not None
        point.watched = True
        found = point.watcher.take(value, mono_ms)
        if found is not None:
            return self._happenings.tell(point.ref, point.edge, found, settle)
        unsettled_ms = point.watcher.unsettled_ms
        if unsettled_ms is not None and point.edge in (Edge.DOOR, Edge.PRESS):
            wait_s = max(0, unsettled_ms - mono_ms) / 1000
            asyncio.get_running_loop().call_later(wait_s, self._still_so, point, value)
        elif unsettled_ms is not None and point.ask is not None:
            point.ask()  # a second report, of its own, must agree (RULES A3)
        return False

    def _still_so(self, point: Point, value: Value) -> None:
        """A door or button said nothing else since: what it said stands."""
        told = point.told
        if point.watched and not point.calm and told is not None and told.value == value:
            self._watch(point, value, self._state.clock.mono_ms(), None)
            point.settle()

    def _tell(self, point: Point, value: Value, mono_ms: int) -> None:
        told = point.told
        if told is not None and told.quality is Quality.GOOD:
            before: Any = told.value
            if point.deadband:
                after: Any = value
                if -point.deadband < after - before < point.deadband:
                    return
            elif before == value:
                return
        wall_ms = self._state.clock.wall_ms()
        point.told = reading = Reading(point.ref, value, Quality.GOOD, wall_ms, mono_ms)
        self._state.sink.reading(reading)

    def _tell_bad(self, point: Point, mono_ms: int) -> None:
        if point.told is None or point.told.quality is not Quality.BAD:
            wall_ms = self._state.clock.wall_ms()
            point.told = Reading(point.ref, None, Quality.BAD, wall_ms, mono_ms)
            self._state.sink.reading(point.told)


class StatusRoute:
    """A topic that says whether a device, or the bridge in front of several, is there."""

    def __init__(
        self, path: tuple[str, ...], words: tuple[str, str], said: Callable[[bool, bool], None]
    ) -> None:
        """`words` are those for there and gone; `said(there, retained)` is told."""
        self._path = path
        self._words = words
        self._said = said

    def take(self, message: Message, settle: Settle | None) -> bool:  # noqa: ARG002 (a Route)
        """Text as it stands, or in JSON. Other words say nothing."""
        try:
            text = _text(message.payload).strip()
            word = dig(_decoder.decode(text), self._path) if text.startswith("{") else text
        except (ValueError, RecursionError):
            return False
        if word in self._words:
            self._said(word == self._words[0], message.retain)
        return False


def bridge_said(bridge: Bridge, mono_ms: Callable[[], int]) -> Callable[[bool, bool], None]:
    """What a bridge's status topic leads to."""

    def said(there: bool, retained: bool) -> None:
        bridge.reported(there, mono_ms(), retained)

    return said


def _text(payload: bytes) -> str:
    if len(payload) > PAYLOAD_MAX:
        raise ValueError("too long")
    return payload.decode()


def _scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float | str) and value is not MISSING
