"""From a message to readings and happenings: the hot path.

Each topic leads to its route; a message that says what the last one said costs one compare, and a
`Reading` is built only for a value that changed by more than its deadband.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from drivers.edges import Found, Watcher
from drivers.mqtt.health import DeviceState
from drivers.mqtt.rows import MISSING, Row, dig, split
from drivers.mqtt.session import PAYLOAD_MAX
from gateway.domain.errors import MalformedError
from gateway.domain.events import CredentialPresented, PointEdge
from gateway.domain.points import PointRef, Quality, Reading, Value
from gateway.domain.profile import Edge
from gateway.domain.subjects import Presented
from gateway.ports import Credentials

CREDENTIAL_AGE_MS = 10_000

Settle = Callable[[], None]
Columns = Mapping[str, Any]


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


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


class Point:
    """One point as messages change it: the last report, value and happening."""

    __slots__ = ("deadband", "edge", "key", "last", "quality", "ref", "row", "told", "watcher")

    def __init__(self, ref: PointRef, row: Row, edge: Edge, watcher: Watcher | None) -> None:
        self.ref = ref
        self.row = row
        self.edge = edge
        self.watcher = None if row.momentary else watcher
        self.key = row.path[0] if len(row.path) == 1 else None
        self.deadband = 0.0
        self.forget()

    def forget(self) -> None:
        """What comes next is told, whatever it is."""
        self.last: Any = MISSING
        self.told: Value | None = None
        self.quality = Quality.UNKNOWN
        if self.watcher is not None:
            self.watcher.lost()


class StateRoute:
    """Points of one device that are reported on one topic."""

    def __init__(self, state: DeviceState, points: Sequence[Point], last_seen: str = "") -> None:
        self.points = tuple(points)
        self._state = state
        self._json = any(point.row.path for point in points)
        self._last_seen = last_seen
        self._happens = any(point.row.momentary for point in points)
        self._payload = b""
        self._presses: dict[PointRef, int] = {}

    def forget(self) -> None:
        """The device was lost: its next message is told whole."""
        self._payload = b""
        for point in self.points:
            point.forget()

    def take(self, message: Message, settle: Settle | None) -> bool:
        """One message of the device."""
        state, payload = self._state, message.payload
        state.sink.count("messages", state.device)
        if payload == self._payload and not self._happens and self._settled():
            state.heard(state.clock.mono_ms(), message.retain, MISSING)
            return False
        if not payload and message.retain:
            return False  # the topic's retained message was removed
        try:
            body = self._body(payload)
        except (ValueError, RecursionError):
            state.garbage()
            return False
        self._payload = payload
        return self._take_body(body, message.retain, settle)

    def _body(self, payload: bytes) -> Any:
        if len(payload) > PAYLOAD_MAX:
            raise ValueError("too long")
        text = payload.decode()
        if not self._json:
            return text
        body = _decode(text)
        if type(body) is not dict:
            raise ValueError("not an object")
        return body

    def _take_body(self, body: Any, retained: bool, settle: Settle | None) -> bool:
        state = self._state
        mono_ms = state.clock.mono_ms()
        settling = False
        sound = True
        for point in self.points:
            key = point.key
            raw = body.get(key, MISSING) if key is not None else dig(body, point.row.path)
            if raw is MISSING or (raw is None and point.row.momentary):
                continue
            try:
                if point.row.momentary:
                    settling |= not retained and self._happened(point, raw, body, settle, mono_ms)
                elif raw != point.last or type(raw) is not type(point.last) or _open(point):
                    self._changed(point, raw, mono_ms)
                    settling |= not retained and self._watched(point, mono_ms, settle)
            except MalformedError:
                sound = False
                self._implausible(point, raw, mono_ms)
        if sound:
            seen = body.get(self._last_seen, MISSING) if self._last_seen else MISSING
            state.heard(mono_ms, retained, seen)
        else:
            state.garbage()
        return settling

    def _settled(self) -> bool:
        return not any(_open(point) for point in self.points)

    def _changed(self, point: Point, raw: Any, mono_ms: int) -> None:
        """A report that is news: a reading, if it passes the deadband. Raises MalformedError."""
        value = point.row.value(raw)
        point.last = raw
        if value is None:
            return
        told, state = point.told, self._state
        near = (
            point.quality is Quality.GOOD
            and isinstance(value, float)
            and isinstance(told, float)
            and abs(value - told) < point.deadband
        )
        if near or (value == told and point.quality is Quality.GOOD):
            return
        point.told, point.quality = value, Quality.GOOD
        wall_ms = state.clock.wall_ms()
        state.sink.reading(Reading(point.ref, value, Quality.GOOD, wall_ms, mono_ms))

    def _watched(self, point: Point, mono_ms: int, settle: Settle | None) -> bool:
        if point.watcher is None or point.told is None:
            return False
        found = point.watcher.take(point.told, mono_ms)
        return found is not None and self._tell(point, found, None, settle)

    def _happened(
        self, point: Point, raw: Any, body: Any, settle: Settle | None, mono_ms: int
    ) -> bool:
        """A message that is itself the happening. Raises MalformedError."""
        value = point.row.value(raw)
        if value is None:
            return False
        if point.edge is not Edge.PRESS and not self._state.may_tell(mono_ms):
            return False
        detail = {
            name: found
            for name, path in point.row.detail
            if isinstance(found := dig(body, path), bool | int | float | str)
        }
        return self._tell(point, Found(value), detail or None, settle)

    def _tell(self, point: Point, found: Found, detail: Any, settle: Settle | None) -> bool:
        edge = PointEdge(point.ref, found.value, found.count, found.first_sight, detail)
        self._state.sink.edge(edge, settle)
        return settle is not None

    def _implausible(self, point: Point, raw: Any, mono_ms: int) -> None:
        point.last = raw
        if point.quality is not Quality.BAD:
            point.told, point.quality = None, Quality.BAD
            wall_ms = self._state.clock.wall_ms()
            self._state.sink.reading(Reading(point.ref, None, Quality.BAD, wall_ms, mono_ms))


def _open(point: Point) -> bool:
    return point.watcher is not None and point.watcher.unsettled_ms is not None


class CredentialRoute:
    """Credentials presented at one reader: never stored, repeated or old ones (DESIGN §8)."""

    def __init__(self, state: DeviceState, point: Point, paths: Columns, read: Credentials) -> None:
        self._state = state
        self._point = point
        self._paths = paths
        self._read = read

    def take(self, message: Message, settle: Settle | None) -> bool:  # noqa: ARG002 (not a call)
        """One message of the reader."""
        state = self._state
        state.sink.count("messages", state.device)
        mono_ms = state.clock.mono_ms()
        if message.retain or message.dup or not message.payload:
            return False
        try:
            body = _decode(message.payload.decode()) if len(message.payload) < 4096 else None
        except (ValueError, RecursionError):
            body = None
        if type(body) is not dict or (presented := self._presented(body)) is None:
            state.garbage()
            return False
        state.heard(mono_ms, retained=False)
        if self._too_old(body) or not state.may_tell(mono_ms):
            state.sink.count("credentials_dropped", state.device)
            return False
        state.sink.presented(CredentialPresented(self._point.ref, presented))
        return False

    def _presented(self, body: Any) -> Presented | None:
        paths, read = self._paths, self._read
        pin = _text(body, paths.get("pin"))
        if pin is not None:
            return read.pin(pin, _text(body, paths.get("identifier")))
        card = _text(body, paths.get("card"))
        if card is not None:
            return read.card(card)
        token = _text(body, paths.get("pass"))
        return read.signed_pass(token) if token is not None else None

    def _too_old(self, body: Any) -> bool:
        at = dig(body, split(self._paths["at"])) if "at" in self._paths else MISSING
        if not isinstance(at, int | float) or isinstance(at, bool):
            return False
        now = self._state.clock.now()
        return now.trusted and abs(now.wall_ms - at) > CREDENTIAL_AGE_MS


class AvailabilityRoute:
    """A device's availability topic: `online` or `offline`, plain or as `{"state": …}`."""

    def __init__(self, report: Callable[[bool, bool], None]) -> None:
        self._report = report

    def take(self, message: Message, settle: Settle | None) -> bool:  # noqa: ARG002 (not a call)
        """One message."""
        said = message.payload[:64].decode(errors="replace")
        if said.startswith("{"):
            try:
                body = _decode(said)
            except ValueError:
                return False
            said = str(body.get("state", "")) if isinstance(body, dict) else ""
        if said in ("online", "offline"):
            self._report(said == "online", message.retain)
        return False


def _text(body: Any, path: str | None) -> str | None:
    found = dig(body, split(path)) if path else MISSING
    return found if isinstance(found, str) and found else None
