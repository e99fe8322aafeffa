"""A call as an MQTT message, to a panel or another system; no broker confirms one (E4)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.domain.errors import GatewayError
from gateway.ports import Notification

# (where: a broker's address or a link's name, topic, payload) → who took it; raises GatewayError
Publish = Callable[[Mapping[str, Any], str, bytes], Awaitable[str]]


class MqttNotifier:
    """Publishes calls. `topic` is the channel's; the rest of its binding says where."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    async def deliver(self, notification: Notification) -> str:
        """Publish a call, QoS 1, not retained; who took it. Raises GatewayError."""
        where = dict(notification.channel.binding)
        topic = where.pop("topic", None)
        if not isinstance(topic, str) or not topic or "#" in topic or "+" in topic:
            name = notification.channel.id
            raise GatewayError(f"channel {name}: topic: expected one without wildcards")
        content = json.dumps(dict(notification.body), ensure_ascii=False).encode()
        return await self._publish(where, topic, content)
