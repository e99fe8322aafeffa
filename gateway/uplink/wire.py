"""The shapes of what the platform sends. Unknown members are ignored: newer platforms say more."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, field_validator

from gateway.domain.events import Stream
from gateway.domain.subjects import Role

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=128)]
Target = Annotated[str, Field(pattern=r"^(\*|[a-z0-9][a-z0-9_-]*)$", max_length=128)]
Epoch = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=64)]
Whole = Annotated[int, Field(ge=0, le=2**53)]
Line = Annotated[str, Field(max_length=500)]
Span = Annotated[list[Annotated[int, Field(ge=0, le=2_880)]], Field(min_length=3, max_length=3)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class WirePerson(_Wire):
    """A person whom the platform names."""

    name: Line = ""


class WireBooking(_Wire):
    """A booking: who, what, and the half-open UTC window."""

    id: Identifier
    facility: Identifier
    subjects: Annotated[list[Identifier], Field(min_length=1, max_length=500)]
    start_ms: Whole
    end_ms: Whole
    priority: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    created_ms: Whole = 0
    revision: Whole | None = None  # None: the message's own
    needed_wh: Whole = 0  # the energy that is wanted by its end


class WireSubject(_Wire):
    """A person by reference."""

    kind: Literal["subject"]
    id: Identifier
    roles: Annotated[
        list[Annotated[Role, Field(strict=False)]], Field(min_length=1, max_length=10)
    ] = [Role.RESIDENT]
    active: bool = True


class WirePin(_Wire):
    """A PIN of a subject."""

    kind: Literal["pin"]
    id: Identifier
    subject: Identifier
    pin: Annotated[SecretStr, Field(min_length=4, max_length=32)]
    blocked: bool = False


class WireCard(_Wire):
    """A card of a subject, by the number its reader gives."""

    kind: Literal["card"]
    id: Identifier
    subject: Identifier
    card: Annotated[SecretStr, Field(min_length=4, max_length=128)]
    blocked: bool = False


class _WireQuota(_Wire):
    """What is left to a subject of what the targets give, and when."""

    id: Identifier
    subject: Identifier
    targets: Annotated[list[Target], Field(min_length=1, max_length=500)] = ["*"]
    from_ms: Whole | None = None
    until_ms: Whole | None = None


class WireEnergyQuota(_WireQuota):
    """Energy that is left, as of the odometer `used_wh`."""

    kind: Literal["energy_quota"]
    left_wh: Whole
    used_wh: Whole = 0


class WireTimeQuota(_WireQuota):
    """Time that is left, as of the odometer `used_ms`."""

    kind: Literal["time_quota"]
    left_ms: Whole
    used_ms: Whole = 0


class WireRight(_Wire):
    """A standing right; `hours` are `[weekday 0-6, from, to]` in local minutes."""

    id: Identifier
    subject: Identifier
    targets: Annotated[list[Target], Field(min_length=1, max_length=500)]
    hours: Annotated[list[Span], Field(max_length=200)] | None = None
    from_ms: Whole | None = None
    until_ms: Whole | None = None

    @field_validator("hours")
    @classmethod
    def _spans(cls, hours: list[list[int]] | None) -> list[list[int]] | None:
        for day, start, end in hours or ():
            if day > 6 or start >= 1_440 or end <= start:
                raise ValueError("expected [weekday 0-6, from below 1440, to after from]")
        return hours


WireQuota = WireEnergyQuota | WireTimeQuota
WireItem = WireBooking | WireSubject | WirePin | WireCard | WireQuota | WireRight
ITEMS: dict[Stream, TypeAdapter[WireItem]] = {
    Stream.BOOKINGS: TypeAdapter(WireBooking),
    Stream.SUBJECTS: TypeAdapter(
        Annotated[WireSubject | WirePin | WireCard | WireQuota, Field(discriminator="kind")]
    ),
    Stream.RIGHTS: TypeAdapter(WireRight),
}


class Window(_Wire):
    """A half-open UTC window."""

    from_ms: Whole
    until_ms: Whole


class Snapshot(_Wire):
    """Everything of a stream within a window (RULES B1)."""

    type: Literal["snapshot"]
    epoch: Epoch
    revision: Whole
    window: Window
    count: Whole
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    items: list[Any]
    confirmed_by: WirePerson | None = None


class Changes(_Wire):
    """What a revision puts and removes."""

    type: Literal["changes"]
    epoch: Epoch
    revision: Whole
    put: list[Any] = []
    remove: list[Any] = []


class Command(_Wire):
    """A remote command (RULES B8)."""

    id: Identifier
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*$", max_length=64)]
    target: Annotated[str, Field(max_length=256)]
    expires_ms: Whole
    arguments: Annotated[dict[Identifier, bool | Whole | Line], Field(max_length=32)] = {}
    by: WirePerson = WirePerson()


class Acknowledgement(_Wire):
    """The platform has every record up to `seq`, and those of `also` besides (RULES U1).

    `resume`: send on from there, whatever was sent or acknowledged before.
    """

    epoch: Epoch
    seq: Whole
    also: Annotated[list[Whole], Field(max_length=1_000)] = []
    resume: bool = False


SYNC: TypeAdapter[Snapshot | Changes] = TypeAdapter(
    Annotated[Snapshot | Changes, Field(discriminator="type")]
)
