"""Every operation, asked with every role, with none and with a false token (DESIGN §8, U5)."""

from dataclasses import dataclass
from typing import Any

import pytest
from api.api_rig import ROLES, Rig

from gateway.api.auth import BEARER

API = "/api/v1"
EVERYBODY = frozenset(ROLES)
STAFF = frozenset({"platform", "desk", "technician"})
ON_SITE = frozenset({"desk", "technician"})
DESK = frozenset({"desk"})
PEOPLE = frozenset({"platform", "desk"})
PLATFORM = frozenset({"platform"})
CHANGES = {"type": "changes", "epoch": "p1"}


@dataclass(frozen=True)
class Operation:
    """What is asked, and who may."""

    method: str
    path: str
    roles: frozenset[str]
    body: Any = None
    template: str = ""

    @property
    def name(self) -> str:
        return f"{self.method} {self.template or self.path}"


NO_CALL = f"{API}/calls/call-none"
CALL = f"{API}/calls/{{call}}"
DOOR = f"{API}/doors/study_room_door"
DOOR_ANY = f"{API}/doors/{{door}}"
STUDY = f"{API}/facilities/study"
STUDY_ANY = f"{API}/facilities/{{facility}}"
OUTLET_ANY = f"{API}/outlets/{{facility}}"
BOOKING_ANY = f"{API}/bookings/{{booking}}"
OPERATIONS = [
    Operation("GET", f"{API}/status", STAFF),
    Operation("GET", f"{API}/places", EVERYBODY),
    Operation("GET", f"{API}/places/study_room", EVERYBODY, template=f"{API}/places/{{place}}"),
    Operation("GET", f"{API}/facilities", EVERYBODY),
    Operation("GET", STUDY, EVERYBODY, template=STUDY_ANY),
    Operation(
        "POST",
        f"{STUDY}/walk-in",
        DESK | {"resident"},
        {"minutes": 1, "subject": "ada"},
        f"{STUDY_ANY}/walk-in",
    ),
    Operation("GET", f"{API}/doors", EVERYBODY),
    Operation("GET", DOOR, EVERYBODY, template=DOOR_ANY),
    Operation(
        "POST",
        f"{DOOR}/present",
        ON_SITE | {"resident"},
        {"credential": {"kind": "pass", "token": "no-pass"}},
        f"{DOOR_ANY}/present",
    ),
    Operation("POST", f"{DOOR}/release", ON_SITE, {"why": "test"}, f"{DOOR_ANY}/release"),
    Operation("GET", f"{API}/devices", STAFF),
    Operation("GET", f"{API}/devices/board", STAFF, template=f"{API}/devices/{{device}}"),
    Operation("GET", f"{API}/links", STAFF),
    Operation("GET", f"{API}/links/bus", STAFF, template=f"{API}/links/{{link}}"),
    Operation("GET", f"{API}/faults", STAFF),
    Operation("GET", f"{API}/call-points", STAFF),
    Operation(
        "POST",
        f"{API}/call-points/help/test",
        ON_SITE,
        {},
        f"{API}/call-points/{{call_point}}/test",
    ),
    Operation("GET", f"{API}/fire-zones", STAFF),
    Operation(
        "POST", f"{API}/fire-zones/fire/reset", ON_SITE, {}, f"{API}/fire-zones/{{zone}}/reset"
    ),
    Operation("GET", f"{API}/bookings", EVERYBODY),
    Operation("GET", f"{API}/bookings/none", EVERYBODY, template=BOOKING_ANY),
    Operation(
        "POST",
        f"{API}/bookings/none/extension",
        DESK | {"resident"},
        {"minutes": 5},
        f"{BOOKING_ANY}/extension",
    ),
    Operation("GET", f"{API}/outlets", EVERYBODY),
    Operation("GET", f"{API}/circuits", EVERYBODY),
    Operation("GET", f"{API}/outlets/study", EVERYBODY, template=OUTLET_ANY),
    Operation(
        "POST",
        f"{API}/outlets/study/present",
        ON_SITE | {"resident"},
        {"credential": {"kind": "pass", "token": "no-pass"}},
        f"{OUTLET_ANY}/present",
    ),
    Operation("POST", f"{API}/outlets/study/reset", ON_SITE, {}, f"{OUTLET_ANY}/reset"),
    Operation("GET", f"{API}/sessions", EVERYBODY),
    Operation(
        "POST", f"{API}/sessions/none/stop", EVERYBODY, {}, f"{API}/sessions/{{session}}/stop"
    ),
    Operation(
        "GET",
        f"{API}/utilization?from=2026-03-01&to=2026-03-02",
        STAFF,
        template=f"{API}/utilization",
    ),
    Operation("GET", f"{API}/utilization/changes", STAFF),
    Operation("GET", f"{API}/subjects", PEOPLE),
    Operation("GET", f"{API}/quotas", EVERYBODY),
    Operation("GET", f"{API}/subjects/ada", PEOPLE, template=f"{API}/subjects/{{subject}}"),
    Operation("GET", f"{API}/rights", PEOPLE),
    *(
        Operation("POST", f"{API}/sync/{stream}", PLATFORM, {**CHANGES, "revision": 0})
        for stream in ("bookings", "subjects", "rights")
    ),
    Operation("GET", f"{API}/why?door=study_room_door", EVERYBODY, template=f"{API}/why"),
    Operation("GET", f"{API}/calls", STAFF),
    Operation("POST", f"{API}/calls", EVERYBODY, {"place": "study_room"}),
    Operation("GET", NO_CALL, STAFF, template=CALL),
    Operation("POST", f"{NO_CALL}/acknowledge", STAFF, {}, f"{CALL}/acknowledge"),
    Operation("POST", f"{NO_CALL}/attend", STAFF, {}, f"{CALL}/attend"),
    Operation("POST", f"{NO_CALL}/clear", ON_SITE, {"outcome": "genuine"}, f"{CALL}/clear"),
    Operation("POST", f"{NO_CALL}/fine", ON_SITE | {"resident"}, template=f"{CALL}/fine"),
    Operation("POST", f"{NO_CALL}/seen", DESK, template=f"{CALL}/seen"),
    Operation("GET", f"{API}/journal", STAFF),
    # a cursor beyond the head is answered at once, and an allowed stream would not end
    Operation("GET", f"{API}/events?after=1000000", STAFF, template=f"{API}/events"),
    Operation("GET", f"{API}/visits", STAFF),
    Operation("GET", "/metrics", STAFF),
]
PROBES = {"GET /healthz", "GET /readyz"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_role_may_do_what_is_its_own_and_nothing_else(
    shared: Rig, operation: Operation
) -> None:
    async def ask(role: str = "", **headers: str) -> tuple[int, str]:
        more = {"json": operation.body} if operation.body is not None else {}
        sent = await shared.request(operation.method, operation.path, role, headers=headers, **more)
        problem = "problem" in sent.headers["content-type"]
        return sent.status_code, sent.json()["type"] if problem else ""

    assert (await ask())[0] == 401
    false = {"Authorization": "Bearer commons_nobody_nothing"}
    assert (await ask(**false)) == (401, "urn:commons-gateway:problem:unauthenticated")
    for role in ROLES:
        status, kind = await ask(role)
        denied = (status, kind) == (403, "urn:commons-gateway:problem:not-allowed")
        assert denied is (role not in operation.roles), f"{role}: {status} {kind}"
        assert status not in (401, 422, 500)


async def test_the_description_names_every_operation_and_who_may(rig: Rig) -> None:
    paths = (await rig.client.get("/openapi.json")).json()["paths"]
    described = {
        f"{method.upper()} {path}": {
            role for one in said.get("security", ()) for role in one[BEARER]
        }
        for path, methods in paths.items()
        for method, said in methods.items()
    }
    expected = {operation.name: operation.roles for operation in OPERATIONS}
    assert described == expected | dict.fromkeys(PROBES, frozenset())


async def test_a_revoked_token_ends_at_once(rig: Rig) -> None:
    assert (await rig.get(f"{API}/status")).status_code == 200
    rig.revoke("desk")
    refused = await rig.get(f"{API}/status")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert rig.tokens["desk"] not in refused.text


async def test_probes_need_no_token(rig: Rig) -> None:
    for probe in ("/healthz", "/readyz"):
        assert (await rig.client.get(probe)).status_code == 200
