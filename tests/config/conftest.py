"""A site on disk, and driver kinds to judge it with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gateway.domain.errors import Problem
from gateway.domain.profile import Profile
from gateway.domain.site import Device, Link
from gateway.ports import Driver, DriverKind, LinkSetup


class PlainKind:
    """A third party's kind of driver, where each device has an `address` of its own."""

    name = "plain"

    def check_profile(self, profile: Profile) -> list[Problem]:
        return [
            Problem("", f"points.{name}.register", "is missing; expected a register")
            for name, spec in profile.points.items()
            if "register" not in spec.binding
        ]

    def check_link(
        self, link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
    ) -> list[Problem]:
        return [
            Problem("", f"devices.{one.id}.address", f"also the address of {other.id}")
            for number, one in enumerate(devices)
            for other in devices[:number]
            if one.binding.get("address") == other.binding.get("address")
        ]

    def open(self, setup: LinkSetup) -> Driver:
        raise NotImplementedError


@pytest.fixture
def kinds() -> dict[str, DriverKind]:
    return {"plain": PlainKind()}


SITE: Mapping[str, str] = {
    "site.yaml": """\
id: house
zone: Europe/Zurich
links:
  wire: {driver: plain, port: 1}
channels:
  sounder: {kind: output}
escalations:
  help:
    steps:
      - {after_s: 0, channels: [sounder]}
""",
    "places.yaml": """\
house:
  name: {zh: 房子, en: House}
room:
  name: {zh: 房间, en: Room}
  parent: house
  doors:
    door:
      name: {zh: 门, en: Door}
      points: {strike: board/pulse_1, contact: board/input_1}
      rules: {egress: mechanical, release_s: 5}
  call_points:
    button:
      name: {zh: 按钮, en: Button}
      point: board/input_2
      wiring: latched
      escalation: help
      outputs: {sirens: [board/signal_2]}
""",
    "devices/board.yaml": """\
profile: plain_board
link: wire
place: house
name: {zh: 板, en: Board}
address: 1
""",
    "facilities/room.yaml": """\
place: room
name: {zh: 房间, en: Room}
booking: required
doors: [door]
""",
    "profiles/plain_board.yaml": """\
id: plain_board
title: A board
driver: plain
source: its manual
points:
  pulse_1: {value: bool, setpoint: pulse, length_ms: 5000, register: 1}
  relay_1: {value: bool, setpoint: level, register: 2}
  signal_2: {value: text, setpoint: lease, length_ms: 1000, register: 3}
  input_1: {value: bool, register: 4}
  input_2: {value: bool, poll: safety, register: 5}
""",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in SITE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path
