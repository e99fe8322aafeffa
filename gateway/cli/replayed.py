"""A replayed input for people and for programs: what was seen, stated, set, and why."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.domain.events import Event
from gateway.domain.now import Now
from gateway.domain.points import Pulse, Reading, Setpoint
from gateway.domain.records import Record
from gateway.domain.secret import Secret
from gateway.domain.state import Change, Decision
from gateway.runtime.plain import TYPE, Plain
from gateway.runtime.recording import Seen
from gateway.runtime.replay import Recording, Replayed

_plain = Plain(Secret.reveal)  # what stands for it: the ring holds no secret


def head(recording: Recording) -> str:
    """Where a recording begins."""
    begun = recording.beginning
    return (
        f"== {begun.site}, version {recording.version}, boot {begun.at.boot}: "
        f"{len(recording.inputs)} inputs from {instant(begun.at)}, "
        f"with {len(begun.entities)} entities"
    )


def lines(one: Replayed) -> Iterator[str]:
    """An input, under it what came of it."""
    if not one.decisions:
        yield f"{instant(one.input.at)}  {one.input.kind}"
    for (event, now), decision in zip(one.input.events, one.decisions, strict=False):
        yield f"{instant(now)}  {_event(event)}"
        yield from (f"    {text}" for text in _decided(decision))
    yield from (f"    {text}" for text in _around(one))


def plain(one: Replayed) -> dict[str, Any]:
    """The same for a program."""
    input_ = one.input
    return {
        "input": input_.kind,
        "at": _plain(input_.at),
        "saw": _plain(input_.saw.readings),
        "events": [
            {
                "event": _plain(event),
                "at": _plain(now),
                "records": _plain(decision.records),
                "changes": [_named(change) for change in decision.changes],
                "reply": _plain(decision.reply),
            }
            for (event, now), decision in zip(input_.events, one.decisions, strict=False)
        ],
        "setpoints": {str(ref): _plain(wanted) for ref, wanted in one.setpoints.items()},
        "failed": repr(one.failed) if one.failed else None,
        "same": one.same,
    }


def instant(now: Now) -> str:
    """Wall time in UTC to the millisecond, and what it is worth if that is not all."""
    shown = f"{datetime.fromtimestamp(now.wall_ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return f"{shown}Z" if now.trusted else f"{shown}Z (clock untrusted)"


def _event(event: Event) -> str:
    said = _plain(event)
    return f"{said[TYPE]} {_flat(said)}"


def _decided(decision: Decision) -> Iterator[str]:
    yield from (f"fact    {_fact(record)}" for record in decision.records)
    changed = ", ".join(_named(change) for change in decision.changes)
    if changed:
        yield f"change  {changed}"
    if decision.reply is not None:
        yield f"reply   {decision.reply.result.value}: {decision.reply.reason.en}"


def _around(one: Replayed) -> Iterator[str]:
    yield from (f"saw     {text}" for text in _seen(one.input.saw))
    for ref, setpoint in one.setpoints.items():
        yield f"set     {ref} {_setpoint(setpoint)}"
    if one.failed is not None:
        yield f"FAILED  {one.failed!r}"
    if not one.same:
        then = ", ".join(one.input.facts) or one.input.failed or "nothing"
        yield f"DIFFERS the gateway stated: {then}"


def _seen(saw: Seen) -> Iterator[str]:
    yield from (_reading(reading) for reading in saw.readings)
    never = [device for device, heard_ms in saw.heard.items() if heard_ms is None]
    if never:
        yield f"never heard: {', '.join(never)}"


def _reading(reading: Reading) -> str:
    return f"{reading.ref} = {reading.value} ({reading.quality.value})"


def _fact(record: Record) -> str:
    why = record.data.get("reason")
    sentence = f': "{why["en"]}"' if isinstance(why, Mapping) else ""
    data = {key: value for key, value in record.data.items() if key != "reason"}
    return f"{record.fact.value} {_flat({**data, **record.personal})}{sentence}"


def _setpoint(wanted: Setpoint | None) -> str:
    if wanted is None:
        return "asks nothing"
    what = f"pulse {wanted.length_ms} ms" if isinstance(wanted, Pulse) else f"= {wanted.value}"
    direction = ", the safe direction" if wanted.secures else ""
    return f"{what}: {wanted.reason}{direction}"


def _named(change: Change) -> str:
    return f"{change.type.kind} {change.id}{'' if change.entity is not None else ' dropped'}"


def _flat(said: Mapping[str, Any]) -> str:
    """What is said, on one line, without what is not."""
    return " ".join(
        f"{key}={_short(value)}"
        for key, value in said.items()
        if key != TYPE and value not in (None, "", [], {})
    )


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return f"({_flat(value)})"
    if isinstance(value, list):
        return f"[{', '.join(_short(one) for one in value)}]"
    return str(value)
