"""A small site in Python: a board over TCP or RTU, a keypad, a door, a call point."""

from typing import Any

from gateway.domain.points import PointRef, SetpointKind
from gateway.domain.profile import Edge, PointSpec, PollClass, Profile, SetpointSpec, ValueKind
from gateway.domain.site import (
    BookingPolicy,
    CallOutputs,
    CallPoint,
    Device,
    Door,
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
    Wiring,
)


def name(text: str) -> Name:
    return Name(text, text)


def spec(point: str, kind: ValueKind = ValueKind.BOOL, **more: Any) -> PointSpec:
    setpoint = more.get("setpoint")
    return PointSpec(
        point,
        kind,
        more.get("unit", ""),
        more.get("poll", PollClass.SENSOR),
        more.get("edge", Edge.NONE),
        SetpointSpec(setpoint) if setpoint else None,
        more.get("binding", {}),
    )


def profile(id_: str, driver: str, *points: PointSpec, **more: Any) -> Profile:
    return Profile(
        id_,
        id_,
        driver,
        {point.name: point for point in points},
        more.get("binding", {}),
        more.get("traits", {}),
    )


BOARD = profile(
    "board",
    "modbus",
    *(spec(f"relay_{n}", setpoint=SetpointKind.LEVEL) for n in range(1, 9)),
    *(
        spec(f"pulse_{n}", setpoint=SetpointKind.PULSE, binding={"tick_ms": 100})
        for n in range(1, 9)
    ),
    *(spec(f"signal_{n}", ValueKind.TEXT, setpoint=SetpointKind.LEASE) for n in range(1, 9)),
    *(spec(f"input_{n}") for n in range(1, 9)),
)
KEYPAD = profile(
    "keypad", "mqtt", spec("credential", ValueKind.TEXT, poll=PollClass.EVENT, edge=Edge.CREDENTIAL)
)


def ref(text: str) -> PointRef:
    return PointRef.parse(text)


def small_site(
    bus: dict[str, Any] | None = None,
    egress: Egress = Egress.HARDWIRED,
    wiring: Wiring = Wiring.MOMENTARY,
) -> Site:
    """A study room with strike, contact, exit button, keypad, call point and fire input."""
    places = {
        "compound": Place("compound", name("compound"), None),
        "study_room": Place("study_room", name("study room"), "compound"),
    }
    points = DoorPoints(
        strike=ref("board/pulse_1"),
        contact=ref("board/input_1"),
        exit_button=ref("board/input_2"),
        hold=ref("board/relay_1"),
        readers=(ref("keypad/credential"),),
    )
    door = Door(
        "study_room_door",
        "study_room",
        name("study room door"),
        points,
        DoorRules(egress, fire=FireRole.RELEASES),
    )
    call_point = CallPoint(
        "help",
        "study_room",
        name("help"),
        ref("board/input_3"),
        "desk",
        wiring,
        CallOutputs((ref("board/signal_2"),), (ref("board/signal_3"),)),
    )
    facility = Facility(
        "study",
        "study_room",
        name("study"),
        BookingPolicy.REQUIRED,
        doors=("study_room_door",),
        sensors=(PresenceSensor(ref("board/input_5"), SensorKind.MOTION),),
    )
    board = {"unit": 1, "invert": ["input_4"]}
    devices = {
        "board": Device("board", "board", "bus", "study_room", name("board"), board),
        "keypad": Device(
            "keypad", "keypad", "mqtt", "study_room", name("keypad"), {"topic": "commons/keypad"}
        ),
    }
    links = {
        "bus": Link("bus", "modbus_tcp", bus or {"host": "127.0.0.1", "port": 502}),
        "mqtt": Link("mqtt", "mqtt", {"host": "127.0.0.1", "port": 1883}),
    }
    return Site(
        "small",
        "Asia/Shanghai",
        places,
        {door.id: door},
        {facility.id: facility},
        Equipment(links, devices, {"board": BOARD, "keypad": KEYPAD}),
        Safety(
            {call_point.id: call_point},
            {"desk": Escalation("desk", ())},
            {},
            {"fire": FireZone("fire", "compound", ref("board/input_4"), ("study_room_door",))},
        ),
        Settings(),
    )
