"""The published JSON Schemas are those of the models, and agree with them."""

import json
from pathlib import Path

import pytest
from houses import BASE, HERE
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from config.profiles import SHIPPED
from config.schema import schemas, text_of

PUBLISHED = HERE.parent.parent / "docs" / "schemas"
DEMO = HERE.parent.parent / "config" / "sites" / "demo"
KIND = {"devices": "device", "facilities": "facility", "profiles": "profile"}


def schema_of(path: Path) -> Draft202012Validator:
    name = KIND.get(path.parent.name, path.stem)
    return Draft202012Validator(json.loads((PUBLISHED / f"{name}.schema.json").read_text("utf-8")))


def data_of(path: Path):
    return YAML(typ="safe", pure=True).load(path)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_published_schema_is_current(name):
    published = PUBLISHED / f"{name}.schema.json"
    told = "publish it: python -m config.schema docs/schemas"
    assert published.read_text(encoding="utf-8") == text_of(schemas()[name]), told


@pytest.mark.parametrize(
    "path",
    [*sorted(BASE.rglob("*.yaml")), *sorted(DEMO.rglob("*.yaml")), *sorted(SHIPPED.glob("*.yaml"))],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_a_right_file_has_a_right_schema(path):
    schema_of(path).validate(data_of(path))


@pytest.mark.parametrize(
    "path",
    [
        "05_no_way_out/places.yaml",
        "14_unknown_keys/places.yaml",
        "14_unknown_keys/site.yaml",
        "17_wrong_values/facilities/room.yaml",
        "17_wrong_values/places.yaml",
        "17_wrong_values/site.yaml",
    ],
)
def test_an_editor_sees_what_is_wrong_as_it_is_typed(path):
    broken = HERE / "broken" / path
    assert not schema_of(broken).is_valid(data_of(broken))


def test_every_key_is_described():
    undescribed = [
        f"{file}: {name}.{key}"
        for file, schema in schemas().items()
        for name, inner in {file: schema, **schema["$defs"]}.items()
        for key, column in inner.get("properties", {}).items()
        if "description" not in column and "$ref" not in column
    ]
    assert undescribed == []
