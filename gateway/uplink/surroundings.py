"""What the uplink stands between."""

from dataclasses import dataclass

from gateway.ports import Clock, Credentials, Engine, JournalReader, Views


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The rest of the gateway, as the uplink sees it."""

    engine: Engine
    views: Views
    journal: JournalReader
    credentials: Credentials
    clock: Clock
