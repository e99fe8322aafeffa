"""The application: every resource under /api/v1, probes beside it, every error a problem."""

from contextlib import suppress

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import NoMatchFound

from gateway.api import (
    bookings,
    calls,
    charging,
    circuits,
    devices,
    document,
    doors,
    events,
    facilities,
    journal,
    limits,
    metrics,
    people,
    places,
    problems,
    quotas,
    safety,
    status,
    sync,
    utilization,
    visits,
    why,
)
from gateway.api.parts import Gateway

_RESOURCES = (
    status,
    places,
    facilities,
    doors,
    devices,
    safety,
    bookings,
    charging,
    circuits,
    people,
    quotas,
    why,
    calls,
    journal,
    events,
    visits,
    utilization,
    sync,
)
PREFIX = "/api/v1"
DESCRIPTION = """One gateway's doors, bookings, emergency calls and journal.

Errors are RFC 9457 problems. Times are UTC milliseconds, durations milliseconds. An action answers
`{result, reason, durable}` with members of its own; `durable: false` says that the store is lost
and the fact is in memory alone.
"""


def create_app(gateway: Gateway) -> FastAPI:
    """The application that serves this gateway.

    It takes a tenth of a second (and its imports half of one): make it in a thread of its own, so
    that no call waits for it.
    """
    app = FastAPI(
        title="Commons Gateway",
        version=gateway.version,
        description=DESCRIPTION,
        openapi_url=None,  # published by `document`
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.gateway = gateway
    app.state.streams = events.Streams()
    problems.install(app)
    app.add_middleware(limits.BodyLimit)
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix=PREFIX)
    app.include_router(status.probes)
    app.include_router(metrics.router)
    document.publish(app, gateway.sync)
    with suppress(NoMatchFound):  # builds every route now, and not while the first one waits
        app.url_path_for("")
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
