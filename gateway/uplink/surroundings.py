"""What the uplink stands between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.ports import Clock, Credentials, Engine, JournalReader, Stamped, Views


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The rest of the gateway, as the uplink sees it."""

    engine: Engine
    views: Views
    journal: JournalReader
    credentials: Credentials
    clock: Clock
    unsaved: Callable[[], Sequence[Stamped]] = tuple  # records that no store holds yet (X1)
