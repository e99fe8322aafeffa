"""What all our models of files share: strict types, no unknown keys, durations in any unit."""

import math
from dataclasses import MISSING, fields
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from config.files import UNITS_MS, spellings
from config.problems import ID_PATTERN, REFERENCE_PATTERN

TEN_YEARS_MS = 10 * 366 * UNITS_MS["days"]

Id = Annotated[str, Field(pattern=ID_PATTERN)]
Reference = Annotated[str, Field(pattern=REFERENCE_PATTERN)]
Text = Annotated[str, Field(min_length=1)]
Milliseconds = Annotated[int, Field(ge=0, le=TEN_YEARS_MS)]
Chosen = Field(strict=False)  # an enumeration is written as its text


def default(owner: type, name: str) -> Any:
    """The default of a domain value's field, so that a figure stands in one place."""
    found = next(one for one in fields(owner) if one.name == name)
    return found.default_factory() if found.default_factory is not MISSING else found.default


class Strict(BaseModel):
    """A mapping of our own keys. A duration may be given as `_s`, `_min`, `_h` or `_days`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _durations(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for name in cls.model_fields:
            written = [one for one in spellings(name) if one in data]
            if len(written) > 1:
                said = f"found {' and '.join(written)}, expected one of them"
                raise PydanticCustomError("given_twice", "{said}", {"said": said})
            if written and written[0] != name:
                data[name] = _to_ms(written[0], data.pop(written[0]))
        return data


class Open(Strict):
    """A mapping of our keys and of the driver's own, which `own` gives untouched."""

    model_config = ConfigDict(extra="allow")

    @property
    def own(self) -> dict[str, Any]:
        """The keys that are not ours."""
        return dict(self.model_extra or {})


def _to_ms(written: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value  # said of it below, as of any wrong type
    if not math.isfinite(value):
        return value
    return round(value * UNITS_MS[written.rpartition("_")[2]])
