"""What paho-mqtt leaves open: a bound on packets, TLS that holds bytes back, untyped corners."""

from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.properties import Properties

from drivers.mqtt.routes import PAYLOAD_MAX

_KEPT_BYTES = 2 * PAYLOAD_MAX + 16


class _Head(bytearray):
    """Keeps the head of a packet too big for us, which is enough to acknowledge and drop it."""

    def __iadd__(self, data: Any) -> "_Head":  # type: ignore[misc]  # narrower on purpose
        room = _KEPT_BYTES - len(self)
        if room > 0:
            self.extend(data[:room])
        return self


def bound_packet(client: Client, packet_max: int) -> None:
    """Keep no more than the head of a giant that is on its way in (3.1.1 has no other bound)."""
    packet = client._in_packet  # paho offers no limit of its own
    if packet["to_process"] > packet_max and not isinstance(packet["packet"], _Head):
        packet["packet"] = _Head(packet["packet"][:_KEPT_BYTES])


def pending(client: Client) -> bool:
    """TLS holds bytes that the loop cannot see as readable."""
    sock = socket_of(client)
    return sock is not None and sock.pending() > 0


def socket_of(client: Client) -> Any:
    """The real socket, None if there is none: paho's type for it leaves options out."""
    return client.socket()


def properties(packet: int) -> Any:
    """Empty properties of a packet (MQTT 5.0)."""
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped


def topic_of(message: MQTTMessage) -> str:
    """A message's topic; "" where its bytes are none, which no device has."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""
