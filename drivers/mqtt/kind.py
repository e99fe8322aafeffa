"""The MQTT kind of driver, as the registry finds it."""

from collections.abc import Mapping, Sequence

from drivers.mqtt import checks
from gateway.domain.errors import Problem
from gateway.domain.profile import Profile
from gateway.domain.site import Device, Link
from gateway.ports import Driver, LinkSetup


class MqttKind:
    """Devices behind an MQTT broker."""

    name = "mqtt"

    def check_profile(self, profile: Profile) -> list[Problem]:
        """What is wrong in the bindings of a profile."""
        return checks.check_profile(profile)

    def check_link(
        self, link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
    ) -> list[Problem]:
        """What would fail at run time on a link."""
        return checks.check_link(link, devices, profiles)

    def open(self, setup: LinkSetup) -> Driver:
        """A driver for the link; the library is imported only where there is one."""
        from drivers.mqtt.driver import MqttDriver  # noqa: PLC0415  # 5 MB `check` never needs

        return MqttDriver(setup)
