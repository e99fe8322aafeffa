"""The gateway's word on itself: retained at the platform, with a will (RULES E8)."""

import json
from typing import Any

from gateway.domain.bookings import Authority
from gateway.domain.calls import Call
from gateway.domain.events import Stream
from gateway.domain.faults import Fault
from gateway.domain.now import Now
from gateway.ports import Views

FAULTS_MAX = 100


def online(gateway: str, version: str, journal: dict[str, Any], views: Views) -> dict[str, Any]:
    """What the platform must know to know that all is well here, or what is not."""
    now = views.now()
    lost = views.storage_lost()
    calls = [call for call in views.state.all(Call) if call.open]
    faults = sorted(views.state.all(Fault), key=lambda fault: (not fault.urgent, fault.opened_ms))
    return {
        "gateway": gateway,
        "state": "online",
        "version": version,
        "boot": now.boot,
        "at_ms": now.wall_ms,
        "journal": journal,
        "clock": {"trust": now.trust.value, "timeline": now.timeline},
        "storage": {"lost": bool(lost), "detail": lost},
        "calls": [
            {"id": call.id, "place": call.place, "state": call.state.value, "test": call.test}
            for call in calls
        ],
        "faults": {
            "count": len(faults),
            "first": [
                {"code": fault.reason.code, "about": fault.about, "urgent": fault.urgent}
                for fault in faults[:FAULTS_MAX]
            ],
        },
        "applied": {stream.value: _applied(views, stream) for stream in Stream},
    }


def offline(gateway: str, version: str, now: Now, why: str) -> dict[str, Any]:
    """The will (`why` is "lost"), or the last word of a gateway that stops ("stopped")."""
    return {
        "gateway": gateway,
        "state": "offline",
        "version": version,
        "boot": now.boot,
        "at_ms": now.wall_ms,
        "why": why,
    }


def encoded(status: dict[str, Any]) -> bytes:
    """The bytes of a status."""
    return json.dumps(status, ensure_ascii=False, separators=(",", ":")).encode()


def essence(status: dict[str, Any]) -> tuple[object, ...]:
    """What, when it changes, is told at once and not with the next heartbeat."""
    faults = [(each["code"], each["about"]) for each in status["faults"]["first"]]
    return (
        status["storage"]["lost"],
        status["clock"]["trust"],
        [(call["id"], call["state"]) for call in status["calls"]],
        (status["faults"]["count"], faults),
        status["journal"]["epoch"],
    )


def _applied(views: Views, stream: Stream) -> dict[str, Any]:
    authority = views.state.get(Authority, stream.value)
    if authority is None:
        return {"epoch": "", "revision": 0}
    return {"epoch": authority.epoch, "revision": authority.revision}
