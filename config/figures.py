"""The figures of the rules that a site may change, each with its default from the domain."""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from config.base import Chosen, Milliseconds, Strict, default
from config.problems import LISTEN_PATTERN
from gateway.domain.profile import PollClass
from gateway.domain.records import Retention
from gateway.domain.site import (
    AccessSettings,
    BookingSettings,
    EmergencySettings,
    QuotaSettings,
    Settings,
)

ACCESS = {
    "slow_after_failures": "Failed tries without an identifier before a reader slows (A5).",
    "slow_max_ms": "The longest wait of a slowed reader (A5).",
    "tamper_failures_per_hour": "Failures an hour at a reader that are a tamper fault (A5).",
    "clock_uncertain_ms": "How far off a booking may be while the clock is untrusted.",
    "early_ms": "How early before its start a booking opens the door.",
    "empty_ends_passage_ms": "How long a room is empty until free passage ends (A8).",
    "credential_age_ms": "The oldest credential from a message that is still judged.",
}

BOOKINGS = {
    "no_show_grace_ms": "How long after its start a booking waits for its holder (B6).",
    "warn_before_end_ms": "How long before its end the holder is warned (B7).",
    "return_after_end_ms": "How long after the end the holder may come back in (B7).",
    "vacant_ms": "How long without presence after an exit ends a visit (A7).",
    "offline_extension_ms": "The longest extension or walk-in granted offline (B4).",
    "stuck_sensor_ms": "Presence unchanged for so long is a stuck sensor (B6).",
    "command_expiry_ms": "The longest expiry of a remote command (B8).",
    "keep_ended_ms": "How long an ended booking is kept.",
}

EMERGENCY = {
    "siren_ms": "How long a siren sounds for one raise at most (E4).",
    "attend_within_ms": "An acknowledged call is raised again if not attended in it (E4).",
    "join_record_ms": "At most one record of further presses in so long (E1).",
    "chatter_per_minute": "More presses a minute are a chattering fault (E1).",
    "release_ms": "How long a call releases a door at most (E6).",
    "test_ms": "How long test mode stays open (E7).",
    "untested_ms": "A call point untested for so long is a fault (E7).",
    "test_siren_ms": "How long the siren sounds in a test (E7).",
}


QUOTAS = {
    "least_wh": "Nothing begins with less energy left to its subject.",
    "least_ms": "Nothing begins with less time left to its subject.",
    "slice_wh": "How much energy is held for what runs at a time.",
    "slice_ms": "How much time is held for what runs at a time.",
}


def _model_of(owner: type, described: dict[str, str]) -> type[Strict]:
    """A model of a domain value: its fields and defaults, with what each one means."""
    columns: dict[str, Any] = {
        one.name: (Milliseconds, Field(default=one.default, description=described[one.name]))
        for one in fields(owner)
    }
    return create_model(f"{owner.__name__}File", __base__=Strict, __doc__=owner.__doc__, **columns)


if TYPE_CHECKING:  # made from the domain's values, so their fields are known there
    AccessFile = Strict
    BookingsFile = Strict
    EmergencyFile = Strict
    QuotasFile = Strict
else:
    AccessFile = _model_of(AccessSettings, ACCESS)
    BookingsFile = _model_of(BookingSettings, BOOKINGS)
    EmergencyFile = _model_of(EmergencySettings, EMERGENCY)
    QuotasFile = _model_of(QuotaSettings, QUOTAS)


class PinsFile(Strict):
    """What `check` computes the yearly odds of a guessed PIN from (rule A5)."""

    digits: int = Field(default=6, ge=4, le=16, description="How many digits a PIN has.")
    valid_max: int = Field(
        default=4, ge=1, description="Most PINs that are valid at one door at a time."
    )


class SettingsFile(Strict):
    """The figures of the rules that this site changes; what is not here has its default."""

    access: AccessFile = Field(default=AccessFile(), description="Doors and access.")
    pins: PinsFile = Field(default=PinsFile(), description="What the odds of a guess follow from.")
    booking: BookingsFile = Field(default=BookingsFile(), description="Bookings and visits.")
    emergency: EmergencyFile = Field(default=EmergencyFile(), description="Emergency calls.")
    quota: QuotasFile = Field(default=QuotasFile(), description="What is held of quotas.")
    poll_ms: dict[Annotated[PollClass, Chosen], Milliseconds] = Field(
        default={}, description="How often points of each poll class are read."
    )
    listen: str = Field(
        default=default(Settings, "listen"),
        description="Where the HTTP API listens, as host:port.",
        pattern=LISTEN_PATTERN,
    )
    retention_days: dict[Annotated[Retention, Chosen], Annotated[int, Field(ge=1)]] = Field(
        default={}, description="How long records of each class are kept."
    )
    uplink: dict[str, Any] = Field(default={}, description="The way to the central platform.")
    store_reopen_ms: Milliseconds = Field(
        default=default(Settings, "store_reopen_ms"),
        description="How often a store that cannot be written is opened afresh (X1).",
    )

    def poll_class_ms(self) -> dict[PollClass, int]:
        """The period of each poll class: as the site says, else the default."""
        return {**default(Settings, "poll_ms"), **self.poll_ms}
