"""What the API stands on: ports alone, handed over by whoever builds the gateway."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gateway.api.desk import Desk
from gateway.ports import Credentials, Engine, JournalReader, Reports, SyncReader, Tokens, Views


@dataclass(frozen=True, slots=True)
class Gateway:
    """The rest of the gateway, as the API sees it."""

    engine: Engine
    views: Views
    journal: JournalReader
    credentials: Credentials
    tokens: Tokens
    sync: SyncReader
    reports: Reports
    desk: Desk
    version: str


async def gateway_of(request: Request) -> Gateway:
    """The gateway that this application serves."""
    found = request.app.state.gateway
    assert isinstance(found, Gateway)
    return found


Parts = Annotated[Gateway, Depends(gateway_of)]
