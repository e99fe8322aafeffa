"""Facts of the journal: one immutable record each, numbered without gaps and chained by hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Retention(StrEnum):
    """How long a kind of fact is kept; telemetry goes first when space runs out (RULES U4)."""

    CALL = "call"
    AUDIT = "audit"
    USAGE = "usage"
    TELEMETRY = "telemetry"


class Fact(StrEnum):
    """Every kind of fact there is."""

    # access (A6)
    REFUSED = "access.refused"
    GRANTED = "access.granted"
    ENTERED = "access.entered"
    NOT_ENTERED = "access.not_entered"
    EXIT = "access.exit"
    DOOR_FORCED = "door.forced"
    DOOR_HELD_OPEN = "door.held_open"
    DOOR_NOT_RELOCKED = "door.not_relocked"
    DOOR_CLOSED = "door.closed_again"
    DOOR_PASSAGE = "door.passage"
    LOCK_OWN_CREDENTIAL = "door.lock_own_credential"
    PULSE_SETTLED = "door.pulse_settled"
    # bookings and rights (B)
    BOOKING_APPLIED = "booking.applied"
    BOOKING_REJECTED = "booking.rejected"
    BOOKING_REMOVED = "booking.removed"
    BOOKING_CONFLICTED = "booking.conflicted"
    BOOKING_RESTORED = "booking.restored"
    BOOKING_CHECKED_IN = "booking.checked_in"
    BOOKING_NO_SHOW = "booking.no_show"
    BOOKING_ENDED = "booking.ended"
    BOOKING_ENDING = "booking.ending_soon"
    BOOKING_PROPOSED = "booking.proposed"
    OVERSTAY = "booking.overstay"
    SUBJECTS_APPLIED = "subjects.applied"
    RIGHTS_APPLIED = "rights.applied"
    SYNC_ANSWERED = "sync.answered"
    COMMAND_ANSWERED = "command.answered"
    # visits
    VISIT_OPENED = "visit.opened"
    VISIT_CLOSED = "visit.closed"
    PRESENCE_BEGAN = "presence.began"
    PRESENCE_ENDED = "presence.ended"
    # charging (C)
    SESSION_AUTHORISED = "session.authorised"
    SESSION_STARTED = "session.started"
    SESSION_CONTINUED = "session.continued"
    SESSION_STOPPING = "session.stopping"
    SESSION_ENDED = "session.ended"
    SESSION_COMPLETED = "session.completed"
    ENERGY_UNATTRIBUTED = "meter.unattributed"
    METER_SEGMENT = "meter.segment"
    OUTLET_STATUS = "outlet.status"
    HAZARD = "outlet.hazard"
    HAZARD_RESET = "outlet.hazard_reset"
    BREAKER_OPENED = "circuit.opened"
    BREAKER_CLOSED = "circuit.closed"
    RESIDUAL = "circuit.residual"
    # utilization (U2)
    BUCKET_CLOSED = "utilization.bucket"
    BUCKET_AMENDED = "utilization.amended"
    # calls (E)
    CALL_RAISED = "call.raised"
    CALL_PRESSED = "call.pressed_again"
    CALL_RAISED_AGAIN = "call.raised_again"
    CALL_STEP = "call.step"
    CALL_NOTIFIED = "call.notified"
    CALL_DELIVERED = "call.delivered"
    CALL_FINE = "call.person_says_fine"
    CALL_ACKNOWLEDGED = "call.acknowledged"
    CALL_ATTENDED = "call.attended"
    CALL_CLEARED = "call.cleared"
    CALL_SILENCED = "call.siren_time_over"
    TEST_OPENED = "call_point.test_opened"
    TEST_ENDED = "call_point.test_ended"
    # fire (A3)
    FIRE = "fire.latched"
    FIRE_RESET = "fire.reset"
    # supervision and the gateway itself
    FAULT_OPENED = "fault.opened"
    FAULT_CLOSED = "fault.closed"
    STARTED = "gateway.started"
    STOPPED = "gateway.stopped"
    CLOCK_CHANGED = "clock.changed"
    CLOCK_CORRECTED = "clock.corrected"
    STORAGE_RESTORED = "storage.restored"
    SITE_CHANGED = "site.changed"
    RECORDS_DROPPED = "journal.dropped"
    PAYLOAD_ERASED = "journal.erased"


_CALL_PREFIXES = ("call.", "call_point.", "fire.")
_USAGE = frozenset(
    {Fact.VISIT_OPENED, Fact.VISIT_CLOSED, Fact.BOOKING_CHECKED_IN, Fact.BOOKING_NO_SHOW}
    | {Fact.BOOKING_ENDED, Fact.OVERSTAY}
    | {Fact.SESSION_STARTED, Fact.SESSION_ENDED, Fact.SESSION_COMPLETED}
    | {Fact.ENERGY_UNATTRIBUTED, Fact.METER_SEGMENT, Fact.RESIDUAL}
    | {Fact.BUCKET_CLOSED, Fact.BUCKET_AMENDED}
)
TELEMETRY = frozenset({Fact.PRESENCE_BEGAN, Fact.PRESENCE_ENDED, Fact.OUTLET_STATUS})


def retention_of(fact: Fact) -> Retention:
    """How long a fact of that kind is kept."""
    if fact.startswith(_CALL_PREFIXES):
        return Retention.CALL
    if fact in _USAGE:
        return Retention.USAGE
    return Retention.TELEMETRY if fact in TELEMETRY else Retention.AUDIT


@dataclass(frozen=True, slots=True)
class Record:
    """A fact as the core states it; the step adds when, the store its number.

    `personal` fields (a subject, a person's name) lie apart and can be erased; `data` is integers,
    booleans, strings, and lists and objects of them. `urgent` goes up ahead of the backlog (U1).
    """

    fact: Fact
    data: Mapping[str, Any]
    personal: Mapping[str, str] = field(default_factory=dict)
    urgent: bool = False


class Position(NamedTuple):
    """A place in a journal: `(epoch, seq)`; seq 0 is before the first record."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """A record as committed. `payload` are the exact bytes that were hashed and are sent.

    `personal` and `salt` are None once erased or where there never were any; then
    `personal_digest` still proves them.
    """

    position: Position
    fact: Fact
    at_ms: int
    payload: bytes | None
    payload_digest: bytes
    personal: bytes | None
    salt: bytes | None
    personal_digest: bytes
    chain: bytes
    urgent: bool = False


NO_PERSONAL = bytes(32)


def chain_start(epoch: str) -> bytes:
    """The hash before the first record of an epoch."""
    return hashlib.sha256(epoch.encode()).digest()


def chain_next(previous: bytes, seq: int, payload_digest: bytes, personal_digest: bytes) -> bytes:
    """The hash of a record: over the one before, its number, and the digests of its two parts."""
    return hashlib.sha256(
        previous + seq.to_bytes(8, "big") + payload_digest + personal_digest
    ).digest()


def personal_digest(salt: bytes, personal: bytes) -> bytes:
    """The digest that stands for personal fields; once the salt is gone no guess tests it."""
    return hashlib.sha256(salt + personal).digest()
