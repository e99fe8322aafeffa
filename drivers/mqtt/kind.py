"""The MQTT driver kind: what a profile and a link may say, and how a driver is made."""

from collections.abc import Mapping, Sequence

from drivers.mqtt.binding import problems
from drivers.mqtt.driver import MqttDriver
from drivers.mqtt.rows import COLUMNS
from gateway.domain.errors import Problem
from gateway.domain.profile import Profile
from gateway.domain.site import Device, Link
from gateway.ports import Driver, LinkSetup


class MqttKind:
    """Devices on an MQTT broker."""

    name = "mqtt"

    def check_profile(self, profile: Profile) -> list[Problem]:
        """Columns that no row of an MQTT profile has, and writable rows that cannot be written."""
        found = []
        for spec in profile.points.values():
            for key in sorted(spec.binding.keys() - COLUMNS):
                expected = ", ".join(sorted(COLUMNS))
                message = f"unknown column; expected one of {expected}"
                found.append(Problem("", f"points.{spec.name}.{key}", message))
            if spec.setpoint is not None and "set_topic" not in spec.binding:
                message = "a point that is written needs a set_topic and a set_payload"
                found.append(Problem("", f"points.{spec.name}.set_topic", message))
        return found

    def check_link(
        self, link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
    ) -> list[Problem]:
        """Keys of the link, devices without a topic, and two devices on one."""
        del profiles
        found = problems(link)
        topics: dict[str, str] = {}
        for device in devices:
            where, topic = f"devices/{device.id}.yaml", device.binding.get("topic")
            if not isinstance(topic, str) or not topic or set(topic) & set("+#"):
                found.append(Problem(where, "topic", f"found {topic!r}, expected a plain topic"))
            elif topic in topics:
                message = f"{topic!r} is {topics[topic]!r}'s already"
                found.append(Problem(where, "topic", message))
            else:
                topics[topic] = device.id
        return found

    def open(self, setup: LinkSetup) -> Driver:
        """A driver for the link."""
        return MqttDriver(setup)
