"""Outlets as they are now, and the sessions at them (RULES C)."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from gateway.api import circuits, setpoints
from gateway.api.actions import ACTION, PRESENTING, act
from gateway.api.auth import Anybody, Caller, OnSite
from gateway.api.common import Asked, FaultShown, NameShown, Person, ReasonShown, Shown, each
from gateway.api.doors import (
    CardPresented,
    PassPresented,
    PinPresented,
    Presenter,
    RemotePresented,
    check_kind,
)
from gateway.api.facilities import known
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.api.setpoints import SetpointShown, Wanted
from gateway.domain.charging import (
    ChargingSession,
    ConnectorStatus,
    Limits,
    OutletStatus,
    SessionState,
    StopReason,
    Wish,
)
from gateway.domain.events import CredentialPresented, HazardResetAsked, SessionStopAsked
from gateway.domain.faults import Fault
from gateway.domain.points import PointRef
from gateway.domain.reasons import reason
from gateway.domain.site import Facility
from gateway.domain.subjects import Role

router = APIRouter(tags=["charging"])


class SessionShown(Shown):
    """A session as it goes on. `subject` for roles that may see it, and for oneself."""

    id: str
    facility: str
    state: SessionState
    subject: str | None
    basis: str
    authorised_ms: int
    started_ms: int | None
    duration_ms: int
    energy_wh: int
    stop_reason: StopReason | None
    continued: bool
    needed_wh: int
    most_wh: int
    longest_ms: int
    price_class: str


class OutletShown(Shown):
    """An outlet as it is now, in OCPP's words; currents in mA a phase, power in W."""

    facility: str
    name: NameShown
    place: str
    circuit: str
    status: ConnectorStatus
    session: SessionShown | None
    reason: ReasonShown
    granted_ma: int
    counted_ma: int
    power_w: float | None
    setpoint: SetpointShown | None
    faults: list[FaultShown]


Figure = Annotated[int, Field(ge=0, le=2**53)]


class OutletPresentation(Asked):
    """A credential at an outlet: it starts a session, or stops one's own."""

    credential: Annotated[
        PinPresented | CardPresented | PassPresented | RemotePresented,
        Field(discriminator="kind"),
    ]
    needed_wh: Annotated[
        Figure, Field(description="Wanted; weighed when current is shared, and no limit.")
    ] = 0
    leaves_ms: Annotated[Figure, Field(description="Wall time by which it is wanted.")] = 0
    most_wh: Annotated[Figure, Field(description="The session ends with it; 0: none.")] = 0
    longest_ms: Annotated[Figure, Field(description="The session ends after it; 0: none.")] = 0

    def wish(self) -> Wish:
        """What is asked of the session."""
        return Wish(self.needed_wh, self.leaves_ms, Limits(self.most_wh, self.longest_ms))


class Stop(Asked):
    """Who stops it."""

    person: Person = ""


class Reset(Asked):
    """Who has looked at the outlet."""

    person: Person = ""


@router.get("/outlets", summary="Every outlet, as it is now")
async def outlets(parts: Parts, caller: Anybody) -> list[OutletShown]:
    """Outlets in the order of the site."""
    wanted = setpoints.wanted(parts)
    found = [one for one in parts.views.site.facilities.values() if one.outlet is not None]
    return await each(found, lambda one: show(parts, one, caller, wanted))


@router.get("/outlets/{facility}", summary="One outlet")
async def outlet(facility: str, parts: Parts, caller: Anybody) -> OutletShown:
    """The outlet of a facility."""
    return show(parts, _with_outlet(parts, facility), caller, setpoints.wanted(parts))


@router.post(
    "/outlets/{facility}/present", **PRESENTING, summary="Start charging, or stop one's own session"
)
async def present_at_outlet(
    facility: str, asked: OutletPresentation, parts: Parts, caller: Presenter
) -> JSONResponse:
    """Decided as at the outlet's own reader (A5, C1)."""
    _with_outlet(parts, facility)
    check_kind(asked.credential.kind, caller)
    presented = asked.credential.presented(parts.credentials, caller)
    event = CredentialPresented(
        None, presented, facility=facility, actor=caller.actor(), wish=asked.wish()
    )
    return await act(parts, event)


