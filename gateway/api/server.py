"""The HTTP server, in the event loop that the engine already runs in."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress

from fastapi import FastAPI
from uvicorn.config import Config
from uvicorn.server import Server

from gateway.domain.errors import GatewayError

STOP_WITHIN_S = 2
CONNECTIONS_MAX = 256
TICK_S = 1.0
UNANSWERED_MS = 20_000  # a page whose machine is gone is not live any more


class _Server(Server):
    """Leaves signals to whoever runs the process."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Wait to be stopped, a tick a second (the library's ten would keep a small machine up)."""
        while not self.stopping.is_set():
            await self.on_tick(0)
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self.stopping.wait()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


class ApiServer:
    """Serves an application on `host:port` until stopped. Like it, to be made in a thread."""

    def __init__(self, app: FastAPI, listen: str) -> None:
        self.app = app
        self._listen = listen
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        config = Config(
            app,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=STOP_WITHIN_S,
            ws="none",
            limit_concurrency=CONNECTIONS_MAX,
        )
        config.load()
        self._server = _Server(config)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises GatewayError when that cannot be."""
        self._socket = bound(self._listen)
        self._task = asyncio.create_task(self._server.serve([self._socket]), name="api")
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Finish what is being answered, end event streams, close."""
        if self._task is None:
            return
        streams = getattr(self.app.state, "streams", None)
        if streams is not None:
            streams.close()
        self._server.stopping.set()
        with suppress(asyncio.CancelledError):
            await self._task


def bound(listen: str) -> socket.socket:
    """A socket bound to `host:port`. Raises GatewayError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit():
        raise GatewayError(f"listen: expected host:port, found {listen!r}")
    host = host.strip("[]") or "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named so, asyncio sets TCP_NODELAY on what it accepts: without it each answer takes 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
        opened.bind((host, int(port)))
    except OSError as error:
        opened.close()
        raise GatewayError(f"the API cannot listen on {listen}: {error.strerror}") from error
    return opened
