"""Houses to be judged: one by a third party's driver, and the broken ones on our own.

A broken house is the base house with a few files of its own laid over it.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.domain.errors import Problem
from gateway.domain.profile import Profile
from gateway.domain.site import Device, Link
from gateway.ports import Driver, LinkSetup

HERE = Path(__file__).parent
BASE = HERE / "base"
BROKEN = sorted(path for path in (HERE / "broken").iterdir() if path.is_dir())


def lay(broken: Path, folder: Path) -> Path:
    """The whole broken house in a folder."""
    unwanted = shutil.ignore_patterns("expected.txt")
    shutil.copytree(BASE, folder, dirs_exist_ok=True)
    shutil.copytree(broken, folder, dirs_exist_ok=True, ignore=unwanted)
    return folder


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
heartbeat: [board/signal_3]
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
booking: optional
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
  signal_3: {value: text, setpoint: lease, length_ms: 1000, register: 6}
  input_1: {value: bool, register: 4}
  input_2: {value: bool, poll: safety, register: 5}
""",
}


def replace(path: Path, old: str, new: str) -> None:
    """Edit a file; the old text must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
