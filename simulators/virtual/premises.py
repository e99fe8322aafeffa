"""Premises that chance draws: rooms, doors, sensors, buttons, chargers, feeders, as a site's files.

Rules: what is drawn is a site that `commons check` takes, written and read like any other.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from config.site import load_site
from drivers.registry import kinds
from gateway.domain.site import Site

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
SENSORS = ("none", "radar", "motion", "radar", "both")
POLICIES = ("required", "required", "optional")
CHARGERS = ("keba_p30", "abb_terra_ac")
_SITE = """
id: world
zone: {zone}
links:
  boards: {{driver: modbus_tcp, host: 127.0.0.1}}
  bus: {{driver: modbus_rtu, port: /dev/ttyUSB0}}
  radio: {{driver: mqtt, host: 127.0.0.1}}
  garage: {{driver: modbus_tcp, host: 127.0.0.2}}
channels:
  sounders: {{kind: output}}
  desk: {{kind: desk}}
  platform: {{kind: platform}}
escalations:
  help:
    steps:
      - {{after_s: 0, channels: [sounders, desk, platform]}}
      - {{after_min: 3, channels: [sounders, platform]}}
    repeat_min: 2
circuits: {circuits}
settings:
  pins: {{digits: 8, valid_max: 20}}
"""


@dataclass(slots=True)
class Drawn:
    """Files in the making."""

    places: list[str] = field(default_factory=list)
    devices: dict[str, str] = field(default_factory=dict)
    facilities: dict[str, str] = field(default_factory=dict)
    circuits: str = "{}"


def draw_site(random: Random, zone: str = "") -> Site:
    """The site of a seed, in a time zone that is drawn too if none is named."""
    drawn = Drawn()
    drawn.places.append("house: {name: {zh: 楼, en: House}}")
    for number in range(1, random.randint(2, 4) + 1):
        _room(drawn, number, random)
    if random.random() < 0.7:
        _garage(drawn, random)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        drawn_zone = random.choice(ZONES)
        text = _SITE.format(zone=zone or drawn_zone, circuits=drawn.circuits)
        (folder / "site.yaml").write_text(text)
        (folder / "places.yaml").write_text("\n".join(drawn.places))
        for kind, files in (("devices", drawn.devices), ("facilities", drawn.facilities)):
            (folder / kind).mkdir()
            for name, body in files.items():
                (folder / kind / f"{name}.yaml").write_text(body)
        return load_site(folder, kinds(), demo=True)


def _device(drawn: Drawn, name: str, place: str, **more: object) -> None:
    rows = [f"{key}: {value}" for key, value in more.items()]
    label = f"name: {{zh: 设备 {name}, en: {name}}}"
    drawn.devices[name] = "\n".join([f"place: {place}", label, *rows])


def _room(drawn: Drawn, number: int, random: Random) -> None:
    """A room with a door on a relay board, a keypad, a call button, and what watches it.

    Its contact and its button are on the board too, or on the air.
    """
    place, board = f"room{number}", f"board{number}"
    _device(drawn, board, place, profile="waveshare_relay_8_di", link="boards", unit=number)
    keypad = f"keypad{number}"
    _device(drawn, keypad, place, profile="json_keypad", link="radio", topic=f"keypads/{number}")
    mode = random.choice(("per_person", "per_person", "first_in"))
    hold = f"\n        hold: {board}/relay_1" if mode == "first_in" or random.random() < 0.5 else ""
    releases = f"\n        releases: [door{number}]" if random.random() < 0.5 else ""
    contact, pressed = f"{board}/input_1", f"{board}/input_3"
    wiring = random.choice(("latched", "momentary", "message"))
    if wiring == "message":
        pressed = f"{_radio(drawn, 'sos', number, 'z2m_sos_button')}/pressed"
    if random.random() < 0.3:
        contact = f"{_radio(drawn, 'contact', number, 'z2m_contact')}/open"
    drawn.places.append(
        f"""
{place}:
  name: {{zh: 房 {number}, en: Room {number}}}
  parent: house
  doors:
    door{number}:
      name: {{zh: 门 {number}, en: Door {number}}}
      points:
        strike: {board}/pulse_1
        contact: {contact}
        exit_button: {board}/input_2
        readers: [{keypad}/credential]{hold}
      rules: {{egress: mechanical, mode: {mode}, release_s: 5}}
  call_points:
    help{number}:
      name: {{zh: 求助 {number}, en: Help {number}}}
      point: {pressed}
      wiring: {wiring}
      {"shortest_press_ms: 1000" if wiring == "momentary" else ""}
      escalation: help
      outputs:
        sirens: [{board}/signal_7]
        lamps: [{board}/signal_6]{releases}"""
    )
    _facility(drawn, number, random)


def _radio(drawn: Drawn, what: str, number: int, profile: str) -> str:
    """A device in a room that speaks by radio; its name."""
    name, place = f"{what}{number}", f"room{number}"
    _device(drawn, name, place, profile=profile, link="radio", topic=f"zigbee2mqtt/{name}")
    return name


def _facility(drawn: Drawn, number: int, random: Random) -> None:
    place, watched = f"room{number}", random.choice(SENSORS)
    sensors = []
    if watched in ("radar", "both"):
        _radio(drawn, "radar", number, "z2m_occupancy")
        sensors.append(f"  - {{point: radar{number}/presence, kind: presence, hold_min: 2}}")
    if watched in ("motion", "both"):
        _device(drawn, f"pir{number}", place, profile="icpdas_pir_130", link="bus", unit=number)
        sensors.append(f"  - {{point: pir{number}/motion, kind: motion, hold_min: 5}}")
    hours = ""
    if random.random() < 0.4:
        hours = '\nopen_hours: ["mon-fri 07:00-23:00", "sat,sun 08:00-02:00"]'
    drawn.facilities[place] = (
        f"place: {place}\nname: {{zh: 房 {number}, en: Room {number}}}\n"
        f"booking: {random.choice(POLICIES)}\ndoors: [door{number}]{hours}\n"
        + ("sensors:\n" + "\n".join(sensors) if sensors else "")
    )


def _garage(drawn: Drawn, random: Random) -> None:
    """Chargers on a feeder, and perhaps some outlets of an e-bike station."""
    drawn.places.append("\ngarage: {name: {zh: 车库, en: Garage}, parent: house}")
    meter = ""
    if random.random() < 0.6:
        _device(drawn, "feeder", "garage", profile="eastron_sdm630", link="bus", unit=100)
        meter = ", meter: [feeder/current_l1, feeder/current_l2, feeder/current_l3]"
    limit = random.choice((20, 32, 40, 63))
    limits, other = f"[{limit}, {limit}, {limit}]", random.choice((0, 3, 6))
    others = f"[{other}, {other}, {other}]"
    drawn.circuits = f"{{main: {{place: garage, limit_a: {limits}, other_a: {others}{meter}}}}}"
    for number in range(1, random.randint(1, 3) + 1):
        profile = random.choice(CHARGERS)
        _device(drawn, f"charger{number}", "garage", profile=profile, link="garage", unit=number)
        points = ("limit", "state", "power", "energy")
        rows = [f"    {name}: charger{number}/{name}" for name in points]
        rows.append(
            f"    currents: [{', '.join(f'charger{number}/current_l{n}' for n in (1, 2, 3))}]"
        )
        _outlet(drawn, f"bay{number}", rows, "phases: [1, 2, 3]\n  max_a: 16")
    if random.random() < 0.4:
        _device(drawn, "station", "garage", profile="ebike_station_12", link="garage", unit=50)
        for number in range(1, random.randint(1, 3) + 1):
            names = ("switch", "power", "energy")
            rows = [f"    {name}: station/{name}_{number}" for name in names]
            _outlet(drawn, f"rack{number}", rows, "phases: [1]\n  min_a: 5\n  max_a: 5")


def _outlet(drawn: Drawn, name: str, rows: list[str], load: str) -> None:
    points = "\n".join(rows)
    drawn.facilities[name] = (
        f"place: garage\nname: {{zh: 位 {name}, en: {name}}}\nbooking: none\n"
        f"outlet:\n  circuit: main\n  {load}\n  points:\n{points}"
    )
