"""Faults: what is not as it should be, with a repair deadline."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.domain.reasons import Reason


class Health(StrEnum):
    """How a link or device is."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    DEGRADED = "degraded"  # answers, but not always, or sends garbage
    SILENT = "silent"
    FAILED = "failed"  # its driver has a bug: quarantined


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """How a device was when its driver last said so; in another boot nothing is known of it."""

    kind: ClassVar[str] = "device"
    indexed: ClassVar[tuple[str, ...]] = ()
    id: str
    health: Health
    boot: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be. Its id is `reason.code:subject`, so it exists once."""

    kind: ClassVar[str] = "fault"
    indexed: ClassVar[tuple[str, ...]] = ("about",)
    id: str
    about: str  # a device, link, door, facility, reader or call point
    reason: Reason
    opened_ms: int
    repair_by_ms: int
    places: tuple[str, ...] = ()
    urgent: bool = False
