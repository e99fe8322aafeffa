"""Doors: how they are, who was let in, and the two ways to open one from here (RULES A)."""

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field, SecretStr

from gateway.api import setpoints
from gateway.api.actions import ACTION, PRESENTING, act
from gateway.api.auth import Anybody, Caller, OnSite, only
from gateway.api.common import Asked, FaultShown, Line, NameShown, Person, Shown, each
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import forbidden, unknown
from gateway.api.setpoints import SetpointShown, Wanted
from gateway.domain.events import CredentialPresented, DoorOverridden
from gateway.domain.faults import Fault
from gateway.domain.reasons import reason
from gateway.domain.site import Door, DoorMode, Egress
from gateway.domain.subjects import CredentialKind, Presented, Role
from gateway.domain.visits import DoorState, DoorStatus, Grant
from gateway.ports import Credentials

router = APIRouter(prefix="/doors", tags=["doors"])


class GrantShown(Shown):
    """A grant whose holder has not yet entered. `subject` and `person` for roles that may see."""

    token: str
    basis: str
    facility: str | None
    given_ms: int
    subject: str | None = None
    person: str | None = None


class DoorShown(Shown):
    """A door as it is now. `passage_until_ms`: free passage after the first person in (A8)."""

    id: str
    name: NameShown
    place: str
    state: DoorState
    state_age_ms: int | None
    mode: DoorMode
    egress: Egress
    grant: GrantShown | None
    passage_until_ms: int | None
    held_open: bool
    setpoints: list[SetpointShown]
    faults: list[FaultShown]


class PinPresented(Asked):
    """A PIN, with what was typed beside it."""

    kind: Literal["pin"]
    pin: Annotated[SecretStr, Field(min_length=1, max_length=64)]
    identifier: Annotated[str, Field(max_length=64)] | None = None

    def presented(self, credentials: Credentials, _: Caller) -> Presented:
        """Its digest."""
        return credentials.pin(self.pin.get_secret_value(), self.identifier)


class CardPresented(Asked):
    """A card, by the number its reader gives."""

    kind: Literal["card"]
    card: Annotated[SecretStr, Field(min_length=1, max_length=128)]

    def presented(self, credentials: Credentials, _: Caller) -> Presented:
        """Its digest."""
        return credentials.card(self.card.get_secret_value())


class PassPresented(Asked):
    """A signed pass."""

    kind: Literal["pass"]
    token: Annotated[SecretStr, Field(min_length=1, max_length=4096)]

    def presented(self, credentials: Credentials, _: Caller) -> Presented:
        """Its claims."""
        return credentials.signed_pass(self.token.get_secret_value())


class RemotePresented(Asked):
    """The resident who holds the token, for themself."""

    kind: Literal["remote"]

    def presented(self, _: Credentials, caller: Caller) -> Presented:
        """The token's own subject."""
        return Presented(CredentialKind.REMOTE, identifier=caller.subject)


class Presentation(Asked):
    """A credential at a door; `facility` names what the person wants to use."""

    credential: Annotated[
        PinPresented | CardPresented | PassPresented | RemotePresented,
        Field(discriminator="kind"),
    ]
    facility: Annotated[str, Field(max_length=128)] = ""


class Release(Asked):
    """An override: it needs a reason (A1)."""

    why: Annotated[Line, Field(min_length=1)]
    person: Person = ""


Presenter = Annotated[Caller, only(Role.DESK, Role.TECHNICIAN, Role.RESIDENT)]


@router.get("", summary="Every door, as it is now")
async def doors(parts: Parts, caller: Anybody) -> list[DoorShown]:
    """Doors in the order of the site."""
    wanted = setpoints.wanted(parts)
    found = parts.views.site.doors.values()
    return await each(found, lambda door: show(parts, door, caller, wanted))


@router.get("/{door}", summary="One door, as it is now")
async def door_of(door: str, parts: Parts, caller: Anybody) -> DoorShown:
    """The door."""
    return show(parts, known(parts, door), caller, setpoints.wanted(parts))


