"""JSON Schemas of site and profile files, for editors and other tools: made from the models.

`python -m config.schema docs/schemas` writes them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from config.base import Id
from config.files import UNITS_MS
from config.models import DeviceFile, FacilityFile, PlaceFile, ProfileFile, SiteFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

FILES: Mapping[str, tuple[str, Any]] = {
    "site": ("site.yaml of a site", SiteFile),
    "places": ("places.yaml of a site: places by id", dict[Id, PlaceFile]),
    "device": ("devices/<id>.yaml of a site", DeviceFile),
    "facility": ("facilities/<id>.yaml of a site", FacilityFile),
    "profile": ("profiles/<id>.yaml: a model of device", ProfileFile),
}


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of each kind of file, by its name."""
    return {name: _schema(title, kind) for name, (title, kind) in FILES.items()}


def text_of(schema: Mapping[str, Any]) -> str:
    """A schema as it is published."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Publish every schema as `<name>.schema.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.schema.json").write_text(text_of(schema), encoding="utf-8")


def _schema(title: str, kind: Any) -> dict[str, Any]:
    model = isinstance(kind, type) and issubclass(kind, BaseModel)
    made = kind.model_json_schema() if model else TypeAdapter(kind).json_schema()
    made.pop("title", None)
    for inner in (made, *made.get("$defs", {}).values()):
        _tidy(inner)
    return {"$schema": DIALECT, "title": title, **made}


def _tidy(schema: dict[str, Any]) -> None:
    """Leave out what only repeats names, and add the other units of durations."""
    schema.pop("title", None)
    columns = schema.get("properties", {})
    for column in columns.values():
        column.pop("title", None)
    for name in [name for name in columns if name.endswith("_ms")]:
        if columns[name].get("type") == "object":
            continue  # a mapping of durations, not a duration
        for unit in UNITS_MS:
            described = f"The same in {unit}. {columns[name].get('description', '')}".strip()
            columns[f"{name[:-3]}_{unit}"] = {
                "type": "number",
                "minimum": 0,
                "description": described,
            }
    required = schema.get("required", [])
    for name in [name for name in required if name.endswith("_ms")]:
        required.remove(name)
        units = [f"{name[:-3]}_{unit}" for unit in UNITS_MS]
        schema["oneOf"] = [{"required": [one]} for one in (name, *units)]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
