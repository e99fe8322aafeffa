"""How much anybody may send. A body is read before its sender is known, except a snapshot's."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_MAX = 64 * 1024
SYNC_MAX = 16 * 1024 * 1024  # ten thousand bookings are a tenth of it
SYNC_PATH = "/sync/"


class BodyLimit:
    """Middleware: reading more of a body than is allowed ends in 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, counting what it sends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = SYNC_MAX if SYNC_PATH in scope["path"] else BODY_MAX
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                detail = f"The body is longer than {most} bytes"
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            return message

        await self._app(scope, limited, send)
