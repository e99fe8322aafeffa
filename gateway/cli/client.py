"""The running gateway, over its own HTTP API, as the person at this terminal.

Whoever may write the data folder may act here: a token is made for one command and taken back.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.options import REFUSED, UNREACHABLE, fail
from gateway.domain.subjects import Role


class Api:
    """One command's conversation with the gateway."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self, path: str, **params: Any) -> Any:
        """What a resource says."""
        return self._answer("GET", path, params=params)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask for an action; its answer."""
        return self._answer("POST", path, json=body or {})

    def save(self, file: Path, path: str, **params: Any) -> None:
        """Write what a resource says to a file, as it comes."""
        asked = self._client.stream("GET", f"/api/v1{path}", params=params)
        with self._heard(), asked as response:
            if response.is_error:
                response.read()
            _refuse(response)
            with file.open("wb") as kept:
                kept.writelines(response.iter_bytes())

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        response = self._response(method, path, **more)
        return response.json() if response.content else {}

    def _response(self, method: str, path: str, **more: Any) -> Any:
        with self._heard():
            response = self._client.request(method, f"/api/v1{path}", **more)
        _refuse(response)
        return response

    @contextmanager
    def _heard(self) -> Iterator[None]:
        import httpx  # noqa: PLC0415 (half of a short command's time)

        try:
            yield
        except httpx.HTTPError as error:
            fail(f"the gateway does not answer at {self._client.base_url}: {error}", UNREACHABLE)


def _refuse(response: Any) -> None:
    if response.is_error:
        fail(_problem(response), REFUSED)


def _problem(response: Any) -> str:
    """What was wrong, a line for each member: found, and expected."""
    body = response.json() if response.content else {}
    wrong = [
        f"{one['field'].removeprefix('body.')}: found {one['found']}, expected {one['expected']}"
        for one in body.get("errors") or ()
    ]
    said = body.get("detail") or body.get("title") or response.reason_phrase
    return "\n".join(wrong or [said])


@contextmanager
def gateway_api(data: Path, person: str, role: Role = Role.TECHNICIAN) -> Iterator[Api]:
    """The API of the gateway that runs on a data folder."""
    import httpx  # noqa: PLC0415

    from gateway.domain.errors import GatewayError  # noqa: PLC0415
    from gateway.security.tokens import ApiTokens  # noqa: PLC0415

    address = data / "listening"
    try:
        where = address.read_text().strip()
        tokens = ApiTokens(data)
        token = tokens.add(person or "terminal", role, time.time_ns() // 1_000_000)
    except (OSError, GatewayError) as error:
        fail(f"no gateway runs on {data}: {error}", UNREACHABLE)
    try:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://{where}", headers=headers, timeout=10) as client:
            yield Api(client)
    finally:
        tokens.revoke(token.split("_")[1])
