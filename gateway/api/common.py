"""What many resources show in the same way."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.domain.faults import Fault
from gateway.domain.reasons import Reason
from gateway.domain.site import Name

Line = Annotated[str, Field(max_length=500), AfterValidator(str.strip)]  # as long as it was sent
Person = Annotated[
    Line, Field(description="Who it is that acts, where a token is shared; needed of a platform.")
]


TURN_THINGS = 8

T = TypeVar("T")
S = TypeVar("S")


async def each(things: Iterable[T], show: Callable[[T], S]) -> list[S]:
    """Show each thing; after every few the engine has its turn, for a call may be waiting."""
    found = []
    for count, thing in enumerate(tuple(things), 1):
        found.append(show(thing))
        if count % TURN_THINGS == 0:
            await asyncio.sleep(0)
    return found


class Shown(BaseModel):
    """Something that is shown."""

    model_config = ConfigDict(frozen=True)


class Asked(BaseModel):
    """A body that asks for something; a member nobody knows is an error, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class NameShown(Shown):
    """What people call a thing."""

    zh: str
    en: str

    @classmethod
    def of(cls, name: Name) -> "NameShown":
        """A name."""
        return cls(zh=name.zh, en=name.en)


class ReasonShown(Shown):
    """Why: a code for programs, a sentence in Chinese and English."""

    code: str
    zh: str
    en: str

    @classmethod
    def of(cls, why: Reason) -> "ReasonShown":
        """A reason."""
        return cls(code=why.code, zh=why.zh, en=why.en)


class FaultShown(Shown):
    """Something that is not as it should be, and by when it is to be repaired."""

    id: str
    about: str
    reason: ReasonShown
    opened_ms: int
    repair_by_ms: int
    places: tuple[str, ...]
    urgent: bool

    @classmethod
    def of(cls, fault: Fault) -> "FaultShown":
        """A fault."""
        return cls(
            id=fault.id,
            about=fault.about,
            reason=ReasonShown.of(fault.reason),
            opened_ms=fault.opened_ms,
            repair_by_ms=fault.repair_by_ms,
            places=fault.places,
            urgent=fault.urgent,
        )
