"""What is wrong in an MQTT profile or link, said before anything runs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from drivers.codec import A_SCALE, is_number, is_scale, is_value
from drivers.mqtt import binding
from drivers.mqtt.rows import COLUMNS, FEEDBACK, fill, split
from gateway.domain.errors import Problem
from gateway.domain.points import SetpointKind
from gateway.domain.profile import Edge, PointSpec, Profile, ValueKind
from gateway.domain.site import Device, Link

DEVICE_KEYS = frozenset(
    (
        "availability",
        "bridge",
        "status_path",
        "online",
        "offline",
        "last_seen",
        "expected_s",
        "recognised_by",
    )
)
BINDING_KEYS = frozenset(("topic", "invert"))
TOPIC_COLUMNS = ("topic", "set_topic", "get_topic", "feedback_topic")
LEASE_MS_MIN = 4_000  # twice what renewing one takes
_TOPIC, _PATH = (str, "a topic"), (str, "keys joined by dots")
# what each column and key must be before anything else can be said of it
_KINDS: Mapping[str, tuple[Any, str]] = {
    **dict.fromkeys((*TOPIC_COLUMNS, "availability", "bridge"), _TOPIC),
    **dict.fromkeys(("path", "pin", "card", "pass", "identifier", "outlet", "at"), _PATH),
    **dict.fromkeys(("status_path", "last_seen"), _PATH),
    **dict.fromkeys(("online", "offline"), (str, "a word")),
    "enum": (Mapping, "what is reported and what it means"),
    "momentary": (bool, "true or false"),
    "detail": (Mapping, "names and their paths in the JSON"),
    "get_payload": (str, "a payload as text"),
    "expected_s": (int | float, "a number of seconds"),
    "recognised_by": (list, "lists of points that tell it from others"),
}


def check_profile(profile: Profile) -> list[Problem]:
    """What is wrong in the bindings of a profile."""
    found = [*_unknown("device", profile.binding, DEVICE_KEYS)]
    if odd := [*_check_kinds(profile)]:
        return found + odd
    for key in ("availability", "bridge"):
        found += _check_topic(f"device.{key}", profile.binding.get(key, "x"))
    for mark in profile.binding.get("recognised_by", ()):
        if not isinstance(mark, list) or not all(name in list(profile.points) for name in mark):
            said = f"found {mark!r}, expected lists of points that tell it from others"
            found.append(Problem("", "device.recognised_by", said))
    for spec in profile.points.values():
        found += _check_row(f"points.{spec.name}", spec)
    found += _check_shared_topics(profile)
    found += _check_feedback(profile)
    return found


def check_link(
    link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
) -> list[Problem]:
    """What would fail at run time on a link."""
    found = binding.problems(link)
    for device in devices:
        found += _check_device(device, profiles[device.profile])
    found += _doubles(devices)
    found += _check_broker(link, devices, profiles)
    return found


def has_call_point(profile: Profile) -> bool:
    """One of its points is a call button of its own."""
    return any(spec.edge is Edge.PRESS for spec in profile.points.values())


def _check_kinds(profile: Profile) -> Iterator[Problem]:
    """What is of another kind than its column or key."""
    rows = {f"points.{spec.name}": spec.binding for spec in profile.points.values()}
    for key, row in {"device": profile.binding, **rows}.items():
        for name, found in row.items():
            kind, expected = _KINDS.get(name, (object, ""))
            if not isinstance(found, kind) or (name == "expected_s" and not is_number(found)):
                yield Problem("", f"{key}.{name}", f"found {found!r}, expected {expected}")
        detail = row.get("detail")
        for name, path in detail.items() if isinstance(detail, Mapping) else ():
            if not isinstance(path, str):
                said = f"found {path!r}, expected {_PATH[1]}"
                yield Problem("", f"{key}.detail.{name}", said)


# --- profiles -----------------------------------------------------------------------------------


def _check_row(key: str, spec: PointSpec) -> Iterator[Problem]:
    raw = spec.binding
    yield from _unknown(key, raw, COLUMNS)
    for column in TOPIC_COLUMNS:
        yield from _check_topic(f"{key}.{column}", raw.get(column, "x"))
    if "topic" not in raw and "set_topic" not in raw:
        yield Problem("", key, "found no topic, expected topic, set_topic or both")
    if ("set_topic" in raw) != (spec.setpoint is not None):
        yield Problem("", key, "setpoint and set_topic go together")
    if not is_scale(scale := raw.get("scale", 1)):
        yield Problem("", f"{key}.scale", f"found {scale!r}, expected a number {A_SCALE}")
    yield from _check_limits(f"{key}.limits", raw.get("limits", (0, 1)))
    yield from _check_enum(f"{key}.enum", spec)
    if spec.edge is Edge.CREDENTIAL and not {"pin", "card", "pass"} & raw.keys():
        yield Problem("", key, "found edge: credential, expected a path in pin, card or pass")
    if spec.setpoint is not None and "set_topic" in raw:
        yield from _check_written(key, spec)


def _check_limits(key: str, limits: Any) -> Iterator[Problem]:
    pair = isinstance(limits, list | tuple) and len(limits) == 2
    if not pair or not all(map(is_number, limits)) or limits[0] >= limits[1]:
        yield Problem("", key, f"found {limits!r}, expected the least and the greatest value")


def _check_enum(key: str, spec: PointSpec) -> Iterator[Problem]:
    enum = spec.binding.get("enum")
    if enum is None:
        if spec.binding.get("momentary") and spec.kind is ValueKind.BOOL:
            yield Problem("", key, "found none, expected what counts as a happening")
        return
    if not isinstance(enum, Mapping) or not enum:
        yield Problem("", key, f"found {enum!r}, expected what is reported and what it means")
        return
    for raw, value in enum.items():
        if value is not None and not is_value(spec.kind, value):
            yield Problem("", f"{key}.{raw}", f"found {value!r}, expected a value of {spec.kind}")


def _check_written(key: str, spec: PointSpec) -> Iterator[Problem]:
    assert spec.setpoint is not None
    payload = spec.binding.get("set_payload")
    length_ms = spec.setpoint.length_ms
    key = f"{key}.set_payload"
    match spec.setpoint.kind:
        case SetpointKind.PULSE:
            if not isinstance(payload, str):
                yield Problem("", key, f"found {payload!r}, expected the one payload of a pulse")
            if not length_ms:
                said = "found a pulse without length_ms, expected how soon the device ends it"
                yield Problem("", key.replace("set_payload", "length_ms"), said, rule="A4")
        case SetpointKind.LEASE:
            yield from _check_payloads(key, payload, ("on", "off"))
            if not length_ms or length_ms < LEASE_MS_MIN:
                said = f"found {length_ms}, expected {LEASE_MS_MIN} or more, after which it ends"
                yield Problem("", key.replace("set_payload", "length_ms"), said)
        case SetpointKind.LEVEL:
            if not (isinstance(payload, str) and "{value}" in payload):
                values = (True, False) if spec.kind is ValueKind.BOOL else spec.setpoint.values
                yield from _check_payloads(key, payload, values)


def _check_payloads(key: str, payload: Any, values: Collection[Any]) -> Iterator[Problem]:
    if not isinstance(payload, Mapping):
        yield Problem("", key, f"found {payload!r}, expected a payload for each value")
        return
    for value in values:
        if not isinstance(payload.get(value), str):
            yield Problem("", key, f"found no payload for {value}, expected one as text")


def _check_topic(key: str, template: Any) -> Iterator[Problem]:
    if not isinstance(template, str) or not template:
        yield Problem("", key, f"found {template!r}, expected a topic")
        return
    plain = fill(template, "a/b")
    if any(sign in plain for sign in "+#{}\0"):
        said = f"found {template!r}, expected a topic of one device, with {{topic}} and {{base}}"
        yield Problem("", key, said)


def _check_shared_topics(profile: Profile) -> Iterator[Problem]:
    """One topic is either JSON, for all of its points, or one value as it stands."""
    first: dict[str, PointSpec] = {}
    for spec in profile.points.values():
        if "topic" not in spec.binding or spec.edge is Edge.CREDENTIAL:
            continue
        other = first.setdefault(spec.binding["topic"], spec)
        if other is not spec and not (spec.binding.get("path") and other.binding.get("path")):
            bare, sharing = (other, spec) if spec.binding.get("path") else (spec, other)
            said = f"found none, expected one, for {sharing.name} shares its topic"
            yield Problem("", f"points.{bare.name}.path", said)


def _check_feedback(profile: Profile) -> Iterator[Problem]:
    heard = {spec.binding.get("topic") for spec in profile.points.values()}
    for spec in profile.points.values():
        key, raw = f"points.{spec.name}.feedback", spec.binding
        if not {"feedback", "feedback_topic"} & raw.keys():
            continue
        if spec.edge is not Edge.CREDENTIAL:
            yield Problem("", key, "found on a point that is no reader, expected edge: credential")
        elif not {"feedback", "feedback_topic"} <= raw.keys():
            yield Problem("", key, "found one alone, expected feedback and feedback_topic together")
        else:
            if raw["feedback_topic"] in heard:
                said = "found a topic that is listened to, expected one for answers alone"
                yield Problem("", f"{key}_topic", said)
            yield from _check_told(key, raw["feedback"])


def _check_told(key: str, told: Any) -> Iterator[Problem]:
    """What a reader is told: known names, at paths of which none lies within another."""
    if not isinstance(told, Mapping) or not told:
        yield Problem("", key, f"found {told!r}, expected names and their paths in the JSON")
        return
    yield from _unknown(key, told, FEEDBACK)
    paths: dict[tuple[str, ...], str] = {}
    for name, path in told.items():
        if not isinstance(path, str) or not path or not all(keys := split(path)):
            yield Problem("", f"{key}.{name}", f"found {path!r}, expected keys joined by dots")
            continue
        for other, taken in paths.items():
            shorter = min(len(other), len(keys))
            if other[:shorter] == keys[:shorter]:
                said = f"found {path!r}, expected a path beside that of {taken}, not within it"
                yield Problem("", f"{key}.{name}", said)
        paths[keys] = name


# --- links --------------------------------------------------------------------------------------


def _check_device(device: Device, profile: Profile) -> Iterator[Problem]:
    key = f"devices.{device.id}"
    yield from _unknown(key, device.binding, BINDING_KEYS)
    topic = device.binding.get("topic")
    if not isinstance(topic, str) or not topic or any(sign in topic for sign in "+#\0"):
        yield Problem("", f"{key}.topic", f"found {topic!r}, expected the topic it reports on")
    invert = device.binding.get("invert", [])
    if not isinstance(invert, list):
        yield Problem("", f"{key}.invert", f"found {invert!r}, expected a list of points")
        return
    for name in invert:
        spec = profile.points.get(name) if isinstance(name, str) else None
        if spec is None or spec.kind is not ValueKind.BOOL:
            said = f"found {name!r}, expected points of {profile.id} that are true or false"
            yield Problem("", f"{key}.invert", said)


def _doubles(devices: Sequence[Device]) -> Iterator[Problem]:
    first: dict[Any, str] = {}
    for device in devices:
        topic = device.binding.get("topic")
        if not isinstance(topic, str):
            continue  # said of the device itself
        other = first.setdefault(topic, device.id)
        if topic and other != device.id:
            said = f"found {topic!r}, expected another: it is the topic of {other}"
            yield Problem("", f"devices.{device.id}.topic", said)


def _check_broker(
    link: Link, devices: Sequence[Device], profiles: Mapping[str, Profile]
) -> Iterator[Problem]:
    key = f"links.{link.id}"
    if link.binding.get("trial"):
        said = "found a trial, for which no call is kept; leave it out"
        yield Problem("", f"{key}.trial", said, rule="E1")
    if link.binding.get("broker") == "amqtt":
        if link.binding.get("protocol") == 5:
            yield Problem("", f"{key}.protocol", "found 5, expected 311: amqtt speaks no other")
        calling = [device.id for device in devices if has_call_point(profiles[device.profile])]
        if calling and not link.binding.get("demo"):
            said = f"found amqtt, expected mosquitto: {calling[0]} has a call point, and amqtt "
            yield Problem("", f"{key}.broker", said + "does not deliver again", rule="E1")
    if link.binding.get("protocol", 311) == 5:
        return
    for device in devices:
        profile = profiles[device.profile]
        if _has_pulse(profile) and not {"availability", "bridge"} & profile.binding.keys():
            said = "found a pulse over MQTT 3.1.1, where messages do not expire, to a device that "
            said += "does not say whether it is there; expected protocol: 5"
            yield Problem("", f"devices.{device.id}.profile", said, rule="A4", warning=True)


def _has_pulse(profile: Profile) -> bool:
    kinds = [spec.setpoint.kind for spec in profile.points.values() if spec.setpoint]
    return SetpointKind.PULSE in kinds


def _unknown(key: str, found: Mapping[str, Any], known: Collection[str]) -> Iterator[Problem]:
    for name in found:
        if name not in known:
            close = get_close_matches(str(name), known, n=1)
            expected = close[0] if close else f"one of {', '.join(sorted(known))}"
            yield Problem("", f"{key}.{name}", f"found an unknown key, expected {expected}")
