"""Subjects, their credentials by id alone, and standing rights (RULES B3, U5)."""

from fastapi import APIRouter

from gateway.api import quotas
from gateway.api.auth import People
from gateway.api.common import Shown, each
from gateway.api.parts import Gateway, Parts
from gateway.api.problems import unknown
from gateway.api.quotas import QuotaShown
from gateway.domain.quotas import Quota
from gateway.domain.subjects import Credential, CredentialKind, Role, StandingRight, Subject

router = APIRouter(tags=["people"])


class CredentialShown(Shown):
    """That there is a credential: never what it is."""

    id: str
    type: CredentialKind
    blocked: bool


class RightShown(Shown):
    """A standing right; `hours` are `[weekday 0-6, from, to]` in local minutes."""

    id: str
    subject: str
    targets: tuple[str, ...]
    hours: tuple[tuple[int, int, int], ...] | None
    from_ms: int | None
    until_ms: int | None


class SubjectShown(Shown):
    """A person by reference, with what they hold."""

    id: str
    roles: tuple[Role, ...]
    active: bool
    credentials: list[CredentialShown]
    rights: list[RightShown]
    quotas: list[QuotaShown]


@router.get("/subjects", summary="Every subject")
async def subjects(parts: Parts, _: People) -> list[SubjectShown]:
    """By id."""
    found = sorted(parts.views.state.all(Subject), key=lambda one: one.id)
    return await each(found, lambda one: _show(parts, one))


@router.get("/subjects/{subject}", summary="One subject")
async def subject_of(subject: str, parts: Parts, _: People) -> SubjectShown:
    """With credentials, rights and quotas."""
    return _show(parts, known(parts, subject))


@router.get("/rights", summary="Every standing right")
async def rights(parts: Parts, _: People) -> list[RightShown]:
    """By id."""
    found = sorted(parts.views.state.all(StandingRight), key=lambda one: one.id)
    return await each(found, _right)


def known(parts: Gateway, subject: str) -> Subject:
    """The subject of that id. Raises ProblemError."""
    state = parts.views.state
    found = state.get(Subject, subject)
    if found is None:
        raise unknown("subject", subject, (one.id for one in state.all(Subject)))
    return found


def known_credential(parts: Gateway, credential: str) -> Credential:
    """The credential of that id. Raises ProblemError."""
    state = parts.views.state
    found = state.get(Credential, credential)
    if found is None:
        raise unknown("credential", credential, (one.id for one in state.all(Credential)))
    return found


def _show(parts: Gateway, subject: Subject) -> SubjectShown:
    state = parts.views.state
    return SubjectShown(
        id=subject.id,
        roles=subject.roles,
        active=subject.active,
        credentials=[
            CredentialShown(id=one.id, type=one.type, blocked=one.blocked)
            for one in state.where(Credential, "subject", subject.id)
        ],
        rights=[_right(one) for one in state.where(StandingRight, "subject", subject.id)],
        quotas=[quotas.show(parts, one) for one in state.where(Quota, "subject", subject.id)],
    )


def _right(right: StandingRight) -> RightShown:
    return RightShown(
        id=right.id,
        subject=right.subject,
        targets=right.targets,
        hours=right.hours.spans if right.hours else None,
        from_ms=right.from_ms,
        until_ms=right.until_ms,
    )
