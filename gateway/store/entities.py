"""Entities as rows: a JSON body with a version; old bodies are lifted by pure upcasters.

A new field with a default needs no upcaster. Anything else gets one entry in `UPCASTERS`, from the
version it lifts; the current version of a kind is one more than its last upcaster.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema

from gateway.domain.entity import Entity
from gateway.domain.errors import StoreError
from gateway.domain.secret import Secret
from gateway.domain.state import KINDS

Body = dict[str, Any]
Upcaster = Callable[[Body], Body]
Row = tuple[str, str, int, str]

# (kind, version) → the body as the next version has it
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}


class EntityCodec:
    """Turns entities into rows and back."""

    def __init__(
        self,
        kinds: Mapping[str, type[Entity]] = KINDS,
        upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    ) -> None:
        self._upcasters = upcasters
        self._versions = {kind: _version(kind, upcasters) for kind in kinds}
        self._kinds = kinds

    def row(self, entity: Entity) -> Row:
        """(kind, id, version, body) of an entity."""
        kind = entity.kind
        try:
            body = _adapter(self._kinds[kind]).dump_json(entity).decode()
        except (PydanticSerializationError, UnicodeEncodeError):
            # text from a wire may hold half a surrogate pair, which no encoding takes (RULES X2)
            loose = _adapter(self._kinds[kind]).dump_python(entity, mode="json")
            body = whole_text(json.dumps(loose, ensure_ascii=False))
        return kind, whole_text(entity.id), self._versions[kind], body

    def entity(self, kind: str, version: int, body: str) -> Entity:
        """The entity of a row. Raises StoreError when this code cannot read it."""
        if kind not in self._kinds:
            raise StoreError(f"entity of kind {kind!r}: expected one of {sorted(self._kinds)}")
        try:
            return _adapter(self._kinds[kind]).validate_json(
                self._lift(kind, version, body), strict=True
            )
        except (ValidationError, ValueError, KeyError) as error:
            # the body may hold a credential's digest, so the error must not quote it (RULES U5)
            where = _where(error)
            raise StoreError(f"{kind} of version {version} cannot be read{where}") from None

    def _lift(self, kind: str, version: int, body: str) -> str:
        newest = self._versions[kind]
        if version == newest:
            return body
        if version > newest:
            raise StoreError(f"{kind} has version {version}: this code knows up to {newest}")
        lifted = json.loads(body)
        for step in range(version, newest):
            lifted = self._upcasters[kind, step](lifted)
        return json.dumps(lifted)


@cache  # when first needed, and once: 5 ms each
def _adapter(of: type[Entity]) -> TypeAdapter[Entity]:
    shape: Any = Annotated[of, _SecretFields()]
    return TypeAdapter(shape)


def whole_text(text: str) -> str:
    """The text with what UTF-8 cannot write replaced by `?`."""
    return text.encode("utf-8", "replace").decode()


def _version(kind: str, upcasters: Mapping[tuple[str, int], Upcaster]) -> int:
    return 1 + max((step for of, step in upcasters if of == kind), default=0)


def _where(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return ""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return ": " + "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in found)


class _SecretFields:
    """Lets a dataclass hold `Secret`s: text in its row, and nowhere else."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        hints = get_type_hints(source)
        own = fields(source)
        if not any(hints[field.name] is Secret for field in own):
            return handler(source)
        return core_schema.dataclass_schema(
            source,
            core_schema.dataclass_args_schema(
                source.__name__, [_field(field, hints[field.name], handler) for field in own]
            ),
            [field.name for field in own],
            slots=True,
            frozen=True,
        )


def _field(
    field: Field[Any], type_: Any, handler: GetCoreSchemaHandler
) -> core_schema.DataclassField:
    schema = _SECRET if type_ is Secret else handler.generate_schema(type_)
    if field.default is not MISSING:
        schema = core_schema.with_default_schema(schema, default=field.default)
    return core_schema.dataclass_field(field.name, schema, kw_only=False)


_SECRET = core_schema.no_info_after_validator_function(
    Secret,
    core_schema.str_schema(),
    serialization=core_schema.plain_serializer_function_ser_schema(Secret.reveal),
)
