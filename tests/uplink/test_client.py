"""A client whose connection breaks, or that is stopped, while something is under way."""

import asyncio
import gc
import math
import socket
from typing import Any

import aiomqtt
import pytest
from fixtures.broker import Broker
from fixtures.waiting import until

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


@pytest.mark.parametrize("timeout", [5.0, math.inf])
async def test_who_is_stopped_as_their_answer_comes_stops(timeout: float) -> None:
    """The platform's own client once went on for ever, and said nothing any more."""
    client = Client("nowhere")
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(client._wait_for(answer, timeout))
    await asyncio.sleep(0)
    answer.set_result(None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_answer_that_does_not_come_is_an_error_in_time() -> None:
    client = Client("nowhere", timeout=0.01)
    with pytest.raises(aiomqtt.MqttError, match="timed out"):
        await client._wait_for(asyncio.get_running_loop().create_future(), None)


async def test_a_broken_connection_that_nobody_reads_is_no_complaint(broker: Broker) -> None:
    """A technician who reads the log would look for a fault that is none."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    async with Client(broker.host, broker.port) as client:
        broker.kill()
        await until(client._disconnected.done)
    del client
    gc.collect()
    assert complaints == []
