"""Entities as rows: every kind comes back as it was; old versions are lifted; secrets stay so."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.calls import CallPointStatus
from gateway.domain.entity import Entity
from gateway.domain.errors import StoreError
from gateway.domain.now import Elapsed
from gateway.domain.secret import Secret
from gateway.domain.state import KINDS
from gateway.domain.subjects import Credential, CredentialKind
from gateway.store.entities import EntityCodec

st.register_type_strategy(Secret, st.builds(Secret, st.text()))
CODEC = EntityCodec()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_kind_comes_back_as_it_was(kind: str, data: st.DataObject) -> None:
    entity = data.draw(st.from_type(KINDS[kind]))
    of, id_, version, body = CODEC.row(entity)
    assert (of, id_) == (kind, entity.id)
    back = CODEC.entity(kind, version, body)
    assert back == entity
    assert type(back) is KINDS[kind]


def test_a_body_shows_its_fields_and_no_kind_or_property() -> None:
    status = CallPointStatus("c-1", test_since=Elapsed(1, 2, "b"))
    _, _, _, body = CODEC.row(status)
    assert set(json.loads(body)) == {field.name for field in dataclasses.fields(status)}


def test_an_error_does_not_show_what_was_read() -> None:
    """RULES U5: a body may hold the digest of a PIN."""
    body = '{"id": "c-1", "subject": 7, "type": "pin", "digest": "sekret", "failures": "sekret"}'
    with pytest.raises(StoreError, match="subject: string_type") as caught:
        CODEC.entity("credential", 1, body)
    assert "sekret" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(StoreError) as caught:
        CODEC.entity("credential", 1, '{"digest": "sekret')
    assert "sekret" not in str(caught.value)


def test_text_that_utf_8_cannot_write_is_replaced() -> None:
    _, id_, version, body = CODEC.row(CallPointStatus("c-\ud83d", test_by="half \udc00"))
    assert CODEC.entity("call_point", version, body) == CallPointStatus("c-?", test_by="half ?")
    assert id_ == "c-?"


def test_a_credential_comes_back_as_a_secret() -> None:
    one = Credential("c", "s", CredentialKind.PIN, Secret("d"), blocked=True)
    _, _, version, body = CODEC.row(one)
    assert CODEC.entity("credential", version, body) == one


@dataclass(frozen=True, slots=True)
class Lamp:
    """A kind that has changed twice: `watt` became `power_w`, then `on` became `state`."""

    kind: ClassVar[str] = "lamp"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    power_w: int
    state: str


def renamed(body: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in body.items() if key != "watt"}
    return {**rest, "power_w": body["watt"]}


def spelled(body: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in body.items() if key != "on"}
    return {**rest, "state": "on" if body["on"] else "off"}


def test_an_old_body_is_lifted_step_by_step() -> None:
    kinds: dict[str, type[Entity]] = {"lamp": Lamp}
    codec = EntityCodec(kinds, {("lamp", 1): renamed, ("lamp", 2): spelled})
    assert codec.row(Lamp("l", 5, "on"))[2] == 3
    assert codec.entity("lamp", 1, '{"id":"l","watt":5,"on":true}') == Lamp("l", 5, "on")
    assert codec.entity("lamp", 2, '{"id":"l","power_w":5,"on":false}') == Lamp("l", 5, "off")
    with pytest.raises(StoreError, match="version 4: this code knows up to 3"):
        codec.entity("lamp", 4, "{}")
    with pytest.raises(StoreError, match="lamp of version 1 cannot be read"):
        codec.entity("lamp", 1, '{"id":"l"}')


def test_a_kind_nobody_knows_is_an_error() -> None:
    with pytest.raises(StoreError, match="'toaster'"):
        CODEC.entity("toaster", 1, "{}")
