"""How a call reaches people: side by side, again until somebody answers (RULES E4, E9)."""

import asyncio
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from certificates import authority
from fixtures.broker import Broker
from fixtures.waiting import until
from uplink_rig import Rig, gateway, platform

from gateway.domain import events
from gateway.domain.calls import Call, CallState
from gateway.domain.events import Actor, CallAcknowledged, PointEdge, Started
from gateway.domain.faults import Fault
from gateway.domain.points import PointRef, Setpoint, WriteOutcome, WriteResult
from gateway.domain.site import Channel, ChannelKind
from gateway.domain.subjects import Role
from simulators.broker import free_port

SECRET = b"a secret of our own"
DESK = Actor("Ms Chen", Role.DESK)


async def test_a_webhook_gets_a_signed_call_and_its_2xx_delivers_it(tmp_path: Path) -> None:
    with web_server() as server:
        async with calling(tmp_path, hook=webhook(tmp_path, server.url)) as rig:
            await press(rig)
            await until(lambda: the_call(rig).state is CallState.DELIVERED)
    (request,) = server.requests
    signed = request.headers["Commons-Timestamp"].encode() + b"." + request.content
    expected = hmac.digest(SECRET, signed, "sha256").hex()
    assert request.headers["Commons-Signature"] == f"sha256={expected}"
    assert abs(int(request.headers["Commons-Timestamp"]) - time.time() * 1000) < 60_000
    assert request.said["call"] == the_call(rig).id
    assert request.said["text"] == {
        "zh": "紧急呼叫：study room。",
        "en": "Emergency call: study room.",
    }
    assert (request.said["test"], request.said["step"]) == (False, 0)
    assert request.headers["Idempotency-Key"] == f"{the_call(rig).id}-1-0"


async def test_a_test_call_says_so(tmp_path: Path) -> None:
    with web_server() as server:
        async with calling(tmp_path, hook=webhook(tmp_path, server.url)) as rig:
            assert (await rig.engine.ask(events.TestModeOpened("help", DESK))).accepted
            await press(rig)
            await until(lambda: server.requests)
    assert server.requests[0].said["test"] is True
    assert server.requests[0].said["text"]["en"].startswith("TEST call")


async def test_what_is_no_2xx_is_tried_again_until_it_is(tmp_path: Path) -> None:
    with web_server(answers=[500, 301, 404, 204]) as server:
        async with calling(tmp_path, hook=webhook(tmp_path, server.url)) as rig:
            await press(rig)
            await until(lambda: the_call(rig).state is CallState.DELIVERED)
            await until(lambda: len(notified(rig)) == 2)
            told = notified(rig)
            await until(lambda: not undelivered(rig))
    assert len(server.requests) == 4
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert told == [(False, "HTTP 500, expected 2xx"), (True, "HTTP 204")]


async def test_an_answered_call_is_told_to_nobody_any_more(tmp_path: Path) -> None:
    with web_server(answers=[500] * 1_000) as server:
        async with calling(tmp_path, hook=webhook(tmp_path, server.url)) as rig:
            await press(rig)
            await until(lambda: len(server.requests) >= 2)
            await rig.engine.ask(CallAcknowledged(the_call(rig).id, DESK))
            await until(lambda: not rig.dispatcher.under_way)
            count = len(server.requests)
            await asyncio.sleep(0.25)
            assert len(server.requests) == count


async def test_one_channel_that_hangs_keeps_no_other_waiting(
    tmp_path: Path, broker: Broker
) -> None:
    panel = Channel(
        "panel",
        ChannelKind.MQTT,
        True,
        {"host": "127.0.0.1", "port": broker.port, "topic": "calls"},
    )
    with web_server(hold_s=3.0) as slow, web_server() as quick:
        hooks = {
            "slow": webhook(tmp_path, slow.url, timeout_ms=500),
            "quick": webhook(tmp_path, quick.url),
        }
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        async with (
            listening(broker.port, "calls", heard),
            calling(tmp_path, panel=panel, **hooks) as rig,
        ):
            began = time.monotonic()
            await press(rig)
            said = json.loads(await heard.get())
            await until(lambda: the_call(rig).state is CallState.DELIVERED)
            assert time.monotonic() - began < 2
            await until(lambda: (False, "no answer within 500 ms") in notified(rig, "slow"))
    assert said["call"] == the_call(rig).id
    assert notified(rig, "panel") == [(True, f"taken by 127.0.0.1:{broker.port}")]


