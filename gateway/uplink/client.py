"""aiomqtt's client, watched by its sockets and not by their numbers, and stopped when told to.

Its base hands the loop the number of a descriptor one turn after it was told. A connection that
broke meanwhile has closed it by then, and the number may already be that of another connection:
the loop would write there, and find nothing to watch when that one ends.

And it waits by `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes in the
same turn as the result: whoever publishes just then would never hear that they are to stop.

And what broke a connection is an error that the loop complains of, where nobody was reading.
"""

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import aiomqtt
from paho.mqtt.client import Client as Paho

T = TypeVar("T")


class Client(aiomqtt.Client):
    """As its base; what was closed or cancelled before the loop came to it is so."""

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:
        within_s = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if within_s == math.inf else within_s):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    def _on_socket_open(self, client: Paho, userdata: Any, sock: Any) -> None:
        del userdata
        self._loop.call_soon_threadsafe(self._opened, client, sock)

    def _on_socket_register_write(self, client: Paho, userdata: Any, sock: Any) -> None:
        del userdata
        self._loop.call_soon_threadsafe(self._wants_to_write, client, sock)

    def _on_disconnect(self, *told: Any) -> None:
        super()._on_disconnect(*told)
        self._known()

    def _opened(self, client: Paho, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), partial(self._try, partial(_read, client)))
            self._misc_task = asyncio.create_task(self._misc_loop())

    def _wants_to_write(self, client: Paho, sock: socket.socket) -> None:
        if sock.fileno() >= 0 and client.want_write():
            self._loop.add_writer(sock.fileno(), partial(self._try, client.loop_write))

    def _try(self, act: Callable[[], object]) -> None:
        """What breaks here has broken the connection."""
        try:
            act()
        except Exception as error:  # whatever it is, whoever waits is told
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
                self._known()

    def _known(self) -> None:
        """Who waits is told, and if nobody does, the loop shall not complain of it in the log."""
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()


def _read(client: Paho) -> None:
    """All there is: what TLS has decoded already wakes no loop."""
    client.loop_read()
    while (pending := getattr(client.socket(), "pending", None)) is not None and pending():
        client.loop_read()
