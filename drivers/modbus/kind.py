"""The Modbus driver kind: what profiles and links may say, and how a driver is made."""

from collections.abc import Mapping, Sequence

from drivers.modbus.check import link_problems, profile_problems
from gateway.domain.errors import Problem
from gateway.domain.profile import Profile
from gateway.domain.site import Device, Link
from gateway.ports import Driver, LinkSetup


class ModbusKind:
    """Modbus TCP (`modbus_tcp`) and Modbus RTU on a serial line (`modbus_rtu`)."""

    name = "modbus"

    def check_profile(self, profile: Profile) -> list[Problem]:
        """What is wrong in the columns of a profile."""
        return list(profile_problems(profile))

    def check_link(
        self, link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
    ) -> list[Problem]:
        """What is wrong in a link, in its devices' keys, and between devices that share it."""
        return list(link_problems(link, devices, profiles))

    def open(self, setup: LinkSetup) -> Driver:
        """A driver for the link. It connects once it runs."""
        from random import Random  # noqa: PLC0415 (a check needs neither these nor pymodbus)

        from drivers.modbus.driver import ModbusDriver  # noqa: PLC0415

        return ModbusDriver(setup, Random())  # noqa: S311 (jitter is no secret)