async def test_a_brokers_word_delivers_no_call(tmp_path: Path, broker: Broker) -> None:
    panel = Channel(
        "panel", ChannelKind.MQTT, True, {"link": "mqtt", "port": broker.port, "topic": "calls"}
    )
    async with calling(tmp_path, panel=panel) as rig:
        await press(rig)
        await until(lambda: notified(rig, "panel"))
        assert the_call(rig).state is CallState.RAISED


async def test_the_platform_delivers_by_acknowledging_the_record(
    tmp_path: Path, broker: Broker
) -> None:
    channel = Channel("platform", ChannelKind.PLATFORM, offline=False)
    async with platform(broker.port) as desk:
        desk.faults.silent = True
        async with calling(tmp_path, broker.port, platform=channel) as rig:
            await press(rig)
            await desk.until(lambda p: p.facts("call.step"))
            assert the_call(rig).state is CallState.RAISED
            desk.faults.silent = False
            await until(lambda: the_call(rig).state is CallState.DELIVERED)
            await desk.until(lambda p: p.facts("call.delivered"))
    (step,) = desk.facts("call.step")
    assert desk.facts("call.notified")[0].data["detail"] == f"record {step.seq} acknowledged"
    assert desk.problems == []


async def test_a_call_that_reaches_nobody_is_an_urgent_fault(tmp_path: Path) -> None:
    nowhere = webhook(tmp_path, f"http://127.0.0.1:{free_port()}/calls")
    async with calling(tmp_path, hook=nowhere) as rig:
        await press(rig)
        await until(lambda: undelivered(rig))
        assert undelivered(rig)[0].urgent


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ({"url": "ftp://x/y", "secret_file": "s"}, "url: Value error, expected https://host/path"),
        ({"url": "https://x/y"}, "secret_file: Field required"),
        ({"url": "https://x/y", "secret_file": "/nowhere/secret"}, "No such file or directory"),
        ({"url": "https://x/y", "secret": "s"}, "secret: Extra inputs are not permitted"),
    ],
)
async def test_a_wrong_binding_is_told_and_harms_no_other_channel(
    tmp_path: Path, binding: dict[str, Any], expected: str
) -> None:
    with web_server() as server:
        wrong = Channel("wrong", ChannelKind.WEBHOOK, False, binding)
        right = webhook(tmp_path, server.url)
        async with calling(tmp_path, wrong=wrong, right=right) as rig:
            await press(rig)
            await until(lambda: the_call(rig).state is CallState.DELIVERED)
            await until(lambda: notified(rig, "wrong"))
            ((delivered, detail),) = notified(rig, "wrong")
    assert not delivered
    assert expected in detail


async def test_a_certificate_of_our_own_authority(tmp_path: Path) -> None:
    files = authority(tmp_path / "certificates")
    with web_server(certificates=files) as server:
        hook = webhook(tmp_path, server.url, ca=str(files / "ca.pem"))
        async with calling(tmp_path, hook=hook) as rig:
            await press(rig)
            await until(lambda: the_call(rig).state is CallState.DELIVERED)
    assert server.url.startswith("https:")
    assert [request.said["call"] for request in server.requests] == [the_call(rig).id]


async def test_outputs_go_first_and_wait_for_nobody(tmp_path: Path) -> None:
    """RULES E9: the siren is written before anybody is told, however long telling takes."""
    bus = Bus()
    with web_server(hold_s=0.5) as server:
        hook = replace(webhook(tmp_path, server.url), id="hook")
        channels = {"hook": hook}
        async with gateway(tmp_path, free_port(), channels=channels, drivers={"bus": bus}) as rig:
            rig.engine.tell(PointEdge(PointRef("board", "input_3"), True))
            await until(lambda: server.requests)
            assert bus.written["board/signal_2"] < server.requests[0].at


