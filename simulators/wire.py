"""A wire between a client and a server that can be cut and mended: a relay of TCP bytes."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from simulators.broker import free_port


class Wire:
    """Passes bytes between a free local `port` and a server, until it is cut.

    Cut, it drops both ends and refuses new ones; the port stays the same when it is mended.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.port = free_port()  # and free again when it is mended
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.cut()

    @property
    def whole(self) -> bool:
        """Bytes pass."""
        return self._server is not None

    async def mend(self) -> None:
        """Let bytes pass."""
        if self._server is None:
            self._server = await asyncio.start_server(self._joined, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Drop every connection, and take none."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            self._drop(writer)
            return
        self._writers.add(far_writer)
        if self._server is None:  # cut while connecting
            self._drop(writer)
        await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()  # and not abort: the last word still goes out

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()
