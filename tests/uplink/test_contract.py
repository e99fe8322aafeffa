"""The published description: sound in itself, and the same as what the gateway understands."""

import copy
import json
from typing import Any

import pytest
from contract import DOCUMENT, document, resolved, validator, violations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.events import ChangesReceived, SnapshotReceived, Stream
from gateway.domain.state import Result
from gateway.security.credentials import KeyedCredentials
from gateway.uplink import messages
from gateway.uplink.messages import NonsenseError
from gateway.uplink.topics import Topics
from simulators.platform.canonical import snapshot_digest

CREDENTIALS = KeyedCredentials(bytes(32))
BOOKING = {
    "id": "b1",
    "facility": "study",
    "subjects": ["ann", "bob"],
    "start_ms": 1,
    "end_ms": 2,
    "priority": 7,
    "created_ms": 0,
    "revision": 3,
    "needed_wh": 10_000,
}
SUBJECTS = [
    {"kind": "subject", "id": "ann", "roles": ["staff", "desk"], "active": True},
    {"kind": "pin", "id": "p1", "subject": "ann", "pin": "271828", "blocked": False},
    {"kind": "card", "id": "c1", "subject": "ann", "card": "04:A1:B2:C3", "blocked": True},
    {"kind": "energy_quota", "id": "q1", "subject": "ann", "left_wh": 9_000, "used_wh": 1_200},
    {
        "kind": "time_quota",
        "id": "q2",
        "subject": "ann",
        "left_ms": 3_600_000,
        "used_ms": 0,
        "targets": ["*", "study"],
        "from_ms": 1,
        "until_ms": None,
    },
]
RIGHT = {
    "id": "r1",
    "subject": "ann",
    "targets": ["*", "study"],
    "hours": [[6, 480, 1_500]],
    "from_ms": 1,
    "until_ms": None,
}
ITEMS: dict[Stream, list[dict[str, Any]]] = {
    Stream.BOOKINGS: [BOOKING],
    Stream.SUBJECTS: SUBJECTS,
    Stream.RIGHTS: [RIGHT],
}
COMMAND = {
    "id": "c1",
    "name": "release_door",
    "target": "study_door",
    "expires_ms": 5,
    "arguments": {"why": "locked out", "times": 2, "loud": True},
    "by": {"name": "Ms Chen"},
}
ACK = {"epoch": "e1", "seq": 5, "also": [7, 9], "resume": False}
SCRAPS = st.sampled_from(
    [None, True, 0, -1, 2.5, 2**60, "", "x", "No Id", "a" * 600, [], [1], {}, {"a": 1}, "staff"]
)


def changes(stream: Stream) -> dict[str, Any]:
    put = copy.deepcopy(ITEMS[stream])
    return {"type": "changes", "epoch": "e1", "revision": 4, "put": put, "remove": ["gone"]}


def snapshot(stream: Stream) -> dict[str, Any]:
    items = copy.deepcopy(ITEMS[stream])
    whole = {"count": len(items), "digest": snapshot_digest(items), "items": items}
    window = {"window": {"from_ms": 0, "until_ms": 9}, "confirmed_by": {"name": "Ms Chen"}}
    return {"type": "snapshot", "epoch": "e1", "revision": 4, **window, **whole}


EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    *((stream.value, changes(stream)) for stream in Stream),
    *((stream.value, snapshot(stream)) for stream in Stream),
    ("command", COMMAND),
    ("ack", ACK),
]


def understood(channel: str, message: Any) -> bool:
    """The gateway takes all of a message."""
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    try:
        if channel == "ack":
            messages.acknowledgement(payload)
            return True
        if channel == "command":
            messages.command(payload)
            return True
        event = messages.sync(Stream(channel), payload, False, CREDENTIALS).event
        assert isinstance(event, SnapshotReceived | ChangesReceived)
        return not event.rejected
    except NonsenseError:
        return False


def test_the_document_is_whole() -> None:
    found = document()
    assert found["asyncapi"] == "3.0.0"
    for name, channel in found["channels"].items():
        way = "up" if name in ("status", "journal", "urgent", "unsaved", "answer") else "down"
        assert channel["address"] == f"commons/v1/{{gateway}}/{way}/{name}"
        (message,) = channel["messages"].values()
        resolved(message["$ref"])
        validator(name).check_schema(validator(name).schema)
    used = {operation["channel"]["$ref"] for operation in found["operations"].values()}
    assert used | {"#/channels/answer"} == {f"#/channels/{name}" for name in found["channels"]}
    for reference in references(found):
        resolved(reference)


def test_the_document_names_the_gateways_own_topics_and_results() -> None:
    topics = Topics("g")
    ours = {topics.status, topics.journal, topics.urgent, topics.unsaved, topics.answer}
    addresses = {each["address"].format(gateway="g") for each in document()["channels"].values()}
    assert ours == {address for address in addresses if "/up/" in address}
    results = document()["components"]["schemas"]["Answer"]["properties"]["result"]["enum"]
    assert set(results) == {result.value for result in Result}


def test_the_documents_name_is_where_people_look() -> None:
    assert DOCUMENT.name == "asyncapi.yaml"
    assert DOCUMENT.is_file()


@pytest.mark.parametrize(("channel", "message"), EXAMPLES)
def test_an_example_of_each_message_is_understood_as_described(
    channel: str, message: dict[str, Any]
) -> None:
    assert violations(f"down/{channel}", json.dumps(message).encode()) == []
    assert understood(channel, message)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_document_and_gateway_agree_on_what_makes_sense(data: st.DataObject) -> None:
    channel, example = data.draw(st.sampled_from(EXAMPLES))
    message = copy.deepcopy(example)
    holder, key = data.draw(st.sampled_from(places(message)))
    if data.draw(st.booleans()):
        holder[key] = data.draw(SCRAPS)
    else:
        del holder[key]
    described = violations(f"down/{channel}", json.dumps(message).encode()) == []
    assert understood(channel, message) == described, message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["bookings", "subjects", "rights", "command", "ack"]), JSON | st.binary())
def test_nothing_that_comes_raises_anything_but_nonsense(channel: str, found: Any) -> None:
    """RULES X2."""
    understood(channel, found)


@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=6))
@settings(max_examples=20, deadline=None)
def test_both_ends_find_the_same_digest_in_any_order(items: list[dict[str, Any]]) -> None:
    """RULES B1."""
    assert messages.digest(items) == snapshot_digest(list(reversed(items)))


def test_a_digest_is_as_published() -> None:
    """Computed by hand from the description, and fixed."""
    items = [{"id": "b2", "n": 2}, {"pin": "1234", "id": "b1"}]
    assert messages.digest(items) == (
        "8a78a8b4e35ab019372461354c83ac1e80d423f1b79248033b2f86db52d1c53d"
    )


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member and element: its holder, and its key there."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [each for inner in value.values() for each in references(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in references(inner)]
    return []
