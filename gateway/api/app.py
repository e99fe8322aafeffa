"""The application: every resource under /api/v1, probes beside it, every error a problem."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from gateway.api import calls, doors, journal, problems, status
from gateway.api.parts import Gateway

PREFIX = "/api/v1"
BODY_MAX = 16 * 1024 * 1024  # a snapshot of ten thousand bookings is a tenth of it
DESCRIPTION = """One gateway's doors, bookings, emergency calls and journal.

Errors are RFC 9457 problems. Times are UTC milliseconds, durations milliseconds. An action answers
`{result, reason, durable}` with members of its own; `durable: false` says that the store is lost
and the fact is in memory alone.
"""


def create_app(gateway: Gateway) -> FastAPI:
    """The application that serves this gateway."""
    app = FastAPI(
        title="Commons Gateway",
        version=gateway.version,
        description=DESCRIPTION,
        docs_url=None,  # its page would come from another host
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        max_body_size=BODY_MAX,
    )
    app.state.gateway = gateway
    problems.install(app)
    api = APIRouter(prefix=PREFIX)
    for part in (status, doors, calls, journal):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(status.probes)
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description; what an error answers is a problem, not plain JSON."""
    return app.openapi()


def _operation_id(route: APIRoute) -> str:
    return route.name
