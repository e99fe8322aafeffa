"""Sites in Python for the core's tests: every door, room, button and sensor that a rule needs."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gateway.domain.hours import WeeklyHours
from gateway.domain.points import PointRef, SetpointKind
from gateway.domain.profile import Edge, PointSpec, PollClass, Profile, SetpointSpec, ValueKind
from gateway.domain.site import (
    BookingPolicy,
    CallOutputs,
    CallPoint,
    Channel,
    ChannelKind,
    Device,
    Door,
    DoorMode,
    DoorPoints,
    DoorRules,
    Egress,
    Equipment,
    Escalation,
    Facility,
    FireRole,
    FireZone,
    Link,
    Name,
    Place,
    PresenceSensor,
    Safety,
    SensorKind,
    Settings,
    Site,
    Step,
    Wiring,
)
from gateway.domain.uses import Use, uses

KINDS = {
    Use.STRIKE: SetpointKind.PULSE,
    Use.HOLD: SetpointKind.LEVEL,
    Use.SIREN: SetpointKind.LEASE,
    Use.LAMP: SetpointKind.LEASE,
    Use.HEARTBEAT: SetpointKind.LEASE,
    Use.POWER_DRIVE: SetpointKind.LEVEL,
    Use.BREAKER: SetpointKind.LEVEL,
}
POINTS = tuple(DoorPoints.__slots__)


def ref(text: str) -> PointRef:
    return PointRef.parse(text)


def name(text: str) -> Name:
    return Name(f"{text}（中）", text)


def door(id_: str, place: str, *, readers: Iterable[str] = (), **more: Any) -> Door:
    """`strike="board/1"` and so on are points; all else is a rule of the door."""
    points = {key: ref(more.pop(key)) for key in POINTS if key in more}
    rules = DoorRules(more.pop("egress", Egress.HARDWIRED), **more)
    readers = tuple(ref(reader) for reader in readers)
    return Door(id_, place, name(id_), DoorPoints(readers=readers, **points), rules)


def sensor(text: str, kind: SensorKind = SensorKind.MOTION, **more: Any) -> PresenceSensor:
    return PresenceSensor(ref(text), kind, **more)


def facility(id_: str, place: str, **more: Any) -> Facility:
    booking = more.pop("booking", BookingPolicy.REQUIRED)
    return Facility(id_, place, name(id_), booking, **more)


def call_point(id_: str, place: str, point: str, **more: Any) -> CallPoint:
    outputs = CallOutputs(
        tuple(ref(text) for text in more.pop("sirens", ())),
        tuple(ref(text) for text in more.pop("lamps", ())),
        tuple(more.pop("releases", ())),
    )
    escalation, wiring = more.pop("escalation", "desk"), more.pop("wiring", Wiring.MOMENTARY)
    return CallPoint(id_, place, name(id_), ref(point), escalation, wiring, outputs, **more)


def equipped(site: Site, radio: Iterable[str] = ()) -> Site:
    """The same site with a device for every point it uses: `radio` ones on `air`, else on `bus`."""
    rows: dict[str, dict[str, PointSpec]] = {}
    for point, used in uses(site).items():
        kind = next((KINDS[u.use] for u in used if u.use in KINDS), None)
        spec = SetpointSpec(kind) if kind else None
        row = PointSpec(point.point, ValueKind.BOOL, "", PollClass.DOOR, Edge.NONE, spec, {})
        rows.setdefault(point.device, {})[point.point] = row
    battery = PointSpec("battery", ValueKind.INT, "%", PollClass.BATTERY, Edge.NONE, None, {})
    for device in radio:
        rows.setdefault(device, {})["battery"] = battery
    profiles = {id_: Profile(id_, id_, "none", points, {}, {}) for id_, points in rows.items()}
    place = next(iter(site.places))
    devices = {
        id_: Device(id_, id_, "air" if id_ in radio else "bus", place, name(id_), {})
        for id_ in rows
    }
    links = {id_: Link(id_, "none", {}) for id_ in ("air", "bus")}
    equipment = replace(site.equipment, links=links, devices=devices, profiles=profiles)
    return replace(site, equipment=equipment)


def court(settings: Settings | None = None, zone: str = "Asia/Shanghai", **parts: Any) -> Site:
    """The standard site; `parts` replace or add doors, facilities, call points … by id.

    | room | door | booking | sensors |
    |---|---|---|---|
    | study | strike, contact, exit button, hold; way: front | required | motion |
    | music | a lock on the air, no contact | required | presence |
    | gym | first person in; capacity 3 | required | motion |
    | store | strike, contact, exit button | required | none |
    | lounge | scheduled 08:00–18:00 on weekdays | optional | motion |
    | terrace | no door of its own | required | motion |
    """
    places = {
        "compound": Place("compound", name("compound"), None),
        "building": Place("building", name("building"), "compound"),
    }
    for room in ("study", "music", "gym", "store", "lounge", "bathroom"):
        places[f"{room}_room"] = Place(f"{room}_room", name(f"{room} room"), "building")
    places["terrace"] = Place("terrace", name("terrace"), "compound")
    site = Site(
        "court",
        zone,
        places,
        _by_id(_doors(), parts.pop("doors", ())),
        _by_id(_facilities(), parts.pop("facilities", ())),
        Equipment({}, {}, {}, tuple(ref(text) for text in parts.pop("heartbeat", ()))),
        Safety(
            _by_id(_call_points(), parts.pop("call_points", ())),
            _by_id(_escalations(), parts.pop("escalations", ())),
            _by_id(_channels(), ()),
            _by_id(
                [FireZone("fire", "building", ref("panel/fire"), ("study", "front", "store"))],
                parts.pop("fire_zones", ()),
            ),
        ),
        settings or Settings(),
        {circuit.id: circuit for circuit in parts.pop("circuits", ())},
    )
    assert not parts, parts
    return equipped(site, ("lock", "sos", "keypad"))


def _by_id(standard: Iterable[Any], others: Iterable[Any]) -> dict[str, Any]:
    return {part.id: part for part in (*standard, *others)}


def _doors() -> list[Door]:
    weekdays = WeeklyHours(tuple((day, 8 * 60, 18 * 60) for day in range(5)))
    return [
        door(
            "front",
            "building",
            strike="board/strike_front",
            contact="board/contact_front",
            exit_button="board/exit_front",
            readers=["keypad/front"],
            fire=FireRole.RELEASES,
        ),
        door(
            "study",
            "study_room",
            strike="board/strike_study",
            contact="board/contact_study",
            exit_button="board/exit_study",
            hold="board/hold_study",
            readers=["keypad/study"],
            fire=FireRole.RELEASES,
        ),
        door(
            "music",
            "music_room",
            strike="lock/release",
            lock="lock/state",
            readers=["keypad/music"],
            egress=Egress.MECHANICAL,
        ),
        door(
            "gym",
            "gym_room",
            strike="gate/strike_gym",
            contact="gate/contact_gym",
            exit_button="gate/exit_gym",
            hold="gate/hold_gym",
            readers=["keypad/gym"],
            mode=DoorMode.FIRST_IN,
        ),
        door(
            "store",
            "store_room",
            strike="gate/strike_store",
            contact="gate/contact_store",
            exit_button="gate/exit_store",
            readers=["keypad/store"],
        ),
        door(
            "lounge",
            "lounge_room",
            strike="gate/strike_lounge",
            contact="gate/contact_lounge",
            exit_button="gate/exit_lounge",
            hold="gate/hold_lounge",
            readers=["keypad/lounge"],
            mode=DoorMode.SCHEDULED,
            open_hours=weekdays,
        ),
    ]


def _facilities() -> list[Facility]:
    return [
        facility(
            "study", "study_room", doors=("study",), way=("front",), sensors=(sensor("pir/study"),)
        ),
        facility(
            "music",
            "music_room",
            doors=("music",),
            sensors=(sensor("radar/music", SensorKind.PRESENCE, hold_ms=60_000),),
        ),
        facility("gym", "gym_room", doors=("gym",), capacity=3, sensors=(sensor("pir/gym"),)),
        facility("store", "store_room", doors=("store",)),
        facility(
            "lounge",
            "lounge_room",
            doors=("lounge",),
            booking=BookingPolicy.OPTIONAL,
            sensors=(sensor("pir/lounge"),),
        ),
        facility("terrace", "terrace", sensors=(sensor("pir/terrace"),)),
    ]


def _call_points() -> list[CallPoint]:
    return [
        call_point(
            "help",
            "study_room",
            "panel/help",
            sirens=["panel/siren"],
            lamps=["panel/lamp"],
            releases=["study"],
            supervision_ms=180_000,
            reset_key=ref("panel/key"),
        ),
        call_point(
            "cord",
            "bathroom_room",
            "panel/cord",
            wiring=Wiring.COUNTER,
            sirens=["panel/siren_bath"],
            lamps=["panel/lamp_bath"],
            supervision_ms=180_000,
        ),
        call_point("sos", "bathroom_room", "sos/action", wiring=Wiring.MESSAGE),
        call_point(
            "pendant", "building", "pendant/action", wiring=Wiring.WEARABLE, releases=["front"]
        ),
    ]


def _escalations() -> list[Escalation]:
    return [
        Escalation(
            "desk",
            (Step(0, ("siren", "panel")), Step(60_000, ("web",)), Step(180_000, ("platform",))),
        )
    ]


def _channels() -> list[Channel]:
    return [
        Channel("siren", ChannelKind.OUTPUT, True),
        Channel("panel", ChannelKind.MQTT, True),
        Channel("web", ChannelKind.WEBHOOK, False),
        Channel("platform", ChannelKind.PLATFORM, False),
        Channel("page", ChannelKind.DESK, True),
    ]
