"""Keypads and card readers that speak plain JSON, as their profile says."""

import time
from collections.abc import Mapping
from typing import Any

from gateway.domain.profile import Edge, Profile
from gateway.domain.site import Device
from simulators.mqtt_face import BrokerAddress, Manners, MqttFace, Said, said


class JsonReader:
    """One keypad or reader: its own client of the broker, with a will on its availability topic."""

    def __init__(self, device: Device, profile: Profile) -> None:
        rows = (spec for spec in profile.points.values() if spec.edge is Edge.CREDENTIAL)
        self._columns: Mapping[str, Any] = next((row.binding for row in rows), {})
        self._topic = str(device.binding["topic"])
        self._availability = str(profile.binding.get("availability", "{topic}/availability"))
        self._face: MqttFace | None = None

    async def start(self, broker: BrokerAddress) -> None:
        """Come up on a broker."""
        availability = self._filled(self._availability)
        manners = Manners(
            will=said(availability, "offline", retain=True),
            greetings=lambda: [said(availability, "online", retain=True)],
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

    def present(self, kind: str, text: str, identifier: str = "", *, garbage: bool = False) -> None:
        """Somebody presented a `pin`, `card` or `pass`, perhaps with an identifier."""
        message: dict[str, Any] = {}
        values = {kind: text, "identifier": identifier, "at": time.time_ns() // 1_000_000}
        for column, value in values.items():
            if value and (column in self._columns or column == kind):
                _put(message, str(self._columns.get(column, column)), value)
        if self._face is not None:
            topic = self._filled(str(self._columns.get("topic", "{topic}/presented")))
            self._face.say(Said(topic, b"\xfe{") if garbage else said(topic, message))

    def _filled(self, template: str) -> str:
        base = self._topic.partition("/")[0]
        return template.replace("{topic}", self._topic).replace("{base}", base)


def _put(message: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        message = message.setdefault(key, {})
    message[last] = value
