"""The platform's messages for whoever else receives them: one understanding, whatever the way."""

from collections.abc import Mapping
from typing import Any

from gateway.domain.events import ChangesReceived, SnapshotReceived, Stream
from gateway.ports import Credentials
from gateway.uplink import messages, wire


class PlatformMessages:
    """The `SyncReader` port. PINs and cards are digested here (RULES B3)."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def read(self, stream: Stream, payload: bytes) -> SnapshotReceived | ChangesReceived:
        """What a message stands for. Raises NonsenseError, a MalformedError."""
        asked = messages.sync(stream, payload, retained=False, credentials=self._credentials)
        assert isinstance(asked.event, SnapshotReceived | ChangesReceived)
        return asked.event

    def schema(self, stream: Stream) -> Mapping[str, Any]:
        """The JSON Schema of a stream's messages; items of the stream's own shape."""
        schema = wire.SYNC.json_schema()
        item = wire.ITEMS[stream].json_schema()
        schema["$defs"] |= item.pop("$defs", {})
        schema["$defs"]["Snapshot"]["properties"]["items"]["items"] = item
        schema["$defs"]["Changes"]["properties"]["put"]["items"] = item
        schema["$defs"]["Changes"]["properties"]["remove"]["items"] = {"type": "string"}
        return schema
