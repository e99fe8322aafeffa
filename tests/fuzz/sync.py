"""The uplink: bookings, rights and commands that a platform sends, as far as what they become.

A message is `kind, bytes…`. What is understood is decided by the real step on a site, answered,
sealed for the journal and laid into rows; so is what time alone makes of it.
"""

from collections.abc import Callable
from typing import Any

from core.harness import World
from core.sites import court
from fuzz.judge import CREDENTIALS

from gateway.domain.events import CredentialPresented, Stream
from gateway.domain.points import PointRef
from gateway.store.entities import EntityCodec
from gateway.store.rows import Head, seal
from gateway.uplink import answers, messages
from gateway.uplink.messages import Asked, NonsenseError

SITE = court()
AT = "2026-03-02 09:00"
CODEC = EntityCodec()


def take_sync(data: bytes) -> None:
    """Bits 0 and 1 of the kind are the stream; bit 2 says that a broker retained the message."""
    if data:
        streams = (*Stream, Stream.BOOKINGS)
        stream, retained = streams[data[0] & 3], bool(data[0] & 4)
        _take(lambda: messages.sync(stream, data[1:], retained, CREDENTIALS))


def take_command(data: bytes) -> None:
    """Bit 0 of the kind is an acknowledgement, any other a command."""
    if data and data[0] & 1:
        _read(lambda: messages.acknowledgement(data[1:]))
    elif data:
        _take(lambda: messages.command(data[1:]))


def _read(understand: Callable[[], Any]) -> Any:
    try:
        return understand()
    except NonsenseError as error:
        answers.nonsense(error)
        return None


def _take(understand: Callable[[], Asked]) -> None:
    asked = _read(understand)
    if asked is None:
        return
    world = World(SITE, AT)
    answers.replied(asked, world.tell(asked.event))
    for door in SITE.doors.values():
        for reader in door.points.readers:
            _present(world, reader)
    for hours in (0.5, 6):
        world.leap(hours=hours)
    seal(world.stamped, Head("e", 0, 0, bytes(32)), bytes)
    for entity in world.state.entities():
        CODEC.row(entity)


def _present(world: World, reader: PointRef) -> None:
    world.tell(CredentialPresented(reader, CREDENTIALS.pin("482913")))
