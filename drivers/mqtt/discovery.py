"""Which devices a broker knows, and the profile that fits each: for a technician, not at run time.

Two sources: the device list of a Zigbee2MQTT bridge, and Home Assistant's discovery topics. What no
shipped profile fits is proposed as rows of a profile of the site's own.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.mqtt import binding, homeassistant
from drivers.mqtt.routes import Settle, decode_json
from drivers.mqtt.session import Session
from gateway.domain.errors import DeviceError
from gateway.domain.profile import PointSpec, Profile
from gateway.domain.site import Link

TOPICS = ("+/bridge/devices", "homeassistant/#")
LIST_MAX = 16_000_000  # a bridge's list of a few hundred devices is some megabytes
QUIET_S = 0.5


@dataclass(frozen=True, slots=True)
class Proposal:
    """A device as it would stand in `devices/<id>.yaml`, and what speaks for it.

    `profiles` fit, the best first. Where none does, `rows` could be a profile of the site's own.
    """

    id: str
    name: str
    model: str
    profiles: tuple[str, ...]
    binding: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    note: str = ""


async def discover(
    link: Link, profiles: Mapping[str, Profile], within_s: float = 3.0
) -> list[Proposal]:
    """What the broker of a link knows, within a few seconds. Raises DeviceError, ConfigError."""
    return understood(await _retained(link, within_s), profiles)


def understood(retained: Mapping[str, Any], profiles: Mapping[str, Profile]) -> list[Proposal]:
    """The devices in a broker's retained messages by topic; what makes no sense is left out."""
    found: list[Proposal] = []
    for topic, body in retained.items():
        base, _, rest = topic.partition("/")
        if rest == "bridge/devices" and isinstance(body, list):
            found += from_zigbee2mqtt(base, body, profiles)
    known = {str(proposal.binding["topic"]) for proposal in found}
    found += [
        Proposal(
            slug(one.name) or slug(one.id),
            one.name,
            one.model,
            (),
            {"topic": one.topic},
            one.rows,
            "by Home Assistant discovery",
        )
        for one in homeassistant.devices(retained)
        if one.topic not in known
    ]
    return sorted(found, key=lambda proposal: proposal.id)


def from_zigbee2mqtt(
    base: str, listed: Sequence[Any], profiles: Mapping[str, Profile]
) -> Iterator[Proposal]:
    """The devices in a bridge's list."""
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("type") == "Coordinator":
            continue
        name = entry.get("friendly_name")
        if not isinstance(name, str) or not name:
            continue
        told = entry.get("definition")
        definition = told if isinstance(told, dict) else {}
        address = str(entry.get("ieee_address", ""))
        notes = [word for word in ("disabled",) if entry.get(word)]
        if entry.get("interview_completed") is False:
            notes.append("not interviewed yet")
        yield Proposal(
            id=slug(name) or f"zigbee_{address[-6:]}",
            name=name,
            model=f"{definition.get('vendor', '')} {definition.get('model', '')}".strip(),
            profiles=fitting(_listed(definition.get("exposes")), profiles),
            binding={"topic": f"{base}/{name}"},
            note=", ".join(notes),
        )


def fitting(exposes: Sequence[Any], profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """The profiles whose marks are among what a device exposes; the one with most rows first."""
    real = dict(_properties(exposes))
    scored: list[tuple[int, str]] = []
    for profile in profiles.values():
        marks = profile.binding.get("recognised_by", ())
        if profile.driver != "mqtt" or not marks:
            continue
        fits = {spec.name for spec in profile.points.values() if _fits(spec, real)}
        if any(fits.issuperset(mark) for mark in marks):
            scored.append((-len(fits), profile.id))
    return tuple(id_ for _, id_ in sorted(scored))


def slug(text: str) -> str:
    """A device's id out of a name; "" where it has no Latin letters or figures."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _properties(exposes: Sequence[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for one in exposes:
        if not isinstance(one, dict):
            continue
        if "property" in one:
            yield str(one["property"]), one
        if one.get("type") != "composite":
            yield from _properties(_listed(one.get("features")))


def _listed(found: Any) -> list[Any]:
    """A list, empty where there is something else: a broker retains what anybody says (X2)."""
    return found if isinstance(found, list) else []


def _fits(spec: PointSpec, real: Mapping[str, Mapping[str, Any]]) -> bool:
    """The device exposes what this row reads, with values that the row knows."""
    one = real.get(spec.binding.get("path", ""))
    if one is None:
        return False
    enum = spec.binding.get("enum")
    values = _listed(one.get("values")) or [one.get("value_on"), one.get("value_off")]
    kinds = {"numeric": ("int", "float"), "text": ("text",), "enum": ("text", "bool")}
    if enum is None:
        return spec.kind in kinds.get(str(one.get("type")), ("bool", "text"))
    return any(type(key) is type(value) and key == value for key in enum for value in values)


async def _retained(link: Link, within_s: float) -> dict[str, Any]:
    """Every retained message of the topics of interest, by topic; what is no JSON is left out."""
    found: dict[str, Any] = {}
    news = asyncio.Event()
    trouble: list[str] = []

    def receive(topic: str, message: Any, _settle: Settle | None) -> bool:
        try:
            found[topic] = decode_json(message.payload, LIST_MAX)
        except (ValueError, RecursionError):
            return False
        news.set()
        return False

    def changed(up: bool, detail: str) -> None:
        if not up:
            trouble.append(detail)

    trial = Link(link.id, link.driver, {**link.binding, "trial": True})
    session = Session(binding.parse(trial), "scan", receive, changed)
    session.topics = TOPICS
    session.packet_max = LIST_MAX
    task = asyncio.create_task(session.run(1.0))
    try:
        await _quiet(news, within_s)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if trouble and not found:
        raise DeviceError(trouble[-1])
    return found


async def _quiet(news: asyncio.Event, within_s: float) -> None:
    """Wait until nothing new has come for a while, at most so long."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + within_s
    wait_s = within_s
    while wait_s > 0:
        try:
            async with asyncio.timeout(wait_s):
                await news.wait()
        except TimeoutError:
            return
        news.clear()
        wait_s = min(QUIET_S, ends - loop.time())