@router.post(
    "/{door}/present",
    **PRESENTING,
    summary="Present a credential; a resident, remotely for themself",
)
async def present(door: str, asked: Presentation, parts: Parts, caller: Presenter) -> JSONResponse:
    """Decided as at the door's own reader (A1, A5). A PIN is digested before anything else."""
    known(parts, door)
    check_kind(asked.credential.kind, caller)
    facilities = parts.views.site.facilities
    if asked.facility and asked.facility not in facilities:
        raise unknown("facility", asked.facility, facilities)
    presented = asked.credential.presented(parts.credentials, caller)
    event = CredentialPresented(None, presented, door, asked.facility, caller.actor())
    return await act(parts, event)


@router.post("/{door}/release", **ACTION, summary="Release a door, on a person's word and reason")
async def release(door: str, asked: Release, parts: Parts, caller: OnSite) -> JSONResponse:
    """An override (A1). The platform sends a command with an expiry instead (B8)."""
    known(parts, door)
    return await act(parts, DoorOverridden(door, caller.actor(asked.person), asked.why))


def known(parts: Gateway, door: str) -> Door:
    """The door of that id. Raises ProblemError."""
    found = parts.views.site.doors.get(door)
    if found is None:
        raise unknown("door", door, parts.views.site.doors)
    return found


def show(parts: Gateway, door: Door, caller: Caller, wanted: Wanted) -> DoorShown:
    """A door as the caller may see it."""
    state, now = parts.views.state, parts.views.now()
    status = state.get(DoorStatus, door.id) or DoorStatus(door.id)
    seen = status.state is not DoorState.UNKNOWN
    return DoorShown(
        id=door.id,
        name=NameShown.of(door.name),
        place=door.place,
        state=status.state if seen else DoorState.UNKNOWN,
        state_age_ms=now.mono_ms - status.since_mono_ms if seen else None,
        mode=door.rules.mode,
        egress=door.rules.egress,
        grant=_grant(status.grant, caller),
        passage_until_ms=status.passage_until_ms,
        held_open=status.held_open_told,
        setpoints=[
            setpoints.show(parts, wanted[ref], caller)
            for ref in (door.points.strike, door.points.hold)
            if ref is not None and ref in wanted
        ],
        faults=_faults(parts, door),
    )


def _grant(given: Grant | None, caller: Caller) -> GrantShown | None:
    if given is None:
        return None
    return GrantShown(
        token=given.token,
        basis=given.basis,
        facility=given.facility,
        given_ms=given.given_wall_ms,
        subject=given.subject if caller.sees(given.subject) else None,
        person=given.person if given.person and caller.sees_people else None,
    )


def _faults(parts: Gateway, door: Door) -> list[FaultShown]:
    """Faults of the door, of its devices and of their links."""
    points = door.points
    refs = [points.strike, points.contact, points.lock, points.exit_button, points.hold]
    devices = {ref.device for ref in (*refs, *points.readers) if ref is not None}
    about = {door.id, *devices, *(str(ref) for ref in (*refs, *points.readers) if ref is not None)}
    about |= {d.link for i in devices if (d := parts.views.site.equipment.devices.get(i))}
    state = parts.views.state
    return [FaultShown.of(f) for one in sorted(about) for f in state.where(Fault, "about", one)]


def check_kind(kind: str, caller: Caller) -> None:
    """A resident presents for themself, nobody else remotely: a PIN is typed where it is asked."""
    own = kind in ("remote", "pass")
    if caller.role is Role.RESIDENT and not own:
        raise forbidden(
            reason("role_needed", role="desk, technician"),
            "a credential of the kind remote or pass, for a resident",
        )
    if caller.role is not Role.RESIDENT and kind == "remote":
        raise forbidden(
            reason("role_needed", role=Role.RESIDENT.value),
            "a credential of the kind pin, card or pass; or a release, with a reason",
        )
