"""Hosts in network namespaces of their own, and links between them that lose, double and delay.

At each host's end of a link is a tun device; its packets are passed on, or not, by the test's loop.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from random import Random
from socket import inet_aton
from typing import Any, TypeVar

ADDRESS = "10.77.0.{}"  # 1 is the broker's
LATE_S = 0.05
LONGEST_PACKET = 1_500

# linux/sched.h, linux/if_tun.h
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
_LIBC = ctypes.CDLL(None, use_errno=True)

_T = TypeVar("_T")


class Host:
    """A network namespace with one address; gone when it is closed and nothing runs in it."""

    def __init__(self, address: str) -> None:
        """Raises OSError where the machine does not allow it."""
        self.address = address
        with ThreadPoolExecutor(1) as maker:
            self._namespace, self._tun = maker.submit(_new_namespace, address).result()
        self.threads = ThreadPoolExecutor(4, initializer=_enter, initargs=(self._namespace,))

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """What begins meanwhile opens its sockets on this host, if the loop has an `Executor`."""
        before = _HOST.set(self)
        try:
            yield
        finally:
            _HOST.reset(before)

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Call it with each IPv4 packet that leaves."""
        asyncio.get_running_loop().add_reader(self._tun, self._read, heard)

    def take(self, packet: bytes) -> None:
        """A packet arrives; one too many is lost."""
        with contextlib.suppress(OSError):
            os.write(self._tun, packet)

    def close(self) -> None:
        """Leave it."""
        asyncio.get_running_loop().remove_reader(self._tun)
        self.threads.shutdown(wait=False, cancel_futures=True)
        for file in (self._tun, self._namespace):
            os.close(file)
        self._tun = -1  # a packet may still be under way

    def _read(self, heard: Callable[[bytes], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            while packet := os.read(self._tun, LONGEST_PACKET):
                if packet[0] >> 4 == 4:
                    heard(packet)


_HOST: ContextVar[Host | None] = ContextVar("host", default=None)


class Executor(ThreadPoolExecutor):
    """A loop's executor that calls on the host of whoever asks.

    A socket belongs to the namespace of the thread that opens it, and the MQTT client opens its own
    in the loop's executor.
    """

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Call it there."""
        host = _HOST.get()
        if host is None:
            return super().submit(fn, *args, **kwargs)
        return host.threads.submit(fn, *args, **kwargs)


class BadLink:
    """A host's link to the broker. `trouble` is the share of packets that something happens to."""

    def __init__(self, chance: Random) -> None:
        self.trouble = 0.0
        self._chance = chance
        self._there = self._back = True

    async def cut(self) -> None:
        """What the host says arrives, and no answer does."""
        self._there, self._back = True, False

    def hush(self) -> None:
        """Nothing arrives."""
        self._there = self._back = False

    def flow(self) -> None:
        """Everything arrives again; what was lost is said again by TCP."""
        self._there = self._back = True

    async def mend(self) -> None:
        """As `flow`."""
        self.flow()

    def there(self) -> list[float]:
        """When a packet of the host's arrives, in seconds from now: not at all, once, or twice."""
        return self._arrivals() if self._there else []

    def back(self) -> list[float]:
        """When a packet to the host arrives."""
        return self._arrivals() if self._back else []

    def _arrivals(self) -> list[float]:
        if self._chance.random() >= self.trouble:
            return [0.0]
        late = self._chance.uniform(0, LATE_S)  # others overtake it
        return self._chance.choice(([], [late], [0.0, late]))


@contextlib.contextmanager
def network(*links: BadLink) -> Iterator[tuple[Host, list[Host]]]:
    """The broker's host, and one at the end of each link. Raises OSError where none are allowed."""
    with contextlib.ExitStack() as hosts:
        broker, *ends = (_open(hosts, ADDRESS.format(n)) for n in range(1, len(links) + 2))
        for end, link in zip(ends, links, strict=True):
            end.listen(partial(_pass_on, link.there, broker))
        back = {
            inet_aton(end.address): partial(_pass_on, link.back, end)
            for end, link in zip(ends, links, strict=True)
        }
        broker.listen(lambda packet: back.get(packet[16:20], _nowhere)(packet))
        yield broker, ends


def _open(hosts: contextlib.ExitStack, address: str) -> Host:
    host = Host(address)
    hosts.callback(host.close)
    return host


def _pass_on(arrivals: Callable[[], list[float]], to: Host, packet: bytes) -> None:
    for late in arrivals():
        asyncio.get_running_loop().call_later(late, to.take, packet)


def _nowhere(packet: bytes) -> None:
    """To nobody's address, as a multicast is."""


def _new_namespace(address: str) -> tuple[int, int]:
    """Put this thread into a namespace of its own: files of that, and of its link's device."""
    _checked(_LIBC.unshare(CLONE_NEWNET))
    with contextlib.ExitStack() as undo:
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        undo.callback(os.close, tun)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"lan", IFF_TUN | IFF_NO_PI))
        for words in ("link set lo up", f"address add {address}/24 dev lan", "link set lan up"):
            if subprocess.run(["ip", *words.split()], check=False).returncode:
                raise OSError(f"ip {words} failed")
        undo.pop_all()
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY), tun


def _enter(namespace: int) -> None:
    _checked(_LIBC.setns(namespace, CLONE_NEWNET))


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
