"""A client whose connection breaks while the loop still has something to do for it."""

import asyncio
import socket
from typing import Any

from fixtures.broker import Broker

from gateway.uplink.client import Client


async def test_a_socket_that_closed_meanwhile_is_not_watched(broker: Broker) -> None:
    """Its number is another's by then: that one is watched for what it is."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    async with Client(broker.host, broker.port) as client:
        paho: Any = client._client
        client._on_socket_register_write(paho, None, near)
        number = near.fileno()
        near.close()
        other, beyond = socket.socketpair()
        assert other.fileno() == number
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not loop.remove_writer(number)
    for one in (far, other, beyond):
        one.close()


async def test_what_nobody_waits_to_write_watches_nothing(broker: Broker) -> None:
    """A loop that is told that it may write, and has nothing to, would turn for ever."""
    loop = asyncio.get_running_loop()
    async with Client(broker.host, broker.port) as client:
        paho: Any = client._client
        wire = paho.socket()
        client._on_socket_register_write(paho, None, wire)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not loop.remove_writer(wire.fileno())
