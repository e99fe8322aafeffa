"""People as opaque references, what they present, and their lasting rights (RULES A, B3)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.domain.hours import WeeklyHours
from gateway.domain.secret import Secret


class Role(StrEnum):
    """What a person or token may do."""

    RESIDENT = "resident"
    STAFF = "staff"
    CLEANER = "cleaner"
    RESPONDER = "responder"
    TECHNICIAN = "technician"
    DESK = "desk"
    PLATFORM = "platform"


class CredentialKind(StrEnum):
    """What can be presented."""

    PIN = "pin"
    CARD = "card"
    PASS = "pass"
    REMOTE = "remote"  # an authenticated person through the API or the platform


@dataclass(frozen=True, slots=True)
class Subject:
    """A person by reference. `roles` beyond resident are staff."""

    kind: ClassVar[str] = "subject"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    roles: tuple[Role, ...] = (Role.RESIDENT,)
    active: bool = True

    @property
    def staff(self) -> bool:
        """True for those whose entry is no check-in and who are never slowed (A5, B5)."""
        return any(role is not Role.RESIDENT for role in self.roles)


@dataclass(frozen=True, slots=True)
class Credential:
    """A keyed digest of a PIN or card, of one subject."""

    kind: ClassVar[str] = "credential"
    indexed: ClassVar[tuple[str, ...]] = ("digest", "subject")
    id: str
    subject: str
    type: CredentialKind
    digest: Secret
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class StandingRight:
    """A right by weekly schedule or without end, to facilities, doors or places."""

    kind: ClassVar[str] = "standing_right"
    indexed: ClassVar[tuple[str, ...]] = ("subject",)
    id: str
    subject: str
    targets: tuple[str, ...]  # ids of facilities, doors or places; "*" is the site
    hours: WeeklyHours | None = None
    from_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """A credential as it came from a reader or the API: a digest, or the claims of a verified pass.

    `identifier` is what the person typed beside a PIN (a flat or member number), if anything.
    `problem` says why a pass could not be verified.
    """

    type: CredentialKind
    digest: Secret | None = None
    identifier: str | None = None
    claims: "PassClaims | None" = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PassClaims:
    """What a verified pass says: a subject's right to a known booking, at a revision."""

    id: str
    subject: str
    booking: str
    revision: int
    expires_ms: int
