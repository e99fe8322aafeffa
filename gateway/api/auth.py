"""Who asks, and what their role may do and see."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.api.parts import Parts
from gateway.api.problems import ProblemError, forbidden
from gateway.domain.events import Actor
from gateway.domain.reasons import reason
from gateway.domain.subjects import Role

EVERYBODY = (Role.PLATFORM, Role.DESK, Role.TECHNICIAN, Role.RESIDENT)
STAFF = (Role.PLATFORM, Role.DESK, Role.TECHNICIAN)
ON_SITE = (Role.DESK, Role.TECHNICIAN)
PEOPLE = (Role.PLATFORM, Role.DESK)

BEARER = "HTTPBearer"
_bearer = HTTPBearer(
    scheme_name=BEARER,
    auto_error=False,
    description="A token of this gateway (`commons token`); its role must be one that is listed.",
)
_Sent = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds the token. `subject` is whom a resident acts for."""

    token: str  # its id, which is no secret
    name: str
    role: Role
    subject: str

    @property
    def sees_people(self) -> bool:
        """May see who: subjects of bookings and visits, persons in records."""
        return self.role in PEOPLE

    def sees(self, subject: str | None) -> bool:
        """May see this one: all, or themself."""
        return self.sees_people or (subject is not None and subject == self.subject)

    def actor(self, person: str = "") -> Actor:
        """Who acts. A shared token may name the person; the platform must (E4)."""
        if self.role is Role.RESIDENT:
            return Actor(self.subject, self.role, on_site=False)
        if self.role is Role.PLATFORM:
            return Actor(person, self.role, on_site=False)
        return Actor(f"{person} ({self.name})" if person else self.name, self.role)


def only(*roles: Role) -> Any:
    """A dependency: the caller, whose role must be one of these. Raises ProblemError."""

    async def caller(sent: _Sent, parts: Parts) -> Caller:
        holder = parts.tokens.holder(sent.credentials) if sent is not None else None
        if holder is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "unauthenticated",
                "The bearer token is missing." if sent is None else "The bearer token is unknown.",
                {"WWW-Authenticate": "Bearer"},
                expected="Authorization: Bearer <token>",
            )
        if holder.role not in roles:
            wanted = ", ".join(roles)
            raise forbidden(reason("role_needed", role=wanted), f"a token of the role {wanted}")
        return Caller(holder.id, holder.name, holder.role, holder.subject)

    return Security(caller, scopes=roles)  # the description names them


Anybody = Annotated[Caller, only(*EVERYBODY)]
Staff = Annotated[Caller, only(*STAFF)]
OnSite = Annotated[Caller, only(*ON_SITE)]
People = Annotated[Caller, only(*PEOPLE)]
