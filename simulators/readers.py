"""Keypads and card readers that speak plain JSON, as their profile says."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.mqtt.rows import MISSING, dig, fill, put, split
from gateway.domain.profile import Edge, Profile
from gateway.domain.site import Device
from simulators.mqtt_face import BrokerAddress, Manners, MqttFace, Said, object_of, said

SHOWN_MS = 8_000  # then the display is dark again
KEPT = 64
CREDENTIALS = ("pin", "card", "pass")  # a reader sends what it knows, be it understood or not


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader showed, by the names of its profile: `result`, `code`, `zh`, `en` …"""

    fields: Mapping[str, Any]
    since_ms: int  # wall time

    @property
    def green(self) -> bool:
        """The green light, not the red one."""
        return self.fields.get("result") == "Accepted"


class JsonReader:
    """One keypad or reader: its own client of the broker, with a will on its availability topic."""

    def __init__(self, device: Device, profile: Profile) -> None:
        rows = (spec for spec in profile.points.values() if spec.edge is Edge.CREDENTIAL)
        self._columns: Mapping[str, Any] = next((row.binding for row in rows), {})
        self._topic = str(device.binding["topic"])
        self._availability = str(profile.binding.get("availability", "{topic}/availability"))
        self._feedback = self._filled(self._columns.get("feedback_topic", ""))
        self._face: MqttFace | None = None
        self.shown: deque[Shown] = deque(maxlen=KEPT)

    @property
    def answered(self) -> bool:
        """Its profile says where its answers go."""
        return bool(self._feedback)

    @property
    def shows(self) -> Shown | None:
        """What can be read on it now."""
        lit = self.shown and _wall_ms() - self.shown[-1].since_ms < SHOWN_MS
        return self.shown[-1] if lit else None

    async def start(self, broker: BrokerAddress) -> None:
        """Come up on a broker."""
        availability = self._filled(self._availability)
        manners = Manners(
            will=said(availability, "offline", retain=True),
            greetings=lambda: [said(availability, "online", retain=True)],
            listens=(self._feedback,) if self._feedback else (),
            heard=self._heard,
        )
        self._face = MqttFace(broker, manners)
        await self._face.start()

    async def vanish(self) -> None:
        """Lose power: the broker speaks its will."""
        if self._face is not None:
            await self._face.vanish()
            self._face = None

    async def stop(self) -> None:
        """Leave."""
        if self._face is not None:
            await self._face.stop()
            self._face = None

    def present(self, what: Mapping[str, str], *, garbage: bool = False) -> int:
        """Somebody presented a `pin`, `card` or `pass`, perhaps with more that was typed; when."""
        message: dict[str, Any] = {}
        at = _wall_ms()
        for column, value in {**what, "at": at}.items():
            if value and (column in self._columns or column in CREDENTIALS):
                put(message, split(str(self._columns.get(column, column))), value)
        if self._face is not None:
            topic = self._filled(str(self._columns.get("topic", "{topic}/presented")))
            self._face.say(Said(topic, b"\xfe{") if garbage else said(topic, message))
        return at

    def answer_to(self, at: int) -> Shown | None:
        """What it showed to who presented something then."""
        return next((one for one in self.shown if one.fields.get("at") == at), None)

    def _heard(self, _topic: str, payload: bytes) -> None:
        body = object_of(payload)
        paths = {name: split(path) for name, path in self._columns["feedback"].items()}
        found = {name: dig(body, path) for name, path in paths.items()}
        fields = {name: value for name, value in found.items() if value is not MISSING}
        self.shown.append(Shown(fields, _wall_ms()))

    def _filled(self, template: str) -> str:
        return fill(template, self._topic)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
