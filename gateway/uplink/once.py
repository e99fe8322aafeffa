"""One message to one broker: connect, publish, leave. For channels that notify over MQTT."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from gateway.domain.errors import UplinkError
from gateway.domain.site import Link
from gateway.uplink.connection import V5, V311, ProtocolRefusedError, connect
from gateway.uplink.settings import Broker

_OF_LINK = frozenset(("host", "port", "protocol", "username", "password_file", "tls"))


class Publisher:
    """Publishes to the broker of a link of the site (`link: …`), or to one of its own settings."""

    def __init__(self, links: Callable[[], Mapping[str, Link]]) -> None:
        self._links = links

    async def __call__(self, where: Mapping[str, Any], topic: str, payload: bytes) -> str:
        """Publish, QoS 1; who took it. Raises UplinkError."""
        broker = self._broker(where)
        wanted = {"5": (V5,), "3.1.1": (V311,), "auto": (V5, V311)}[broker.protocol]
        for protocol in wanted:
            try:
                async with connect(broker, protocol, None) as link:
                    await link.publish(topic, payload)
                return f"taken by {broker.host}:{broker.port_used}"
            except ProtocolRefusedError as error:
                refused = error
        raise refused

    def _broker(self, where: Mapping[str, Any]) -> Broker:
        settings = dict(where)
        name = settings.pop("link", None)
        if name is not None:
            link = self._links().get(name)
            if link is None:
                raise UplinkError(f"link: there is no link {name!r}")
            of_link = {key: link.binding[key] for key in _OF_LINK & link.binding.keys()}
            settings = {**of_link, **settings}
        try:
            return Broker.model_validate(settings)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            what = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
            raise UplinkError(what) from None
