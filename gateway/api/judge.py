"""Questions to the core: what would be decided now. Nothing is committed, nothing moves."""

from collections.abc import Iterable

from gateway.api.common import ReasonShown, Shown, each
from gateway.api.parts import Gateway
from gateway.domain.events import Actor, CredentialPresented, WalkInAsked
from gateway.domain.site import Facility
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import Credential, CredentialKind, Presented, Role, StandingRight


class Judged(Shown):
    """What a subject would be answered at a door now. `basis`: the booking or right it rests on."""

    door: str | None
    subject: str
    allowed: bool
    result: Result
    reason: ReasonShown
    facility: str | None = None
    basis: str | None = None
    clock_uncertain: bool = False
    retry_after_s: int | None = None


class Question(Shown):
    """At which door or facility something is to be judged; one of them is named."""

    door: str = ""
    facility: str = ""


def subject(parts: Gateway, who: str, at: Question) -> Judged:
    """What a subject would be answered, whatever they presented."""
    return _judged(parts, who, at, Presented(CredentialKind.REMOTE, identifier=who))


def credential(parts: Gateway, found: Credential, at: Question) -> Judged:
    """What a credential would be answered. Named, so that the refusal explains itself (A5)."""
    presented = Presented(found.type, digest=found.digest, identifier=found.subject)
    return _judged(parts, found.subject, at, presented)


async def subjects(parts: Gateway, whom: Iterable[str], at: Question) -> list[Judged]:
    """What each of them would be answered."""
    return await each(whom, lambda who: subject(parts, who, at))


def may_walk_in(parts: Gateway, facility: Facility) -> bool:
    """A resident without a booking could have the facility now."""
    somebody = Actor("", Role.RESIDENT, on_site=False)
    reply = _ask(parts, WalkInAsked(facility.id, "", 1, somebody))
    return reply.reason.code == "unknown_subject"  # nothing is missing but the person


def right_holders(parts: Gateway, facility: Facility) -> set[str]:
    """Subjects whose standing right names the facility, a door of it, or a place around it."""
    site = parts.views.site
    targets = {"*", facility.id, *facility.doors}
    at: str | None = facility.place
    while at is not None and at not in targets:
        targets.add(at)
        at = site.places[at].parent
    rights = parts.views.state.all(StandingRight)
    return {right.subject for right in rights if targets.intersection(right.targets)}


def _judged(parts: Gateway, who: str, at: Question, presented: Presented) -> Judged:
    event = CredentialPresented(None, presented, at.door, at.facility)
    reply = _ask(parts, event)
    data = reply.data
    return Judged(
        door=data.get("door") or at.door or None,
        subject=who,
        allowed=reply.accepted,
        result=reply.result,
        reason=ReasonShown.of(reply.reason),
        facility=data.get("facility") or at.facility or None,
        basis=data.get("basis"),
        clock_uncertain="clock_uncertain" in data,
        retry_after_s=data.get("retry_after_s"),
    )


def _ask(parts: Gateway, event: CredentialPresented | WalkInAsked) -> Reply:
    reply = parts.engine.question(event).reply
    assert reply is not None, "what is asked is answered"
    return reply
