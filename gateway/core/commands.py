"""Remote commands: at most once, never late, never on a clock nobody trusts (RULES B8)."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core import access, answering, passage, plugging, timekeeping
from gateway.core.draft import Draft
from gateway.domain.bookings import CommandSeen
from gateway.domain.charging import Limits, Wish
from gateway.domain.events import (
    CallAcknowledged,
    CallAttended,
    CommandReceived,
    CredentialPresented,
    DoorOverridden,
    PulseEnd,
    PulseSettled,
    SessionStopAsked,
)
from gateway.domain.now import DAY_MS
from gateway.domain.reasons import Reason, reason
from gateway.domain.records import Fact
from gateway.domain.state import Reply, Result
from gateway.domain.subjects import CredentialKind, Presented


def received(draft: Draft, event: CommandReceived) -> Reply:
    """Run a command, or say why not. A repeated one is answered as before, and not run."""
    seen = draft.get(CommandSeen, event.id)
    if seen is not None:
        return _repeated(draft, seen)
    refusal = _refusal(draft, event)
    if refusal is not None:
        return _answer(draft, event, Reply(Result.REJECTED, refusal), keep=False)
    run = _COMMANDS.get(event.name)
    if run is None:
        reply = Reply(Result.UNKNOWN, reason("unknown_command", name=event.name))
        return _answer(draft, event, reply, keep=False)
    return _answer(draft, event, run(draft, event), keep=True)


def names() -> tuple[str, ...]:
    """Every command there is."""
    return tuple(_COMMANDS)


def pulse_settled(draft: Draft, event: PulseSettled) -> None:
    """The release a command asked for ended: its answer is completed by a record."""
    for seen in draft.all(CommandSeen):
        if seen.token and seen.token == event.token:
            result = _ENDS[event.end]
            draft.put(CommandSeen(seen.id, seen.name, seen.expires_ms, result.value, seen.boot))
            draft.record(
                Fact.COMMAND_ANSWERED, command=seen.id, result=result.value, end=event.end.value
            )


def restarted(draft: Draft) -> None:
    """A release that a restart spent answers `unknown` (A4, B8)."""
    why = reason("spent_by_restart")
    for seen in draft.all(CommandSeen):
        if seen.token and seen.boot != draft.now.boot:
            result = Result.UNKNOWN.value
            draft.put(CommandSeen(seen.id, seen.name, seen.expires_ms, result, draft.now.boot))
            draft.record(Fact.COMMAND_ANSWERED, why=why, command=seen.id, result=result)


def due(draft: Draft, seen: CommandSeen) -> None:
    """An id is kept until its expiry and a day more."""
    wait_ms = due_in_ms(draft, seen)
    if wait_ms is not None and wait_ms <= 0:
        draft.drop(CommandSeen, seen.id)


def due_in_ms(draft: Draft, seen: CommandSeen) -> int | None:
    """How long until `due` is worth asking."""
    if not draft.now.trusted:
        return None
    return timekeeping.kept_until_ms(draft, seen.expires_ms + DAY_MS) - draft.now.wall_ms


def _refusal(draft: Draft, event: CommandReceived) -> Reason | None:
    if not draft.now.trusted:
        return None if event.name in _STOPS else reason("clock_untrusted")
    if event.expires_ms <= draft.now.wall_ms:
        return reason("expired")
    if event.expires_ms > draft.now.wall_ms + draft.site.settings.booking.command_expiry_ms:
        return reason("expiry_too_far")
    return None


def _repeated(draft: Draft, seen: CommandSeen) -> Reply:
    lost = bool(seen.token) and seen.boot != draft.now.boot
    result = Result.UNKNOWN if lost else Result(seen.result)
    why = reason("spent_by_restart") if lost else reason("already_done")
    return Reply(result, why, {"command": seen.id, "repeated": True})


def _answer(draft: Draft, event: CommandReceived, reply: Reply, *, keep: bool) -> Reply:
    token = str(reply.data.get("grant", ""))
    if keep:
        seen = CommandSeen(
            event.id, event.name, event.expires_ms, reply.result.value, draft.now.boot, token
        )
        draft.put(seen)
    draft.record(
        Fact.COMMAND_ANSWERED,
        why=reason("done") if reply.accepted else reply.reason,
        command=event.id,
        name=event.name,
        target=event.target,
        result=reply.result.value,
    )
    return Reply(reply.result, reply.reason, {**reply.data, "command": event.id})


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name, "")
    return value if isinstance(value, str) else ""


def _whole(arguments: Mapping[str, Any], name: str) -> int:
    value = arguments.get(name, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _release_door(draft: Draft, event: CommandReceived) -> Reply:
    why = _text(event.arguments, "why")
    return access.override(draft, DoorOverridden(event.target, event.by, why))


def _end_passage(draft: Draft, event: CommandReceived) -> Reply:
    if event.target not in draft.site.doors:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="door", id=event.target))
    passage.end(draft, event.target)
    return Reply(Result.ACCEPTED, reason("done"))


def _acknowledge_call(draft: Draft, event: CommandReceived) -> Reply:
    return answering.acknowledged(draft, CallAcknowledged(event.target, event.by))


def _attend_call(draft: Draft, event: CommandReceived) -> Reply:
    responder = _text(event.arguments, "responder")
    return answering.attended(draft, CallAttended(event.target, event.by, responder))


def _start_charging(draft: Draft, event: CommandReceived) -> Reply:
    """For a subject of the platform's: their right is judged here as at the outlet (C1)."""
    subject = _text(event.arguments, "subject")
    presented = Presented(CredentialKind.REMOTE, identifier=subject)
    told = event.arguments
    limits = Limits(_whole(told, "most_wh"), _whole(told, "longest_ms"))
    wish = Wish(_whole(told, "needed_wh"), _whole(told, "leaves_ms"), limits)
    asked = CredentialPresented(None, presented, facility=event.target, actor=event.by, wish=wish)
    here = plugging.outlets_at(draft, asked)
    if not here:
        return Reply(Result.UNKNOWN, reason("unknown_target", kind="outlet", id=event.target))
    return plugging.start(draft, asked, here)


def _stop_charging(draft: Draft, event: CommandReceived) -> Reply:
    return plugging.stop_asked(draft, SessionStopAsked(event.target, event.by))


def _on_site_only(draft: Draft, event: CommandReceived) -> Reply:  # noqa: ARG001 (one shape for all)
    return Reply(Result.REJECTED, reason("on_site_only"))


_STOPS = frozenset({"end_passage", "stop_charging"})  # the safe direction waits for no clock
_ENDS = {
    PulseEnd.CONFIRMED: Result.ACCEPTED,
    PulseEnd.SENT: Result.ACCEPTED,
    PulseEnd.REFUSED: Result.REJECTED,
    PulseEnd.UNCONFIRMED: Result.UNKNOWN,
    PulseEnd.UNKNOWN: Result.UNKNOWN,
}
_COMMANDS: dict[str, Callable[[Draft, CommandReceived], Reply]] = {
    "release_door": _release_door,
    "end_passage": _end_passage,
    "acknowledge_call": _acknowledge_call,
    "attend_call": _attend_call,
    "start_charging": _start_charging,
    "stop_charging": _stop_charging,
    "clear_call": _on_site_only,  # E4: the platform may acknowledge, it cannot clear
    "reset_fire": _on_site_only,  # A3: never over the uplink
}
