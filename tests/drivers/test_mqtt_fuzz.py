"""Whatever a device says, it is a value of its kind or none at all (RULES X2)."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt_rig import KEYPAD, Rig, device, profiles

from gateway.domain.points import Quality
from gateway.domain.profile import ValueKind

TYPES: dict[ValueKind, type] = {
    ValueKind.BOOL: bool,
    ValueKind.INT: int,
    ValueKind.FLOAT: float,
    ValueKind.TEXT: str,
}
DEVICES = [
    device(id_, id_, f"zigbee2mqtt/{id_}")
    for id_, profile in profiles().items()
    if profile.driver == "mqtt" and id_ != "json_keypad"
]
NAMES = sorted(
    {
        spec.binding["path"]
        for one in DEVICES
        for spec in profiles()[one.profile].points.values()
        if "path" in spec.binding
    }
)
WORDS = ["ON", "OFF", "LOCK", "locked", "open", "emergency", "online", "", "1e999", "nan"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
BODIES = st.dictionaries(st.sampled_from([*NAMES, "last_seen", "state"]), VALUES)
PAYLOADS = (
    BODIES.map(lambda body: json.dumps(body).encode())
    | st.binary()
    | VALUES.map(lambda value: json.dumps(value).encode())
)


class Nowhere:
    host, port = "127.0.0.1", 1


class Message:
    dup = False

    def __init__(self, payload: bytes, retain: bool) -> None:
        self.payload = payload
        self.retain = retain


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PAYLOADS, st.booleans()), max_size=6))
async def test_no_message_raises_or_becomes_what_it_is_not(said: list[tuple[bytes, bool]]) -> None:
    rig = Rig(Nowhere(), [*DEVICES, KEYPAD])  # type: ignore[arg-type]  # an address is all it needs
    layout: Any = rig.driver._layout
    for routes in (layout.calls, layout.rest):
        for found in routes.values():
            for payload, retain in said:
                for route in found:
                    route.take(Message(payload, retain), None)
    for reading in rig.sink.readings:
        spec = rig.setup.profiles[reading.ref.device].points[reading.ref.point]
        if reading.quality is Quality.GOOD:
            assert type(reading.value) is TYPES[spec.kind]
        else:
            assert reading.value is None
    if all(retain for _, retain in said):
        assert not rig.sink.edges
        assert not rig.sink.credentials
