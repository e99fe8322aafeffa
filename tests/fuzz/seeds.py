"""Where the fuzzer begins: one good input of each form, and some that are nearly good."""

import json
from collections.abc import Iterator

from fuzz.files import _profile_texts, _texts
from fuzz.wires import REQUESTS, framed

NOW_MS = 1_772_413_200_000  # 2026-03-02 09:00 in Shanghai
HOUR_MS = 3_600_000
BOOKING = {
    "id": "b1",
    "facility": "study",
    "subjects": ["ada"],
    "start_ms": NOW_MS,
    "end_ms": NOW_MS + HOUR_MS,
}
SUBJECTS = [
    {"kind": "subject", "id": "ada", "roles": ["resident"], "active": True},
    {"kind": "pin", "id": "p1", "subject": "ada", "pin": "482913"},
    {"kind": "card", "id": "c1", "subject": "ada", "card": "04a1b2c3"},
]
RIGHT = {
    "id": "r1",
    "subject": "ada",
    "targets": ["*"],
    "hours": [[0, 480, 1080]],
    "until_ms": NOW_MS + HOUR_MS,
}
COMMANDS = (
    *("release_door", "end_passage", "acknowledge_call", "attend_call"),
    *("start_charging", "stop_charging", "clear_call", "reset_fire", "none"),
)


def seeds(target: str) -> list[bytes]:
    """The seeds of a target."""
    return list(_SEEDS[target]())


def _replies() -> Iterator[bytes]:
    for number, request in enumerate(REQUESTS):
        good = request.begins.ljust(request.length or 12, b"\x01")
        for rtu in (0, 1):
            yield bytes((number, rtu | 2)) + good
            yield bytes((number, rtu | 2 | 4)) + good
            yield bytes((number, rtu)) + framed(good, bool(rtu)) * 2
            yield bytes((number, rtu | 2)) + bytes((request.pdu[0] | 0x80, 2))


def _registers() -> Iterator[bytes]:
    for model in range(24):
        for filling in (b"\0\1", b"\xff", b"\x7f\xc0\0\0", b"A1\0\0", b"\x80\0\0\0", bytes(40)):
            yield bytes((model,)) + filling


def _messages() -> Iterator[bytes]:
    bodies: list[object] = [
        {"state": "LOCK", "lock_state": "locked", "battery": 80, "action": "keypad_unlock"},
        {"action": "emergency", "battery": 100, "tamper": False, "last_seen": NOW_MS},
        {"contact": True, "occupancy": False, "illuminance": 5, "last_seen": "2026-03-02T09:00Z"},
        {"state": "ON", "power": 12.5, "energy": 1.25, "current": 0.1, "voltage": 231},
        {"part": 1, "whole": 2, "a": {"b": 1.5}, "listed": 0},
        {"pin": "482913", "id": "ada", "at": NOW_MS, "facility": "rack_1"},
        {"card": "04a1b2c3", "at": NOW_MS},
        {"alarm": True, "warning": {"mode": "emergency"}},
        {"part": 10**400, "whole": 10**400, "a": {"b": -(10**400)}},
        {"action": ""},
        {"action": None},
    ]
    for model in range(10):
        for topic in range(3):
            for body in bodies:
                text = json.dumps(body).encode()
                one = bytes((topic, 0)) + text
                yield bytes((model,)) + one + b"\x1e" + bytes((topic, 1)) + text
                yield bytes((model,)) + one + b"\x1e" + bytes((topic, 2)) + text
            for word in (b"online", b"offline", b'{"state":"online"}', b"press", b"12"):
                yield bytes((model, topic, 0)) + word


def _discovery() -> Iterator[bytes]:
    exposes = [
        {"type": "lock", "features": [{"property": "state", "values": ["LOCK", "UNLOCK"]}]},
        {"type": "enum", "property": "action", "values": ["emergency"]},
        {"type": "binary", "property": "occupancy", "value_on": True, "value_off": False},
        {"type": "numeric", "property": "battery"},
    ]
    device = {
        "friendly_name": "hall sos",
        "type": "EndDevice",
        "ieee_address": "0x00124b",
        "interview_completed": False,
        "definition": {"vendor": "x", "model": "y", "exposes": exposes},
    }
    yield b"zigbee2mqtt/bridge/devices\x1e" + json.dumps([device, {"type": "Coordinator"}]).encode()
    entity = {
        "~": "home/x",
        "stat_t": "~/state",
        "val_tpl": "{{ value_json.on }}",
        "dev": {"ids": ["x1"], "name": "X", "mf": "m", "mdl": "n"},
        "pl_on": "1",
    }
    for component in ("binary_sensor", "sensor", "lock", "event", "switch"):
        yield f"homeassistant/{component}/a/config\x1e".encode() + json.dumps(entity).encode()
    whole = {"dev": {"ids": "x1"}, "~": "b", "cmps": {"a": {"p": "sensor", "stat_t": "~/a"}}}
    yield b"homeassistant/device/x/config\x1e" + json.dumps(whole).encode()


def _sync() -> Iterator[bytes]:
    for kind, items in enumerate(([BOOKING], SUBJECTS, [RIGHT])):
        changes = {"type": "changes", "epoch": "p1", "revision": 1, "put": items, "remove": ["x"]}
        window = {"from_ms": 0, "until_ms": 2 * NOW_MS}
        snapshot = {
            "type": "snapshot",
            "epoch": "p1",
            "revision": 1,
            "window": window,
            "count": len(items),
            "digest": "0" * 64,
            "items": items,
            "confirmed_by": {"name": "Ms Li"},
        }
        for message in (changes, snapshot):
            yield bytes((kind,)) + json.dumps(message).encode()
            yield bytes((kind | 4,)) + json.dumps(message).encode()


def _commands() -> Iterator[bytes]:
    for number, name in enumerate(COMMANDS):
        command = {
            "id": f"c{number}",
            "name": name,
            "target": "study",
            "expires_ms": NOW_MS + HOUR_MS,
            "arguments": {"why": "parcel", "minutes": 5},
            "by": {"name": "Ms Li"},
        }
        yield b"\0" + json.dumps(command).encode()
    yield b"\1" + json.dumps({"epoch": "e", "seq": 4, "also": [7], "resume": True}).encode()


def _site() -> Iterator[bytes]:
    yield from _in_files(_texts())


def _profile() -> Iterator[bytes]:
    yield from _in_files(_profile_texts())


def _in_files(texts: dict[str, str]) -> Iterator[bytes]:
    for number, name in enumerate(sorted(texts)):
        yield bytes((number, 0)) + texts[name].encode()[:998]
        for spot in range(0, 128, 9):
            for value in (b"null", b'"x"', b"-1", b"[]", b"1e999"):
                yield bytes((number, spot << 1 | 1)) + value


_SEEDS = {
    "modbus_reply": _replies,
    "modbus_registers": _registers,
    "mqtt_message": _messages,
    "mqtt_discovery": _discovery,
    "sync": _sync,
    "command": _commands,
    "site": _site,
    "profile": _profile,
}
