"""Failed tries slow what they are tried at, and nobody else (RULES A5).

- A wrong PIN with the identifier of somebody we know counts against them; without, or with one of
  nobody, it slows the reader: 1, 2, 4 … 30 s from the last failure, over restarts.
- Cards, passes and staff are never slowed. A try during the wait makes it no longer.
- A right PIN forgives what was tried before; so does an hour without a failure.
- 20 failures at a reader within an hour, of whatever kind, are tampering.
"""

from dataclasses import replace

from gateway.core.draft import Draft
from gateway.core.faults import close_fault, open_fault
from gateway.domain.now import HOUR_MS, SECOND_MS, Elapsed
from gateway.domain.reasons import reason
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import CredentialKind, Presented, Subject
from gateway.domain.visits import ReaderStatus


def slows(draft: Draft, presented: Presented, reader: str) -> str:
    """What a wrong try slows, by id; cards and passes cannot be guessed and slow nothing."""
    if presented.type is not CredentialKind.PIN:
        return ""
    known = presented.identifier and draft.get(Subject, presented.identifier) is not None
    return f"subject:{presented.identifier}" if known else reader


def wait_left_ms(draft: Draft, who: str) -> int:
    """How long until a PIN is looked at again."""
    status = draft.get(ReaderStatus, who)
    if status is None or status.since is None:
        return 0
    return max(0, status.wait_until_ms - status.since.at(draft.now))


def failed(draft: Draft, who: str, reader: str, place: str) -> None:
    """Count a failure against what it slows, and against the reader as tampering."""
    status = _note(draft, reader)
    if who and wait_left_ms(draft, who) == 0:
        _slow(draft, status if who == reader else _note(draft, who))
    if len(status.recent_ms) >= draft.site.settings.access.tamper_failures_per_hour:
        open_fault(draft, reader, reason("tamper", reader=reader), (place,), urgent=True)


def slow_down(wait_ms: int, **at: str) -> Reply:
    """The answer to a try that came too soon, `at` a door or facility."""
    seconds = -(-wait_ms // SECOND_MS)
    told = {**at, "retry_after_s": seconds}
    return Reply(Result.REJECTED, reason("slow_down", seconds=seconds), told)


def forgive(draft: Draft, who: str) -> None:
    """A right PIN: the next wrong one waits for a second again. Tampering is not forgiven."""
    status = draft.get(ReaderStatus, who)
    if status is not None and status.failures:
        draft.put(replace(status, failures=0, wait_until_ms=0))


def due(draft: Draft, status: ReaderStatus) -> None:
    """An hour without a failure forgives everything."""
    if _quiet_ms(draft, status) >= HOUR_MS:
        draft.drop(ReaderStatus, status.id)
        close_fault(draft, status.id, "tamper")


def due_in_ms(draft: Draft, status: ReaderStatus) -> int:
    """How long until `due` is worth asking."""
    return max(0, HOUR_MS - _quiet_ms(draft, status))


def _quiet_ms(draft: Draft, status: ReaderStatus) -> int:
    if status.since is None or not status.recent_ms:
        return HOUR_MS
    return status.since.at(draft.now) - status.recent_ms[-1]


def _slow(draft: Draft, status: ReaderStatus) -> None:
    settings = draft.site.settings.access
    failures = status.failures + 1
    over = failures - settings.slow_after_failures
    wait_ms = 0 if over < 0 else min(SECOND_MS << min(over, 10), settings.slow_max_ms)
    draft.put(replace(status, failures=failures, wait_until_ms=status.recent_ms[-1] + wait_ms))


def _note(draft: Draft, who: str) -> ReaderStatus:
    status = draft.get(ReaderStatus, who) or ReaderStatus(who)
    since = (status.since or Elapsed.started(draft.now)).checkpoint(draft.now)
    at = since.at(draft.now)
    within = [failure for failure in status.recent_ms if at - failure < HOUR_MS]
    most = draft.site.settings.access.tamper_failures_per_hour
    status = replace(status, since=since, recent_ms=tuple([*within, at][-most:]))
    draft.put(status)
    return status
