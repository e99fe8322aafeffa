"""A call as a signed HTTP request; a 2xx answer confirms it (RULES E4).

`Commons-Signature: sha256=<hex>` is the HMAC-SHA256, with the channel's secret, over the value of
`Commons-Timestamp` (UTC epoch ms), a full stop and the body. `Idempotency-Key` is the same for
every try of one step.
"""

import asyncio
import hmac
import json
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gateway.domain.errors import GatewayError
from gateway.domain.site import Channel
from gateway.ports import Notification

if TYPE_CHECKING:
    import httpx


class WebhookBinding(BaseModel):
    """What a webhook channel says in the site. The secret lies in a file of its own (U5)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    secret_file: Path
    ca: Path | None = None
    timeout_ms: int = Field(default=5_000, ge=100, le=60_000)

    @field_validator("url")
    @classmethod
    def _web(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("expected https://host/path")
        return url


class WebhookNotifier:
    """Carries calls to web addresses. httpx is imported when the first is, in a thread."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._clients: dict[str, tuple[WebhookBinding, httpx.AsyncClient]] = {}

    async def prepare(self, channels: Iterable[Channel]) -> None:
        """Get ready now what the first call would wait for; what is wrong shows with that call."""
        for channel in channels:
            with suppress(GatewayError):
                await self._client(channel)

    async def deliver(self, notification: Notification) -> str:
        """Post a call; the status that confirmed it. Raises GatewayError when none did."""
        binding, client = await self._client(notification.channel)
        from httpx import HTTPError, InvalidURL  # noqa: PLC0415 (there by now)

        content = json.dumps(dict(notification.body), ensure_ascii=False).encode()
        headers = await asyncio.to_thread(self._headers, binding, notification, content)
        try:
            async with asyncio.timeout(binding.timeout_ms / 1000):
                answer = await client.post(binding.url, content=content, headers=headers)
        except TimeoutError:
            raise GatewayError(f"no answer within {binding.timeout_ms} ms") from None
        except (HTTPError, InvalidURL) as error:
            raise GatewayError(f"{type(error).__name__}: {error}") from error
        if not answer.is_success:
            raise GatewayError(f"HTTP {answer.status_code}, expected 2xx")
        return f"HTTP {answer.status_code}"

    async def close(self) -> None:
        """Close the connections."""
        for _, client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    def _headers(
        self, binding: WebhookBinding, notification: Notification, content: bytes
    ) -> dict[str, str]:
        at = str(self._wall_ms())
        raises = notification.body.get("raises", 0)
        return {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{notification.call}-{raises}-{notification.step}",
            "Commons-Timestamp": at,
            "Commons-Signature": f"sha256={signature(_secret(binding), at, content)}",
        }

    async def _client(self, channel: Channel) -> "tuple[WebhookBinding, httpx.AsyncClient]":
        binding = parse(channel)
        kept = self._clients.get(channel.id)
        if kept is None or kept[0] != binding:
            # Import and certificates take a tenth of a second, which the event loop has not.
            kept = (binding, await asyncio.to_thread(_connect, binding))
            self._clients[channel.id] = kept
        return kept


def signature(secret: bytes, timestamp: str, content: bytes) -> str:
    """The hex HMAC of one request."""
    return hmac.digest(secret, timestamp.encode() + b"." + content, "sha256").hex()


def parse(channel: Channel) -> WebhookBinding:
    """The binding of a webhook channel. Raises GatewayError."""
    try:
        return WebhookBinding.model_validate(dict(channel.binding))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        what = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
        raise GatewayError(f"channel {channel.id}: {what}") from None


def _connect(binding: WebhookBinding) -> "httpx.AsyncClient":
    import httpx  # noqa: PLC0415 (not in `run`'s path before it is needed)

    try:
        verify: Any = ssl.create_default_context(cafile=str(binding.ca)) if binding.ca else True
        return httpx.AsyncClient(verify=verify, timeout=binding.timeout_ms / 1000)
    except OSError as error:
        raise GatewayError(f"{binding.ca}: {error}") from error


def _secret(binding: WebhookBinding) -> bytes:
    try:
        return binding.secret_file.read_bytes().strip()
    except OSError as error:
        raise GatewayError(f"{binding.secret_file}: {error.strerror}") from error