async def test_a_lost_disk_silences_no_call(tmp_path: Path) -> None:
    with web_server() as server:
        async with calling(tmp_path, hook=webhook(tmp_path, server.url)) as rig:
            with rig.store.read_only():
                rig.engine.tell(PointEdge(PointRef("board", "input_3"), True))
                (request,) = await until(lambda: server.requests)
                await until(lambda: the_call(rig).state is CallState.DELIVERED)
                assert rig.engine.step.lost
    assert request.said["call"] == the_call(rig).id


async def test_after_a_restart_an_open_call_is_told_again(tmp_path: Path) -> None:
    with web_server() as server:
        hook = webhook(tmp_path, server.url)
        async with calling(tmp_path, hook=hook) as rig:
            await press(rig)
            await until(lambda: server.requests)
        async with calling(tmp_path, hook=hook) as rig:
            await rig.note(Started("0.1.0"))
            await until(lambda: len(server.requests) == 2)
    assert server.requests[1].said["raises"] == 2


# --- a call, and what hears it ------------------------------------------------------------------


def calling(folder: Path, port: int = 0, /, **channels: Channel) -> Any:
    named = {name: replace(channel, id=name) for name, channel in channels.items()}
    return gateway(folder, port or free_port(), channels=named)


async def press(rig: Rig) -> None:
    await rig.note(PointEdge(PointRef("board", "input_3"), True))


def the_call(rig: Rig) -> Call:
    (call,) = rig.state.all(Call)
    return call


def undelivered(rig: Rig) -> list[Fault]:
    return [f for f in rig.state.all(Fault) if f.reason.code == "call_undelivered"]


def notified(rig: Rig, channel: str = "") -> list[tuple[bool, str]]:
    """What the journal says of a channel (or of all): delivered, and the detail."""
    told = []
    for record in rig.store.journal.read(0):
        if record.fact == "call.notified":
            data = json.loads(record.payload or b"")["data"]
            if channel in ("", data["channel"]):
                told.append((data["delivered"], data["detail"]))
    return told


def webhook(folder: Path, url: str, **more: Any) -> Channel:
    file = folder / "webhook.secret"
    file.write_bytes(SECRET + b"\n")
    return Channel("hook", ChannelKind.WEBHOOK, False, {"url": url, "secret_file": file, **more})


class Bus:
    """A driver that notes when each point was first written."""

    def __init__(self) -> None:
        self.written: dict[str, float] = {}

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def write(self, setpoint: Setpoint, *, urgent: bool = False) -> WriteOutcome:
        self.written.setdefault(str(setpoint.ref), time.monotonic())
        return WriteOutcome(WriteResult.SENT)


class Request:
    def __init__(self, headers: Any, content: bytes) -> None:
        self.at = time.monotonic()
        self.headers = headers
        self.content = content
        self.said: dict[str, Any] = json.loads(content)


class Server:
    def __init__(self, url: str, requests: list[Request]) -> None:
        self.url = url
        self.requests = requests


@contextmanager
def web_server(
    answers: list[int] | None = None, hold_s: float = 0.0, certificates: Path | None = None
) -> Iterator[Server]:
    """A web server that notes what is posted; after `answers` it says 200."""
    requests: list[Request] = []
    statuses = list(answers or ())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(
                Request(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            )
            closing.wait(hold_s)
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    closing = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield Server(f"{scheme}://127.0.0.1:{server.server_address[1]}/calls", requests)
    closing.set()
    server.shutdown()
    server.server_close()


class listening:  # noqa: N801 (used like a function)
    """Puts what comes on a topic into a queue."""

    def __init__(self, port: int, topic: str, heard: asyncio.Queue[bytes]) -> None:
        self._client = aiomqtt.Client("127.0.0.1", port)
        self._topic = topic
        self._heard = heard

    async def __aenter__(self) -> None:
        await self._client.__aenter__()
        await self._client.subscribe(self._topic, qos=1)
        self._task = asyncio.create_task(self._listen())

    async def __aexit__(self, *error: Any) -> None:
        self._task.cancel()
        await self._client.__aexit__(None, None, None)

    async def _listen(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self._heard.put_nowait(message.payload)
