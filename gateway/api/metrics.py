"""Metrics for Prometheus (RULES U5). Its client is imported when somebody first asks."""

import asyncio
from importlib import import_module

from fastapi import APIRouter, Response

from gateway.api.auth import Staff
from gateway.api.parts import Parts
from gateway.api.status import journal_of
from gateway.api.threads import in_thread

router = APIRouter(tags=["probes"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    summary="Metrics for Prometheus",
)
async def metrics(parts: Parts, _: Staff) -> Response:
    """Counted since the start; a scraper sends a token like everybody else."""
    exposition = await in_thread(import_module, "gateway.api.exposition")
    journal, tasks = await journal_of(parts), len(asyncio.all_tasks())
    return Response(exposition.exposed(parts, journal, tasks), media_type=MEDIA_TYPE)