@router.post("/outlets/{facility}/reset", **ACTION, summary="A hazard is over: looked at on site")
async def reset_hazard(facility: str, asked: Reset, parts: Parts, caller: OnSite) -> JSONResponse:
    """By a named person with the role, on site (C2)."""
    _with_outlet(parts, facility)
    return await act(parts, HazardResetAsked(facility, caller.actor(asked.person)))


@router.get("/sessions", summary="Sessions that go on; a resident's own")
async def sessions(parts: Parts, caller: Anybody) -> list[SessionShown]:
    """By when they were authorised. The ones that ended are in the journal."""
    found = [one for one in parts.views.state.all(ChargingSession) if _may_see(one, caller)]
    found.sort(key=lambda one: (one.by.at_ms, one.id))
    return await each(found, lambda one: _session(parts, one, caller))


@router.post("/sessions/{session}/stop", **ACTION, summary="Stop a session")
async def stop_session(session: str, asked: Stop, parts: Parts, caller: Anybody) -> JSONResponse:
    """By its holder or a named person; always the safe direction."""
    state = parts.views.state
    found = state.get(ChargingSession, session)
    if found is None or not _may_see(found, caller):
        seen = (one.id for one in state.all(ChargingSession) if _may_see(one, caller))
        raise unknown("session", session, seen)
    return await act(parts, SessionStopAsked(session, caller.actor(asked.person)))


def _with_outlet(parts: Gateway, facility: str) -> Facility:
    found = known(parts, facility)
    if found.outlet is None:
        those = (one.id for one in parts.views.site.facilities.values() if one.outlet is not None)
        raise unknown("outlet", facility, those)
    return found


def _may_see(session: ChargingSession, caller: Caller) -> bool:
    return caller.role is not Role.RESIDENT or session.subject == caller.subject


def _session(parts: Gateway, session: ChargingSession, caller: Caller) -> SessionShown:
    lasted = session.progress.lasted
    return SessionShown(
        id=session.id,
        facility=session.facility,
        state=session.progress.state,
        subject=session.subject if caller.sees(session.subject) else None,
        basis=session.by.basis,
        authorised_ms=session.by.at_ms,
        started_ms=session.progress.started_ms or None,
        duration_ms=lasted.at(parts.views.now()) if lasted is not None else 0,
        energy_wh=session.energy_wh,
        stop_reason=session.stop,
        continued=session.continued,
        needed_wh=session.by.needed_wh,
        most_wh=session.limits.most_wh,
        longest_ms=session.limits.longest_ms,
        price_class=session.segments[-1].price if session.segments else "",
    )


def show(parts: Gateway, facility: Facility, caller: Caller, wanted: Wanted) -> OutletShown:
    """The outlet of a facility that has one, as the caller may see it."""
    found, state = facility.outlet, parts.views.state
    assert found is not None
    status = state.get(OutletStatus, facility.id) or OutletStatus(facility.id)
    here = state.where(ChargingSession, "facility", facility.id)
    session = next((one for one in here if one.running), None)
    drive = found.points.drive
    seen = session is not None and (caller.role is not Role.RESIDENT or _may_see(session, caller))
    return OutletShown(
        facility=facility.id,
        name=NameShown.of(facility.name),
        place=facility.place,
        circuit=found.load.circuit,
        status=status.status,
        session=_session(parts, session, caller) if session is not None and seen else None,
        reason=ReasonShown.of(wanted[drive].reason if drive in wanted else reason("no_charge")),
        granted_ma=status.granted_ma,
        counted_ma=status.counted_ma,
        power_w=circuits.number(parts, found.points.power),
        setpoint=setpoints.show(parts, wanted[drive], caller) if drive in wanted else None,
        faults=_faults(parts, facility, drive),
    )


def _faults(parts: Gateway, facility: Facility, drive: PointRef) -> list[FaultShown]:
    """Faults of the outlet, of what drives it and of its charger."""
    state = parts.views.state
    about = (facility.id, str(drive), drive.device)
    return [FaultShown.of(fault) for one in about for fault in state.where(Fault, "about", one)]
