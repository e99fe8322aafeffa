"""Devices as Home Assistant's discovery describes them, as rows of a profile.

Both forms: one topic an entity (`homeassistant/<component>/[<node>/]<object>/config`) and one a
device (`homeassistant/device/<id>/config`), with full or abbreviated keys.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHORT = {
    "stat_t": "state_topic",
    "cmd_t": "command_topic",
    "avty_t": "availability_topic",
    "val_tpl": "value_template",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "dev": "device",
    "cmps": "components",
    "p": "platform",
    "pl_on": "payload_on",
    "pl_off": "payload_off",
    "pl_lock": "payload_lock",
    "pl_unlk": "payload_unlock",
    "stat_locked": "state_locked",
    "stat_unlocked": "state_unlocked",
    "ids": "identifiers",
    "mf": "manufacturer",
    "mdl": "model",
    "evt_typ": "event_types",
}
_JSON_PATH = re.compile(r"^\{\{\s*value_json\.([A-Za-z0-9_.]+)\s*\}\}$")
_WORDS = {
    "binary_sensor": ("payload_on", "ON", "payload_off", "OFF"),
    "switch": ("payload_on", "ON", "payload_off", "OFF"),
    "lock": ("state_locked", "LOCKED", "state_unlocked", "UNLOCKED"),
}


@dataclass(frozen=True, slots=True)
class Described:
    """One device: what it is called, the topic its own begin with, and a row for each entity."""

    id: str
    name: str
    model: str
    topic: str
    rows: Mapping[str, Mapping[str, Any]]


def devices(retained: Mapping[str, Any]) -> Iterator[Described]:
    """The devices among retained messages, by the first identifier of each."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    about: dict[str, Mapping[str, Any]] = {}
    for topic, body in retained.items():
        for entity in _entities(topic, body):
            device = entity.get("device")
            row = _row(entity)
            if not isinstance(device, dict) or row is None:
                continue
            known = _first(device.get("identifiers")) or str(device.get("name", ""))
            about.setdefault(known, device)
            rows.setdefault(known, {})[_name(entity)] = row
    for known, found in rows.items():
        device = about[known]
        topic = _common([str(row["topic"]) for row in found.values()])
        for row in found.values():
            row["topic"] = row["topic"].replace(topic, "{topic}", 1) if topic else row["topic"]
        yield Described(
            id=known,
            name=str(device.get("name") or known),
            model=f"{device.get('manufacturer', '')} {device.get('model', '')}".strip(),
            topic=topic,
            rows=found,
        )


def _entities(topic: str, body: Any) -> Iterator[dict[str, Any]]:
    """The entities a discovery message holds, each with its device and component."""
    parts = topic.split("/")
    if parts[0] != "homeassistant" or parts[-1] != "config" or not isinstance(body, dict):
        return
    whole = _full(body)
    if parts[1] != "device":
        yield {"object": parts[-2], **whole, "platform": parts[1]}
        return
    components = whole.get("components")
    for name, component in (components if isinstance(components, dict) else {}).items():
        if isinstance(component, dict):
            yield {"object": name, "device": whole.get("device"), **_full(component, whole)}


def _full(body: Mapping[str, Any], around: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """With full keys, and `~` replaced by the base topic."""
    found = {_SHORT.get(key, key): value for key, value in body.items()}
    base = found.get("~", (around or {}).get("~"))
    for key, value in found.items():
        if key.endswith("_topic") and isinstance(value, str) and isinstance(base, str):
            found[key] = value.replace("~", base)
    if isinstance(found.get("device"), dict):
        found["device"] = {_SHORT.get(key, key): value for key, value in found["device"].items()}
    return found


def _row(entity: Mapping[str, Any]) -> dict[str, Any] | None:
    """A row for an entity that can be read; None for one that cannot, or only by a program."""
    topic, component = entity.get("state_topic"), str(entity.get("platform"))
    if not isinstance(topic, str):
        return None
    row: dict[str, Any] = {"value": "text", "topic": topic}
    template = entity.get("value_template")
    if template is not None:
        match = _JSON_PATH.match(str(template))
        if match is None:
            return None
        row["path"] = match[1]
    if component in _WORDS:
        on_key, on, off_key, off = _WORDS[component]
        said = entity.get(on_key, on), entity.get(off_key, off)
        if not all(isinstance(word, str | int) for word in said):
            return None
        row |= {"value": "bool", "enum": dict(zip(said, (True, False), strict=True))}
    elif component == "sensor" and "unit_of_measurement" in entity:
        row |= {"value": "float", "unit": str(entity["unit_of_measurement"])}
    elif component == "event":
        row |= {"poll": "event", "edge": "change", "momentary": True}
    return row


def _name(entity: Mapping[str, Any]) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(entity["object"]).lower()).strip("_")


def _common(topics: list[str]) -> str:
    """The levels that all topics begin with."""
    levels = [topic.split("/") for topic in topics]
    shared = []
    for level in zip(*levels, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join(shared)


def _first(identifiers: Any) -> str:
    if isinstance(identifiers, list) and identifiers:
        return str(identifiers[0])
    return identifiers if isinstance(identifiers, str) else ""
